"""`suspects`: what an ERP does not show any more, still open or closed with two proofs."""

from __future__ import annotations

from typing import Annotated

import typer

from encours.cli.output import moment, money, print_json, print_table, stdout
from encours.hub import Hub
from receivables.store import ClosingRow, SuspectRow


def suspects(
    connector: Annotated[str | None, typer.Argument(help="A connector. Without it: all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """What the ERP does not show any more: what stays open, and what closed, each with its two proofs."""
    with Hub.from_environment() as hub:
        still_open, closed = hub.suspects(connector), hub.closings(connector)
    if as_json:
        print_json({"open": still_open, "closed": closed})
        return
    console = stdout()
    if still_open:
        console.print("Not shown by the last sweep, and still open:")
        print_table(
            ["CONNECTOR", *PLACE, "AMOUNT", "SINCE (UTC)", "RUN"],
            [
                [*_place(one), money(one.amount, one.currency), moment(one.since), str(one.run)]
                for one in still_open
            ],
            right=["AMOUNT", "RUN"],
        )
    else:
        console.print("The last sweep showed everything that is open.")
    if closed:
        console.print("\nClosed because it is no longer shown, each with two proofs:")
        print_table(
            ["CONNECTOR", *PLACE, "AMOUNT", "CLOSED (UTC)", "RUN", "FIRST PROOF", "SECOND PROOF"],
            [
                [
                    *_place(one),
                    money(one.amount, one.currency),
                    moment(one.closed_at),
                    str(one.run),
                    one.first_proof,
                    one.second_proof,
                ]
                for one in closed
            ],
            right=["AMOUNT", "RUN"],
        )


PLACE = ["ENTITY", "CUSTOMER", "DOCUMENT"]


def _place(one: SuspectRow | ClosingRow) -> list[str]:
    return [one.connector, one.entity, one.customer or "-", f"{one.document}/{one.line}"]
