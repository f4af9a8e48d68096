"""A system that exports a folder of CSV files: customers, open items, payments, balances of its ledger.

A system's file declares the dialect and the tables; all else a system answers (connectors.kit.stream) is
here. Files are whole each time: rows that did not change are skipped by their digest, and the sweep finds the
open items and receipts that are no longer there. Refuses a ledger without a row: nothing could be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import pydantic
from pydantic import AfterValidator, Field

from connectors.kit import csv_rows, folder
from connectors.kit.columns import Columns, Table
from connectors.kit.steps import checked
from connectors.kit.stream import Access, Adapter, Capabilities, Check, Difference, Explained, Page, Slice
from receivables.errors import Rejected
from receivables.records import (
    ControlAccount,
    ControlTotal,
    Customer,
    Document,
    LegalEntity,
    OpenItem,
    Receipt,
    Record,
    Swept,
)

LEDGER: Final = "ledger"  # the streams' names, whatever the files are called
CUSTOMERS: Final = "customers"
ITEMS: Final = "open_items"
RECEIPTS: Final = "receipts"
SWEPT_ITEMS: Final = "swept_items"
SWEPT: Final = {ITEMS: SWEPT_ITEMS, RECEIPTS: "swept_receipts"}  # the adapters of a sweep
MAKES: Final[Mapping[str, tuple[type[msgspec.Struct], ...]]] = {
    LEDGER: (LegalEntity, ControlAccount),
    CUSTOMERS: (Customer,),
    ITEMS: (Document, OpenItem),
    RECEIPTS: (Receipt,),
}
TOTALS: Final = (ControlTotal,)
ROWS: Final = 5000  # of a page
DOCUMENTS: Final = 20  # named in one explanation

Ours = Callable[[Difference, date], Iterable[tuple[str, str]]]


def _absolute(value: str) -> str:
    if not Path(value).is_absolute() or ".." in Path(value).parts:
        raise ValueError(f"{value[:80]!r} is no absolute path")
    return str(Path(value))


class FolderSettings(pydantic.BaseModel):
    """What every system of this kind asks an administrator; a system adds its own fields."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    folder: Annotated[str, AfterValidator(_absolute)] = Field(
        description="The folder that the export is written to: an absolute path without links."
    )

    def meaning(self) -> Mapping[str, Any]:
        """The settings that change what rows mean: all of them."""
        return self.model_dump(mode="json")


CAPABILITIES: Final = Capabilities(
    modes=("snapshot", "delta", "sweep"),
    changes="Files are whole each time: rows whose bytes were published before are skipped.",
    deletes="An item that a sweep does not show is a suspect: it closes if a second sweep does not show it "
    "either and the ledger agrees only without it.",
    grade="ledger",
    totals="The balances in the ledger's file.",
    allocations="Not stated: worked out from clearings and from payments that name their item.",
    unseen=("Whatever the export leaves out, unless the ledger's file has it.",),
)


class CsvFolder:
    """What the hub asks of a system, answered from a folder of CSV files; asks for no credential.

    Of a row `ledger` makes LegalEntity, ControlAccount and ControlTotal, `customers` Customer, `open_items`
    Document and OpenItem, and `receipts`, where the ERP exports payments, Receipt.
    """

    credentials: Sequence[str] = ()
    billing: None = None
    capabilities = CAPABILITIES
    absent_is_deleted = False  # an export may leave out what is still owed

    def __init__(
        self,
        *,
        name: str,
        title: str,
        version: str,
        settings: type[FolderSettings],
        dialect: csv_rows.Dialect,
        ledger: Table,
        customers: Table,
        open_items: Table,
        receipts: Table | None = None,
    ) -> None:
        self.name, self.title, self.version = name, title, version
        self.Settings: type[pydantic.BaseModel] = settings
        self._dialect = dialect
        self._tables = {LEDGER: ledger, CUSTOMERS: customers, ITEMS: open_items}
        if receipts is not None:
            self._tables[RECEIPTS] = receipts
        for stream, table in self._tables.items():
            table.check(dialect, (*MAKES[stream], *TOTALS) if stream == LEDGER else MAKES[stream])
        self.adapters: Mapping[str, Callable[[Access], Adapter]] = {
            **{stream: partial(self._columns, stream, MAKES[stream]) for stream in self._tables},
            **{
                adapter: partial(self._columns, stream, (*MAKES[stream], Swept))
                for stream, adapter in SWEPT.items()
                if stream in self._tables
            },
        }

    def erp(self, settings: Any) -> tuple[str, int]:
        """One run at a time reads a folder."""
        return f"{self.name} {settings.folder}", 1

    def origin(self, settings: Any) -> None:
        """Nowhere: a folder is asked for nothing over HTTP."""

    def plan(self, access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> Sequence[Slice]:  # noqa: ARG002
        """Every file. A sweep stages every item and receipt again, with what it shows of the open ones."""
        in_order = sorted(self._tables, key=[LEDGER, CUSTOMERS, RECEIPTS, ITEMS].index)
        return [self._slice(stream, sweep=sweep) for stream in in_order]

    def period(self, access: Access, first: date, following: date) -> Sequence[Slice]:  # noqa: ARG002
        """Every file, whatever the period: all are read whole each time."""
        return [
            replace(self._slice(stream), name=f"{stream}/again", skip_unchanged=False)
            for stream in self._tables
        ]

    def totals(self, access: Access, accounts: Sequence[tuple[str, str]]) -> Sequence[ControlTotal]:  # noqa: ARG002
        """Every balance of the ledger's file; raises Rejected if it has none or one that cannot be read."""
        columns = self._columns(LEDGER, TOTALS, access)
        adapted = columns(list(self._rows(access, LEDGER)))
        for _, fault in adapted.unreadable:
            raise Rejected(f"{access.connector}, {LEDGER}: {fault}")
        if not adapted.records:
            raise Rejected(f"{access.connector}, {LEDGER}: no balance, so nothing can be compared.")
        return [total for total in adapted.records if isinstance(total, ControlTotal)]

    def documents(self, access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
        """The rows of these documents (entity, fiscal year, number)."""
        asked = set(keys)
        return self._asked(
            access,
            ITEMS,
            SWEPT_ITEMS,
            lambda one: isinstance(one, OpenItem) and (one.entity, one.fiscal_year, one.number) in asked,
        )

    def customers(self, access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
        """The rows of these customers (entity, number)."""
        asked = set(keys)
        return self._asked(
            access,
            CUSTOMERS,
            CUSTOMERS,
            lambda one: isinstance(one, Customer) and (one.entity, one.number) in asked,
        )

    def explain(self, access: Access, differences: Sequence[Difference], ours: Ours) -> Sequence[Explained]:
        """Our documents of each place, one that is the whole difference first: the files hold no others."""
        days = {(t.entity, t.account): t.as_of for t in self.totals(access, ())}
        latest = max(days.values())
        return [
            _explained(d, list(ours(d, date.fromisoformat(days.get((d.entity, d.account), latest)))))
            for d in differences
        ]

    def test(self, access: Access) -> Iterator[Check]:
        """Every file, then the control totals."""
        for stream in self._tables:
            yield checked(stream.replace("_", " "), partial(self._count, access, stream))
        yield checked("Control totals", lambda: self._told(access))

    # -- reading ------------------------------------------------------------------------------------------

    def _rows(self, access: Access, stream: str) -> Iterator[bytes]:
        table, place = self._tables[stream], f"{access.connector}, {stream}"
        lines = folder.lines(access.settings.folder, table.file, place=place)
        return csv_rows.rows(lines, self._dialect, table.header, place=place)

    def _columns(self, stream: str, kinds: Sequence[type[msgspec.Struct]], access: Access) -> Columns:
        return Columns(self._tables[stream], self._dialect, access, kinds)

    def _slice(self, stream: str, *, sweep: bool = False) -> Slice:
        pages = partial(self._pages, stream=stream, wanted=None)
        swept = SWEPT.get(stream) if sweep else None
        return Slice(stream, stream, pages, swept or stream, skip_unchanged=swept is None)

    def _asked(self, access: Access, stream: str, adapter: str, wanted: Callable[[Record], bool]) -> Slice:
        pages = partial(self._pages, stream=stream, wanted=wanted)
        name = f"{stream}/by-key/{access.now.isoformat()}"
        return Slice(stream, name, pages, adapter, skip_unchanged=False)

    def _pages(self, access: Access, stream: str, wanted: Callable[[Record], bool] | None) -> Iterator[Page]:
        """Pages of the rows, or of those of which a record is wanted; the last one ends with the file."""
        columns = self.adapters[stream](access)
        number, rows = 1, list[bytes]()
        for row in self._rows(access, stream):
            if wanted is None or any(map(wanted, columns([row]).records)):
                if len(rows) == ROWS:
                    yield Page(number, rows, last=False)
                    number, rows = number + 1, []
                rows.append(row)
        yield Page(number, rows, last=True)

    # -- telling ------------------------------------------------------------------------------------------

    def _count(self, access: Access, stream: str) -> str:
        return f"{sum(1 for _ in self._rows(access, stream)):,} rows in {self._tables[stream].file}."

    def _told(self, access: Access) -> str:
        found = self.totals(access, ())
        named = ", ".join(f"{t.entity}/{t.account} {t.closing} {t.currency}" for t in found[:DOCUMENTS])
        return f"ledger of {max(t.as_of for t in found)}: {named}."


def _explained(difference: Difference, ours: Sequence[tuple[str, str]]) -> Explained:
    gap = Decimal(difference.erp) - Decimal(difference.hub)
    by_size = sorted(ours, key=lambda one: (-abs(Decimal(one[1])), one[0]))
    alone = [name for name, amount in by_size if Decimal(amount) == -gap]
    whose = f"customer {difference.customer}" if difference.customer else "the whole account"
    of = difference.currency
    sentence = (
        f"Entity {difference.entity}, account {difference.account}, {whose}: the ledger says "
        f"{difference.erp} {of}, the items read sum to {difference.hub} {of}."
    )
    if len(alone) == 1:
        sentence += f" Document {alone[0]} alone is the difference: the ledger may lack it."
    else:
        shown = ", ".join(f"{name} {amount}" for name, amount in by_size[:DOCUMENTS]) or "none"
        sentence += f" The largest of {len(by_size)} documents read: {shown}."
    return Explained(
        entity=difference.entity,
        account=difference.account,
        currency=difference.currency,
        customer=difference.customer,
        document=alone[0] if len(alone) == 1 else None,
        difference=f"{gap:f}",
        sentence=sentence,
    )
