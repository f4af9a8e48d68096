"""What a security team is pointed at: each finding of a credential that a real provider gave a token for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from encours.findings import findings
from identity.errors import NeedsConsent
from identity.inventory import Holding
from identity.kinds import Basic
from identity.secret import Secret
from identity.token_rows import Holder
from tests.conftest import Database
from tests.identity.token_scene import Scene
from tests.sandbox.idps import Idps

WEEK = timedelta(days=7)


@pytest.fixture
def scene(idps: Idps, database: Database, key_file: Path) -> Scene:
    return Scene(database, key_file, idps.like("--profile", "strict"))


def shown(scene: Scene, holder: Holder) -> Holding:
    return scene.authority.inventory.holding(1, holder.credential_id)


def codes(scene: Scene, held: Holding, *connectors: str, used_days_ago: int | None = 0) -> list[str]:
    now = scene.now()
    used = None if used_days_ago is None else now - timedelta(days=used_days_ago)
    return [one.code for one in findings(held, connectors, used, now)]


def assigned(scene: Scene, holder: Holder) -> Holder:
    assert holder.credential_id is not None
    scene.authority.credentials.assign(1, holder.credential_id, owner="Olga", purpose="items", by="test")
    return holder


def test_what_is_in_order_has_no_finding(scene: Scene) -> None:
    holder = assigned(scene, scene.connected(scopes=("openid",)))
    scene.current(holder)
    assert codes(scene, shown(scene, holder), "acme-s4") == []


def test_nobody_answers_for_it_until_somebody_is_named(scene: Scene) -> None:
    holder = scene.connected(scopes=("openid",))
    (found,) = findings(shown(scene, holder), ["acme-s4"], scene.now(), scene.now())
    assert (found.code, "encours tokens assign" in found.sentence) == ("ownerless", True)
    assigned(scene, holder)
    held = shown(scene, holder)
    assert (held.owner, held.purpose) == ("Olga", "items")
    scene.authority.credentials.assign(1, held.credential_id, owner=None, purpose="invoices", by="test")
    held = shown(scene, holder)
    assert (held.owner, held.purpose) == ("Olga", "invoices")
    assert codes(scene, held, "acme-s4") == []
    assert [entry.facts for entry in scene.told("assigned")] == [
        {"owner": "Olga", "purpose": "items"},
        {"owner": None, "purpose": "invoices"},
    ]


def test_what_nobody_uses_is_found(scene: Scene) -> None:
    held = shown(scene, assigned(scene, scene.connected(scopes=("openid",))))
    assert codes(scene, held) == ["unused"]
    assert codes(scene, held, "acme-s4", used_days_ago=89) == []
    assert codes(scene, held, "acme-s4", used_days_ago=90) == ["unused"]
    assert codes(scene, held, "acme-s4", used_days_ago=None) == []
    scene.ahead = timedelta(days=91)
    assert codes(scene, held, "acme-s4", used_days_ago=None) == ["unused"]


def test_what_two_share_is_found(scene: Scene) -> None:
    held = shown(scene, assigned(scene, scene.connected(scopes=("openid",))))
    assert codes(scene, held, "acme-s4", "second") == ["shared"]


def test_what_was_granted_beyond_the_asked_is_found(scene: Scene) -> None:
    holder = assigned(scene, scene.connected())
    scene.current(holder)
    held = shown(scene, holder)
    assert held.scope, "the provider said what it granted"
    (found,) = findings(held, ["acme-s4"], scene.now(), scene.now())
    assert found.code == "over_scoped"
    assert held.scope in found.sentence


def test_a_secret_without_an_end_is_found_and_its_age_said(scene: Scene) -> None:
    content = Basic("anna", Secret("s"))
    created = scene.authority.credentials.create(1, content, label="b", by="test", owner="Olga")
    held = shown(scene, Holder(1, created))
    (found,) = findings(held, ["acme-s4"], scene.now(), scene.now() + WEEK)
    assert (found.code, found.sentence) == ("never_expires", "Its secret has no end and is 7 days old.")


def test_a_grant_that_is_over_is_found(scene: Scene) -> None:
    holder = assigned(scene, scene.consented(scopes=("openid",)))
    scene.idp.control("end", {})
    with pytest.raises(NeedsConsent):
        scene.current(holder)
    (found,) = findings(shown(scene, holder), ["acme-s4"], scene.now(), scene.now())
    assert found.code == "needs_consent"
    assert found.sentence.endswith("encours connectors connect acme-s4")


def test_a_refresh_token_that_nobody_renews_is_found_before_it_ends(scene: Scene) -> None:
    holder = assigned(scene, scene.consented(scopes=("openid",)))
    scene.current(holder)
    held = shown(scene, holder)
    okta = replace(held, facts={**held.facts, "provider": "okta"})  # seven days
    for days, found in {5: False, 6: True}.items():
        scene.ahead = timedelta(days=days)
        assert ("lapsing" in codes(scene, okta, "acme-s4")) is found
        assert "lapsing" not in codes(scene, held, "acme-s4"), "the provider sets no limit"
