"""Airflow, imported once with a home of its own, and environments for processes of Airflow.

Airflow reads its home while it is imported, so this file is where that happens first.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from encours.registry import Connector, Registry

if TYPE_CHECKING:
    from tests.conftest import Database

ROOT = Path(__file__).resolve().parents[2]

_home = tempfile.mkdtemp(prefix="encours-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
_before = os.environ.copy()
os.environ["AIRFLOW_HOME"] = _home
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own warnings about its own libraries
        import airflow.configuration
        import airflow.sdk  # noqa: F401
finally:
    os.environ.clear()
    os.environ.update(_before)


def registry(url: str) -> Registry:
    """The registry of the database at this address."""

    @contextmanager
    def connect() -> Any:
        with psycopg.connect(url) as connection:
            yield connection

    return Registry(connect)


@pytest.fixture(scope="module")
def books(new_database: Callable[[], Database]) -> Database:
    """A database in which two tenants have a connector each, one of them paused."""
    database = new_database()
    known = registry(database.url("encours_app"))
    for key, name, zone, paused in [
        ("acme", "Acme", "Europe/Paris", None),
        ("nippon", "Nippon Trading", "Asia/Tokyo", "year-end close"),
    ]:
        tenant = known.add_tenant(key, name, zone)
        known.add(
            Connector(
                connector_id=0,
                tenant_id=tenant.tenant_id,
                tenant=key,
                tenant_name=name,
                zone=zone,
                key=f"{key}-s4",
                system="sap_s4hana",
                settings={},
                credential_id=None,
                schedule="17 6 * * *",
                deadline_minutes=1440,
                tolerance={},
                state="paused" if paused else "active",
                paused_reason=paused,
                changed_by="olga",
                changed_at=datetime.now(UTC),
                activated_at=datetime.now(UTC),
            )
        )
    return database


@pytest.fixture(scope="module")
def environment(books: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For processes of Airflow over these books; nothing of a surrounding installation shines through."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "ENCOURS_"))}
    home = tmp_path_factory.mktemp("hub")
    return (
        clean
        | books.environment()
        | {
            "ENCOURS_HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "SCARF_ANALYTICS": "false",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
    )
