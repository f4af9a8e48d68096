"""`rejects`: what other systems sent that could not be read, kept as received, read again or waived."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Annotated, Literal

import typer

from encours.cli.output import moment, print_json, print_table, stdout
from encours.cli.syncing import line, progress
from encours.hub import Hub
from encours.sync import SyncResult
from receivables.errors import Misconfigured
from receivables.store import RejectRow

HELD = 3

app = typer.Typer(
    help="Rows that were set aside, with the reason and the bytes received.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Connector = Annotated[str | None, typer.Option(help="Only this connector's.")]
Ids = Annotated[list[int] | None, typer.Argument(help="Rejects, by id.")]
State = Literal["open", "replayed", "waived"]


@app.command(name="list")
def list_(
    connector: Connector = None,
    *,
    state: Annotated[State, typer.Option(help="Open ones, or those read well or waived since.")] = "open",
    as_json: Json = False,
) -> None:
    """Rejects, newest first."""
    with Hub.from_environment() as hub:
        found = hub.rejects(connector, state)
    if as_json:
        print_json(found)
        return
    heads = ["ID", "CONNECTOR", "STREAM", "STATE", "KEY", "FIELD", "CODE", "WHAT IS WRONG", "LAST SEEN (UTC)"]
    print_table(
        [*heads, "TIMES"],
        [
            [
                str(r.reject_id),
                r.connector,
                r.stream,
                r.state,
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
        stdout().print(f"No {state} reject.")


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
    console.print(
        f"{found.connector} / {found.stream}, key {found.key or 'unknown'}: {found.state}", markup=False
    )
    console.print(f"field {found.field}: {found.message} ({found.code})", markup=False)
    console.print(
        f"first seen {moment(found.first_seen)}, last {moment(found.last_seen)}, {found.times} times",
        markup=False,
    )
    if found.waived_by:
        console.print(
            f"waived by {found.waived_by}, {moment(found.waived_at)} UTC: {found.waived_because}",
            markup=False,
        )
    console.print(
        found.raw.decode("utf-8", errors="backslashreplace").encode("unicode_escape").decode(), markup=False
    )


@app.command()
def replay(
    ids: Ids = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    connector: Connector = None,
    as_json: Json = False,
) -> None:
    """Read rejects again, by the adapter that refused them, and publish them with a sync if the books agree.

    Worth it after an update of Encours; a row that the ERP has mended comes by itself. What cannot be read
    still stays open with its reason of today. Exit code 0: all are published; 3: held; 1: some cannot be read
    still.
    """
    results, unread = [], list[RejectRow]()
    with Hub.from_environment() as hub:
        chosen = _chosen(hub, ids or [], connector, every=every)
        for key, group in groupby(chosen, key=lambda reject: reject.connector):
            of_key = list(group)
            readable = hub.readable(key, of_key)
            unread += [hub.reject(one.reject_id) for one in of_key if one not in readable]
            if readable:
                with progress(key) as report:
                    results.append(hub.sync(key, progress=report, replay=readable))
    if as_json:
        print_json({"syncs": results, "unreadable": unread})
    else:
        _print_replayed(results, unread)
    if any(result.state == "held" for result in results):
        sys.exit(HELD)
    if unread:
        sys.exit(1)


def _chosen(hub: Hub, ids: list[int], connector: str | None, *, every: bool) -> list[RejectRow]:
    """The rejects that are meant, by connector; Misconfigured if none is meant or one was read well since."""
    if bool(ids) == every:
        raise Misconfigured("Give the ids of rejects, or --all. The open ones: encours rejects list")
    chosen = hub.rejects(connector) if every else [hub.reject(one) for one in ids]
    for reject in chosen:
        if reject.state == "replayed":
            raise Misconfigured(f"Reject {reject.reject_id} of {reject.connector} was read well since.")
    return sorted(chosen, key=lambda reject: reject.connector)


def _print_replayed(results: list[SyncResult], unread: list[RejectRow]) -> None:
    for result in results:
        stdout().print(line(result), markup=False)
        for sentence in [*result.explanation, *result.notes]:
            stdout().print(f"- {sentence}", markup=False)
    for reject in unread:
        stdout().print(
            f"Reject {reject.reject_id} of {reject.connector} cannot be read still: field {reject.field}, "
            f"{reject.message}",
            markup=False,
        )
    if not results and not unread:
        stdout().print("No open reject.")


@app.command()
def waive(
    reject: Annotated[int, typer.Argument(help="The reject's id, from `encours rejects list`.")],
    reason: Annotated[str, typer.Option(help="Why, in 10 to 500 characters.")],
) -> None:
    """Go on without this row: it does not hold a run while it comes unchanged.

    What is missing without it shows in the comparison with the ERP's books. A changed row is another reject.
    """
    with Hub.from_environment() as hub:
        found = hub.reject(reject)
        hub.decisions(found.connector).waive_reject(found, reason)
    stdout().print(
        f"Runs of {found.connector} go on without this row. Start one: encours sync {found.connector}",
        markup=False,
    )
