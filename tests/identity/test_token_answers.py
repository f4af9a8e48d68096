"""Every wrong answer that a provider may give to a renewal: what is raised, what is stored, and that it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from identity.errors import Denied, NeedsConsent, TryLater
from identity.token_rows import Holder
from tests.conftest import Database
from tests.identity.test_answers import REFUSED, TAKEN
from tests.identity.token_scene import Scene
from tests.sandbox.idps import Idps

pytestmark = pytest.mark.long

GONE = {kind for kind, (_, code) in REFUSED.items() if code == "invalid_grant"}
LOST = {kind for kind, (error, _) in REFUSED.items() if error is TryLater}
CLEAR = set(REFUSED) - GONE - LOST


@pytest.fixture(scope="module")
def scene(
    new_database: Callable[[], Database], idps: Idps, tmp_path_factory: pytest.TempPathFactory
) -> Scene:
    key_file = tmp_path_factory.mktemp("keys") / "key"
    return Scene(new_database(), key_file, idps.like("--profile", "graceful"))


@pytest.fixture(autouse=True)
def well(scene: Scene) -> Iterator[None]:
    scene.ahead = timedelta(0)
    yield
    scene.idp.control("held", method="DELETE")
    scene.idp.control("misbehave", method="DELETE")


def log_begins(scene: Scene) -> None:
    scene.idp.since = scene.idp.control("log")["last"]


def goes_on(scene: Scene, holder: Holder) -> None:
    """The grant is renewed, now and later."""
    for _ in range(2):
        token = scene.current(holder)
        assert scene.alive(token)
        scene.ahead += timedelta(days=2)


@pytest.mark.parametrize("kind", sorted([*TAKEN, *LOST]))
def test_an_answer_that_cannot_be_used_is_asked_for_once_more(scene: Scene, kind: str) -> None:
    holder = scene.consented(grace_seconds=30)
    scene.misbehave(kind, grant="refresh_token")
    log_begins(scene)
    token = scene.current(holder)
    scene.idp.control("held", method="DELETE")
    assert scene.alive(token)
    row = scene.row(holder)
    assert (row["state"], row["token_id"], row["refreshes"]) == ("ok", token.token_id, True)
    asked = [entry for entry in scene.told("asked") if entry.credential_id == holder.credential_id]
    assert len(asked) == (2 if kind in LOST else 1)
    assert len({entry.facts["refresh"] for entry in asked}) == 1
    goes_on(scene, holder)


@pytest.mark.parametrize("kind", sorted(CLEAR))
def test_a_clear_refusal_leaves_what_is_stored_and_is_not_asked_again(scene: Scene, kind: str) -> None:
    holder = scene.consented(grace_seconds=30, scopes=("openid", "offline_access"))
    first = scene.current(holder)
    before = scene.row(holder)
    scene.misbehave(kind, grant="refresh_token", value="no")
    log_begins(scene)
    with pytest.raises(Denied) as refused:
        scene.current(holder, instead_of=first.token_id)
    assert refused.value.code == REFUSED[kind][1]
    assert len(scene.calls()) == 1
    after = scene.row(holder)
    assert (after["state"], after["refreshes"]) == ("ok", True)
    assert kind == "downscoped" or {**after, "version": 0} == {**before, "version": 0}
    goes_on(scene, holder)


@pytest.mark.parametrize("kind", sorted(GONE))
def test_where_the_provider_says_that_the_grant_is_gone_nothing_is_sent_any_more(
    scene: Scene, kind: str
) -> None:
    holder = scene.consented(grace_seconds=30)
    scene.misbehave(kind, grant="refresh_token")
    log_begins(scene)
    for _ in range(2):
        with pytest.raises(NeedsConsent):
            scene.current(holder)
    assert len(scene.calls()) == 1
    assert scene.row(holder)["state"] == "needs_consent"
    scene.consent(holder)
    goes_on(scene, holder)
