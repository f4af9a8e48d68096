"""What the DAG file needs of the registry, and the copy that stands in while the database is away.

The copy is one JSON file in the hub's home; it holds no setting and no secret. It is only read when the
database does not answer, so that Airflow keeps its DAGs and their history.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pydantic
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from encours.registry import Registry
from receivables.errors import HubError

if TYPE_CHECKING:
    from pathlib import Path

    from encours.settings import Settings

log = logging.getLogger(__name__)

FILE = "known_connectors.json"
PATIENCE = 3  # seconds; a parse that waits longer holds up the parse of everybody's DAGs


class Known(BaseModel, frozen=True, from_attributes=True):
    """One connector as its DAG is built from it; `activated_at` is aware, `zone` an IANA name."""

    key: str
    tenant: str
    tenant_name: str
    system: str
    schedule: str
    deadline_minutes: int
    zone: str
    state: str
    activated_at: AwareDatetime

    @property
    def dag_id(self) -> str:
        """The DAG's id."""
        return f"encours_{self.key}"


LIST = TypeAdapter(list[Known])


def known_connectors(settings: Settings) -> list[Known]:
    """The connectors of the registry; those known last, with a line in the log, while it does not answer."""
    copy = settings.home / FILE
    try:
        url = settings.database_url("encours_app")
        registry = Registry(partial(psycopg.connect, url, connect_timeout=PATIENCE))
        known = [Known.model_validate(connector) for connector in registry.connectors()]
    except (psycopg.OperationalError, HubError) as error:
        last = _last_known(copy)
        log.error(  # noqa: TRY400  the sentence says it all
            "The hub's database does not answer: %s The %d connectors known last stand in; their runs wait.",
            str(error).strip(),
            len(last),
        )
        return last
    _keep(copy, LIST.dump_json(known, indent=1))
    return known


def _last_known(copy: Path) -> list[Known]:
    try:
        return LIST.validate_json(copy.read_bytes())
    except FileNotFoundError:
        return []
    except pydantic.ValidationError as error:
        log.error("%s cannot be read and is left out. Delete it: %s", copy, error)  # noqa: TRY400
        return []


def _keep(copy: Path, content: bytes) -> None:
    """Writes the copy unless it is there already; a reader never sees half of it."""
    if copy.exists() and copy.read_bytes() == content:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(copy)
