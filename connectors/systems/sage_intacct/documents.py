"""Invoices and adjustments with their lines -> documents, open items, control accounts.

A raw row is the join: the header, its lines, and the record that a reversal reverses, each as received.
The canonical number is the RECORDNO: numbers of invoices may repeat, and a reversal has that of the invoice
it reverses; RECORDID is what people are shown. Intacct's numbers do not begin again every year: the fiscal
year is ''. The control account stands on the lines: one open item for each account of a document. What is
open is what the ERP says. Drafts are no debt and left out. Source: interface sheet, section 5.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.stream import Access, Adapted, Page, Row
from connectors.systems.sage_intacct import amounts
from connectors.systems.sage_intacct.amounts import Currencies
from connectors.systems.sage_intacct.asking import by_keys, cells, entity_of, pages, value
from connectors.systems.sage_intacct.days import PrintedDays
from connectors.systems.sage_intacct.fields import INVOICE, LINES, Object
from connectors.systems.sage_intacct.settings import Settings
from receivables.errors import Unreadable
from receivables.records import Allocation, ControlAccount, Document, OpenItem, Record
from receivables.values import amount, key, text_or_none

JOIN: Final = "DOCUMENT"
REVERSED: Final = "REVERSES"  # in a row: the record that this one reverses
NOTHING_PAID: Final = {"TRX_TOTALPAID": "0", "TOTALPAID": "0"}
NO_YEAR: Final = ""
INSTALMENT: Final = "1"
REVERSAL: Final = re.compile(rb"reversal<", re.IGNORECASE)
NOT_POSTED: Final = frozenset({"draft", "saved", "submitted", "partiallyapproved", "declined", "failed"})

Values = Mapping[str, str]


# -- reading -----------------------------------------------------------------------------------------------


def joined_pages(access: Access, of: Object, where: etree._Element | None, *, stream: str) -> Iterator[Page]:
    """Pages of documents with their lines."""
    for page in pages(access, of, where, stream=stream):
        heads = {value(access, bytes(row), "RECORDNO", stream=stream): bytes(row) for row in page.rows}
        lines = _lines(access, of, heads, stream=stream)
        reversed_ = _reversed(access, of, heads.values(), stream=stream)
        rows = [
            xml_rows.joined(JOIN, [row, *lines[number], *reversed_.get(number, ())])
            for number, row in heads.items()
        ]
        yield Page(page.number, rows, page.last, page.warnings)


def _lines(access: Access, of: Object, keys: Iterable[str], *, stream: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for row in by_keys(access, LINES[of.name], "RECORDKEY", keys, stream=stream):
        found[value(access, row, "RECORDKEY", stream=stream)].append(row)
    return found


def _reversed(
    access: Access, of: Object, rows: Iterable[bytes], *, stream: str
) -> dict[str, tuple[bytes, ...]]:
    """By RECORDNO of a reversal what it reverses: the reversed record of equal number and customer."""
    heads = [cells(access, row, stream=stream) for row in rows if REVERSAL.search(row)]
    reversals = [head for head in heads if state(head) == "reversal" and head.get("RECORDID")]
    if not reversals:
        return {}
    originals: dict[tuple[str, str], bytes] = {}
    for row in by_keys(access, of, "RECORDID", [head["RECORDID"] for head in reversals], stream=stream):
        found = cells(access, row, stream=stream)
        if state(found) == "reversed":
            originals[found["RECORDID"], found.get("CUSTOMERID", "")] = row
    return {
        head["RECORDNO"]: (xml_rows.joined(REVERSED, [originals[place]]),)
        for head in reversals
        if (place := (head["RECORDID"], head.get("CUSTOMERID", ""))) in originals
    }


def state(head: Values) -> str:
    """The word for a record's state, in small letters without spaces: posted, partiallypaid, reversal."""
    return head.get("STATE", "").replace(" ", "").lower()


# -- adapting ----------------------------------------------------------------------------------------------


class Documents:
    """Adapts joined rows of invoices and adjustments."""

    def __init__(self, settings: Settings, today: date) -> None:
        self._days = PrintedDays(today)
        self._default = settings.base_currency
        self._accounts: set[tuple[str, str]] = set()

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """A document, its open items and new control accounts for each row; nothing for a draft."""
        self._accounts.clear()
        return adapted(rows, self._make)

    def _make(self, name: str, head: Values, parts: Sequence[bytes]) -> list[Record]:
        if state(head) in NOT_POSTED or state(head) == "d":
            return []
        lines, original = [], None
        for part in parts:
            if xml_rows.name_of(part) == REVERSED:
                original = xml_rows.values(xml_rows.parts(part)[1][0])
            else:
                lines.append(xml_rows.values(part))
        of_invoice = name == INVOICE.name
        currencies = Currencies.of(head, self._default)
        total, company_total = currencies.pair(head, "TRX_TOTALENTERED", "TOTALENTERED")
        if not of_invoice:
            _agree(total, lines, currencies)
        document = self._document(head, total, currencies, original, of_invoice=of_invoice)
        items = [
            self._item(document, head, account, share, currencies)
            for account, share in _shares(head, lines, (total, company_total), currencies).items()
        ]
        accounts = [
            ControlAccount(item.entity, item.account, "trade")
            for item in items
            if (item.entity, item.account) not in self._accounts
        ]
        self._accounts |= {(account.entity, account.account) for account in accounts}
        taken_back = [_taken_back(document, item, original) for item in items] if original else []
        return [*accounts, document, *items, *taken_back]

    def _document(
        self, head: Values, total: str, currencies: Currencies, original: Values | None, *, of_invoice: bool
    ) -> Document:
        is_reversal = state(head) == "reversal"
        number = key(head.get("RECORDNO"), "RECORDNO")
        kind = head.get("RECORDTYPE") or ("ri" if of_invoice else "ra")
        issued = self._days(head.get("WHENCREATED"), "WHENCREATED")
        return Document(
            number=number,
            entity=key(entity_of(head), "MEGAENTITYID"),
            fiscal_year=NO_YEAR,
            type=key(f"{kind}-reversal" if is_reversal else kind, "RECORDTYPE"),
            kind=_kind(amounts.sign(total) * (-1 if is_reversal else 1), of_invoice=of_invoice),
            printed=text_or_none(head.get("RECORDID"), "RECORDID") or number,
            customer=key(head.get("CUSTOMERID"), "CUSTOMERID"),
            status="reversed" if state(head) == "reversed" else "posted",
            currency=currencies.document,
            issued_on=issued,
            posted_on=self._days.or_none(head.get("WHENPOSTED"), "WHENPOSTED") or issued,
            reversal_of=f"{original['RECORDNO']}/{NO_YEAR}" if original else None,
            reference=text_or_none(head.get("DOCNUMBER"), "DOCNUMBER"),
            rate=amounts.rate(head.get("EXCHANGE_RATE"), "EXCHANGE_RATE"),
        )

    def _item(
        self, document: Document, head: Values, account: str, share: _Share, currencies: Currencies
    ) -> OpenItem:
        if amounts.sign(share.open) * amounts.sign(share.original) < 0:
            raise Unreadable(
                "sign_contradiction",
                "TRX_TOTALDUE",
                f"TRX_TOTALDUE {share.open} and TRX_TOTALENTERED {share.original} contradict each other.",
            )
        return OpenItem(
            number=document.number,
            entity=document.entity,
            fiscal_year=NO_YEAR,
            instalment=INSTALMENT,
            account=account,
            customer=document.customer,
            currency=currencies.document,
            original=share.original,
            open=share.open,
            company_currency=currencies.company,
            company_original=share.company_original,
            company_open=share.company_open,
            posted_on=document.posted_on,
            due_on=self._days.or_none(head.get("WHENDUE"), "WHENDUE"),
            cleared_on=self._cleared_on(head, document) if amounts.is_zero(share.open) else None,
            text=text_or_none(head.get("DESCRIPTION"), "DESCRIPTION"),
            assignment=document.printed,
            carries="rest",
        )

    def _cleared_on(self, head: Values, document: Document) -> str:
        """The day it was paid; where Intacct names none, that of its last change."""
        for name in ("WHENPAID", "WHENMODIFIED"):
            day = self._days.or_none(head.get(name), name)
            if day is not None:
                return max(day, document.posted_on)
        return document.posted_on


Make = Callable[[str, Values, Sequence[bytes]], list[Record]]  # of a name, a record and what is joined to it


def adapted(rows: Sequence[Row], make: Make) -> Adapted:
    """Adapts joined rows one by one; a row that cannot be read is set aside."""
    found = Adapted()
    seen: set[str] = set()
    for place, raw in enumerate(rows):
        row, name = bytes(raw), ""
        try:
            _, (first, *more) = xml_rows.parts(row)
            of, record = xml_rows.name_of(first), xml_rows.values(first)
            name = f"{of}/{key(record.get('RECORDNO'), 'RECORDNO')}"
            _note(name, seen)
            found.records += make(of, record, more)
        except Unreadable as error:
            error.key = name or None
            found.unreadable.append((row, error))
        else:
            found.keys.append((place, name.encode()))
    return found


def _note(name: str, seen: set[str]) -> None:
    if name in seen:
        raise Unreadable("key_twice", "RECORDNO", f"{name} is twice on a page.")
    seen.add(name)


class _Share(NamedTuple):
    """What of a document is on one account: in both currencies, as entered and still open."""

    original: str
    company_original: str
    open: str
    company_open: str


def _shares(
    head: Values, lines: Sequence[Values], total: tuple[str, str], currencies: Currencies
) -> dict[str, _Share]:
    """The header's amounts on its only account, or the sums of the lines of each account."""
    due = currencies.pair(head, "TRX_TOTALDUE", "TOTALDUE")
    if not lines and amounts.is_zero(total[0]):
        return {}
    of_account: dict[str, list[Values]] = defaultdict(list)
    for line in lines:
        of_account[key(line.get("OFFSETGLACCOUNTNO"), "OFFSETGLACCOUNTNO")].append(line)
    if not of_account:
        raise Unreadable(
            "account_missing", "OFFSETGLACCOUNTNO", "The document has no lines, so its account is not known."
        )
    if len(of_account) == 1:
        return {account: _Share(*total, *due) for account in of_account}
    found = {account: _sum(part, currencies) for account, part in of_account.items()}
    for name, whole, parts in (
        ("TRX_TOTALENTERED", total[0], [share.original for share in found.values()]),
        ("TOTALENTERED", total[1], [share.company_original for share in found.values()]),
        ("TRX_TOTALDUE", due[0], [share.open for share in found.values()]),
        ("TOTALDUE", due[1], [share.company_open for share in found.values()]),
    ):
        summed = _added(parts)
        if amounts.sign(amounts.plus(whole, amounts.minus(summed))):
            raise Unreadable(
                "lines_sum",
                name,
                f"{name} is {whole}, and the lines of its {len(found)} accounts sum to {summed}.",
            )
    return found


def _sum(lines: Sequence[Values], currencies: Currencies) -> _Share:
    entered = [currencies.pair(line, "TRX_AMOUNT", "AMOUNT") for line in lines]
    paid = [
        currencies.pair(
            line if line.get("TOTALPAID") or line.get("TRX_TOTALPAID") else NOTHING_PAID,
            "TRX_TOTALPAID",
            "TOTALPAID",
        )
        for line in lines
    ]
    original, company = _added([e for e, _ in entered]), _added([c for _, c in entered])
    return _Share(
        original,
        company,
        amounts.plus(original, amounts.minus(_added([p for p, _ in paid]))),
        amounts.plus(company, amounts.minus(_added([p for _, p in paid]))),
    )


def _added(texts: Iterable[str]) -> str:
    summed = "0"
    for text in texts:
        summed = amounts.plus(summed, text)
    return summed


def _agree(total: str, lines: Sequence[Values], currencies: Currencies) -> None:
    """Raises Unreadable when the signs of a header and of its lines disagree."""
    summed = _added(currencies.pair(line, "TRX_AMOUNT", "AMOUNT")[0] for line in lines)
    if amounts.sign(total) * amounts.sign(summed) < 0:
        raise Unreadable(
            "sign_contradiction",
            "TRX_TOTALENTERED",
            f"TRX_TOTALENTERED {total} and the sum of the lines {summed} contradict each other.",
        )


def _kind(of_sign: int, *, of_invoice: bool) -> str:
    if of_sign < 0:
        return "credit_note"
    return "invoice" if of_invoice else "debit_note"


def _taken_back(document: Document, item: OpenItem, original: Values) -> Allocation:
    """A reversal takes back the debt of the record that it reverses."""
    nothing, company_nothing = amount("0", item.currency, ""), amount("0", item.company_currency, "")
    return Allocation(
        number=document.number,
        entity=document.entity,
        sequence=f"reversal/{item.account}",
        source="credit_note" if document.kind == "credit_note" else "invoice",
        source_number=document.number,
        source_fiscal_year=NO_YEAR,
        source_line=INSTALMENT,
        target_number=original["RECORDNO"],
        target_fiscal_year=NO_YEAR,
        target_instalment=INSTALMENT,
        target_account=item.account,
        currency=item.currency,
        amount=amounts.minus(item.original),
        company_currency=item.company_currency,
        company_amount=amounts.minus(item.company_original),
        discount=nothing,
        company_discount=company_nothing,
        company_difference=company_nothing,
        allocated_on=document.posted_on,
        derived=True,
    )
