"""`ageing` and `statement`: what is owed, how long it is overdue, and what one customer owed on a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from encours.cli.output import moment, money, print_json, print_table, stdout
from encours.hub import Hub
from receivables.ageing import BUCKETS, AgeingRow
from receivables.store import Ageing, By, Statement

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Day = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        help="What was visible at the end of this day, in the company's zone or else the tenant's. "
        "Default: all that is published by now.",
    ),
]
HEADS: dict[By, list[str]] = {
    "customer": ["ENTITY", "CUSTOMER", "NAME"],
    "entity": ["ENTITY"],
    "currency": [],
}


def ageing(
    connector: Annotated[str | None, typer.Argument(help="A connector. Without it: all.")] = None,
    *,
    as_of: Day = None,
    by: Annotated[By, typer.Option(help="What a row is about.")] = "customer",
    as_json: Json = False,
) -> None:
    """What is owed by how long it is overdue; amounts of different currencies are never added."""
    with Hub.from_environment() as hub:
        found = hub.ageing(connector, as_of=as_of.date() if as_of else None, by=by)
    if as_json:
        print_json(found)
        return
    if not found:
        stdout().print("No connector yet. Add the first one: encours connectors add --help")
    for one in found:
        stdout().print(
            f"{one.connector}, as of {one.as_of} ({one.zone}): publication {one.publication} of "
            f"{moment(one.published_at)} UTC",
            markup=False,
        )
        if by == "bucket":
            _print_buckets(one)
        else:
            _print_rows(one, HEADS[by])


def _print_rows(found: Ageing, heads: list[str]) -> None:
    shown = [bucket for bucket in BUCKETS if any(bucket in row.buckets for row in found.rows)]
    amounts = [*(bucket.replace("_", " ").upper() for bucket in shown), "BALANCE"]
    print_table(
        [*heads, "CURRENCY", *amounts],
        [
            [
                *_names(row, heads),
                row.currency,
                *(_amount(row.buckets.get(bucket)) for bucket in shown),
                f"{row.balance:,f}",
            ]
            for row in found.rows
        ],
        right=amounts,
    )


def _print_buckets(found: Ageing) -> None:
    print_table(
        ["BUCKET", "AMOUNT", "IN COMPANY CURRENCY", "LINES"],
        [
            [
                (row.bucket or "").replace("_", " "),
                money(row.balance, row.currency),
                money(row.company_balance, row.company_currency),
                str(row.lines),
            ]
            for row in found.rows
        ],
        right=["AMOUNT", "IN COMPANY CURRENCY", "LINES"],
    )


def _names(row: AgeingRow, heads: list[str]) -> Iterator[str]:
    values = {"ENTITY": row.entity, "CUSTOMER": row.customer, "NAME": row.name}
    return (values[head] or "-" for head in heads)


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,f}"


def statement(
    customer: Annotated[str, typer.Argument(help="The customer's number, as the ERP prints it.")],
    *,
    as_of: Day = None,
    connector: Annotated[str | None, typer.Option(help="Only this connector's.")] = None,
    as_json: Json = False,
) -> None:
    """What one customer owed at the end of a day: open items, receipts, and what paid what."""
    with Hub.from_environment() as hub:
        found = hub.statement(customer, as_of=as_of.date() if as_of else None, connector=connector)
    if as_json:
        print_json(found)
        return
    for one in found:
        _print_statement(one)


def _print_statement(found: Statement) -> None:
    console = stdout()
    for who in found.customers:
        terms = f", terms {who.payment_terms}" if who.payment_terms else ""
        named = f"{who.printed} {who.name or ''} in {who.entity}".replace("  ", " ")
        console.print(f"{named}{terms}", markup=False)
    owed = " + ".join(money(amount, currency) for currency, amount in found.balances.items()) or "nothing"
    console.print(
        f"{found.connector}, as of {found.as_of} ({found.zone}): {owed}. "
        f"Publication {found.publication} of {moment(found.published_at)} UTC",
        markup=False,
    )
    taxed = ["DOCUMENT NET", "DOCUMENT TAX"] if any(i.total_excl is not None for i in found.items) else []
    print_table(
        ["ENTITY", "DOCUMENT", "KIND", "POSTED", "DUE", "OVERDUE", *taxed, "ORIGINAL", "OPEN"],
        [
            [
                item.entity,
                f"{item.printed}/{item.instalment}",
                (item.kind or "-").replace("_", " "),
                item.posted_on.isoformat(),
                item.due_on.isoformat() if item.due_on else "-",
                item.bucket.replace("_", " "),
                *(
                    "-" if total is None else money(total, item.currency)
                    for total in (item.total_excl, item.tax_total)[: len(taxed)]
                ),
                money(item.original, item.currency),
                money(item.open, item.currency),
            ]
            for item in found.items
        ],
        right=[*taxed, "ORIGINAL", "OPEN"],
    )
    if found.receipts:
        print_table(
            ["ENTITY", "RECEIPT", "BOOKED", "STATUS", "AMOUNT", "UNAPPLIED"],
            [
                [
                    receipt.entity,
                    f"{receipt.printed}/{receipt.line}",
                    receipt.booked_on.isoformat(),
                    receipt.status,
                    money(receipt.amount, receipt.currency),
                    money(receipt.unapplied, receipt.currency),
                ]
                for receipt in found.receipts
            ],
            right=["AMOUNT", "UNAPPLIED"],
        )
    if found.allocations:
        print_table(
            ["ENTITY", "PAID BY", "FROM", "ON", "TO", "AMOUNT", "OF IT DISCOUNT"],
            [
                [
                    part.entity,
                    part.source.replace("_", " "),
                    f"{part.source_printed}/{part.source_line}",
                    part.allocated_on.isoformat(),
                    f"{part.target_printed}/{part.target_instalment}",
                    money(part.amount, part.currency),
                    money(part.discount, part.currency) if part.discount else "",
                ]
                for part in found.allocations
            ],
            right=["AMOUNT", "OF IT DISCOUNT"],
        )
