"""`python -m sandbox`: start the simulated ERPs, or post business into running ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import requests
import typer

from sandbox.server import Plan, serve
from sandbox.world import EXAMPLE

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Simulated ERPs over real HTTP.")


@app.command()
def start(
    *,
    home: Annotated[Path, typer.Option(help="Folder of the access log.")],
    port: Annotated[int, typer.Option(help="First port, one per tenant; 0 takes free ones.")] = 0,
    tenant: Annotated[list[str] | None, typer.Option(help="acme, nippon; default both.")] = None,
    world: Annotated[str, typer.Option(help="seeded, or example: the worked example alone.")] = "seeded",
    items: Annotated[int, typer.Option(min=20, help="Open items per tenant, at least.")] = 12000,
    seed: Annotated[int, typer.Option(help="Same seed, same books.")] = 7,
    today: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: today, UTC.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="A fault to switch on: NAME or NAME:TENANT.")
    ] = None,
    tls: Annotated[tuple[Path, Path] | None, typer.Option(help="Certificate and key: serve https.")] = None,
) -> None:
    """Start; one JSON line is printed when ready. SIGTERM or Ctrl-C stops."""
    if world not in ("seeded", EXAMPLE):
        raise typer.BadParameter("choose seeded or example", param_hint="--world")
    plan = Plan(
        tenants=[EXAMPLE] if world == EXAMPLE else tenant or ["acme", "nippon"],
        home=home,
        port=port,
        items=items,
        seed=seed,
        today=today.date() if today else None,
        faults=fault or [],
        tls=tls,
    )
    try:
        serve(plan)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def post(
    *,
    url: Annotated[str, typer.Option(help="The tenant's address, as printed by start.")],
    invoices: int = 0,
    credit_memos: int = 0,
    payments: int = 0,
    partials: int = 0,
    residuals: int = 0,
    reversals: int = 0,
    down_payments: int = 0,
    resets: int = 0,
    due_dates: int = 0,
    dunnings: int = 0,
    new_customers: int = 0,
    renamed_partners: int = 0,
    blocked_partners: int = 0,
    company_code: Annotated[str | None, typer.Option(help="Default: drawn.")] = None,
    on: Annotated[str | None, typer.Option(help="Day of posting, 2026-11-24; default today.")] = None,
) -> None:
    """Post business into a running world and print what was posted, as JSON."""
    wish: dict[str, int | str] = {
        "invoices": invoices, "credit_memos": credit_memos, "payments": payments, "partials": partials,
        "residuals": residuals, "reversals": reversals, "down_payments": down_payments, "resets": resets,
        "due_dates": due_dates, "dunnings": dunnings, "blocked_partners": blocked_partners,
        "new_customers": new_customers, "renamed_partners": renamed_partners,
    }  # fmt: skip
    if company_code:
        wish["company_code"] = company_code
    if on:
        wish["on"] = on
    with requests.Session() as session:
        session.trust_env = False  # a proxy does not know this machine's sandbox
        answer = session.post(f"{url.rstrip('/')}/_sandbox/post", json=wish, timeout=60)
    typer.echo(answer.text)
    if not answer.ok:
        raise typer.Exit(1)


app(prog_name="python -m sandbox")
