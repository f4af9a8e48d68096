"""Many callers of one expired grant, in threads and in processes: the provider is asked exactly once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Database
from tests.identity.token_scene import Scene
from tests.sandbox.idps import Idps

pytestmark = pytest.mark.long

PROCESSES, THREADS = 16, 50
LATENCY = 0.3  # seconds

PROGRAM = """
import json, sys, threading
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID

import psycopg

from encours.transport import transport
from identity.asking import Asking
from identity.authority import Authority
from identity.kms import LocalKms
from identity.token_rows import Holder
from identity.tokens import Wish

url, key_file, credential, threads = sys.argv[1:]
authority = Authority(lambda: psycopg.connect(url), LocalKms(Path(key_file)), lambda: datetime.now(UTC))
ask = authority.asker(Asking(transport([ip_network("127.0.0.0/8")])), "https://erp.example")
wish = Wish(Holder(1, UUID(credential)), ask, "test")
found = []
callers = [
    threading.Thread(target=lambda: found.append(authority.tokens.current(wish).access.reveal()))
    for _ in range(int(threads))
]
print("ready", flush=True)
sys.stdin.readline()
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
print(json.dumps(found), flush=True)
"""


def expire(scene: Scene, database: Database) -> None:
    """The stored access token has ended."""
    with psycopg.connect(database.url("encours_identity")) as connection:
        connection.execute("select set_config('app.tenant', '1', true)")
        ended = "update identity.token set issued_at = now() - interval '2 h', expires_at = now() - interval '1 h'"
        assert connection.execute(ended.encode()).rowcount == 1


@pytest.mark.parametrize("profile", ["strict", "graceful"])
def test_threads_of_many_processes_make_one_call(
    idps: Idps, database: Database, tmp_path: Path, profile: str
) -> None:
    scene = Scene(database, tmp_path / "key", idps.like("--profile", profile))
    holder = scene.consented()
    old = scene.current(holder)
    expire(scene, database)
    scene.idp.since = scene.idp.control("log")["last"]
    scene.idp.control("latency", {"before": LATENCY})
    command = [sys.executable, "-c", PROGRAM, database.url("encours_identity"), str(scene.key_file)]
    processes = [
        subprocess.Popen(
            [*command, str(holder.credential_id), str(THREADS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        found = [token for process in processes for token in json.loads(process.communicate(timeout=120)[0])]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    scene.idp.control("latency", {})
    assert len(found) == PROCESSES * THREADS
    (token,) = set(found)
    assert token != old.access.reveal()
    assert scene.idp.active(token)["active"]
    assert scene.outcomes() == ["issued"]
    assert scene.events()["refreshed"] == 2
    assert scene.authority.audit.verify(1).intact
