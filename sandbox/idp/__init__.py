"""A simulated identity provider: an OAuth 2.0 authorization server over real HTTP that misbehaves on command.

Written from the RFCs and vendors' documents only. Every statement about a vendor's form carries its proof:
[D] public documents, [K] customary and not verified. It keeps digests of tokens, never tokens, and refuses
the implicit and the password grant, PKCE by `plain`, and clients that sign in in another way than registered.
"""
