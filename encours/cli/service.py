"""`up` and `down`: everything that runs, on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

Sandbox = Annotated[
    bool, typer.Option("--sandbox", help="Also start three simulated ERPs and connect them, to look around.")
]
Port = Annotated[int, typer.Option(help="Port of the web page; a free one is taken when it is busy.")]


def up(*, sandbox: Sandbox = False, port: Port = 8080) -> None:
    """Start the database and Airflow, sync, print where to look; Ctrl-C stops everything.

    When it runs already, prints its address and login and ends.
    """
    from encours.up import up as start  # noqa: PLC0415  pulls in what other commands never need

    start(sandbox=sandbox, port=port)


def down() -> None:
    """Stop what `up` started."""
    from encours.up import down as stop  # noqa: PLC0415

    stop()
