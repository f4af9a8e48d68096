"""Ours as it is installed: `python -m benchmarks.client HOME prepare SERVER`, then `... HOME sync`.

`prepare` migrates the database and adds one connector with its credential; `sync` is the product's own
call, everything on, and prints the rows it read and its peak memory as JSON. Ends with an error unless the
run was published: a benchmark of anything else would measure nothing.
"""

from __future__ import annotations

import json
import sys
from ipaddress import ip_network
from pathlib import Path

from benchmarks import items
from benchmarks.measure import peak_mib
from encours.credential import NewCredential
from encours.hub import Hub
from encours.settings import Settings
from identity.secret import Secret

CONNECTOR = "bench"


def settings(home: Path) -> Settings:
    """This installation: the embedded database of `home`, and servers of this machine allowed."""
    return Settings(home=home, private_networks=(ip_network("127.0.0.0/8"),))


def prepare(home: Path, server: str) -> None:
    """One connector that reads the static server."""
    from encours.migrations import upgrade  # noqa: PLC0415 - the measured call does without it

    chosen = settings(home)
    upgrade(chosen.database_url("encours_owner"))
    with Hub(chosen) as hub:
        hub.add_connector(
            system="sap_s4hana",
            key=CONNECTOR,
            tenant="bench",
            settings={"base_url": server, "company_codes": [items.ENTITY], "zone": "UTC"},
            credential=NewCredential("BENCH", Secret("not a secret")),
        )


def sync(home: Path) -> int:
    """One run of the connector; the rows it read. Raises unless it published."""
    with Hub(settings(home)) as hub:
        result = hub.sync(CONNECTOR, sweep=False)
    if result.state != "published":
        raise RuntimeError(f"The run is {result.state}: the pages and their totals do not agree.")
    return result.rows_read


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if sys.argv[2] == "prepare":
        prepare(place, sys.argv[3])
    else:
        print(json.dumps({"rows": sync(place), "peak_mib": peak_mib()}))
