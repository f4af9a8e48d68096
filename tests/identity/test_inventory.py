"""What is shown of credentials and tokens: whose, for what, until when, how they stand; nothing of their secrets."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from identity.errors import Denied, NeedsConsent, TryLater
from identity.inventory import Holding
from identity.kinds import ApiKey
from identity.secret import Secret
from identity.token_rows import Holder
from tests.conftest import Database
from tests.identity.token_scene import Scene
from tests.sandbox.idps import Idps


@pytest.fixture
def scene(idps: Idps, database: Database, key_file: Path) -> Scene:
    return Scene(database, key_file, idps.like("--profile", "strict"))


def shown(scene: Scene, holder: Holder) -> Holding:
    return scene.authority.inventory.holding(1, holder.credential_id)


def test_a_token_is_shown_without_what_it_is(scene: Scene) -> None:
    holder = scene.connected(scopes=("openid",))
    assert shown(scene, holder).condition(scene.now()) == "no token yet"
    token = scene.current(holder)
    held = shown(scene, holder)
    assert (held.token_id, held.expires_at, held.scope) == (token.token_id, token.expires_at, "openid")
    assert (held.service, held.subject, held.facts["scopes"]) == ("generic", "encours-basic", ["openid"])
    assert held.condition(scene.now()) == "good"
    assert held.condition(scene.now() + timedelta(days=1)) == "renewed at the next use"
    text = repr(dataclasses.asdict(held))
    assert token.access.reveal() not in text
    assert scene.idp.clients["encours-basic"]["secret"] not in text


def test_what_needs_a_person_is_said(scene: Scene) -> None:
    holder = scene.consented()
    assert shown(scene, holder).renewable
    scene.idp.control("end", {})
    with pytest.raises(NeedsConsent):
        scene.current(holder)
    assert shown(scene, holder).condition(scene.now()) == "needs consent"


def test_an_answer_that_was_lost_is_said(scene: Scene) -> None:
    holder = scene.connected()
    scene.misbehave("lose_answer")
    with pytest.raises(TryLater):
        scene.current(holder)
    assert shown(scene, holder).condition(scene.now()) == "uncertain"


def test_a_kind_without_tokens_is_kept(scene: Scene) -> None:
    key = ApiKey("APIKey", Secret("s"))
    holder = Holder(1, scene.authority.credentials.create(1, key, label="b", by="test", owner="Olga"))
    held = shown(scene, holder)
    assert (held.subject, held.owner, held.token_id) == ("APIKey", "Olga", None)
    assert held.condition(scene.now()) == "kept"


def test_another_tenant_sees_nothing(scene: Scene, database: Database) -> None:
    holder = scene.connected()
    scene.current(holder)
    assert scene.authority.inventory.holdings(2) == []
    with pytest.raises(Denied, match="has no credential"):
        scene.authority.inventory.holding(2, holder.credential_id)
    with psycopg.connect(database.url("encours_identity")) as connection:
        assert connection.execute("select from identity.token").fetchall() == []
