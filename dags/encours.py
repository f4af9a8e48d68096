"""One DAG for each connector of the registry, with one task: the sync; and one that takes care of the rest.

The registry is the truth: a paused connector's DAG has no schedule, and DAGs are created un-paused from
the moment of activation; after an outage one run catches up, whatever was missed. While the hub's database
does not answer, the connectors known last stand in, so that Airflow forgets no DAG and its runs wait for the
database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from encours.airflow import care
from encours.airflow.known import known_connectors
from encours.airflow.retry import HubRetryPolicy
from encours.airflow.task import books, late, sync
from encours.settings import Settings

if TYPE_CHECKING:
    from encours.airflow.known import Known


def connector_dag(connector: Known) -> DAG:
    """The DAG `encours_<key>`; its schedule is read in the tenant's zone."""
    active = connector.state == "active"
    dag = DAG(
        dag_id=connector.dag_id,
        dag_display_name=f"{connector.tenant_name} {connector.key}",
        description="Reads the open items, compares them with the ERP's own books and publishes them.",
        schedule=CronTriggerTimetable(connector.schedule, timezone=connector.zone) if active else None,
        start_date=connector.activated_at,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        deadline=DeadlineAlert(
            reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
            interval=timedelta(minutes=connector.deadline_minutes),
            callback=SyncCallback(late, kwargs={"key": connector.key}),
        ),
        tags=["encours", connector.tenant, connector.system, connector.state],
    )
    with dag:
        PythonOperator(
            task_id="sync",
            python_callable=sync,
            op_args=[connector.key],
            outlets=[books(connector.key)],
            retries=5,
            retry_delay=timedelta(minutes=1),
            retry_exponential_backoff=2.0,
            max_retry_delay=timedelta(minutes=30),
            retry_policy=HubRetryPolicy(),
        )
    return dag


def care_dag() -> DAG:
    """The DAG `encours_care`: a run that was missed is made up for by the next one."""
    dag = DAG(
        dag_id=care.DAG_ID,
        dag_display_name="Encours care",
        description="Signs where the audit ends, and renews grants that lie idle.",
        schedule=timedelta(minutes=care.MINUTES),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=["encours", "care"],
    )
    with dag:
        for part in (care.checkpoint, care.keep_alive):
            PythonOperator(task_id=part.__name__, python_callable=part, retries=0)
    return dag


only = get_parsing_context().dag_id  # a task's own process builds its own DAG and no other
for known in known_connectors(Settings()):
    if only is None or only == known.dag_id:
        globals()[known.dag_id] = connector_dag(known)
if only is None or only == care.DAG_ID:
    globals()[care.DAG_ID] = care_dag()
