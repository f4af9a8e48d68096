"""The tie-out: the ERP's control totals beside the sums of our lines, compared in SQL.

One rule says what we have of an account at the end of a day. A line counts from the day it was posted until
it is cleared: an open item adds, a receipt takes off. It counts with what the ERP's ledger carries there: the
`whole` amount, where the ERP leaves a line whole until it is cleared (SAP: a part payment is a line of its
own, so it cancels by itself), or the `rest`, what is open or unapplied, where the ERP takes allocations off
at once (Intacct): then allocations of later days are put back on both sides. So SAP is compared by what was
read, not by what we worked out.

Every control account that either side knows is compared as a whole, in company currency always and in
document currency where the ERP gives it, and per customer where the ERP gives that, so that two errors that
cancel do not pass. Refuses totals that name the same thing twice. Source: design, the model's "Tie-out".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from receivables.errors import Rejected
from receivables.queries import queries
from receivables.records import ControlTotal
from receivables.staging import set_tenant

SQL = queries(__file__)


@dataclass(frozen=True)
class TieOut:
    """One line of the comparison; amounts in `currency`, as of the end of the day `as_of`.

    `customer` None is the whole account, '' what was posted to it without a customer. `status` is equal,
    within (the tolerance), waived or different; `explanation` says why where it is not the amounts.
    """

    entity: str
    account: str
    basis: str
    currency: str
    customer: str | None
    as_of: date
    grade: str
    erp: Decimal
    hub: Decimal
    erp_items: int | None
    hub_items: int
    status: str
    explanation: str | None

    @property
    def difference(self) -> Decimal:
        """ERP minus hub: positive is what we lack."""
        return self.erp - self.hub


class Books:
    """Our lines as they would be once this run is published, on the run's connection."""

    def __init__(self, connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> None:
        self._connection = connection
        self._scope = scope

    def compare(self, day: date, tolerance: Mapping[str, Decimal]) -> list[TieOut]:
        """Compares with the totals that staging keeps of `after`; all accounts, and customers that differ.

        `tolerance` is the largest difference per ISO 4217 currency that is still `within`; `day` counts where
        the ERP gave no total at all.
        """
        asked = {
            **self._scope,
            "day": day,
            "tolerance": Jsonb({currency: str(amount) for currency, amount in tolerance.items()}),
        }
        with self._connection.transaction(), self._connection.cursor(row_factory=class_row(TieOut)) as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            return cursor.execute(_overlaid("tie_out"), asked).fetchall()

    def accounts(self) -> list[tuple[str, str]]:
        """(entity, account) of every control account that lines are on or that the ERP named."""
        return self._rows("accounts", {})

    def documents(
        self, entity: str, account: str, currency: str, customer: str | None, as_of: date, *, basis: str
    ) -> list[tuple[str, str]]:
        """(number/fiscal_year, amount) of our documents behind one total; customer None: of all customers."""
        return self._rows(
            "our_documents",
            {
                "entity": entity,
                "account": account,
                "basis": basis,
                "currency": currency,
                "customer": customer,
                "as_of": as_of,
            },
        )

    def to_read_again(self) -> list[tuple[str, str, str]]:
        """(entity, fiscal year, number) of documents that the sweep shows otherwise than we hold them."""
        return self._rows("read_again", {})

    def _rows(self, query: str, asked: Mapping[str, Any]) -> list[Any]:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            return cursor.execute(_overlaid(query), {**self._scope, **asked}).fetchall()


def refuse_doubled(totals: Sequence[ControlTotal]) -> None:
    """Raises Rejected if two totals speak of the same account, basis, currency and customer."""
    seen: set[tuple[str, str, str, str, str | None]] = set()
    for total in totals:
        key = (total.entity, total.account, total.basis, total.currency, total.customer)
        if key in seen:
            raise Rejected(
                f"The control totals name account {total.account} of {total.entity} twice"
                f" ({total.basis} currency {total.currency}, customer {total.customer or 'none'})."
                " Nothing was compared; check the filter of the totals."
            )
        seen.add(key)


def _overlaid(query: str) -> sql.Composed:
    lines = sql.SQL(SQL["lines"])
    return sql.SQL(SQL[query]).format(lines=lines, put_back=sql.SQL(SQL["put_back"]).format(lines=lines))
