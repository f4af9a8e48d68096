"""What `make run` connects: the simulated ERPs, one of them signed in to by OAuth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from encours import simulation

if TYPE_CHECKING:
    from tests.sync.conftest import Install


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """What a sandbox says that is started as `make run` starts it, with fewer items."""
    home = tmp_path_factory.mktemp("sandbox")
    command = [sys.executable, "-m", "sandbox", "start", "--home", str(home), "--items", "100"]
    command += ["--oauth", simulation.OAUTH]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["tenants"]
        process.terminate()


def test_one_sap_signs_in_by_password_and_one_by_oauth(install: Install, tenants: Mapping[str, Any]) -> None:
    hub = install().hub
    keys = simulation.connect(hub, tenants)
    assert keys == ["acme-s4", "nippon-s4", "globex-intacct"]
    kinds = {one.subject: one.kind for tenant in tenants for one in hub.security.inventory(tenant)}
    assert kinds == {"COMM_ACME": "basic", "encours-basic": "oauth", "api_reader": "intacct"}
    assert {hub.sync(key).verdict for key in keys} == {"equal"}
    (held,) = hub.security.inventory(simulation.OAUTH)
    assert held.issued_at is not None
    assert held.expires_at is not None
    assert (held.expires_at - held.issued_at).total_seconds() == 60


def test_a_provider_that_has_moved_is_followed(install: Install, tenants: Mapping[str, Any]) -> None:
    hub = install().hub
    before = {**tenants[simulation.OAUTH], "token_url": "http://127.0.0.1:1/sap/bc/sec/oauth2/token"}
    simulation.connect(hub, {simulation.OAUTH: before})
    (first,) = hub.security.inventory(simulation.OAUTH)
    simulation.connect(hub, {simulation.OAUTH: tenants[simulation.OAUTH]})
    assert hub.sync("nippon-s4").verdict == "equal"
    (second,) = hub.security.inventory(simulation.OAUTH)
    assert second.credential_id == first.credential_id


def test_an_installation_from_before_is_taken_over(install: Install, tenants: Mapping[str, Any]) -> None:
    """Its nippon signs in by password; what has not changed is left alone."""
    hub = install().hub
    before = {**tenants[simulation.OAUTH], "user": "COMM_NIPPON", "password": "p"}
    del before["client_id"]
    simulation.connect(hub, {**tenants, simulation.OAUTH: before})
    simulation.connect(hub, tenants)
    simulation.connect(hub, tenants)
    tenant = hub.registry.tenant(simulation.OAUTH).tenant_id
    assert len(list(hub.authority.audit.entries(tenant, event="replaced"))) == 1
    tenant = hub.registry.tenant("acme").tenant_id
    assert list(hub.authority.audit.entries(tenant, event="replaced")) == []
