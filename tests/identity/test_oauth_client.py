"""OAuth clients as credentials: what they refuse, and that they are stored whole and shown without secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from identity.authority import Authority
from identity.errors import Denied
from identity.kinds import Stored, material
from identity.oauth import OAuthClient
from identity.secret import Secret

CANARY = "canary-4711"
CLIENT = OAuthClient("encours", Secret(CANARY), "client_credentials")
VOUCHING = OAuthClient(
    "encours",
    Secret(CANARY),
    "jwt_bearer",
    provider="sap",
    authentication="client_secret_post",
    scopes=("A_0001", "B_0001"),
    token_endpoint="https://s4.example:44300/sap/bc/sec/oauth2/token",
    issuer="https://idp.example",
    device_endpoint="https://idp.example/device",
    username="u@c",
    key_id="k",
    audience="https://aud.example",
    assertion_issuer="https://us.example",
    assertion_subject="COMM_ACME",
    assertion_key_id="one",
    assertion_key=Secret("canary-key"),
    grace_seconds=30,
)


@pytest.mark.parametrize("content", [CLIENT, VOUCHING])
def test_it_is_stored_whole(authority: Authority, content: OAuthClient) -> None:
    made = authority.credentials.create(1, content, label="a", by="test")
    assert authority.credentials.opened(1, made) == content
    described = authority.credentials.describe(1, made)
    assert (described.kind, described.subject) == ("oauth", "encours")
    assert described.facts == content.facts()
    assert "canary" not in repr(described)
    authority.credentials.replace(1, made, CLIENT, by="test")
    assert authority.credentials.opened(1, made) == CLIENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant": "password"}, "unknown_grant"),
        ({"authentication": "client_secret_jwt"}, "unknown_client_authentication"),
        ({"provider": "Okta!"}, "invalid_provider"),
        ({"subject": ""}, "invalid_client_id"),
        ({"subject": "a\nb"}, "invalid_client_id"),
        ({"username": "x" * 256}, "invalid_user_name"),
        ({"scopes": ("a b",)}, "invalid_scope"),
        ({"scopes": ("",)}, "invalid_scope"),
        ({"token_endpoint": "https://u:canary-4711@idp.example/token"}, "invalid_address"),
        ({"token_endpoint": "idp.example/token"}, "invalid_address"),
        ({"token_endpoint": "https://idp.example/token#a"}, "invalid_address"),
        ({"issuer": "https://[::1"}, "invalid_address"),
        ({"issuer": "ftp://idp.example"}, "invalid_address"),
        ({"device_endpoint": "idp.example/device"}, "invalid_address"),
        ({"secret": Secret("")}, "invalid_client_secret"),
        ({"secret": Secret(CANARY + "\n")}, "invalid_client_secret"),
        ({"secret": Secret(CANARY * 2_000)}, "invalid_client_secret"),
        ({"authentication": "none"}, "invalid_client_secret"),
        ({"grant": "jwt_bearer"}, "invalid_assertion"),
        ({"assertion_subject": "u"}, "invalid_assertion"),
        ({"grace_seconds": -1}, "invalid_grace"),
        ({"grace_seconds": 3601}, "invalid_grace"),
    ],
)
def test_what_could_not_be_sent_is_refused_unseen(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Denied) as raised:
        replace(CLIENT, **changes)
    assert raised.value.code == code
    assert CANARY not in str(raised.value)


def test_facts_of_a_later_version_are_refused() -> None:
    facts = {"grant": "client_credentials", "dpop": True}
    with pytest.raises(Denied, match="knows no dpop of a client"):
        material(Stored("oauth", "encours", None, None, None, facts, Secret("s"), None))
