"""Receipts, advances and the application of credits: each function writes one ARPYMT or ARADVANCE.

Allocations are ARPYMTDETAIL rows, one per target entry; a credit applied without cash is a receipt of nothing
with details [D]. A part lowers its target and its source each at its own historical rate; the rest of the
base amounts is a realised exchange difference. RECORDTYPE codes and what a payment reversal touches are [K].
It refuses applying more than is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sandbox.intacct.books import (
    ADVANCE,
    ADVANCES,
    PAYMENT,
    ZERO,
    Books,
    Customer,
    Detail,
    Entity,
    Entry,
    Line,
    Record,
    Source,
    money,
)
from sandbox.intacct.business import (
    BANK,
    DISCOUNTS,
    EXCHANGE_GAINS,
    Account,
    When,
    control_account,
    exchange_rate,
    journal_line,
)


@dataclass(frozen=True, slots=True)
class Application:
    """What one detail shall apply: its target, its sources, and a discount."""

    target: Entry
    sources: tuple[Source, ...]
    discount: Decimal = ZERO
    key: int | None = None


def waterfall(record: Record, amount: Decimal) -> list[Application]:
    """Spread cash over the entries of a record from the first on, as the vendor does [D]."""
    found = []
    for entry in record.entries:
        part = min(entry.open, amount)
        if part > 0:
            found.append(Application(entry, (Source("PAYMENT", part),)))
            amount -= part
    return found


def applied(kind: str, source: Record, target: Record, amount: Decimal) -> list[Application]:
    """Spread a credit over the entries of a target, from the entries of its record."""
    found: list[Application] = []
    rest = {entry: -entry.open for entry in source.entries if entry.open < 0}
    for entry in target.entries:
        wanted = min(entry.open, amount)
        for credit, left in rest.items():
            part = min(wanted, left)
            if part > 0:
                found.append(Application(entry, (Source(kind, part, entry=credit),)))
                rest[credit] -= part
                wanted -= part
                amount -= part
    return found


def pay(
    books: Books,
    customer: Customer | None,
    when: When,
    applications: Sequence[Application],
    *,
    overpaid: Decimal = ZERO,
    payer: str = "",
    key: int | None = None,
    kind: str = "rp",
    method: str = "EFT",
    reference: str = "",
) -> Record:
    """Receive money for invoices and debit memos and apply credits to them.

    Raises:
        ValueError: more is applied than a target or a source has open.
    """
    first = applications[0].target.record
    payment = _receipt(
        books, PAYMENT, when, entity=first.entity, customer=customer, currency=first.currency, kind=kind,
        key=key, method=method, reference=reference, payer=payer,
    )  # fmt: skip
    batch = books.number("batch")
    lines: list[Line] = []
    for application in applications:
        lines += _apply(books, batch, payment, application, when)
    cash = sum((s.amount for a in applications for s in a.sources if s.entry is None), overpaid)
    payment.cash, payment.base_cash = cash, money(cash * payment.rate, "USD")
    if overpaid and customer:
        _leave_unapplied(books, payment, control_account(customer), overpaid)
        lines += _unapplied_lines(books, batch, payment)
    if cash:
        lines.append(journal_line(books, batch, payment, BANK, (cash, payment.base_cash)))
    books.add(payment)
    _post(books, batch, payment, lines)
    return payment


def advance(
    books: Books,
    account: Account,
    when: When,
    amount: Decimal,
    *,
    key: int | None = None,
    reference: str = "",
) -> Record:
    """Receive an advance: it posts to an account of its own until it is applied."""
    record = _receipt(
        books, ADVANCE, when, entity=account.entity, customer=account.customer, currency=account.currency,
        kind="rr", key=key, method="Printed Check", reference=reference,
    )  # fmt: skip
    record.cash, record.base_cash = amount, money(amount * record.rate, "USD")
    _leave_unapplied(books, record, ADVANCES, amount)
    batch = books.number("batch")
    lines = _unapplied_lines(books, batch, record)
    lines.append(journal_line(books, batch, record, BANK, (amount, record.base_cash)))
    books.add(record)
    _post(books, batch, record, lines)
    return record


def reverse_payment(books: Books, payment: Record, when: When) -> Record:
    """Reverse a receipt: what it paid is open again; the invoices' WHENMODIFIED does not move [K].

    That is the harder case for a reader: only the new details, the new receipt and the old one tell.

    Raises:
        ValueError: it is a draft or reversed, or what it left unapplied was used.
    """
    if payment.draft or payment.reversed_by or payment.reverses or not payment.untouched:
        raise ValueError(f"ARPYMT {payment.key} cannot be reversed: it is a draft, reversed or used")
    mirror = _receipt(
        books, PAYMENT, when, entity=payment.entity, customer=payment.customer, currency=payment.currency,
        kind=payment.kind, method=payment.method, reference=payment.reference, payer=payment.payer,
    )  # fmt: skip
    mirror.rate, mirror.reverses = payment.rate, payment
    mirror.cash, mirror.base_cash = -payment.cash, -payment.base_cash
    for detail in payment.details:
        _take_back(books, mirror, detail, when)
    for entry in payment.entries:
        opposite = Entry(
            books.number("entry"), 0, "", entry.control, -entry.amount, -entry.base, modified=when.entered
        )
        mirror.entries.append(opposite)
        for side in (entry, opposite):
            side.move(when.posted, when.entered, side.amount, side.base)
    books.add(mirror)
    batch = books.number("batch")
    books.post([_opposite(books, batch, mirror, line) for line in payment.lines])
    payment.reversed_by, payment.modified = mirror, when.entered
    return mirror


def draft_payment(books: Books, account: Account, when: When, amount: Decimal) -> Record:
    """Write a draft receipt: it posts nothing [D, since 2024 release 2]."""
    record = _receipt(
        books, PAYMENT, when, entity=account.entity, customer=account.customer, currency=account.currency
    )
    record.cash, record.base_cash, record.draft = amount, money(amount * record.rate, "USD"), True
    return books.add(record)


def _receipt(
    books: Books,
    name: str,
    when: When,
    *,
    entity: Entity,
    customer: Customer | None,
    currency: str,
    kind: str = "rp",
    key: int | None = None,
    method: str = "EFT",
    reference: str = "",
    payer: str = "",
) -> Record:
    number = books.numbered("record", key)
    return Record(
        object=name, key=number, kind=kind, number=f"{number}", entity=entity, customer=customer,
        day=when.day, posted=when.posted, currency=currency,
        rate=exchange_rate(currency, entity, when.posted), created=when.entered, modified=when.entered,
        reference=reference or f"WIRE-{number}", method=method, bank="BANK1", payer=payer,
    )  # fmt: skip


def _apply(books: Books, batch: int, payment: Record, application: Application, when: When) -> list[Line]:
    """Move target and sources, keep the detail, and give the journal lines but for the cash."""
    target = application.target
    amount = sum((source.amount for source in application.sources), application.discount)
    if amount > target.open:
        raise ValueError(f"entry {target.key} has {target.open} open, not {amount}")
    base = target.share(amount)
    base_discount = money(base * application.discount / amount, "USD")
    customer = target.record.customer
    target.move(when.posted, when.entered, amount, base)
    target.modified = target.record.modified = when.entered
    _note_paid(target.record, when.posted)
    line = journal_line(books, batch, payment, target.control, (-amount, -base), customer=customer)
    lines = [line]
    sources, left = [], base - base_discount
    for position, source in enumerate(application.sources, start=1):
        is_last = position == len(application.sources)
        part = left if is_last else money(base * source.amount / amount, "USD")
        left -= part
        taken = ZERO
        if source.entry is not None:
            used = _use(books, batch, payment, source, when)
            lines.append(used)
            taken = -used.base
        sources.append(Source(source.kind, source.amount, part, source.entry, taken))
    if application.discount:
        target.record.discount += application.discount
        lines.append(
            journal_line(
                books, batch, payment, DISCOUNTS, (application.discount, base_discount), customer=customer
            )
        )
    detail = Detail(
        key=books.numbered("detail", application.key), payment=payment, target=target,
        sources=tuple(sources), discount=application.discount, base_discount=base_discount,
        day=when.posted, entered=when.entered, modified=when.entered,
    )  # fmt: skip
    payment.details.append(detail)
    books.details.append(detail)
    return lines


def _use(books: Books, batch: int, payment: Record, source: Source, when: When) -> Line:
    """Take a part of a credit; credits are negative."""
    credit, amount = source.entry, source.amount
    if credit is None:
        raise ValueError("cash has no entry to be taken from")
    if amount > -credit.open:
        raise ValueError(f"entry {credit.key} has {-credit.open} left, not {amount}")
    base = credit.share(-amount)
    credit.move(when.posted, when.entered, -amount, base)
    credit.modified = credit.record.modified = when.entered
    _note_paid(credit.record, when.posted)
    return journal_line(
        books, batch, payment, credit.control, (amount, -base), customer=credit.record.customer
    )


def _note_paid(record: Record, day: date) -> None:
    record.paid = None if record.open else day


def _leave_unapplied(books: Books, record: Record, control: str, amount: Decimal) -> None:
    base = money(amount * record.rate, "USD")
    entry = Entry(books.number("entry"), 1, control, control, -amount, -base, modified=record.created)
    entry.record = record
    record.entries.append(entry)


def _unapplied_lines(books: Books, batch: int, record: Record) -> list[Line]:
    return [
        journal_line(books, batch, record, entry.control, (entry.amount, entry.base))
        for entry in record.entries
    ]


def _post(books: Books, batch: int, record: Record, lines: list[Line]) -> None:
    """Post the lines; what is missing in base currency is an exchange difference."""
    gap = sum((line.base for line in lines), ZERO)
    if gap:
        lines.append(journal_line(books, batch, record, EXCHANGE_GAINS, (ZERO, -gap)))
    books.post(lines)


def _take_back(books: Books, mirror: Record, detail: Detail, when: When) -> None:
    """Write the opposite of a detail and open its target and its sources again."""
    detail.target.move(when.posted, when.entered, -detail.amount, -detail.base)
    _note_paid(detail.target.record, when.posted)
    detail.target.record.discount -= detail.discount
    for source in detail.sources:
        if source.entry is not None:
            source.entry.move(when.posted, when.entered, source.amount, -source.taken)
            _note_paid(source.entry.record, when.posted)
    opposite = Detail(
        key=books.number("detail"), payment=mirror, target=detail.target,
        sources=tuple(Source(s.kind, -s.amount, -s.base, s.entry, -s.taken) for s in detail.sources),
        discount=-detail.discount, base_discount=-detail.base_discount, day=when.posted,
        entered=when.entered, modified=when.entered, reverses=detail,
    )  # fmt: skip
    mirror.details.append(opposite)
    books.details.append(opposite)


def _opposite(books: Books, batch: int, mirror: Record, line: Line) -> Line:
    customer = books.customers.get(line.customer)
    return journal_line(books, batch, mirror, line.account, (-line.amount, -line.base), customer=customer)
