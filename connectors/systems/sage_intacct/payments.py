"""Payments and advances -> receipts: what came in, and what of it is not applied yet.

A raw row is the join: the record, then the account that money not applied stands on. A payment that only
applies a credit brings no money: its amount is 0 and it is no receipt; its details are allocations all the
same. One payment over several entities is a record in each, and so many receipts, which share their bank
reference: where the payer gave none, the number that Intacct gives the payment as a whole. Advances are
receipts too, not documents: a document's total is the sum of its items. The list of payments shows advances
again (RECORDTYPE rr): they are taken from their own list. Refuses an unapplied part that contradicts the
amount. Source: interface sheet, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.stream import Access, Adapted, Page, Row
from connectors.systems.sage_intacct import accounts, amounts
from connectors.systems.sage_intacct.amounts import Currencies
from connectors.systems.sage_intacct.asking import entity_of, pages
from connectors.systems.sage_intacct.days import PrintedDays
from connectors.systems.sage_intacct.documents import NO_YEAR, NOT_POSTED, adapted, state
from connectors.systems.sage_intacct.fields import PAYMENT, Object
from connectors.systems.sage_intacct.settings import Settings
from receivables.errors import Unreadable
from receivables.records import ControlAccount, Receipt, Record
from receivables.values import key, text_or_none

JOIN: Final = "RECEIPT"
LINE: Final = "1"
ADVANCE: Final = "rr"
WITHOUT_CUSTOMER: Final = ""  # one payment of several customers


def joined_pages(access: Access, of: Object, where: etree._Element | None, *, stream: str) -> Iterator[Page]:
    """Pages of payments or advances, each with its account."""
    for page in pages(access, of, where, stream=stream):
        received = [bytes(row) for row in page.rows]
        money = accounts.of_money(access, of, received, stream=stream) if received else b""
        rows = [xml_rows.joined(JOIN, [row, money]) for row in received]
        yield Page(page.number, rows, page.last, page.warnings)


class Receipts:
    """Adapts joined rows of payments and advances."""

    def __init__(self, settings: Settings, today: date) -> None:
        self._days = PrintedDays(today)
        self._default = settings.base_currency
        self._accounts: set[tuple[str, str]] = set()

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One receipt a row; nothing for drafts, reversing records, advances among payments, and no money."""
        self._accounts.clear()
        return adapted(rows, self._make)

    def _make(self, name: str, row: Mapping[str, str], parts: Sequence[bytes]) -> list[Record]:
        money = xml_rows.values(parts[0])
        kind = row.get("RECORDTYPE", "")
        if state(row) in NOT_POSTED or state(row) in ("d", "reversal"):
            return []
        if name == PAYMENT.name and kind == ADVANCE:
            return []
        currencies = Currencies.of(row, self._default)
        amount, company = currencies.pair(row, "TRX_TOTALENTERED", "TOTALENTERED")
        if amounts.is_zero(amount) and amounts.is_zero(company):
            return []
        rest, company_rest = currencies.pair(row, "TRX_TOTALDUE", "TOTALDUE")
        if amounts.sign(amount) * amounts.sign(rest) < 0:
            raise Unreadable(
                "sign_contradiction",
                "TRX_TOTALDUE",
                f"TRX_TOTALDUE {rest} and TRX_TOTALENTERED {amount} contradict each other.",
            )
        receipt = self._receipt(row, currencies, money, rest=(rest, company_rest), paid=(amount, company))
        place = (receipt.entity, receipt.account)
        if not receipt.account or place in self._accounts:
            return [receipt]
        self._accounts.add(place)
        return [ControlAccount(*place, "trade" if name == PAYMENT.name else "advances"), receipt]

    def _receipt(
        self,
        row: Mapping[str, str],
        currencies: Currencies,
        money: Mapping[str, str],
        *,
        rest: tuple[str, str],
        paid: tuple[str, str],
    ) -> Receipt:
        number = key(row.get("RECORDNO"), "RECORDNO")
        booked = self._days(row.get("RECEIPTDATE") or row.get("PAYMENTDATE"), "RECEIPTDATE")
        open_ = not amounts.is_zero(rest[0])
        if open_ and not money.get("ACCOUNTNO"):
            raise Unreadable(
                "account_missing",
                "TRX_TOTALDUE",
                f"{rest[0]} is not applied, and nothing tells on which account it stands.",
            )
        reference = text_or_none(row.get("DOCNUMBER") or row.get("MULTIENTITYPYMTKEY"), "DOCNUMBER")
        return Receipt(
            number=number,
            entity=key(entity_of(row), "MEGAENTITYID"),
            fiscal_year=NO_YEAR,
            line=LINE,
            account=money.get("ACCOUNTNO", ""),
            customer=key(row["CUSTOMERID"], "CUSTOMERID") if row.get("CUSTOMERID") else WITHOUT_CUSTOMER,
            printed=text_or_none(row.get("RECORDID"), "RECORDID") or reference or number,
            currency=currencies.document,
            amount=amounts.size(paid[0]),
            unapplied=amounts.size(rest[0]),
            company_currency=currencies.company,
            company_amount=amounts.size(paid[1]),
            company_unapplied=amounts.size(rest[1]),
            booked_on=booked,
            value_on=booked,
            status="reversed" if state(row) == "reversed" else "received",
            cleared_on=None if open_ else self._cleared_on(row, booked),
            payer=text_or_none(row.get("PAYERNAME") or row.get("CUSTOMERNAME"), "PAYERNAME"),
            method=text_or_none(row.get("PAYMENTMETHOD"), "PAYMENTMETHOD"),
            bank_reference=reference,
            text=text_or_none(row.get("DESCRIPTION"), "DESCRIPTION"),
            carries="rest",
        )

    def _cleared_on(self, row: Mapping[str, str], booked: str) -> str:
        """The day it was applied in full; never before it came in."""
        day = self._days.or_none(row.get("WHENPAID"), "WHENPAID")
        return max(day, booked) if day else booked
