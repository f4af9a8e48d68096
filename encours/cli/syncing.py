"""`sync`, `backfill`, `status` and `tie-out`: pull, look, and see why the books differ."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from encours.cli.output import amounts, moment, money, print_json, print_table, stderr, stdout
from encours.hub import Hub
from encours.reading import Step
from encours.sync import SyncResult

HELD = 3

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Keys = Annotated[list[str] | None, typer.Argument(help="Connectors, by key. Without any: all active ones.")]
Sweep = Annotated[
    bool | None,
    typer.Option("--sweep/--no-sweep", help="Read all open items again. Default: once a day per tenant."),
]
Publish = Annotated[
    bool, typer.Option("--publish/--no-publish", help="Publish if the books agree, or only compare.")
]


def sync(keys: Keys = None, *, sweep: Sweep = None, publish: Publish = True, as_json: Json = False) -> None:
    """Pull from the ERP now, and publish if the books agree.

    Exit code 0: published, or held as asked; 3: held, the books differ or settings changed what rows mean;
    1: failed; 75: try again later.
    """
    with Hub.from_environment() as hub:
        names = keys or [c.key for c in hub.registry.connectors() if c.state == "active"]
        results = []
        for key in names:
            with progress(key) as report:
                results.append(hub.sync(key, sweep=sweep, publish=publish, progress=report))
            if not as_json:
                stdout().print(line(results[-1]), markup=False)
                seen = results[-1].changes.sentences if results[-1].changes is not None else []
                for sentence in [*seen, *results[-1].notes]:
                    stdout().print(f"- {sentence}", markup=False)
        if as_json:
            print_json(results)
    if any(result.state == "held" and result.reason != "asked" for result in results):
        sys.exit(HELD)


def backfill(
    key: Annotated[str, typer.Argument(help="The connector's key.")],
    period: Annotated[datetime, typer.Option(formats=["%Y-%m"], help="The month of posting, e.g. 2026-03.")],
    *,
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish if the books agree; else it is held to be looked at.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a month of posting again, whatever was read of it before, and show what would change.

    It is held until you say `encours publish KEY`, or until the next run takes its place. Items that the ERP
    does not show any more stay. Exit code 0: held as asked, or published; 3: held, the books differ.
    """
    first = period.date()
    following = (first + timedelta(days=31)).replace(day=1)
    with Hub.from_environment() as hub, progress(key) as report:
        result = hub.sync(key, publish=publish, progress=report, period=(first, following))
    if as_json:
        print_json(result)
    else:
        stdout().print(line(result), markup=False)
        seen = result.changes.sentences if result.changes is not None else result.explanation
        for sentence in [*seen, *result.notes]:
            stdout().print(f"- {sentence}", markup=False)
        if result.reason == "asked":
            stdout().print(f"Publish it: encours publish {key}", markup=False)
    if result.state == "held" and result.reason != "asked":
        sys.exit(HELD)


def line(result: SyncResult) -> str:
    """One line for one sync: rows, seconds and what the comparison with the ERP's books said."""
    return (
        f"{result.connector}: {result.rows_read:,} rows read, {result.seconds:.1f} s, {result.verdict}"
        f" (run {result.run}, {result.state})"
    )


def status(*, as_json: Json = False) -> None:
    """Every connector: state, difference, open amount, publication, open rejects."""
    with Hub.from_environment() as hub:
        overview = hub.overview()
    if as_json:
        print_json(overview)
        return
    print_table(
        ["STATE", "CONNECTOR", "SYSTEM", "DIFFERENCE", "OPEN AMOUNT", "PUBLISHED (UTC)", "REJECTS", "WHY"],
        [
            [
                one.state.replace("_", " "),
                one.key,
                one.title,
                " + ".join(money(amount, currency) for amount, currency in one.difference) or "-",
                amounts(one.open_amounts),
                moment(one.published_at),
                str(one.rejects),
                one.sentence,
            ]
            for one in overview
        ],
        right=["DIFFERENCE", "OPEN AMOUNT", "REJECTS"],
    )
    if not overview:
        stdout().print("No connector yet. Add the first one: encours connectors add --help")


def tie_out(
    key: Annotated[str, typer.Argument(help="The connector's key.")],
    *,
    run: Annotated[int | None, typer.Option(help="A run's number. Default: the latest compared.")] = None,
    as_json: Json = False,
) -> None:
    """The ERP's control totals beside ours, and what explains a difference.

    Exit code 3 when the books differ.
    """
    with Hub.from_environment() as hub:
        report = hub.tie_out(key, run)
    if as_json:
        print_json(report)
    else:
        stdout().print(
            f"{report.connector}, run {report.run}: {report.state}. {report.sentence}", markup=False
        )
        print_table(
            [
                "STATUS",
                "ENTITY",
                "ACCOUNT",
                "BASIS",
                "CURRENCY",
                "AS OF",
                "ERP",
                "HUB",
                "DIFFERENCE",
                "GRADE",
            ],
            [
                [
                    row.status,
                    row.entity,
                    row.account,
                    row.basis,
                    row.currency,
                    row.as_of.isoformat(),
                    f"{row.erp:,f}",
                    f"{row.hub:,f}",
                    f"{row.difference:,f}",
                    row.grade,
                ]
                for row in report.rows
            ],
            right=["ERP", "HUB", "DIFFERENCE"],
        )
        waived = [
            f"{row.entity}/{row.account} ({row.basis} currency): {row.explanation}"
            for row in report.rows
            if row.status == "waived" and row.customer is None
        ]
        for sentence in [*waived, *report.explanation, *report.notes]:
            stdout().print(f"- {sentence}", markup=False)
    if report.state == "held" and report.reason != "asked":
        sys.exit(HELD)


@contextmanager
def progress(key: str) -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal, a plain line for each new stream elsewhere."""
    console = stderr()
    if not console.is_terminal:
        seen: set[str] = set()

        def plain(step: Step) -> None:
            if step.what not in seen:
                seen.add(step.what)
                console.print(f"{key}: {step.what}, {step.rows:,} rows so far", markup=False)

        yield plain
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} rows"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(key, total=None, rows=0)

        def bar(step: Step) -> None:
            progress.update(
                task, description=f"{key}: {step.what}", completed=step.done, total=step.of, rows=step.rows
            )

        yield bar
