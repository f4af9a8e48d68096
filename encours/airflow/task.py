"""The one task of a connector's DAG: calls the hub and puts the publication's figures into the asset event.

No record travels through Airflow: a key goes in, a few counters come out. A held run fails the task at
once, because reading the same books again without a change would hold them again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from airflow.sdk.types import DagRunProtocol

    from encours.overview import Amount
    from encours.sync import SyncResult


log = logging.getLogger(__name__)

SCHEDULED = "scheduled"
IN_TIME = ("tied_out", "not_proven", "paused")  # states that no deadline is missed in


def books(key: str) -> Asset:
    """The asset that a publication of this connector updates; downstream DAGs are scheduled on it."""
    return Asset(f"encours://{key}/receivables")


def sync(key: str, *, outlet_events: MutableMapping[Asset, Any], dag_run: DagRunProtocol) -> None:
    """Reads, compares and publishes one connector; Airflow gives what is named like its context.

    Raises AirflowFailException when the books are held, AirflowSkipException for a scheduled run in the
    connector's blackout, and the hub's errors for HubRetryPolicy to judge.
    """
    from encours.hub import Hub  # noqa: PLC0415  the DAG file is parsed without it

    with Hub.from_environment() as hub:
        connector = hub.registry.connector(key)
        if dag_run.run_type == SCHEDULED and connector.rests(hub.clock()):
            raise AirflowSkipException(f"{key}: in its blackout, {connector.blackout} ({connector.zone}).")
        result = hub.sync(key)
        if result.state == "held":
            raise AirflowFailException(held(result))
        status = hub.store.status(connector.tenant_id, connector.connector_id)
    outlet_events[books(key)].extra = figures(result, status.open_amounts)


def late(key: str) -> str | None:
    """Says in the log that the books are not tied out by the deadline, unless a later run has done it.

    Called by Airflow for a run that has not succeeded `deadline_minutes` after its time.
    """
    from encours.hub import Hub  # noqa: PLC0415  the DAG file is parsed without it

    with Hub.from_environment() as hub:
        status = next(iter(hub.overview([key])), None)
    if status is None or status.state in IN_TIME:
        return None
    sentence = f"{key} is not tied out in time. {status.sentence}"
    log.error(sentence)
    return sentence


def figures(result: SyncResult, open_amounts: Sequence[Amount]) -> dict[str, Any]:
    """The publication as JSON: counters, and what each control account comes to; amounts are exact text."""
    whole_accounts = [line for line in result.totals if line.customer is None]
    counters = (
        "publication",
        "run",
        "mode",
        "verdict",
        "grade",
        "rows_read",
        "rows_staged",
        "rejects",
        "seconds",
    )
    extra: dict[str, Any] = to_jsonable_python(
        {name: getattr(result, name) for name in counters}
        | {"open_amounts": open_amounts, "totals": whole_accounts}
    )
    return extra


def held(result: SyncResult) -> str:
    """What a held run says in its log: why, what explains it, what readers see and what to do."""
    look = f"To look closer: encours tie-out {result.connector} --run {result.run}"
    publish = f"To publish it: encours publish {result.connector}"
    return " ".join(
        [
            f"{result.connector}: {result.verdict}.",
            *result.explanation,
            "Readers still see the last publication.",
            publish if result.reason == "settings" else look,
        ]
    )
