"""`python -m sandbox`: simulated ERPs and an identity provider, and business posted into the ERPs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import requests
import typer

from sandbox.control import Refused
from sandbox.idp import profile
from sandbox.idp.serve import Plan as IdpPlan
from sandbox.idp.serve import serve as serve_idp
from sandbox.intacct import world as intacct_world
from sandbox.intacct.tenant import origin
from sandbox.month import play
from sandbox.posting import Rate, follow, listed
from sandbox.server import Plan, serve
from sandbox.world import EXAMPLE

EXAMPLES = (EXAMPLE, intacct_world.EXAMPLE)

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Simulated ERPs and identity provider over real HTTP."
)


@app.command()
def start(
    *,
    home: Annotated[Path, typer.Option(help="Folder of the access log.")],
    port: Annotated[
        int, typer.Option(help="First port, one per SAP tenant, two for Intacct, two for --oauth; 0: free.")
    ] = 0,
    tenant: Annotated[list[str] | None, typer.Option(help="acme, nippon, globex; default all.")] = None,
    world: Annotated[
        str, typer.Option(help="seeded; example or intacct-example: one worked example alone.")
    ] = "seeded",
    items: Annotated[int, typer.Option(min=20, help="Open items per tenant, at least.")] = 12000,
    seed: Annotated[int, typer.Option(help="Same seed, same books.")] = 7,
    today: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: today, UTC.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="A fault to switch on: NAME or NAME:TENANT.")
    ] = None,
    tls: Annotated[tuple[Path, Path] | None, typer.Option(help="Certificate and key: serve https.")] = None,
    idp: Annotated[
        str, typer.Option(help="Control address of a running `idp`: its bearer tokens sign in too.")
    ] = "",
    oauth: Annotated[
        str,
        typer.Option(help="A SAP tenant that is signed in to by OAuth, at an `idp` that starts with it."),
    ] = "",
) -> None:
    """Start; one JSON line is printed when ready. SIGTERM or Ctrl-C stops."""
    if world not in ("seeded", *EXAMPLES):
        raise typer.BadParameter(f"choose seeded, {' or '.join(EXAMPLES)}", param_hint="--world")
    if idp and oauth:
        raise typer.BadParameter("a tenant has one identity provider: leave out --idp", param_hint="--oauth")
    plan = Plan(
        tenants=[world] if world in EXAMPLES else tenant or ["acme", "nippon", intacct_world.GLOBEX],
        home=home,
        port=port,
        items=items,
        seed=seed,
        today=today.date() if today else None,
        faults=fault or [],
        tls=tls,
        idp=idp,
        oauth=oauth,
    )
    try:
        serve(plan)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def idp(
    *,
    home: Annotated[Path, typer.Option(help="Folder of the log and of what outlives a restart.")],
    name: Annotated[
        str, typer.Option("--profile", help=f"How the provider behaves: {', '.join(profile.names())}.")
    ] = "strict",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of the profile: access_seconds=5. May be repeated."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; the next is its control; 0: free ones.")] = 0,
    seed: Annotated[int, typer.Option(help="Same seed, same secrets.")] = 7,
    tls: Annotated[tuple[Path, Path] | None, typer.Option(help="Certificate and key: serve https.")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Authority of clients' certificates.")] = None,
) -> None:
    """Start an identity provider; one JSON line is printed when ready. SIGTERM or Ctrl-C stops."""
    try:
        named = profile.load(name, dict(_setting(text) for text in setting or []))
        serve_idp(IdpPlan(home, name, named, port, seed, tls, client_ca))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _setting(text: str) -> tuple[str, object]:
    """Read NAME=VALUE; a value that is no JSON is a text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@app.command()
def post(
    *,
    url: Annotated[str, typer.Option(help="The tenant's address, as printed by start.")],
    invoices: int = 0,
    instalments: int = 0,
    undated: int = 0,
    credit_memos: int = 0,
    payments: int = 0,
    discounts: int = 0,
    exchange_payments: int = 0,
    payments_on_account: int = 0,
    partial_reversals: int = 0,
    partials: int = 0,
    residuals: int = 0,
    unnamed_residuals: int = 0,
    reversals: int = 0,
    cancellations: int = 0,
    down_payments: int = 0,
    resets: int = 0,
    due_dates: int = 0,
    dunnings: int = 0,
    new_customers: int = 0,
    renamed_partners: int = 0,
    replaced_partners: int = 0,
    blocked_partners: int = 0,
    unblocked_partners: int = 0,
    moved_head_offices: int = 0,
    merged_customers: int = 0,
    archivings: int = 0,
    applied_credits: int = 0,
    debit_memos: int = 0,
    order_entry_credits: int = 0,
    overpayments: int = 0,
    advances: int = 0,
    group_payments: int = 0,
    payment_reversals: int = 0,
    deletes: int = 0,
    reissues: int = 0,
    drafts: int = 0,
    released_drafts: int = 0,
    renamed_customers: int = 0,
    renumbered_customers: int = 0,
    customers_on_hold: int = 0,
    company_code: Annotated[str | None, typer.Option(help="SAP; default: drawn.")] = None,
    entity: Annotated[str | None, typer.Option(help="Intacct; default: drawn.")] = None,
    on: Annotated[str | None, typer.Option(help="Day of posting, 2026-11-24; default today.")] = None,
    late: Annotated[int, typer.Option(help="Intacct: seconds from its entry until it is committed.")] = 0,
    entered: Annotated[str | None, typer.Option(help="SAP: day of entry, if before today.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Post the usual mix, so many documents a second, until interrupted.")
    ] = 0,
    burst: Annotated[float, typer.Option(min=0, help="With --rate: seconds of posting between pauses.")] = 0,
    pause: Annotated[float, typer.Option(min=0, help="With --burst: seconds of each pause.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="With --rate: how long; 0: until interrupted.")] = 0,
) -> None:
    """Post business into a running world and print what was posted, as JSON.

    With --rate it goes on posting, and the kinds play no part: counts are printed while it does, and at the
    end one JSON line per document.
    """
    if rate:
        with refusals():
            follow(origin(url), Rate(rate, burst, pause, seconds))
        return
    wish: dict[str, int | str] = {
        "invoices": invoices, "instalments": instalments, "undated": undated, "discounts": discounts,
        "exchange_payments": exchange_payments, "payments_on_account": payments_on_account,
        "partial_reversals": partial_reversals,
        "credit_memos": credit_memos, "payments": payments, "partials": partials,
        "residuals": residuals, "unnamed_residuals": unnamed_residuals,
        "reversals": reversals, "cancellations": cancellations,
        "down_payments": down_payments, "resets": resets,
        "due_dates": due_dates, "dunnings": dunnings, "blocked_partners": blocked_partners,
        "new_customers": new_customers, "renamed_partners": renamed_partners,
        "applied_credits": applied_credits, "debit_memos": debit_memos, "overpayments": overpayments,
        "order_entry_credits": order_entry_credits, "advances": advances, "deletes": deletes,
        "group_payments": group_payments, "payment_reversals": payment_reversals, "reissues": reissues,
        "replaced_partners": replaced_partners, "unblocked_partners": unblocked_partners,
        "moved_head_offices": moved_head_offices, "merged_customers": merged_customers,
        "renumbered_customers": renumbered_customers, "customers_on_hold": customers_on_hold,
        "archivings": archivings,
        "drafts": drafts, "released_drafts": released_drafts, "renamed_customers": renamed_customers,
        "company_code": company_code or "", "entity": entity or "", "on": on or "",
        "entered": entered or "", "late": late,
    }  # fmt: skip
    wish = {name: value for name, value in wish.items() if value}
    with requests.Session() as session:
        session.trust_env = False  # a proxy does not know this machine's sandbox
        answer = session.post(f"{origin(url)}/_sandbox/post", json=wish, timeout=60)
    typer.echo(answer.text)
    if not answer.ok:
        raise typer.Exit(1)


@app.command()
def month(
    *,
    url: Annotated[str, typer.Option(help="The tenant's address, as printed by start.")],
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 30,
    documents: Annotated[int, typer.Option(min=1, help="Documents a day.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same month in the same books.")] = 7,
) -> None:
    """Play days of business into a running world, each of them to its end; one line per day.

    A day has documents, payments, reversals, deletions, merged, renumbered and blocked customers; some of it
    is posted on an earlier day.
    """
    with refusals():
        for day in play(origin(url), days=days, seed=seed, documents=documents):
            nothing = f"; nothing fitted {sum(day['refused'].values())} times" if day["refused"] else ""
            typer.echo(f"{day['day']}  {listed(day['posted'])}; {day['back_dated']} back-dated{nothing}")


@contextmanager
def refusals() -> Iterator[None]:
    """Say what is wrong in one sentence and end with 1."""
    try:
        yield
    except (Refused, requests.RequestException) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


app(prog_name="python -m sandbox")
