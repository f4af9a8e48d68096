"""`keys`: the keys that seal the vault's secrets."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from encours.cli.output import print_json, print_table, stderr, stdout
from encours.hub import Hub, person

app = typer.Typer(help="The keys that seal secrets.", no_args_is_help=True)


@app.command(name="list")
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The key versions, how many secrets each seals, and the current one."""
    with Hub.from_environment() as hub:
        found = hub.security.key_versions()
    if as_json:
        print_json(found)
        return
    print_table(
        ["VERSION", "SEALS", "CURRENT"],
        [[one.version, f"{one.sealed:,}", "yes" if one.current else ""] for one in found],
        right=["SEALS"],
    )


@app.command()
def rotate() -> None:
    """Make a new key and seal every secret again under it, while syncs go on.

    Interrupted, the next call finishes it. The older keys stay in the key file, because backups need them.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    total = 0
    with (
        Hub.from_environment() as hub,
        Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal) as progress,
    ):
        task = progress.add_task("sealing again", total=None)
        for done, of in hub.security.rotate(by=person()):
            progress.update(task, completed=done, total=of)
            total = done
        current = next(one.version for one in hub.security.key_versions() if one.current)
    stdout().print(f"{total:,} secrets are sealed by key {current}. Back up the key file now.")
