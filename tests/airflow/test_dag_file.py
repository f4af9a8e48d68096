"""The DAG file, parsed by Airflow's own DagBag in a process of its own, over a real registry."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID as ONLY_THIS_DAG

PASSWORD = "an-unmistakable-password"
NOBODY = f"postgresql://nobody:{PASSWORD}@127.0.0.1:1/encours"

PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
def care(dag):
    return {
        "every": str(dag.timetable.delta),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "paused_upon_creation": dag.is_paused_upon_creation,
        "tags": sorted(dag.tags),
        "tasks": dag.task_ids,
    }
def plain(dag):
    if dag.dag_id == "encours_care":
        return care(dag)
    task = dag.get_task("sync")
    return {
        "schedule": [getattr(dag.timetable, "expression", None), str(getattr(dag.timetable, "timezone", None))],
        "start": dag.start_date.isoformat(),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "paused_upon_creation": dag.is_paused_upon_creation,
        "deadline": [str(dag.deadline[0].interval), dag.deadline[0].callback.path, dag.deadline[0].callback.kwargs],
        "tags": sorted(dag.tags),
        "tasks": dag.task_ids,
        "policy": type(task.retry_policy).__name__,
        "retries": task.retries,
        "outlets": [asset.uri for asset in task.outlets],
        "op_args": list(task.op_args),
    }
print("RESULT" + json.dumps({"dags": {k: plain(d) for k, d in bag.dags.items()}, "errors": bag.import_errors}))
"""


@dataclass(frozen=True)
class Parsed:
    dags: dict[str, dict[str, Any]]
    errors: dict[str, str]
    log: str


def parsed(environment: dict[str, str], **changes: str) -> Parsed:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, environment["AIRFLOW__CORE__DAGS_FOLDER"]],
        env=environment | changes,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "RESULT" in done.stdout, done.stderr
    log, _, result = done.stdout.partition("RESULT")
    return Parsed(**json.loads(result), log=log + done.stderr)


@pytest.fixture(scope="module")
def usual(environment: dict[str, str]) -> Parsed:
    return parsed(environment)


@pytest.fixture
def without_database(environment: dict[str, str]) -> dict[str, str]:
    gone = {key: NOBODY for key in environment if key.startswith("ENCOURS_") and key.endswith("_URL")}
    return environment | gone


def test_each_connector_has_a_dag_with_one_task(usual: Parsed) -> None:
    assert usual.errors == {}
    assert set(usual.dags) == {"encours_acme-s4", "encours_nippon-s4", "encours_care"}
    acme = dict(usual.dags["encours_acme-s4"])
    assert datetime.now(UTC) - datetime.fromisoformat(acme.pop("start")) < timedelta(minutes=10)
    assert acme == {
        "schedule": ["17 6 * * *", "Europe/Paris"],
        "catchup": False,
        "max_active_runs": 1,
        "paused_upon_creation": False,
        "deadline": ["1 day, 0:00:00", "encours.airflow.task.late", {"key": "acme-s4"}],
        "tags": ["acme", "active", "encours", "sap_s4hana"],
        "tasks": ["sync"],
        "policy": "HubRetryPolicy",
        "retries": 5,
        "outlets": ["encours://acme-s4/receivables"],
        "op_args": ["acme-s4"],
    }


def test_a_paused_connector_has_a_dag_without_a_schedule(usual: Parsed) -> None:
    nippon = usual.dags["encours_nippon-s4"]
    assert nippon["schedule"] == [None, "None"]
    assert nippon["tags"] == ["encours", "nippon", "paused", "sap_s4hana"]


def test_one_dag_takes_care_of_the_installation(usual: Parsed) -> None:
    assert usual.dags["encours_care"] == {
        "every": "0:05:00",
        "catchup": False,
        "max_active_runs": 1,
        "paused_upon_creation": False,
        "tags": ["care", "encours"],
        "tasks": ["checkpoint", "keep_alive"],
    }


@pytest.mark.parametrize("only", ["encours_acme-s4", "encours_care"])
def test_a_tasks_process_builds_its_own_dag_only(environment: dict[str, str], only: str) -> None:
    assert list(parsed(environment, **{ONLY_THIS_DAG: only}).dags) == [only]


def test_without_a_database_the_last_known_dags_stay(usual: Parsed, without_database: dict[str, str]) -> None:
    during = parsed(without_database)
    assert (during.dags, during.errors) == (usual.dags, {})
    assert "The 2 connectors known last stand in" in during.log


@pytest.mark.parametrize("copy", [None, '[{"key": 1'], ids=["no copy", "a broken copy"])
def test_without_anything_known_the_file_still_parses_and_says_so(
    copy: str | None, without_database: dict[str, str], tmp_path: Path
) -> None:
    if copy is not None:
        (tmp_path / "known_connectors.json").write_text(copy)
    found = parsed(without_database, ENCOURS_HOME=str(tmp_path))
    assert (list(found.dags), found.errors) == (["encours_care"], {})
    assert "The hub's database does not answer" in found.log
    assert ("known_connectors.json cannot be read" in found.log) is (copy is not None)
    assert PASSWORD not in found.log
