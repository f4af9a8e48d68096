"""Asking as a credential says: each grant and way to sign in, at a real provider, and where its endpoint is found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from identity.errors import Denied, TryLater
from identity.oauth import OAuthClient
from identity.secret import Secret
from identity.token_rows import Holder
from tests.identity.token_scene import Play


def pem(key: RSAKey | ECKey) -> Secret:
    return Secret(key.as_pem(private=True).decode())


def test_a_user_is_vouched_for_and_no_refresh_token_is_needed(play: Play) -> None:
    scene = play()
    key = RSAKey.generate_key(2048, {"kid": "one"})
    keys = {"keys": [key.as_dict(private=False)]}
    scene.idp.control("issuers", {"issuer": "https://us.example", "jwks": keys})
    holder = scene.connected(
        grant="jwt_bearer",
        assertion_issuer="https://us.example",
        assertion_subject="COMM_ACME",
        assertion_key=pem(key),
        assertion_key_id="one",
    )
    token = scene.current(holder)
    assert scene.idp.active(token.access.reveal())["sub"] == "COMM_ACME"
    scene.ahead += timedelta(minutes=1)
    assert scene.current(holder).token_id == token.token_id
    asked, issued = scene.told()[1:]
    assert (asked.facts["grant"], asked.facts["refresh"], issued.event) == ("jwt_bearer", None, "issued")


def test_a_client_signs_in_with_its_private_key(play: Play) -> None:
    scene = play()
    key = ECKey.generate_key("P-256", {"kid": "two"})
    wish = {"client_id": "by-key", "token_endpoint_auth_method": "private_key_jwt"}
    scene.idp.control("clients", wish | {"jwks": {"keys": [key.as_dict(private=False)]}})
    client = OAuthClient(
        "by-key",
        pem(key),
        "client_credentials",
        authentication="private_key_jwt",
        key_id="two",
        token_endpoint=scene.idp.endpoints["token"],
    )
    assert scene.alive(scene.current(scene.connected(client)))


def test_a_secret_in_the_form(play: Play) -> None:
    scene = play()
    assert scene.alive(scene.current(scene.connected(scene.client("encours-post"))))


def test_the_endpoint_is_what_the_issuer_says(play: Play) -> None:
    scene = play()
    holder = scene.connected(token_endpoint=None, issuer=scene.idp.issuer)
    assert scene.alive(scene.current(holder))
    scene.misbehave("other_issuer")
    scene.ahead += timedelta(hours=1)
    with pytest.raises(Denied, match="names another issuer"):
        scene.current(holder)
    assert scene.row(holder)["state"] == "ok"
    assert scene.outcomes() == ["issued"]


def test_metadata_that_cannot_be_had_costs_nothing(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented(token_endpoint=None, issuer=scene.idp.issuer)
    scene.idp.control("outage", {"kind": "unavailable"})
    with pytest.raises(TryLater) as raised:
        scene.current(holder)
    assert raised.value.code == "unreached"
    assert scene.row(holder)["state"] == "ok"
    scene.idp.control("outage", {})
    assert scene.alive(scene.current(holder))
    assert [entry["outcome"] for entry in scene.calls()] == ["issued"]


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("generic", "Where Any OAuth 2.0 provider gives tokens is not known"),
        ("okta", "an issuer, such as https://COMPANY.okta.com/oauth2/default"),
        ("nobody", "There is no token provider 'nobody'"),
    ],
)
def test_an_unknown_endpoint_is_said(play: Play, provider: str, words: str) -> None:
    scene = play()
    holder = scene.connected(token_endpoint=None, provider=provider)
    with pytest.raises(Denied, match=words):
        scene.current(holder)
    assert scene.row(holder)["state"] == "ok"


def test_the_token_endpoint_of_sap_is_below_the_system_itself(play: Play) -> None:
    scene = play("--profile", "sap-like")
    scopes = ("API_BUSINESS_PARTNER_0001",)
    client = scene.client(token_endpoint=None, provider="sap", scopes=scopes)
    ask = scene.authority.asker(scene.asking, scene.idp.issuer)
    granted = ask(client, None)
    assert granted.scope == frozenset(scopes)


def test_a_user_is_named_where_client_credentials_need_one(play: Play) -> None:
    scene = play("--profile", "intacct-like")
    usual = {"provider": "sage_intacct", "scopes": ("offline_access",)}
    with pytest.raises(Denied, match="invalid_request"):
        scene.current(scene.connected(scene.client("encours-post", **usual)))
    named = scene.client("encours-post", **usual, username="api_reader@globex")
    holder = scene.connected(named)
    token = scene.current(holder)
    assert not scene.row(holder)["refreshes"], "it can ask again without"
    assert scene.idp.control("introspect", {"token": token.access.reveal()})["sub"] == "api_reader@globex"


def test_a_grant_that_lies_idle_is_renewed_at_half_its_time(play: Play) -> None:
    scene = play("--profile", "strict", "--set", "refresh_idle_seconds=604800")
    holder, forever = scene.consented(provider="okta"), scene.consented("bruno")
    scene.connected()
    tokens, ways = scene.authority.tokens, scene.authority.asker(scene.asking, "https://erp.example")

    def kept() -> list[tuple[Holder, Any]]:
        return list(tokens.keep_alive([1, 2], scene.now(), lambda _: ways))

    scene.current(holder)
    scene.current(forever)
    first = scene.row(holder)["token_id"]
    scene.ahead += timedelta(days=3)
    assert kept() == []
    scene.ahead += timedelta(hours=13)
    assert list(tokens.keep_alive([1], scene.now(), lambda _: None)) == []
    assert kept() == [(holder, None)]
    assert kept() == []
    assert scene.row(holder)["token_id"] != first
    assert scene.told("refreshed")[-1].by == "keep-alive"
    assert len(scene.calls()) == 3


def test_one_grant_that_is_gone_does_not_keep_the_others_from_being_renewed(play: Play) -> None:
    scene = play("--profile", "strict")
    users = {scene.consented(user, provider="okta"): user for user in ("anna", "bruno")}
    gone, good = sorted(users)  # in the order in which they are renewed
    for holder in users:
        scene.current(holder)
    scene.idp.control("end", {"subject": users[gone]})
    scene.ahead += timedelta(days=4)
    ways = scene.authority.asker(scene.asking, "https://erp.example")
    kept = list(scene.authority.tokens.keep_alive([1], scene.now(), lambda _: ways))
    assert [(holder, getattr(error, "code", None)) for holder, error in kept] == [
        (gone, "invalid_grant"),
        (good, None),
    ]
