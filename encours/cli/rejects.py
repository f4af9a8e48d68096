"""`rejects`: what other systems sent that could not be read, kept as received."""

from __future__ import annotations

from typing import Annotated

import typer

from encours.cli.output import moment, print_json, print_table, stdout
from encours.hub import Hub

app = typer.Typer(
    help="Rows that were set aside, with the reason and the bytes received.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(name="list")
def list_(
    connector: Annotated[str | None, typer.Option(help="Only this connector's.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Open rejects, newest first."""
    with Hub.from_environment() as hub:
        found = hub.rejects(connector)
    if as_json:
        print_json(found)
        return
    print_table(
        ["ID", "CONNECTOR", "STREAM", "KEY", "FIELD", "CODE", "WHAT IS WRONG", "LAST SEEN (UTC)", "TIMES"],
        [
            [
                str(r.reject_id),
                r.connector,
                r.stream,
                r.key or "-",
                r.field,
                r.code,
                r.message,
                moment(r.last_seen),
                str(r.times),
            ]
            for r in found
        ],
        right=["ID", "TIMES"],
    )
    if not found:
        stdout().print("No open reject.")


@app.command()
def show(
    reject: Annotated[int, typer.Argument(help="The reject's id, from `encours rejects list`.")],
    *,
    as_json: Json = False,
) -> None:
    """One reject with its raw row, exactly as received (unprintable bytes escaped)."""
    with Hub.from_environment() as hub:
        found = hub.reject(reject)
    if as_json:
        print_json(found)
        return
    console = stdout()
    console.print(f"{found.connector} / {found.stream}, key {found.key or 'unknown'}", markup=False)
    console.print(f"field {found.field}: {found.message} ({found.code})", markup=False)
    console.print(
        f"first seen {moment(found.first_seen)}, last {moment(found.last_seen)}, {found.times} times",
        markup=False,
    )
    console.print(
        found.raw.decode("utf-8", errors="backslashreplace").encode("unicode_escape").decode(), markup=False
    )
