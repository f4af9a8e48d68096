"""What the four AR objects share: the words for their states, their head fields and their totals.

Words Posted and No Value, and A beside Posted: [F] recorded tables, [D] a posted answer of a company; D for
drafts [D]. Not verified [K]: the other words and codes, and that TOTALPAID holds discounts and, of a reversed
record, all of its amount. It refuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter

from sandbox.intacct.books import ADVANCE, PAYMENT, ZERO, Record
from sandbox.intacct.fields import Field, fields_of
from sandbox.intacct.wire import DATE, DECIMAL, INTEGER, TEXT, TIMESTAMP

STATES = {
    "Draft": "D", "Posted": "A", "Partially Paid": "PP", "Paid": "P", "Reversed": "V", "Reversal": "R",
    "No Value": "N",
}  # fmt: skip


def state(record: Record) -> str:
    """Give the word for a record's state."""
    if record.draft:
        return "Draft"
    if record.reversed_by or record.reverses:
        return "Reversed" if record.reversed_by else "Reversal"
    if record.object in (PAYMENT, ADVANCE):
        return "Posted"
    left, total = record.open, record.total
    if not left:
        return "Paid" if total else "No Value"
    return "Posted" if left == total else "Partially Paid"


def payment_state(record: Record) -> str:
    """Give the state of a receipt: drafts print their code [D], others words [K]."""
    return "D" if record.draft else state(record)


def entity_fields() -> dict[str, Field]:
    """The entity that owns a record."""
    return fields_of(
        ("MEGAENTITYKEY", INTEGER, lambda r: r.entity.key),
        ("MEGAENTITYID", TEXT, lambda r: r.entity.code),
        ("MEGAENTITYNAME", TEXT, lambda r: r.entity.name),
    )


def customer_number(record: Record) -> str | None:
    """The customer, unless it is a receipt of several."""
    return record.customer.number if record.customer else None


def head() -> dict[str, Field]:
    """The fields that all four AR objects share."""
    return {
        **fields_of(
            ("RECORDNO", INTEGER, attrgetter("key")),
            ("RECORDTYPE", TEXT, attrgetter("kind")),
            ("RECORDID", TEXT, attrgetter("number")),
            ("RAWSTATE", TEXT, lambda r: STATES[state(r)]),
            ("CUSTOMERID", TEXT, customer_number),
            ("CUSTOMERNAME", TEXT, lambda r: r.customer.name if r.customer else None),
            ("DOCNUMBER", TEXT, attrgetter("reference")),
            ("DESCRIPTION", TEXT, attrgetter("text")),
            ("WHENCREATED", DATE, attrgetter("day")),
            ("WHENPAID", DATE, attrgetter("paid")),
            ("BASECURR", TEXT, lambda r: r.entity.currency),
            ("CURRENCY", TEXT, attrgetter("currency")),
            ("EXCH_RATE_DATE", DATE, attrgetter("posted")),
            ("EXCHANGE_RATE", DECIMAL, attrgetter("rate")),
            ("AUWHENCREATED", TIMESTAMP, attrgetter("created")),
            ("WHENMODIFIED", TIMESTAMP, attrgetter("modified")),
        ),
        **entity_fields(),
    }


def _totals(
    entered: Callable[[Record], Decimal],
    due: Callable[[Record], Decimal],
    base_entered: Callable[[Record], Decimal],
    base_due: Callable[[Record], Decimal],
) -> dict[str, Field]:
    return fields_of(
        ("TOTALENTERED", DECIMAL, base_entered),
        ("TOTALSELECTED", DECIMAL, lambda _r: ZERO),
        ("TOTALPAID", DECIMAL, lambda r: base_entered(r) - base_due(r)),
        ("TOTALDUE", DECIMAL, base_due),
        ("TRX_TOTALENTERED", DECIMAL, entered),
        ("TRX_TOTALSELECTED", DECIMAL, lambda _r: ZERO),
        ("TRX_TOTALPAID", DECIMAL, lambda r: entered(r) - due(r)),
        ("TRX_TOTALDUE", DECIMAL, due),
    )


def document_totals() -> dict[str, Field]:
    """The amounts of invoices and adjustments."""
    return _totals(attrgetter("total"), attrgetter("open"), attrgetter("base_total"), attrgetter("base_open"))


def receipt_totals() -> dict[str, Field]:
    """The amounts of receipts and advances: what is due is what is unapplied, as a positive amount."""
    return _totals(attrgetter("cash"), lambda r: -r.open, attrgetter("base_cash"), lambda r: -r.base_open)
