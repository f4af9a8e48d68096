"""`audit`: who connected, used, renewed and revoked what; proven, and handed to the security team's tools."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from encours.cli.output import moment, print_json, print_table, stdout
from encours.hub import Hub, person
from identity.export import KINDS, cef

app = typer.Typer(
    help="What happened to every credential, as a chain that can be proven.", no_args_is_help=True
)

Tenant = Annotated[str | None, typer.Option(help="Only this tenant's. Default: every tenant's.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="From this moment on, UTC: 2026-11-24."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
BROKEN = 3


class Format(StrEnum):
    """How an export is written."""

    OCSF = "ocsf"
    CEF = "cef"


@app.command(name="list")
def list_(
    *,
    tenant: Tenant = None,
    since: Since = None,
    event: Annotated[str | None, typer.Option(help=f"Only one of: {', '.join(KINDS)}.")] = None,
    token: Annotated[str | None, typer.Option(help="Only what tells of this token, by its id.")] = None,
    as_json: Json = False,
) -> None:
    """The entries as they were written, oldest first."""
    if event is not None and event not in KINDS:
        raise typer.BadParameter(f"choose one of: {', '.join(KINDS)}", param_hint="--event")
    with Hub.from_environment() as hub:
        told = hub.security.entries(tenant, since=_utc(since), event=event)
        found = [one for one in told if token is None or one.entry.facts.get("token") == token]
    if as_json:
        print_json(found)
        return
    print_table(
        ["NUMBER", "AT (UTC)", "TENANT", "EVENT", "BY", "CREDENTIAL", "FACTS"],
        [
            [
                str(one.entry.sequence),
                moment(one.entry.at),
                one.tenant,
                one.entry.event,
                one.entry.by,
                str(one.entry.credential_id or "-"),
                ", ".join(f"{name} {value}" for name, value in sorted(one.entry.facts.items())),
            ]
            for one in found
        ],
        right=["NUMBER"],
    )
    if not found:
        stdout().print("No entry.")


@app.command()
def verify(*, tenant: Tenant = None, as_json: Json = False) -> None:
    """Prove every entry against the one before and the whole against its last checkpoint.

    Exit code 3 when an entry was changed, removed, moved or cut off; the first bad one is named.
    """
    with Hub.from_environment() as hub:
        proofs = hub.security.verify(tenant)
    if as_json:
        print_json(proofs)
    else:
        for proof in proofs:
            shown = proof.verification
            bad = "" if shown.intact else f"entry {shown.sequence} is {shown.fault}. Before it "
            stood = "no checkpoint yet" if shown.checkpoint is None else f"checkpoint at {shown.checkpoint:,}"
            stdout().print(
                f"{proof.tenant}: {bad}{shown.entries:,} entries are proven, {stood}.", markup=False
            )
    if not all(proof.verification.intact for proof in proofs):
        sys.exit(BROKEN)


@app.command()
def export(
    *,
    form: Annotated[Format, typer.Option("--format", help="OCSF as JSON lines, or CEF lines.")] = Format.OCSF,
    tenant: Tenant = None,
    since: Since = None,
) -> None:
    """Write the entries to standard output, one a line, for the tools that collect logs."""
    with Hub.from_environment() as hub:
        for event in hub.security.export(tenant, since=_utc(since), by=person()):
            sys.stdout.write((json.dumps(event) if form is Format.OCSF else cef(event)) + "\n")


@app.command()
def checkpoint() -> None:
    """Sign where each tenant's audit ends, now; Airflow does it every five minutes."""
    with Hub.from_environment() as hub:
        made = hub.security.checkpoint()
    stdout().print(f"{made} signed." if made else "Nothing new to sign.")


def _utc(moment_: datetime | None) -> datetime | None:
    return None if moment_ is None else moment_.replace(tzinfo=UTC)
