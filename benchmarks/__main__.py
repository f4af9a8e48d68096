"""`python -m benchmarks [--rows N]`: ours and dlt in turn on the same pages, and the ratios of their cost.

The cost is processor time, user and system, of the client and of its own PostgreSQL server together, to
bring accounting items into typed, keyed rows: a first load, nothing changed, 1 % changed. Refuses two
million rows and more with less than 20 GB of free disk. What signing a request costs is measured before;
what proving an audit costs, with `--only audit`.
"""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import audit, signing
from benchmarks.contenders import CONTENDERS, OURS, PEER, Contender
from benchmarks.measure import Cost

LARGE = 2_000_000
FREE_BYTES = 20 * 10**9
PEAK_MIB = 300.0


@dataclass(frozen=True)
class Case:
    """One of the three measurements; `budget` is our share of the peer's processor time."""

    name: str
    title: str
    budget: float


CASES = (
    Case("first", "first load", 0.30),
    Case("same", "nothing changed", 0.06),
    Case("changed", "1 % changed", 0.08),
)
Costs = Mapping[tuple[str, str], Sequence[Cost]]  # (contender, case) -> one for each round


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Accounting items to load.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each takes its turn.")] = 3,
    home: Annotated[Path | None, typer.Option(help="Where pages and databases are put.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Only ours, or only dlt: no ratios then. Or only signing, or audit.")
    ] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="End with 1 when a budget is missed.")] = False,
) -> None:
    """Measures speed and memory beside dlt, and prints what it cost."""
    console = Console()
    if not console.is_terminal:
        console.width = 100  # of a file or a pipe: the table must fit
    place = home or Path(tempfile.gettempdir()) / "encours-bench"
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    if only in ALONE:
        ALONE[only](place, rounds, console)
        return
    show_signing(place, rounds, console)
    free = shutil.disk_usage(place).free
    if rows >= LARGE and free < FREE_BYTES:
        console.print(
            f"{rows:,} rows need 20 GB of free disk, and {place} has {free / 1e9:.0f} GB. Use --home."
        )
        raise typer.Exit(2)
    pages = written(place, rows, console)
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for turn in range(1, rounds + 1):
        for name in (only,) if only else CONTENDERS:
            for case, cost in one_turn(CONTENDERS[name], pages, place):
                if cost.rows < rows:
                    raise RuntimeError(f"{name}, {case.title}: read {cost.rows:,} of {rows:,} rows.")
                costs[name, case.name].append(cost)
                console.print(f"{turn}/{rounds} {name}, {case.title}: {described(cost)}")
    console.print(table(costs, rows))
    missed = list(misses(costs))
    for sentence in missed:
        console.print(sentence, style="bold red")
    if check and missed:
        raise typer.Exit(1)


def show_signing(_place: Path, rounds: int, console: Console) -> None:
    """Measures what signing a request costs."""
    console.print(signing.table(signing.measured(rounds)))


def show_audit(place: Path, _rounds: int, console: Console) -> None:
    """Measures what proving an audit costs."""
    with new_folder(place) as folder, audit.new_database(folder) as database:
        took = audit.seconds(database, folder)
    console.print(f"{audit.ENTRIES:,} entries of an audit proven in {took:.2f} s.")


ALONE = {"signing": show_signing, "audit": show_audit}


def written(place: Path, rows: int, console: Console) -> Path:
    """The folder of the pages of today, written once."""
    today = datetime.now(UTC).date().isoformat()
    pages = place / f"pages-{rows}-{today}"
    if not pages.exists():
        console.print(f"Writing pages of {rows:,} items to {pages} (once).")
        subprocess.run([sys.executable, "-m", "benchmarks.pages", str(pages), str(rows), today], check=True)
    return pages


def one_turn(contender: Contender, pages: Path, place: Path) -> Iterator[tuple[Case, Cost]]:
    """The three cases in their order, on a database that is new; their addresses are the same."""
    port = free_port()
    with new_folder(place) as folder, contender(folder, f"http://127.0.0.1:{port}") as run:
        for case in CASES:
            with served(pages, case.name, port):
                yield case, run()


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder of a database, which the server's own user can enter too; it goes with the block."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def served(pages: Path, case: str, port: int) -> Iterator[None]:
    """A static server of one case, in a process of its own that nobody counts."""
    command = [sys.executable, "-m", "benchmarks.server", str(pages), case, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not (process.stdout and process.stdout.readline()):
                raise RuntimeError(f"The static server of {pages} did not start.")
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's median over the rounds."""
    return Cost(
        client=statistics.median(c.client for c in costs),
        server=statistics.median(c.server for c in costs),
        wall=statistics.median(c.wall for c in costs),
        peak_mib=max(c.peak_mib for c in costs),
        rows=costs[0].rows,
    )


def described(cost: Cost) -> str:
    """One run in words."""
    return (
        f"{cost.rows:,} rows, {cost.client:.2f} + {cost.server:.2f} s of processor (client + PostgreSQL), "
        f"{cost.wall:.1f} s, {cost.peak_mib:.0f} MiB"
    )


def table(costs: Costs, rows: int) -> Table:
    """The medians, and our share of the peer's processor time where both ran."""
    shown = Table(title=f"{rows:,} accounting items, medians")
    for heading in (
        "case",
        "who",
        "client s",
        "PostgreSQL s",
        "CPU s",
        "wall s",
        "peak MiB",
        "ratio",
        "budget",
    ):
        shown.add_column(heading, no_wrap=True, justify="left" if heading in {"case", "who"} else "right")
    for case in CASES:
        for (who, of), several in costs.items():
            if of != case.name:
                continue
            cost = median(several)
            figures = (cost.client, cost.server, cost.cpu, cost.wall)
            both = ratio(costs, case) if who == OURS else None
            shares = ("", "") if both is None else (f"{both:.3f}", f"{case.budget:.2f}")
            shown.add_row(case.title, who, *(f"{f:.2f}" for f in figures), f"{cost.peak_mib:.0f}", *shares)
    return shown


def ratio(costs: Costs, case: Case) -> float | None:
    """Our processor time over the peer's, in medians; None where one of them did not run."""
    ours, peer = costs.get((OURS, case.name)), costs.get((PEER, case.name))
    return median(ours).cpu / median(peer).cpu if ours and peer else None


def misses(costs: Costs) -> Iterator[str]:
    """A sentence for every budget that is missed."""
    for case in CASES:
        share = ratio(costs, case)
        if share is not None and share > case.budget:
            yield f"{case.title}: {share:.3f} of dlt's processor time, the budget is {case.budget:.2f}."
        peak = max((cost.peak_mib for cost in costs.get((OURS, case.name), ())), default=0.0)
        if peak > PEAK_MIB:
            yield f"{case.title}: {peak:.0f} MiB at the peak, the budget is {PEAK_MIB:.0f}."


if __name__ == "__main__":
    typer.run(main)
