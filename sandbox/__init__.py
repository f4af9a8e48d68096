"""Simulated ERPs and an identity provider over real HTTP, for tests and for a first look without an ERP.

Written from the vendor's documents and from recorded samples only: it imports no other part of this
repository and no other part imports it. It refuses to be a copy of the product's view of the vendor.
"""
