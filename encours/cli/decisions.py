"""`publish`, `waive`, `waivers` and `runs`: look at what is held, and decide what becomes of it."""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import typer

from encours.cli.output import moment, money, print_json, print_table, stdout
from encours.decisions import Decided
from encours.hub import Hub
from receivables.errors import Misconfigured
from receivables.store import RunRow, Waiver

HELD = 3

Key = Annotated[str, typer.Argument(help="The connector's key.")]
Maybe = Annotated[str | None, typer.Argument(help="Only this connector's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
State = Literal["reading", "held", "moving", "published", "superseded", "failed"]

waivers_app = typer.Typer(help="Differences that people go on with, up to an amount and a day.")
runs_app = typer.Typer(help="What each sync did, and runs that are held.", no_args_is_help=True)


def publish(key: Key, *, as_json: Json = False) -> None:
    """Publish the run that was held for you to look at: asked for, or after a change of settings.

    Compares once more, with the ERP's totals that the run was held with. A run that is held because the books
    differ is refused: mend them, or waive the difference.
    """
    with Hub.from_environment() as hub:
        done = hub.decisions(key).publish()
    if as_json:
        print_json(done)
    else:
        _print(done)


def waive(  # noqa: PLR0917  each is an option
    key: Key,
    reason: Annotated[str, typer.Option(help="Why, in 10 to 500 characters.")],
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day, at most 31 days from today.")
    ],
    entity: Annotated[str | None, typer.Option(help="Only this legal entity.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this control account.")] = None,
    basis: Annotated[
        Literal["company", "document"] | None, typer.Option(help="Only in this currency's meaning.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Only in this currency.")] = None,
    up_to: Annotated[
        str | None, typer.Option(help="The largest difference, of one place. Default: what it is now.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Go on with what the latest comparison found different: publishes its run, and applies until a day.

    Each place is a rule of its own: entity, account, basis, currency. If its difference grows, later runs are
    held again. Who changed the connector within the day cannot waive. Exit code 3: held still, for another
    reason.
    """
    given = {"entity": entity, "account": account, "basis": basis, "currency": currency}
    where = {name: value for name, value in given.items() if value is not None}
    with Hub.from_environment() as hub:
        done = hub.decisions(key).waive(where, _amount(up_to), reason, until.date())
    if as_json:
        print_json(done)
    else:
        for one in done.waivers:
            stdout().print(f"{one.entity}/{one.account} ({one.basis} currency): {one.sentence}", markup=False)
        _print(done.run)
    if done.run.state == "held":
        sys.exit(HELD)


@waivers_app.command(name="list")
def list_waivers(
    key: Maybe = None,
    *,
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: Json = False,
) -> None:
    """Who goes on with which difference, until when and why."""
    with Hub.from_environment() as hub:
        now = hub.clock()
        found = [one for one in hub.waivers(key) if over or (one.ended_at is None and one.until > now)]
    if as_json:
        print_json(found)
        return
    heads = ["ID", "CONNECTOR", "ENTITY", "ACCOUNT", "BASIS", "LARGEST", "OWNER", "UNTIL (UTC)", "REASON"]
    print_table([*heads, "ENDED"], [_waiver(one) for one in found], right=["ID", "LARGEST"])
    if not found:
        stdout().print("No waiver is in force.")


@waivers_app.command()
def end(
    waiver: Annotated[int, typer.Argument(help="The waiver's id, from `encours waivers list`.")],
) -> None:
    """Apply a waiver no longer. What was published with it stays."""
    with Hub.from_environment() as hub:
        found = next((one for one in hub.waivers() if one.waiver_id == waiver), None)
        if found is None:
            raise Misconfigured(f"There is no waiver {waiver}. All of them: encours waivers list --all")
        hub.decisions(found.connector).end_waiver(waiver)
    stdout().print(f"Waiver {waiver} of {found.connector} is over. Later runs are held if the books differ.")


@runs_app.command(name="list")
def list_runs(
    key: Maybe = None,
    *,
    state: Annotated[State | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each connector.")] = 20,
    as_json: Json = False,
) -> None:
    """The latest runs, newest first."""
    with Hub.from_environment() as hub:
        found = hub.runs(key, state=state, limit=limit)
    if as_json:
        print_json([{"connector": name, "run": run} for name, run in found])
        return
    print_table(
        ["CONNECTOR", "RUN", "STATE", "MODE", "OPENED (UTC)", "ROWS READ", "REJECTS", "WHAT IT SAYS"],
        [[name, *_run(run)] for name, run in found],
        right=["RUN", "ROWS READ", "REJECTS"],
    )
    if not found:
        stdout().print("No run.")


@runs_app.command()
def show(
    key: Key, run: Annotated[int, typer.Argument(help="The run's number.")], *, as_json: Json = False
) -> None:
    """One run: what it read, why it is held or what it would change, and who decided."""
    with Hub.from_environment() as hub:
        found, signed = hub.run(key, run), hub.security.uses(key, number=run)
    if as_json:
        print_json({"connector": key, "run": found, "signed": signed})
        return
    console = stdout()
    console.print(f"{key}, run {found.number} ({found.mode}): {found.state}", markup=False)
    console.print(
        f"opened {moment(found.opened_at)}, ended {moment(found.ended_at)} UTC; "
        f"{found.rows_read:,} rows read, {found.rows_staged:,} of them anew, {found.rejects:,} set aside",
        markup=False,
    )
    if found.decided_by:
        console.print(f"decided by {found.decided_by}", markup=False)
    if found.message:
        console.print(found.message, markup=False)
    for sentence in [*found.explanation, *found.notes]:
        console.print(f"- {sentence}", markup=False)
    for one in signed:
        which = f"token {one.token_id} of credential" if one.token_id else "credential"
        console.print(f"- {one.uses:,} requests signed by {which} {one.credential_id}", markup=False)


@runs_app.command()
def discard(
    key: Key,
    run: Annotated[int, typer.Argument(help="The number of the run that is held.")],
    *,
    as_json: Json = False,
) -> None:
    """Give up a held run and all that it read. The next run reads it again."""
    with Hub.from_environment() as hub:
        done = hub.decisions(key).discard(run)
    if as_json:
        print_json(done)
    else:
        _print(done)


def _print(done: Decided) -> None:
    which = f"publication {done.publication}, " if done.publication is not None else ""
    stdout().print(f"{done.connector}, run {done.run}: {done.state}. {which}{done.sentence}", markup=False)


def _waiver(one: Waiver) -> list[str]:
    ended = f"{moment(one.ended_at)} by {one.ended_by}" if one.ended_at else ""
    place = [one.entity, one.account, one.basis, money(one.largest, one.currency)]
    return [str(one.waiver_id), one.connector, *place, one.owner, moment(one.until), one.reason, ended]


def _run(run: RunRow) -> list[str]:
    counts = [f"{run.rows_read:,}", str(run.rejects)]
    return [str(run.number), run.state, run.mode, moment(run.opened_at), *counts, run.message or ""]


def _amount(text: str | None) -> Decimal | None:
    """An exact amount as typed; Misconfigured for what is none."""
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise Misconfigured(f"--up-to {text!r} is no amount. Example: 1250.00")
    return amount
