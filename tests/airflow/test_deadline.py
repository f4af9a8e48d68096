"""A deadline that passes in a real Airflow: our callback has run, and Airflow's log says what is late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from encours.airflowserver import AirflowServer
from encours.credential import NewCredential
from encours.hub import Hub
from encours.processes import Processes
from encours.settings import Settings
from encours.simulation import free_port
from identity.secret import Secret

if TYPE_CHECKING:
    from tests.conftest import Database

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

KEY = "acme-s4"
DAG = f"encours_{KEY}"
PATIENCE = 300  # seconds: until the next minute begins a run, the minute that it has, and a busy machine
NOWHERE = "http://127.0.0.1:1"
MISSED = """
select r.run_id, r.state
from deadline d join callback c on c.id = d.callback_id join dag_run r on r.id = d.dagrun_id
where r.dag_id = %s and d.missed and c.state = 'success'
"""


@pytest.fixture
def hub(new_database: Callable[[], Database], tmp_path: Path) -> Iterator[Hub]:
    """A hub whose one connector runs every minute, has a minute for it, and an ERP that does not answer."""
    database = new_database()
    environment = database.environment() | {
        "ENCOURS_HOME": str(tmp_path),
        "ENCOURS_PRIVATE_NETWORKS": "127.0.0.1/32",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        hub = Hub(Settings())
        hub.add_connector(
            system="sap_s4hana",
            key=KEY,
            tenant="acme",
            settings={"base_url": NOWHERE, "company_codes": ["1010"]},
            credential=NewCredential("user", Secret("password")),
            schedule="* * * * *",
            deadline_minutes=1,
        )
        yield hub


@pytest.fixture
def airflow(hub: Hub) -> Iterator[AirflowServer]:
    """Airflow over this hub, as `encours up` starts it."""
    home = hub.settings.home
    server = AirflowServer(
        home / "airflow", port=free_port(18180), database_url=hub.settings.database_url("airflow")
    )
    server.configure()
    environment = server.environment()
    server.migrate(environment)
    processes = Processes(home / "processes.json", home / "logs")

    def check() -> None:
        assert processes.ended() is None

    try:
        server.start(processes, environment, check)
        yield server
    finally:
        processes.stop()


def test_a_deadline_that_passes_is_said_in_airflows_log(hub: Hub, airflow: AirflowServer) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (missed := callbacks(hub)):
        assert time.monotonic() < deadline, "no deadline was missed, or our callback has not come to its end"
        time.sleep(1)
    assert {state for _, state in missed} <= {"running", "failed"}, "none of these runs has succeeded"
    for run, _ in missed:
        (log,) = (airflow.home / "logs" / "executor_callbacks" / DAG / run).iterdir()
        assert f'"level":"error","event":"{KEY} is not tied out in time.' in log.read_text()


def callbacks(hub: Hub) -> list[tuple[str, str]]:
    """The runs whose deadline was missed and said, each with its state, as Airflow keeps them."""
    with psycopg.connect(hub.settings.database_url("airflow")) as connection:
        return connection.execute(MISSED, [DAG]).fetchall()
