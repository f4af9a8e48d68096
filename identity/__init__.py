"""Who may ask: the one authority that keeps, lends and audits the credentials of the connected services.

Imports no other part of Encours, so that an auditor can read it alone. Refuses to show a secret: it signs.
"""
