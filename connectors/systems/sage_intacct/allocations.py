"""Payment details -> allocations: one for each kind of source that is not zero.

A raw row is the join: the detail, then the document that it pays and that document's line, which names the
account. From is a receipt, a credit note, an advance or a negative invoice; a discount belongs to the first
of them. A detail of a payment's reversal has negative amounts and names what it takes back, where a detail of
equal size on the same line is found. A detail gives its worth at the rate of the document that it pays; in a
foreign currency what pays is joined too, each under the name of its kind: the worth at its own rate is the
realised exchange difference more. Amounts are added to nothing and taken from nothing here: what is open is
what the documents say. Source: interface sheet, section 5.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec
from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access, Adapted, Page, Row
from connectors.systems.sage_intacct import amounts
from connectors.systems.sage_intacct.amounts import Currencies
from connectors.systems.sage_intacct.asking import by_keys, cells, entity_of, pages, value
from connectors.systems.sage_intacct.days import PrintedDays
from connectors.systems.sage_intacct.documents import INSTALMENT, NO_YEAR, NOT_POSTED, adapted, state
from connectors.systems.sage_intacct.fields import (
    ADJUSTMENT_LINE,
    DETAIL,
    INVOICE_LINE,
    PAID_ADJUSTMENT,
    PAID_INVOICE,
    PAYING_ADJUSTMENT,
    PAYING_ADVANCE,
    PAYING_INVOICE,
    PAYING_RECEIPT,
    Object,
)
from connectors.systems.sage_intacct.payments import LINE
from connectors.systems.sage_intacct.settings import Settings
from receivables.errors import Unreadable
from receivables.records import Allocation, Record
from receivables.values import key

JOIN: Final = "ALLOCATION"
TAKEN_BACK: Final = "TAKESBACK"
# What a detail pays, by invoice and by debit memo: the document, and the line of it.
DOCUMENTS: Final = ("RECORDKEY", "POSADJKEY")
ENTRIES: Final = ("ENTRYKEY", "POSADJENTRYKEY")
ACCOUNT: Final = "OFFSETGLACCOUNTNO"

Values = Mapping[str, str]
Place = tuple[str, str]  # the name of a field and a RECORDNO in it


class Source(NamedTuple):
    """One kind of source: its name in keys, what it is, its keys, its amounts in both currencies, its object.

    An inline credit is a line of the invoice itself, at its rate: there is no other record to ask.
    """

    sequence: str
    kind: str
    keys: tuple[str, ...]
    amount: str
    company_amount: str
    of: Object | None

    def key(self, detail: Values) -> str | None:
        """The RECORDNO of what pays in this detail."""
        return next((detail[name] for name in self.keys if detail.get(name)), None)

    @property
    def joined(self) -> str:
        """The name under which what pays is joined to a detail."""
        return self.sequence.upper()


SOURCES: Final = (
    Source("cash", "receipt", ("PAYMENTKEY",), "TRX_PAYMENTAMOUNT", "PAYMENTAMOUNT", PAYING_RECEIPT),
    Source(
        "adjustment",
        "credit_note",
        ("ADJUSTMENTKEY",),
        "TRX_ADJUSTMENTAMOUNT",
        "ADJUSTMENTAMOUNT",
        PAYING_ADJUSTMENT,
    ),
    Source("inline", "credit_note", ("INLINEKEY",), "TRX_INLINEAMOUNT", "INLINEAMOUNT", None),
    Source(
        "advance",
        "advance",
        ("POSTEDADVANCEKEY", "ADVANCEKEY"),
        "TRX_POSTEDADVANCEAMOUNT",
        "POSTEDADVANCEAMOUNT",
        PAYING_ADVANCE,
    ),
    Source(
        "overpayment",
        "receipt",
        ("POSTEDOVERPAYMENTKEY", "OVERPAYMENTKEY"),
        "TRX_POSTEDOVERPAYMENTAMOUNT",
        "POSTEDOVERPAYMENTAMOUNT",
        PAYING_RECEIPT,
    ),
    Source(
        "negative_invoice",
        "credit_note",
        ("NEGATIVEINVOICEKEY",),
        "TRX_NEGATIVEINVOICEAMOUNT",
        "NEGATIVEINVOICEAMOUNT",
        PAYING_INVOICE,
    ),
)
DISCOUNT: Final = Source("discount", "receipt", ("PAYMENTKEY",), "TRX_DISCOUNTAMOUNT", "DISCOUNTAMOUNT", None)


# -- reading -----------------------------------------------------------------------------------------------


def joined_pages(access: Access, where: etree._Element | None, *, stream: str) -> Iterator[Page]:
    """Pages of payment details, each with what it pays."""
    for page in pages(access, DETAIL, where, stream=stream):
        details = [(cells(access, bytes(row), stream=stream), bytes(row)) for row in page.rows]
        paid = _Paid(access, [values for values, _ in details], stream)
        rows = [xml_rows.joined(JOIN, [row, *paid.of(values)]) for values, row in details]
        yield Page(page.number, rows, page.last, page.warnings)


def changed(access: Access, where: etree._Element) -> list[dict[str, str]]:
    """The details that changed, with what names their records."""
    return [
        cells(access, bytes(row), stream="allocations")
        for page in pages(access, DETAIL, where, stream="allocations")
        for row in page.rows
    ]


class _Known(NamedTuple):
    """A row as received, and its values."""

    row: bytes
    values: Values


class _Paid:
    """The documents and lines that some details pay, what pays them, and what their reversals take back."""

    def __init__(self, access: Access, details: Sequence[Values], stream: str) -> None:
        self._access, self._stream = access, stream
        self._documents = self._read(PAID_INVOICE, "RECORDKEY", details)
        self._documents |= self._read(PAID_ADJUSTMENT, "POSADJKEY", details)
        self._lines = self._read(INVOICE_LINE, "ENTRYKEY", details)
        self._lines |= self._read(ADJUSTMENT_LINE, "POSADJENTRYKEY", details)
        without = [detail for detail in details if _place(detail, ENTRIES) not in self._lines]
        self._other_lines = self._of_one_account(INVOICE_LINE, "RECORDKEY", without)
        self._other_lines |= self._of_one_account(ADJUSTMENT_LINE, "POSADJKEY", without)
        self._paying = self._sources([detail for detail in details if self._is_foreign(detail)])
        self._taken_back = self._earlier(details)

    def of(self, detail: Values) -> Iterator[bytes]:
        """What belongs to this detail, as it is joined to it."""
        document = _place(detail, DOCUMENTS)
        if document in self._documents:
            yield self._documents[document].row
        line = self._lines.get(_place(detail, ENTRIES)) or self._other_lines.get(document)
        if line is not None:
            yield line.row
        for source in SOURCES:
            paying = self._paying.get((source.sequence, source.key(detail) or ""))
            if paying is not None and detail.get(source.amount):
                yield xml_rows.joined(source.joined, [paying])
        for source in SOURCES:
            row = self._taken_back.get(_mark(detail, source.amount, -1))
            if row is not None and detail.get(source.amount, "").startswith("-"):
                yield xml_rows.joined(TAKEN_BACK, [row])
                return

    def _read(self, of: Object, name: str, details: Sequence[Values]) -> dict[Place, _Known]:
        keys = {value for detail in details if (value := detail.get(name))}
        return {(name, one.values["RECORDNO"]): one for one in self._known(of, "RECORDNO", keys)}

    def _known(self, of: Object, name: str, keys: Iterable[str]) -> Iterator[_Known]:
        for row in by_keys(self._access, of, name, keys, stream=self._stream):
            yield _Known(row, cells(self._access, row, stream=self._stream))

    def _of_one_account(self, of: Object, name: str, details: Sequence[Values]) -> dict[Place, _Known]:
        """By document a line of it, if all of its lines are on one account.

        For details that pay a document as a whole, or a line that is not shown.
        """
        keys = {value for detail in details if (value := detail.get(name))}
        found: dict[Place, _Known] = {}
        accounts: dict[Place, set[str]] = defaultdict(set)
        for one in self._known(of, "RECORDKEY", keys):
            place = (name, one.values.get("RECORDKEY", ""))
            found.setdefault(place, one)
            accounts[place].add(one.values.get(ACCOUNT, ""))
        return {place: one for place, one in found.items() if len(accounts[place]) == 1}

    def _is_foreign(self, detail: Values) -> bool:
        """Whether the detail pays in another currency than the document's entity keeps its books in."""
        known = self._documents.get(_place(detail, DOCUMENTS))
        if known is None or not known.values.get("BASECURR"):
            return False
        currency = detail.get("CURRENCY") or known.values.get("CURRENCY")
        return bool(currency) and currency != known.values["BASECURR"]

    def _sources(self, details: Sequence[Values]) -> dict[tuple[str, str], bytes]:
        """What pays these details, by kind and RECORDNO; nothing where the user may not read it."""
        found: dict[tuple[str, str], bytes] = {}
        for source in SOURCES:
            paying = {key_ for d in details if d.get(source.amount) and (key_ := source.key(d))}
            if source.of is None or not paying:
                continue
            with contextlib.suppress(NotOffered):
                for row in by_keys(self._access, source.of, "RECORDNO", paying, stream=self._stream):
                    found[source.sequence, value(self._access, row, "RECORDNO", stream=self._stream)] = row
        return found

    def _earlier(self, details: Sequence[Values]) -> dict[tuple[str, str, str, Decimal], bytes]:
        """Details on the documents of those with negative amounts, by line and amount."""
        negative = [d for d in details if any(d.get(s.amount, "").startswith("-") for s in SOURCES)]
        found: dict[tuple[str, str, str, Decimal], bytes] = {}
        for name in ("RECORDKEY", "POSADJKEY"):
            keys = {value for detail in negative if (value := detail.get(name))}
            for row in by_keys(self._access, DETAIL, name, keys, stream=self._stream):
                values = cells(self._access, row, stream=self._stream)
                for source in SOURCES:
                    if values.get(source.amount) and not values[source.amount].startswith("-"):
                        found.setdefault(_mark(values, source.amount, 1), row)
        return found


def _place(detail: Values, names: Sequence[str]) -> Place:
    """The first of these fields that the detail has, and its value."""
    return next(((name, detail[name]) for name in names if detail.get(name)), ("", ""))


def _mark(detail: Values, name: str, factor: int) -> tuple[str, str, str, Decimal]:
    """What two details that take each other back have in common."""
    (_, place), (_, line) = _place(detail, DOCUMENTS), _place(detail, ENTRIES)
    text = detail.get(name, "")
    return place, line, name, Decimal(text) * factor if _is_number(text) else Decimal(0)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit()


# -- adapting ----------------------------------------------------------------------------------------------


class Allocations:
    """Adapts joined rows of payment details."""

    def __init__(self, settings: Settings, today: date) -> None:
        self._days = PrintedDays(today)
        self._default = settings.base_currency

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """An allocation for each source of each row; nothing for drafts."""
        return adapted(rows, self._make)

    def _make(self, _: str, detail: Values, parts: Sequence[bytes]) -> list[Record]:
        if state(detail) in NOT_POSTED or state(detail) == "d":
            return []
        joined = {xml_rows.name_of(part): part for part in parts}
        target = self._target(detail, joined)
        currencies = Currencies.of({**target.document, **_named(detail)}, self._default)
        taken_back = joined.get(TAKEN_BACK)
        earlier = xml_rows.values(xml_rows.parts(taken_back)[1][0])["RECORDNO"] if taken_back else None
        sources = [(source, pair) for source in SOURCES if (pair := _pair(detail, source, currencies))]
        discount = _pair(detail, DISCOUNT, currencies)
        if discount and not sources:
            sources = [(DISCOUNT, currencies.zero())]
        day = self._days(detail.get("PAYMENTDATE") or detail.get("WHENCREATED"), "PAYMENTDATE")
        found: list[Record] = []
        for source, pair in sources:
            granted = discount or currencies.zero()
            allocation = _allocation(detail, source, (pair, granted), target, currencies)
            more = _difference(pair[0], pair[1], joined.get(source.joined), currencies)
            reverses = f"{earlier}/{source.sequence}" if earlier else None
            found.append(
                msgspec.structs.replace(
                    allocation,
                    company_difference=more,
                    allocated_on=max(day, target.posted_on),
                    reverses=reverses,
                )
            )
            discount = None
        return found

    def _target(self, detail: Values, joined: Mapping[str, bytes]) -> _Target:
        name = "RECORDKEY" if detail.get("RECORDKEY") else "POSADJKEY"
        document = joined.get("ARINVOICE" if name == "RECORDKEY" else "ARADJUSTMENT")
        line = joined.get("ARINVOICEITEM" if name == "RECORDKEY" else "ARADJUSTMENTITEM")
        number = key(detail.get(name), name)
        if document is None or line is None:
            what = "document" if document is None else "line"
            raise Unreadable(
                "target_missing", name, f"The {what} that is paid ({name} {number}) is not shown to the user."
            )
        head = xml_rows.values(document)
        return _Target(
            number=number,
            entity=key(entity_of(head), "MEGAENTITYID"),
            account=key(xml_rows.values(line).get(ACCOUNT), ACCOUNT),
            posted_on=self._days(head.get("WHENPOSTED") or head.get("WHENCREATED"), "WHENPOSTED"),
            document=head,
        )


class _Target(NamedTuple):
    """The open item that is paid."""

    number: str
    entity: str
    account: str
    posted_on: str
    document: Values


def _allocation(
    detail: Values,
    source: Source,
    pairs: tuple[tuple[str, str], tuple[str, str]],
    target: _Target,
    currencies: Currencies,
) -> Allocation:
    """The allocation from this source, on the day that the target was posted; pairs are paid and granted."""
    pair, granted = pairs
    return Allocation(
        number=key(detail.get("RECORDNO"), "RECORDNO"),
        entity=target.entity,
        sequence=source.sequence,
        source=source.kind,
        source_number=key(source.key(detail), source.keys[0]),
        source_fiscal_year=NO_YEAR,
        source_line=LINE,
        target_number=target.number,
        target_fiscal_year=NO_YEAR,
        target_instalment=INSTALMENT,
        target_account=target.account,
        currency=currencies.document,
        amount=amounts.plus(pair[0], granted[0]),
        company_currency=currencies.company,
        company_amount=amounts.plus(pair[1], granted[1]),
        discount=granted[0],
        company_discount=granted[1],
        company_difference=currencies.zero()[1],
        allocated_on=target.posted_on,
    )


def _difference(amount: str, company_amount: str, paying: bytes | None, currencies: Currencies) -> str:
    """What `amount` is worth at the rate of what pays, less what it is worth at the rate of what is paid.

    Rounded by itself: the shares of one payment may add up to a minor unit more or less than the payment.
    """
    nothing = currencies.zero()[1]
    if paying is None:
        return nothing
    record = xml_rows.values(xml_rows.parts(paying)[1][0])
    if (record.get("CURRENCY"), record.get("BASECURR")) != (currencies.document, currencies.company):
        return nothing  # what it is worth in other currencies says nothing of this one
    entered, company_entered = currencies.pair(record, "TRX_TOTALENTERED", "TOTALENTERED")
    if amounts.is_zero(entered):
        return nothing
    return amounts.plus(amounts.share(company_entered, amount, entered), amounts.minus(company_amount))


def _named(detail: Values) -> Values:
    """The detail's own currency, where it has one."""
    return {"CURRENCY": detail["CURRENCY"]} if detail.get("CURRENCY") else {}


def _pair(detail: Values, source: Source, currencies: Currencies) -> tuple[str, str] | None:
    """The source's amounts, None where there is nothing of it."""
    if not (detail.get(source.amount) or detail.get(source.company_amount)):
        return None
    pair = currencies.pair(detail, source.amount, source.company_amount)
    return None if amounts.is_zero(pair[0]) and amounts.is_zero(pair[1]) else pair
