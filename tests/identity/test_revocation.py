"""The end of a token: what the provider is told, what is forgotten, what the audit keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from identity.errors import Denied, NeedsConsent, TryLater
from identity.kinds import Basic
from identity.secret import Secret
from identity.token_rows import Holder
from tests.conftest import Database
from tests.identity.token_scene import ORIGIN, Scene
from tests.sandbox.idps import Idps


@pytest.fixture
def scene(idps: Idps, database: Database, key_file: Path) -> Scene:
    return Scene(database, key_file, idps.like("--profile", "strict"))


def revoke(scene: Scene, holder: Holder) -> bool | None:
    endpoint = scene.authority.asker(scene.asking, ORIGIN)
    return scene.authority.revocation.revoke(holder, endpoint.revoke, by="olga", reason="left")


def named(scene: Scene) -> dict[str, Any]:
    """The provider by its issuer, whose metadata names where tokens are revoked."""
    return {"issuer": scene.idp.issuer}


def test_a_consent_ends_at_the_provider_and_here(scene: Scene) -> None:
    holder = scene.consented(**named(scene))
    token = scene.current(holder)
    assert revoke(scene, holder) is True
    assert not scene.alive(token)
    assert scene.row(holder) == {}
    with pytest.raises(NeedsConsent):
        scene.current(holder)
    assert scene.idp.log("revoke")[0]["outcome"] == "revoked"
    (told,) = scene.told("revoked")
    assert (told.by, told.credential_id) == ("olga", holder.credential_id)
    assert told.facts["token"] == str(token.token_id)
    assert (told.facts["at_provider"], told.facts["reason"]) == ("revoked", "left")


def test_without_a_place_to_revoke_it_is_forgotten_and_said(scene: Scene) -> None:
    holder = scene.connected()
    token = scene.current(holder)
    assert revoke(scene, holder) is False
    assert scene.row(holder) == {}
    assert scene.alive(token), "it ends by itself"
    assert scene.idp.log("revoke") == []
    assert [entry.facts["at_provider"] for entry in scene.told("revoked")] == ["not offered"]


def test_a_token_of_a_system_is_revoked_beside_where_it_is_given_and_nowhere_else(scene: Scene) -> None:
    """A profile's paths are below the address that gave the token, not below the system's own."""
    elsewhere = scene.connected(provider="sap")  # /token is not the path of that profile
    scene.current(elsewhere)
    assert revoke(scene, elsewhere) is False
    assert scene.idp.log("revoke") == []


@pytest.mark.parametrize("kind", ["internal_error", "redirect_307"])
def test_what_the_provider_does_not_do_is_not_forgotten(scene: Scene, kind: str) -> None:
    holder = scene.connected(**named(scene))
    token = scene.current(holder)
    scene.misbehave(kind, endpoint="revoke")
    with pytest.raises((Denied, TryLater)):
        revoke(scene, holder)
    assert scene.row(holder)["token_id"] == token.token_id
    assert scene.told("revoked") == []


def test_without_a_token_there_is_nothing_to_revoke(scene: Scene) -> None:
    assert revoke(scene, scene.connected()) is None
    basic = scene.authority.credentials.create(1, Basic("a", Secret("b")), label="c", by="test")
    with pytest.raises(Denied, match="no token"):
        revoke(scene, Holder(1, basic))
