"""The table of providers: complete, of its own kind, and strict about what it does not know."""

from __future__ import annotations

import pytest

from identity.errors import Denied
from identity.grants import METHODS
from identity.providers import names, provider, read

TABLE = """
[some]
title = "Some"
source = "a page"
endpoints_from = "provider"
endpoints.token = "https://idp.example/token"
authentication = ["none"]
grants = ["refresh_token"]
rotates = true
reuse_revokes_family = false
"""


def test_all_providers_are_read() -> None:
    assert names() == (
        "generic",
        "sap",
        "sage_intacct",
        "okta",
        "auth0",
        "microsoft_entra",
        "salesforce",
    )
    for name in names():
        found = provider(name)
        assert found.name == name
        assert set(found.authentication) <= set(METHODS)
        assert bool(found.issuer_like) == (found.endpoints_from == "metadata")


def test_a_provider_is_careful_where_nothing_is_known() -> None:
    found = provider("generic")
    assert (found.rotates, found.grace_seconds, found.reuse_revokes_family) == (True, 0, True)
    assert (found.endpoints_from, found.origin_suffixes) == ("credential", ())


def test_endpoints_are_below_the_system_or_the_providers_own() -> None:
    sap, intacct = provider("sap"), provider("sage_intacct")
    assert sap.endpoint("token", "https://s4:44300") == "https://s4:44300/sap/bc/sec/oauth2/token"
    assert sap.endpoint("introspect", "https://s4:44300") is None
    assert intacct.endpoint("token", "https://x") == "https://api.intacct.com/ia/api/v1/oauth2/token"


def test_scopes_that_no_answer_names_are_not_missed() -> None:
    found = provider("microsoft_entra")
    assert found.answered(frozenset({"offline_access", "api/.default"})) == frozenset({"api/.default"})


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Denied, match="sage_intacct") as refused:
        provider("nobody")
    assert refused.value.code == "unknown_provider"


def test_a_table_is_read() -> None:
    assert read(TABLE)["some"].default_lifetime == 3600


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("rotates = true", "rotates = true\nspeed = 5"),
        ("rotates = true", ""),
        ("rotates = true", "rotates = 1"),
        ('"none"', '"client_secret_jwt"'),
        ('"refresh_token"', '"password"'),
        ("endpoints.token", "endpoints.tokens"),
        ("endpoints.token", "endpoints.revoke"),
        ("https://idp", "http://idp"),
        ('"https://idp.example/token"', '"/token"'),
        ('"provider"', '"system"'),
        ('"provider"', '"metadata"'),
        ("rotates = true", "rotates = true\ngrace_seconds = -1"),
        ("rotates = true", "rotates = true\ndefault_lifetime = 0"),
        ("rotates = true", 'rotates = true\norigin_suffixes = [".example"]'),
        ("rotates = true", 'rotates = true\norigin_suffixes = [""]'),
    ],
)
def test_a_table_that_is_wrong_is_refused_by_name(was: str, becomes: str) -> None:
    assert was in TABLE
    with pytest.raises(ValueError, match="provider some: "):
        read(TABLE.replace(was, becomes))
