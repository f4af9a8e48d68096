"""The hook of the connection type `encours`: lets other people's DAGs name a connector once, in a connection.

Refuses a connection that names no connector. Lends no token and holds no secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from encours.hub import Hub
from receivables.errors import Misconfigured

if TYPE_CHECKING:
    from encours.overview import ConnectorStatus
    from encours.sync import SyncResult


class EncoursHook(BaseHook):
    """One connector of the hub, named by the Airflow connection `encours_conn_id`."""

    conn_name_attr = "encours_conn_id"
    default_conn_name = "encours_default"
    conn_type = "encours"
    hook_name = "Encours connector"

    def __init__(self, encours_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.encours_conn_id = encours_conn_id

    @property
    def connector(self) -> str:
        """The connector's key; raises Misconfigured when the connection names none."""
        key = self.get_connection(self.encours_conn_id).extra_dejson.get("connector")
        if not isinstance(key, str) or not key:
            raise Misconfigured(
                f"The Airflow connection {self.encours_conn_id!r} names no connector."
                " Fill in its field Connector."
            )
        return key

    def sync(self) -> SyncResult:
        """Reads, compares and publishes now, as the connector's own DAG does; raises receivables.errors."""
        with Hub.from_environment() as hub:
            return hub.sync(self.connector)

    def status(self) -> ConnectorStatus:
        """How the connector's books stand; raises Misconfigured when the hub does not know the connector."""
        key = self.connector
        with Hub.from_environment() as hub:
            found = hub.overview([key])
        if found:
            return found[0]
        raise Misconfigured(
            f"The Airflow connection {self.encours_conn_id!r} names the connector {key!r}, which is unknown."
            " Those that exist: encours connectors list"
        )
