"""SIGKILL at every named point of a renewal, by the process itself: no grant is lost that the provider still honours.

ENCOURS_TEST_POINTS says how often at each point in the long proof; `make prove` does 50. Two providers: one gives
a spent refresh token a grace, one ends the whole grant when it is sent again. Counted is in their own logs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from identity.errors import NeedsConsent
from identity.token_rows import Holder
from receivables.crash import OF_A_TOKEN
from tests.conftest import Database
from tests.identity.token_scene import Scene
from tests.sandbox.idps import Idps

TIMES = int(os.environ.get("ENCOURS_TEST_POINTS", "5"))
GRACE = {"graceful": 30, "strict": 0}
LOST = (
    "token_answered",
    "token_storing",
)  # the provider has spent the token, and nothing of its answer is kept

PROGRAM = """
import sys
from uuid import UUID
from encours.asking import asking
from encours.hub import Hub
from identity.token_rows import Holder
from identity.tokens import Wish

hub = Hub.from_environment()
ask = hub.authority.asker(asking(None, hub.settings.private_networks), "https://erp.example")
hub.authority.tokens.current(Wish(Holder(1, UUID(sys.argv[1])), ask, "test"))
"""


def scene_at(idps: Idps, database: Database, home: Path, profile: str) -> Scene:
    return Scene(database, home / "key", idps.like("--profile", profile))


def killed(scene: Scene, home: Path, holder: Holder, database: Database, point: str) -> None:
    """A process that asks for the token and kills itself at this point."""
    environment = {
        "ENCOURS_HOME": str(home),
        "ENCOURS_KEY_FILE": str(scene.key_file),
        "ENCOURS_PRIVATE_NETWORKS": "127.0.0.0/8",
        "ENCOURS_CRASH_AT": point,
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(holder.credential_id)],
        env={**os.environ, **database.environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, f"it never came to {point}: {ended.stderr}"


def check_no_token_is_sent_that_is_known_to_be_spent(scene: Scene) -> None:
    """After the audit has told what became of a refresh token, it is never sent again."""
    sent, over = None, set()
    for entry in scene.told():
        if entry.event == "asked":
            sent = entry.facts["refresh"]
            assert sent not in over
        elif entry.event in ("refreshed", "refused"):
            over.add(sent)


def kill_and_go_on(scene: Scene, home: Path, database: Database, profile: str, point: str) -> None:
    holder = scene.consented(grace_seconds=GRACE[profile])
    scene.idp.since = scene.idp.control("log")["last"]
    scene.slept.clear()
    killed(scene, home, holder, database, point)
    row = scene.row(holder)
    assert row["state"] == ("ok" if point == "token_stored" else "uncertain")
    if profile == "strict" and point in LOST:
        for _ in range(2):
            with pytest.raises(NeedsConsent, match="must connect the service again"):
                scene.current(holder)
        assert scene.outcomes() == ["issued", "invalid_grant"]
        assert scene.row(holder)["state"] == "needs_consent"
    else:
        assert scene.alive(scene.current(holder))
        assert scene.outcomes() == ["issued"] * (2 if point in LOST else 1)
        assert len({entry["refresh"] for entry in scene.calls()}) == 1
        assert len(scene.slept) == (row["state"] == "uncertain")
        assert all(pause <= GRACE[profile] / 2 for pause in scene.slept)
        scene.ahead = timedelta(hours=2)
        assert scene.alive(scene.current(holder)), "the grant is renewed again"
        scene.ahead = timedelta(0)  # the clock of the processes that are killed
    check_no_token_is_sent_that_is_known_to_be_spent(scene)
    assert scene.authority.audit.verify(1).intact


@pytest.mark.parametrize("profile", GRACE)
@pytest.mark.parametrize("point", OF_A_TOKEN)
def test_a_kill_loses_no_grant(
    idps: Idps, database: Database, tmp_path: Path, profile: str, point: str
) -> None:
    kill_and_go_on(scene_at(idps, database, tmp_path, profile), tmp_path, database, profile, point)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("profile", GRACE)
def test_kills_lose_no_grant(idps: Idps, database: Database, tmp_path: Path, profile: str) -> None:
    scene = scene_at(idps, database, tmp_path, profile)
    for _ in range(TIMES):
        for point in OF_A_TOKEN:
            kill_and_go_on(scene, tmp_path, database, profile, point)


def test_every_point_is_passed_in_its_order(idps: Idps, database: Database, tmp_path: Path) -> None:
    scene = scene_at(idps, database, tmp_path, "strict")
    scene.current(scene.consented())
    assert scene.passed == list(OF_A_TOKEN)
