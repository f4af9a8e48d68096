"""The care of an installation, every five minutes: what must happen although no connector asks for it.

Each part is a task of its own: one that fails leaves the others alone. Errors of the hub pass through.
"""

from __future__ import annotations

import logging
from typing import Final

from airflow.sdk.exceptions import AirflowFailException

log = logging.getLogger(__name__)

DAG_ID: Final = "encours_care"
MINUTES: Final = 5


def checkpoint() -> None:
    """Signs where each tenant's audit ends, outside the database."""
    from encours.hub import Hub  # noqa: PLC0415  the DAG file is parsed without it

    with Hub.from_environment() as hub:
        log.info("%d checkpoints of the audit signed.", hub.security.checkpoint())


def keep_alive() -> None:
    """Renews grants that would end because nobody used them.

    Raises AirflowFailException naming the connectors whose grant could not be renewed; the others are.
    """
    from encours.hub import Hub  # noqa: PLC0415  the DAG file is parsed without it

    with Hub.from_environment() as hub:
        renewed = hub.keep_alive()
    log.info("%d grants that lay idle were renewed.", sum(hindrance is None for _, hindrance in renewed))
    if hindered := [f"{key}: {hindrance}" for key, hindrance in renewed if hindrance]:
        raise AirflowFailException(" ".join(hindered))
