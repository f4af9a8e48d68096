"""A simulated Sage Intacct company: its books, its XML gateway, and the control addresses of its origin.

Written from the vendor's documents and from recorded requests and answers only. Every statement about a form
carries its proof: [F] recorded files, [D] public documents, [K] customary and not verified. It refuses to
write into the books through the gateway: business is posted through the control addresses.
"""
