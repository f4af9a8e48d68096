"""The objects of the gateway: which fields each has and where they come from in the books.

Names: [D] public lists of fields per object, [F] the recorded table of invoices, [D] a posted answer of a
company (TRX_ENTITYDUE). Not verified [K]: GLDETAIL, CURRENCY and BASECURR of LOCATIONENTITY, that the list of
receipts holds the advances as well, and that a receipt taken back names the first by PARENTPAYMENTKEY. It
refuses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any

from sandbox.intacct.books import (
    ADJUSTMENT,
    ADVANCE,
    INVOICE,
    PAYMENT,
    ZERO,
    Detail,
    Entity,
    Entry,
    Line,
    Record,
)
from sandbox.intacct.fields import Field, Get, ObjectType, Relation, fields_of
from sandbox.intacct.heads import STATES, document_totals, head, payment_state, receipt_totals, state
from sandbox.intacct.view import View
from sandbox.intacct.wire import BOOLEAN, DATE, DECIMAL, INTEGER, TEXT, TIMESTAMP

STATUS = {"active": "T", "inactive": "F"}
TERMS_WRITTEN = datetime(2020, 1, 1)  # noqa: DTZ001 - moments of the books have no zone
MODES = {"D": "Delete", "C": "Create", "M": "Modify"}
KEY_OF_SOURCE = {
    "ADJUSTMENT": "ADJUSTMENTKEY", "POSTEDADVANCE": "POSTEDADVANCEKEY",
    "POSTEDOVERPAYMENT": "POSTEDOVERPAYMENTKEY", "NEGATIVEINVOICE": "NEGATIVEINVOICEKEY",
}  # fmt: skip


def _invoice(view: View) -> dict[str, Field]:
    due_of: dict[str, Any] = {"state": None, "sums": {}}

    def entity_due(record: Record) -> Decimal:
        if due_of["state"] != view.state:
            sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
            for held in view.books.records[INVOICE].values():
                if held.customer and not held.draft:
                    sums[held.customer.number, held.currency] += held.open
            due_of.update(state=view.state, sums=sums)
        number = record.customer.number if record.customer else ""
        return due_of["sums"].get((number, record.currency), ZERO)  # type: ignore[no-any-return]

    def days_late(record: Record) -> int | None:
        if record.due is None or not record.total:
            return None
        return (record.paid or view.books.today).toordinal() - record.due.toordinal()

    return {
        **head(),
        **document_totals(),
        **fields_of(
            ("STATE", TEXT, state),
            ("TERMNAME", TEXT, attrgetter("term")),
            ("WHENPOSTED", DATE, lambda r: None if r.draft else r.posted),
            ("WHENDISCOUNT", DATE, lambda _r: None),
            ("WHENDUE", DATE, attrgetter("due")),
            ("TRX_ENTITYDUE", DECIMAL, entity_due),
            ("TRX_TOTALDISCOUNTAPPLIED", DECIMAL, attrgetter("discount")),
            ("TRX_TOTALRETAINED", DECIMAL, lambda _r: ZERO),
            ("MODULEKEY", TEXT, attrgetter("module")),
            ("SYSTEMGENERATED", BOOLEAN, lambda r: r.module == "8.SO"),
            ("DUE_IN_DAYS", INTEGER, days_late),
            ("DUNNINGCOUNT", INTEGER, lambda _r: 0),
            codes={"STATE": STATES},
        ),
    }


def _adjustment() -> dict[str, Field]:
    return {
        **head(),
        **document_totals(),
        **fields_of(
            ("STATE", TEXT, state),
            ("WHENPOSTED", DATE, lambda r: None if r.draft else r.posted),
            ("MODULEKEY", TEXT, attrgetter("module")),
            codes={"STATE": STATES},
        ),
    }


def _line_state(entry: Entry) -> str:
    """Lines print codes: A when posted [D], D for drafts [K]."""
    return "D" if entry.record.draft else "A"


def _lines() -> dict[str, Field]:
    """Lines of invoices and adjustments; their WHENCREATED is the moment of entry [D]."""
    return {
        **fields_of(
            ("RECORDNO", INTEGER, attrgetter("key")),
            ("RECORDKEY", INTEGER, attrgetter("record.key")),
            ("LINE_NO", INTEGER, attrgetter("number")),
            ("ACCOUNTNO", TEXT, attrgetter("account")),
            ("OFFSETGLACCOUNTNO", TEXT, attrgetter("control")),
            ("AMOUNT", DECIMAL, attrgetter("base")),
            ("TRX_AMOUNT", DECIMAL, attrgetter("amount")),
            ("TOTALPAID", DECIMAL, attrgetter("base_applied")),
            ("TRX_TOTALPAID", DECIMAL, attrgetter("applied")),
            ("TOTALDUE", DECIMAL, attrgetter("base_open")),
            ("TRX_TOTALDUE", DECIMAL, attrgetter("open")),
            ("LOCATIONID", TEXT, attrgetter("record.entity.code")),
            ("BASELOCATION", TEXT, attrgetter("record.entity.code")),
            ("DEPARTMENTID", TEXT, lambda _e: None),
            ("CURRENCY", TEXT, attrgetter("record.currency")),
            ("BASECURR", TEXT, attrgetter("record.entity.currency")),
            ("ENTRYDESCRIPTION", TEXT, attrgetter("text")),
            ("STATE", TEXT, _line_state),
            ("WHENCREATED", TIMESTAMP, attrgetter("record.created")),
            ("WHENMODIFIED", TIMESTAMP, attrgetter("modified")),
        )
    }


def _payment() -> dict[str, Field]:
    return {
        **head(),
        **receipt_totals(),
        **fields_of(
            ("STATE", TEXT, payment_state),
            ("DISPLAYSTATE", TEXT, state),
            ("PAYMENTMETHOD", TEXT, attrgetter("method")),
            ("PAYERNAME", TEXT, attrgetter("payer")),
            ("RECEIPTDATE", DATE, attrgetter("posted")),
            ("PAYMENTDATE", DATE, attrgetter("day")),
            ("FINANCIALENTITY", TEXT, attrgetter("bank")),
            ("UNDEPOSITEDACCOUNTNO", TEXT, lambda _r: None),
            ("PARENTPAYMENTKEY", INTEGER, lambda r: r.reverses.key if r.reverses else None),
            ("MULTIENTITYPYMTKEY", INTEGER, lambda _r: None),
            ("CLEARED", TEXT, lambda _r: "false"),
            ("CLRDATE", DATE, lambda _r: None),
            codes={"STATE": {**STATES, "D": "D"}},
        ),
    }


def _source(kind: str, what: str) -> Get:
    def get(detail: Detail) -> Any:
        sources = [source for source in detail.sources if source.kind == kind]
        if what == "key":
            records = [source.entry.record.key for source in sources if source.entry]
            return records[0] if records else None
        return sum((getattr(source, what) for source in sources), ZERO)

    return get


def _target(name: str, what: str) -> Get:
    def get(detail: Detail) -> Any:
        entry = detail.target
        if entry.record.object != name:
            return None
        return entry.record.key if what == "record" else entry.key

    return get


def _detail() -> dict[str, Field]:
    given: list[tuple[str, str, Get]] = [
        ("RECORDNO", INTEGER, attrgetter("key")),
        ("PAYMENTKEY", INTEGER, attrgetter("payment.key")),
        ("PAYMENTENTRYKEY", INTEGER, lambda d: d.key + 500_000),
        ("RECORDKEY", INTEGER, _target(INVOICE, "record")),
        ("ENTRYKEY", INTEGER, _target(INVOICE, "entry")),
        ("POSADJKEY", INTEGER, _target(ADJUSTMENT, "record")),
        ("POSADJENTRYKEY", INTEGER, _target(ADJUSTMENT, "entry")),
        ("PAYMENTDATE", DATE, attrgetter("day")),
        ("CURRENCY", TEXT, attrgetter("payment.currency")),
        ("STATE", TEXT, lambda d: STATES[state(d.payment)]),
        ("WHENCREATED", TIMESTAMP, attrgetter("entered")),
        ("WHENMODIFIED", TIMESTAMP, attrgetter("modified")),
        ("PARENTPAYMENTKEY", INTEGER, lambda d: d.reverses.payment.key if d.reverses else None),
        ("PAYMENTAMOUNT", DECIMAL, _source("PAYMENT", "base")),
        ("TRX_PAYMENTAMOUNT", DECIMAL, _source("PAYMENT", "amount")),
        ("ADVANCEKEY", INTEGER, _source("POSTEDADVANCE", "key")),
        ("OVERPAYMENTKEY", INTEGER, _source("POSTEDOVERPAYMENT", "key")),
        ("INLINEKEY", INTEGER, lambda _d: None),
        ("INLINEAMOUNT", DECIMAL, lambda _d: ZERO),
        ("TRX_INLINEAMOUNT", DECIMAL, lambda _d: ZERO),
        ("DISCOUNTKEY", INTEGER, lambda d: d.target.record.key if d.discount else None),
        ("DISCOUNTDATE", DATE, lambda d: d.day if d.discount else None),
        ("DISCOUNTAMOUNT", DECIMAL, attrgetter("base_discount")),
        ("TRX_DISCOUNTAMOUNT", DECIMAL, attrgetter("discount")),
    ]
    for kind, key in KEY_OF_SOURCE.items():
        given += [
            (key, INTEGER, _source(kind, "key")),
            (f"{kind}AMOUNT", DECIMAL, _source(kind, "base")),
            (f"TRX_{kind}AMOUNT", DECIMAL, _source(kind, "amount")),
        ]
    return fields_of(*given)


def _customer(view: View) -> dict[str, Field]:
    due_of: dict[str, Any] = {"state": None, "sums": {}}

    def total_due(customer: Any) -> Decimal:
        if due_of["state"] != view.state:
            sums: dict[str, Decimal] = defaultdict(Decimal)
            for name in (INVOICE, ADJUSTMENT):
                for record in view.books.records[name].values():
                    if record.customer and not record.draft:
                        sums[record.customer.number] += record.base_open
            due_of.update(state=view.state, sums=sums)
        return due_of["sums"].get(customer.number, ZERO)  # type: ignore[no-any-return]

    def entity(what: str) -> Get:
        return lambda c: getattr(view.books.entities[c.entity], what) if c.entity else None

    return fields_of(
        ("RECORDNO", INTEGER, attrgetter("key")),
        ("CUSTOMERID", TEXT, attrgetter("number")),
        ("NAME", TEXT, attrgetter("name")),
        ("STATUS", TEXT, lambda _c: "active"),
        ("PARENTID", TEXT, lambda c: c.parent.number if c.parent else None),
        ("TERMNAME", TEXT, attrgetter("term")),
        ("TAXID", TEXT, attrgetter("tax_id")),
        ("CREDITLIMIT", DECIMAL, attrgetter("credit_limit")),
        ("ONHOLD", BOOLEAN, attrgetter("on_hold")),
        ("CURRENCY", TEXT, attrgetter("currency")),
        ("CUSTTYPE", TEXT, attrgetter("kind")),
        ("ARACCOUNT", TEXT, lambda _c: None),
        ("OFFSETGLACCOUNTNO", TEXT, attrgetter("account")),
        ("TOTALDUE", DECIMAL, total_due),
        ("DISPLAYCONTACT.EMAIL1", TEXT, attrgetter("email")),
        ("DISPLAYCONTACT.MAILADDRESS.ADDRESS1", TEXT, attrgetter("street")),
        ("DISPLAYCONTACT.MAILADDRESS.CITY", TEXT, attrgetter("city")),
        ("DISPLAYCONTACT.MAILADDRESS.ZIP", TEXT, attrgetter("postal_code")),
        ("DISPLAYCONTACT.MAILADDRESS.COUNTRYCODE", TEXT, attrgetter("country")),
        ("WHENCREATED", TIMESTAMP, attrgetter("created")),
        ("WHENMODIFIED", TIMESTAMP, attrgetter("modified")),
        ("MEGAENTITYKEY", INTEGER, entity("key")),
        ("MEGAENTITYID", TEXT, attrgetter("entity")),
        ("MEGAENTITYNAME", TEXT, entity("name")),
        codes={"STATUS": STATUS},
    )


def _term() -> dict[str, Field]:
    return fields_of(
        ("RECORDNO", INTEGER, attrgetter("key")),
        ("NAME", TEXT, attrgetter("name")),
        ("DESCRIPTION", TEXT, lambda t: f"{t.net_days} days net"),
        ("STATUS", TEXT, lambda _t: "active"),
        ("DUEDATE", INTEGER, attrgetter("net_days")),
        ("DUEFROM", TEXT, lambda _t: "from invoice/bill date"),
        ("DISCDATE", INTEGER, lambda t: t.discount_days or None),
        ("DISCFROM", TEXT, lambda t: "from invoice/bill date" if t.discount_days else None),
        ("DISCAMOUNT", DECIMAL, lambda t: t.discount_percent or None),
        ("DISCPERCAMN", TEXT, lambda t: "%" if t.discount_days else None),
        ("DISCFUDGEDAYS", INTEGER, lambda _t: None),
        ("WHENMODIFIED", TIMESTAMP, lambda _t: TERMS_WRITTEN),
        codes={"STATUS": STATUS},
    )


def _location() -> dict[str, Field]:
    return fields_of(
        ("RECORDNO", INTEGER, attrgetter("key")),
        ("LOCATIONID", TEXT, attrgetter("code")),
        ("NAME", TEXT, attrgetter("name")),
        ("STATUS", TEXT, lambda _e: "active"),
        ("CURRENCY", TEXT, attrgetter("currency")),
        ("BASECURR", TEXT, attrgetter("currency")),
        codes={"STATUS": STATUS},
    )


def _audit() -> dict[str, Field]:
    return fields_of(
        ("ID", TEXT, lambda d: f"{d.key}"),
        ("USERID", TEXT, attrgetter("user")),
        ("ACCESSTIME", TIMESTAMP, attrgetter("moment")),
        ("ACCESSMODE", TEXT, attrgetter("mode")),
        ("SOURCE", TEXT, attrgetter("source")),
        ("OBJECTTYPE", TEXT, attrgetter("object")),
        ("OBJECTKEY", TEXT, lambda d: f"{d.object_key}"),
        codes={"ACCESSMODE": MODES},
    )


def _journal() -> dict[str, Field]:
    def side(sign: int, line: Line) -> Decimal:
        return abs(line.base) if (line.base or line.amount) * sign > 0 else ZERO

    def direction(line: Line) -> int:
        return -1 if (line.base or line.amount) < 0 else 1

    return fields_of(
        ("RECORDNO", INTEGER, attrgetter("key")),
        ("BATCHKEY", INTEGER, attrgetter("batch")),
        ("BATCH_DATE", DATE, attrgetter("day")),
        ("ENTRY_DATE", DATE, attrgetter("day")),
        ("BOOKID", TEXT, lambda _line: "ACCRUAL"),
        ("SYMBOL", TEXT, attrgetter("journal")),
        ("ACCOUNTNO", TEXT, attrgetter("account")),
        ("TR_TYPE", INTEGER, direction),
        ("AMOUNT", DECIMAL, lambda line: abs(line.base)),
        ("TRX_AMOUNT", DECIMAL, lambda line: abs(line.amount)),
        ("DEBITAMOUNT", DECIMAL, partial(side, 1)),
        ("CREDITAMOUNT", DECIMAL, partial(side, -1)),
        ("CURRENCY", TEXT, attrgetter("currency")),
        ("BASECURR", TEXT, attrgetter("entity.currency")),
        ("CUSTOMERID", TEXT, attrgetter("customer")),
        ("LOCATIONID", TEXT, attrgetter("entity.code")),
        ("MEGAENTITYID", TEXT, attrgetter("entity.code")),
        ("RECORDID", TEXT, attrgetter("text")),
        ("PRRECORDKEY", INTEGER, lambda line: line.record.key if line.record else None),
        ("DESCRIPTION", TEXT, attrgetter("text")),
        ("WHENMODIFIED", TIMESTAMP, attrgetter("entered")),
    )


def build(view: View) -> dict[str, ObjectType]:
    """Build every object over a view of the books."""
    books = view.books
    to_customer = {"CUSTOMER": Relation("CUSTOMER", "CUSTOMER", attrgetter("customer"))}

    def own(row: Record | Line) -> Entity:
        return row.entity

    def parent(row: Entry) -> Entity:
        return row.record.entity

    def lines(name: str, head: str) -> ObjectType:
        relation = {head: Relation(head, head, attrgetter("record"))}
        return ObjectType(name, _lines(), lambda: view.entries(head), parent, relations=relation)

    def receipts() -> list[Record]:
        return [*view.records(PAYMENT), *view.records(ADVANCE)]

    types = [
        ObjectType(INVOICE, _invoice(view), lambda: view.records(INVOICE), own, relations=to_customer),
        lines("ARINVOICEITEM", INVOICE),
        ObjectType(ADJUSTMENT, _adjustment(), lambda: view.records(ADJUSTMENT), own, relations=to_customer),
        lines("ARADJUSTMENTITEM", ADJUSTMENT),
        ObjectType(PAYMENT, _payment(), receipts, own, relations=to_customer),
        ObjectType(
            "ARPYMTDETAIL", _detail(), view.details, lambda d: d.payment.entity,
            relations={PAYMENT: Relation(PAYMENT, PAYMENT, attrgetter("payment"))},
        ),
        ObjectType(ADVANCE, _payment(), lambda: view.records(ADVANCE), own, relations=to_customer),
        ObjectType(
            "CUSTOMER", _customer(view), view.customers,
            lambda c: books.entities[c.entity] if c.entity else None,
            relations={"PARENT": Relation("PARENT", "CUSTOMER", attrgetter("parent"), hierarchical=True)},
        ),
        ObjectType("ARTERM", _term(), lambda: list(books.terms.values()), lambda _t: None),
        ObjectType("LOCATIONENTITY", _location(), view.entities, lambda e: e),
        ObjectType("AUDITHISTORY", _audit(), lambda: books.audit, lambda _d: None, key="ID"),
        ObjectType(
            "GLDETAIL", _journal(), view.lines, own,
            relations={},
        ),
    ]  # fmt: skip
    return {kind.name: kind for kind in types}
