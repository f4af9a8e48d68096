"""The books of one simulated Intacct company: records of receivables and a double-entry journal.

The journal is the truth: balances and GLDETAIL are computed from it. Records, their entries and the payment
details are the sub-ledger, which is what the AR objects show. Both are written by the same functions. It
refuses a posting whose lines do not add up to zero in both currencies.

Amounts are signed from the customer's account: what is owed to us is positive, so credit memos, advances and
what a receipt leaves unapplied are negative. Each is exact in its currency; base amounts have two decimals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from sandbox.moments import Moments

EXPONENTS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0}
ZERO = Decimal(0)
RECEIVABLES = "12000"
RECEIVABLES_OTHER = "12100"
ADVANCES = "24000"
CONTROL_ACCOUNTS = (RECEIVABLES, RECEIVABLES_OTHER, ADVANCES)

INVOICE, ADJUSTMENT, PAYMENT, ADVANCE = "ARINVOICE", "ARADJUSTMENT", "ARPYMT", "ARADVANCE"


def money(value: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's smallest unit."""
    return value.quantize(Decimal(1).scaleb(-EXPONENTS[currency]), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Entity:
    """A legal entity (LOCATIONENTITY); a private one is shown at top level only on request."""

    key: int
    code: str
    name: str
    country: str
    currency: str
    private: bool = False


@dataclass(slots=True, eq=False)
class Customer:
    """A customer; `entity` is empty when it belongs to the top level."""

    key: int
    number: str
    name: str
    entity: str
    country: str
    currency: str
    term: str
    street: str
    city: str
    postal_code: str
    email: str
    created: datetime
    modified: datetime | None
    kind: str = ""
    tax_id: str = ""
    parent: Customer | None = None
    credit_limit: Decimal | None = None
    on_hold: bool = False
    former_numbers: list[tuple[date, str]] = field(default_factory=list)
    account: str = ""  # the receivables account of its invoices; empty: the company's

    def number_known(self, day: date) -> str:
        """Give the number as it was known at the end of a day."""
        return next((number for until, number in self.former_numbers if until > day), self.number)


@dataclass(frozen=True, slots=True)
class Term:
    """Terms of payment: net days and one cash discount."""

    key: int
    name: str
    net_days: int
    discount_days: int = 0
    discount_percent: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Move:
    """A change of what an entry leaves open: its day in the ledger, its moment of entry, its amounts."""

    day: date
    entered: datetime
    amount: Decimal
    base: Decimal


@dataclass(slots=True, eq=False)
class Entry:
    """One line of a record with the receivables account it posts to (OFFSETGLACCOUNTNO)."""

    key: int
    number: int
    account: str
    control: str
    amount: Decimal
    base: Decimal
    text: str = ""
    moves: list[Move] = field(default_factory=list)
    applied: Decimal = ZERO
    base_applied: Decimal = ZERO
    modified: datetime | None = None
    record: Record = field(init=False)

    @property
    def open(self) -> Decimal:
        """What is left in the transaction's currency."""
        return self.amount - self.applied

    @property
    def base_open(self) -> Decimal:
        """What is left in the entity's base currency."""
        return self.base - self.base_applied

    def share(self, amount: Decimal) -> Decimal:
        """Give the base value of a part, at the record's own rate; the last part takes the rest."""
        if amount == self.open:
            return self.base_open
        return money(self.base * amount / self.amount, "USD")

    def move(self, day: date, entered: datetime, amount: Decimal, base: Decimal) -> None:
        """Apply a part (negative: take back)."""
        self.moves.append(Move(day, entered, amount, base))
        self.applied += amount
        self.base_applied += base


@dataclass(slots=True, eq=False)
class Record:
    """An invoice, adjustment, receipt or advance; a receipt's entry is what it leaves unapplied."""

    object: str
    key: int
    kind: str
    number: str
    entity: Entity
    customer: Customer | None
    day: date
    posted: date
    currency: str
    rate: Decimal
    created: datetime
    modified: datetime | None
    entries: list[Entry] = field(default_factory=list)
    due: date | None = None
    former_dues: list[tuple[date, date | None]] = field(default_factory=list)
    former_customers: list[tuple[date, Customer]] = field(default_factory=list)
    term: str = ""
    reference: str = ""
    text: str = ""
    module: str = "4.AR"
    draft: bool = False
    released: datetime | None = None
    cash: Decimal = ZERO
    base_cash: Decimal = ZERO
    method: str = ""
    bank: str = ""
    payer: str = ""
    discount: Decimal = ZERO
    paid: date | None = None
    reverses: Record | None = None
    reversed_by: Record | None = None
    details: list[Detail] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        """The sum of its entries."""
        return sum((entry.amount for entry in self.entries), ZERO)

    @property
    def base_total(self) -> Decimal:
        """The sum of its entries in base currency."""
        return sum((entry.base for entry in self.entries), ZERO)

    @property
    def open(self) -> Decimal:
        """What its entries leave open."""
        return sum((entry.open for entry in self.entries), ZERO)

    @property
    def base_open(self) -> Decimal:
        """What its entries leave open in base currency."""
        return sum((entry.base_open for entry in self.entries), ZERO)

    @property
    def entered(self) -> datetime:
        """When it became debt: its creation, or the posting of a draft."""
        return self.released or self.created

    def move_due(self, due: date, entered: datetime) -> None:
        """Move the due date by hand; WHENMODIFIED moves with it."""
        self.former_dues.append((entered.date(), self.due))
        self.due, self.modified = due, entered

    def due_known(self, day: date) -> date | None:
        """Give the due date as it was known at the end of a day."""
        return next((due for until, due in self.former_dues if until > day), self.due)

    def customer_known(self, day: date) -> str:
        """Give the customer's number as it was known at the end of a day; empty for a receipt of several."""
        customer = next((held for until, held in self.former_customers if until > day), self.customer)
        return "" if customer is None else customer.number_known(day)

    @property
    def untouched(self) -> bool:
        """True when nothing was applied to or from it."""
        return not any(entry.moves for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of an allocation comes from: cash, or an entry of a credit, advance or overpayment."""

    kind: str
    amount: Decimal
    base: Decimal = ZERO
    entry: Entry | None = None
    taken: Decimal = ZERO  # what the entry lost in base currency, at its own rate


@dataclass(slots=True, eq=False)
class Detail:
    """One ARPYMTDETAIL: what a receipt applied to one entry, from which sources, with which discount."""

    key: int
    payment: Record
    target: Entry
    sources: tuple[Source, ...]
    discount: Decimal
    base_discount: Decimal
    day: date
    entered: datetime
    modified: datetime
    reverses: Detail | None = None

    @property
    def amount(self) -> Decimal:
        """All that was taken from the target, discount included."""
        return sum((source.amount for source in self.sources), self.discount)

    @property
    def base(self) -> Decimal:
        """The same in base currency, at the target's rate."""
        return sum((source.base for source in self.sources), self.base_discount)


@dataclass(slots=True, eq=False)
class Line:
    """One line of the journal; debits are positive."""

    key: int
    batch: int
    journal: str
    entity: Entity
    account: str
    currency: str
    amount: Decimal
    base: Decimal
    customer: str
    day: date
    entered: datetime
    text: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Deletion:
    """An entry of AUDITHISTORY: who did what to which object, and when."""

    key: int
    object: str
    object_key: int
    mode: str
    moment: datetime
    user: str
    source: str


class Unbalanced(ValueError):
    """A posting does not add up to zero."""


class Books:
    """Everything one simulated company knows; `version` grows with every change."""

    def __init__(self, entities: Sequence[Entity], terms: Sequence[Term], today: date) -> None:
        self.entities = {entity.code: entity for entity in entities}
        self.terms = {term.name: term for term in terms}
        self.today = today
        self.customers: dict[str, Customer] = {}
        self.records: dict[str, dict[int, Record]] = {
            name: {} for name in (INVOICE, ADJUSTMENT, PAYMENT, ADVANCE)
        }
        self.details: list[Detail] = []
        self.ledger: dict[tuple[str, str], list[Line]] = defaultdict(list)
        self.audit: list[Deletion] = []
        self.deleted: list[tuple[Record, datetime]] = []
        self.moments = Moments()
        self.version = 0
        self._next: dict[str, int] = {
            "record": 1001, "entry": 20001, "detail": 60001, "line": 400001, "batch": 90001, "audit": 1,
            "customer": 1,
        }  # fmt: skip

    def number(self, series: str) -> int:
        """Give the next number of a series; all four AR objects share the series of records [K]."""
        found = self._next[series]
        self._next[series] = found + 1
        return found

    def numbered(self, series: str, number: int | None) -> int:
        """Give a number asked for, or the next one."""
        return self.number(series) if number is None else number

    def add(self, record: Record) -> Record:
        """Keep a record with its entries."""
        for position, entry in enumerate(record.entries, start=1):
            entry.record = record
            entry.number = position
        self.records[record.object][record.key] = record
        self.version += 1
        return record

    def post(self, lines: Sequence[Line]) -> None:
        """Write lines into the journal.

        Raises:
            Unbalanced: they do not add up to zero in the transaction's or the base currency.
        """
        if sum(line.amount for line in lines) or sum(line.base for line in lines):
            raise Unbalanced(f"the posting of {lines[0].text or lines[0].day} does not add up to zero")
        for line in lines:
            self.write(line)
            if line.record is not None:
                line.record.lines.append(line)
        self.version += 1

    def write(self, line: Line) -> None:
        """Write a line into the journal."""
        self.ledger[line.entity.code, line.account].append(line)
        self.note(line, line.customer, 1)

    def strike(self, line: Line) -> None:
        """Take a line out of the journal again."""
        self.ledger[line.entity.code, line.account].remove(line)
        self.note(line, line.customer, -1)

    def note(self, line: Line, customer: str, sign: int) -> None:
        """Note a line for the moments of the journal, on a customer's account if it is a control account."""
        cell = (line.entity.code, line.account, line.currency)
        owner = customer if line.account in CONTROL_ACCOUNTS else ""
        self.moments.note(cell, owner, sign * line.amount, sign * line.base)

    def erase(self, record: Record, moment: datetime) -> None:
        """Delete a record that nothing was applied to, with its journal lines; the audit history knows."""
        del self.records[record.object][record.key]
        for line in record.lines:
            self.strike(line)
        self.deleted.append((record, moment))
        self.record_deletion(record.object, record.key, moment)

    def record_deletion(self, name: str, key: int, moment: datetime) -> None:
        """Let the audit history tell of a deletion."""
        number = self.number("audit")
        self.audit.append(Deletion(number, name.lower(), key, "D", moment, "controller", "ui"))
        self.version += 1

    def all_records(self) -> Iterator[Record]:
        """Give every record, object by object."""
        for records in self.records.values():
            yield from records.values()

    def lines(self) -> Iterator[Line]:
        """Give every line of the journal, account by account."""
        for lines in self.ledger.values():
            yield from lines

    def relabel(self, old: str, new: str) -> None:
        """Put the journal lines of a customer on another number."""
        for line in self.lines():
            if line.customer == old:
                self.note(line, old, -1)
                line.customer = new
                self.note(line, new, 1)
        self.version += 1

    def draw_open_invoice(self, rng: Random, fits: Callable[[Record], bool]) -> Record | None:
        """Draw one of the open invoices that fit, without looking at all of them if it can be helped."""
        invoices = list(self.records[INVOICE].values())
        for record in rng.sample(invoices, min(len(invoices), 60)):
            if _is_open(record) and fits(record):
                return record
        found = self.open_invoices(fits)
        return rng.choice(found) if found else None

    def open_invoices(self, fits: Callable[[Record], bool]) -> list[Record]:
        """Give the posted invoices that are open, not reversed, and fit."""
        return [record for record in self.records[INVOICE].values() if _is_open(record) and fits(record)]


def _is_open(invoice: Record) -> bool:
    return not invoice.draft and invoice.open > 0 and invoice.reversed_by is None
