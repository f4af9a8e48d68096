"""Which credit paid which debit, where an ERP states no allocations but clears lines in groups (SAP).

Pure functions. Inside a clearing: reversals first, then residual items, then credits that name their item,
then the only credit or the only debit, else credits by posting day against debits by due day (`derived`).
Outside, a payment that names an open item pays it as far as both go. All of a cleared line is allocated:
what no line of the group answers for is a discount, or stands against the clearing document itself, whose
other lines no customer sees. Nothing is converted: only lines of one currency pay each other.
Source: design, systems/sap_s4hana.md, section 5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from receivables.records import Allocation

ZERO = Decimal(0)
LAST_DAY = "9999-12-31"  # sorts behind every due day


class Line(NamedTuple):
    """One line of the sub-ledger, an open item or a receipt; amounts signed, owed to us positive.

    `source` is what allocations from it are called, `reverses` the number/fiscal_year of the document that
    its own takes back, `residual` marks the rest of a short payment: a debit of the payment's own document.
    """

    entity: str
    number: str
    fiscal_year: str
    line: str
    account: str
    currency: str
    amount: Decimal
    company_currency: str
    company_amount: Decimal
    posted_on: str
    due_on: str | None
    cleared_on: str | None
    clearing: str | None  # number/fiscal_year of the clearing document
    related: str | None
    discount: Decimal | None
    company_discount: Decimal | None
    source: str
    reverses: str | None
    residual: bool

    @property
    def document(self) -> str:
        """Number and fiscal year of its document."""
        return f"{self.number}/{self.fiscal_year}"

    @property
    def name(self) -> str:
        """Number, fiscal year and line, as another line refers to it."""
        return f"{self.number}/{self.fiscal_year}/{self.line}"


@dataclass(slots=True)
class Rest:
    """What of a line is not allocated yet, both amounts positive for a debit and for a credit."""

    line: Line
    left: Decimal
    company: Decimal


@dataclass(slots=True)
class Part:
    """One amount that goes from a source to a target; company amounts as in Allocation."""

    source: Line
    target: Line
    kind: str
    amount: Decimal
    company: Decimal
    allocated_on: str
    difference: Decimal = ZERO
    derived: bool = False
    discount: Decimal = ZERO
    company_discount: Decimal = ZERO


# -- a clearing --------------------------------------------------------------------------------------------


def clearing(lines: Sequence[Line]) -> list[Allocation]:
    """The allocations of one clearing: of each line, all of it; the lines with their residual items."""
    found: list[Allocation] = []
    by_currency: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_currency[line.currency].append(line)
    for of_one in by_currency.values():
        found += _Clearing(of_one).allocations()
    return found


class _Clearing:
    """The lines of one clearing in one currency, being allocated."""

    def __init__(self, lines: Sequence[Line]) -> None:
        members = [line for line in lines if not line.residual]
        residuals = (line for line in lines if line.residual)
        self._residuals = sorted(residuals, key=lambda line: (line.related is None, *_credit_order(line)))
        self._credits = [
            Rest(line, -line.amount, -line.company_amount)
            for line in sorted(members, key=_credit_order)
            if _is_credit(line)
        ]
        self._debits = [
            Rest(line, line.amount, line.company_amount)
            for line in sorted(members, key=_debit_order)
            if not _is_credit(line)
        ]
        self._parts: list[Part] = []

    def allocations(self) -> list[Allocation]:
        """Allocates everything."""
        if any(rest.line.reverses for rest in (*self._credits, *self._debits)):
            self._reversals()
        if self._residuals:
            self._move_residuals()
        self._named()
        self._others()
        self._grant_discounts()
        return [_allocation(part) for part in (*self._parts, *self._against_the_document())]

    def _reversals(self) -> None:
        """A document and the one that takes it back, line by line where their lines have one number."""
        for same_line in (True, False):
            for credit in self._credits:
                for debit in self._debits:
                    if _reverse_each_other(credit.line, debit.line) and (
                        not same_line or credit.line.line == debit.line.line
                    ):
                        self._take(credit, debit, "journal")

    def _move_residuals(self) -> None:
        """A payment that was short clears its items whole: the rest moves to a new item and is no money.

        A rest that names no item is that of the debits due last, for credits pay those due first.
        """
        for residual in self._residuals:
            credit = next((c for c in self._credits if c.line.document == residual.document), None)
            if credit is None:
                continue
            derived = residual.related is None and len(self._debits) > 1
            rest = Rest(residual, residual.amount, residual.company_amount)
            for debit in reversed(self._debits):
                if residual.related in (None, debit.line.name):
                    self._move(rest, debit, credit, derived=derived)

    def _move(self, rest: Rest, debit: Rest, credit: Rest, *, derived: bool) -> None:
        moved = min(rest.left, debit.left, credit.left)
        if moved <= 0:
            return
        company = _share(rest.company, moved, rest.left)
        for one in (rest, debit, credit):
            one.left -= moved
            one.company -= company
        day = _day(debit.line, rest.line)  # the residual may be cleared itself, later
        self._parts.append(Part(rest.line, debit.line, "journal", moved, company, day, derived=derived))

    def _named(self) -> None:
        """Credits that name an item of the group."""
        if not any(credit.line.related for credit in self._credits):
            return
        debits = {debit.line.name: debit for debit in self._debits}
        for credit in self._credits:
            debit = debits.get(credit.line.related or "")
            if debit is not None:
                self._take(credit, debit, stated=True)

    def _others(self) -> None:
        """What is left: forced where one side is one line, else in order."""
        credits_ = [credit for credit in self._credits if credit.left]
        debits = [debit for debit in self._debits if debit.left]
        derived = len(credits_) > 1 and len(debits) > 1
        place = 0
        for credit in credits_:
            while credit.left and place < len(debits):
                self._take(credit, debits[place], derived=derived)
                if not debits[place].left:
                    place += 1

    def _take(
        self, credit: Rest, debit: Rest, kind: str = "", *, stated: bool = False, derived: bool = False
    ) -> None:
        """As much as both have. What is used up gives its whole company amount: only then is there a gap."""
        amount = min(credit.left, debit.left)
        if amount <= 0:
            return
        if amount == debit.left:
            company = debit.company
            difference = credit.company - company if amount == credit.left else ZERO
        else:
            company, difference = credit.company, ZERO
        for rest in (credit, debit):
            rest.left -= amount
        credit.company -= company + difference
        debit.company -= company
        source = credit.line
        kind = kind or source.source
        # A payment that names its item paid it when both were posted, not when the rest was paid.
        paid_then = stated and source.source in ("receipt", "advance")
        day = (
            max(source.posted_on, debit.line.posted_on)
            if paid_then
            else max(source.posted_on, _day(source, debit.line))
        )
        self._parts.append(Part(source, debit.line, kind, amount, company, day, difference, derived))

    def _grant_discounts(self) -> None:
        """The discount that a debit was granted, on the last payment of it that can hold it."""
        for debit in self._debits:
            granted = debit.line.discount
            if not granted:
                continue
            payments = [p for p in self._parts if p.target is debit.line and p.kind in ("receipt", "advance")]
            if not payments:
                continue
            part, missing = payments[-1], min(granted, debit.left)
            company_granted = debit.line.company_discount or ZERO
            if missing > 0:  # not in the payment's own line: it goes on top of what was paid
                fallen = debit.company if missing == debit.left else company_granted
                part.amount += missing
                part.company += fallen
                part.difference += company_granted - fallen
                debit.left -= missing
                debit.company -= fallen
                part.discount, part.company_discount = missing, company_granted
            elif part.amount >= granted:
                part.discount, part.company_discount = granted, company_granted

    def _against_the_document(self) -> Iterable[Part]:
        """What is left on one side was posted to other accounts by the clearing document."""
        for debit in self._debits:
            if debit.left or debit.company:
                source = _clearing_document(debit.line)
                day = _day(source, debit.line)
                yield Part(source, debit.line, "journal", debit.left, debit.company, day, derived=True)
        for credit in self._credits:
            if credit.left or credit.company:
                target = _clearing_document(credit.line)
                day = _day(credit.line, target)
                yield Part(
                    credit.line, target, credit.line.source, credit.left, credit.company, day, derived=True
                )


# -- payments of what is open ------------------------------------------------------------------------------


@dataclass
class Paid:
    """An open item, the payments that name it, and what is left of each by its place in the input."""

    open: Decimal
    company_open: Decimal
    unapplied: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)


def payments(item: Line, named_by: Sequence[Line]) -> Paid:
    """Allocates open payments to the open item that they name, the earliest first; what is over stays.

    A cleared item or one of another currency takes nothing. While both are open no exchange difference is
    realised: in company currency the item falls by what the payment was worth.
    """
    debit = Rest(item, item.amount, item.company_amount)
    paid = Paid(item.amount, item.company_amount, [(-p.amount, -p.company_amount) for p in named_by])
    for place in sorted(range(len(named_by)), key=lambda at: _credit_order(named_by[at])):
        payment = named_by[place]
        whole, company_whole = paid.unapplied[place]
        amount = min(whole, debit.left)
        if amount <= 0 or item.cleared_on or item.currency != payment.currency:
            continue
        company = _share(company_whole, amount, whole)
        debit.left -= amount
        debit.company -= company
        paid.unapplied[place] = (whole - amount, company_whole - company)
        day = max(item.posted_on, payment.posted_on)
        paid.allocations.append(_allocation(Part(payment, item, payment.source, amount, company, day)))
    paid.open, paid.company_open = debit.left, debit.company
    return paid


# -- both --------------------------------------------------------------------------------------------------


def _allocation(part: Part) -> Allocation:
    source, target = part.source, part.target
    return Allocation(
        source.document,
        source.entity,
        f"{source.line}>{target.name}",
        part.kind,
        source.number,
        source.fiscal_year,
        source.line,
        target.number,
        target.fiscal_year,
        target.line,
        target.account,
        source.currency,
        f"{part.amount:f}",
        source.company_currency,
        f"{part.company:f}",
        f"{part.discount:f}",
        f"{part.company_discount:f}",
        f"{part.difference:f}",
        part.allocated_on,
        derived=part.derived,
    )


def _is_credit(line: Line) -> bool:
    return (line.amount or line.company_amount) < 0


def _credit_order(line: Line) -> tuple[str, str, int, str]:
    return line.posted_on, line.document, len(line.line), line.line


def _debit_order(line: Line) -> tuple[str, str, int, str]:
    return line.due_on or LAST_DAY, line.document, len(line.line), line.line


def _reverse_each_other(one: Line, other: Line) -> bool:
    return one.reverses == other.document or other.reverses == one.document


def _day(one: Line, other: Line) -> str:
    """The day of the clearing, and never before one of the two was posted."""
    cleared_on = one.cleared_on or other.cleared_on or ""
    return max(cleared_on, one.posted_on, other.posted_on)


def _clearing_document(line: Line) -> Line:
    """The clearing document of this line in the place of the lines that no customer sees."""
    number, _, year = (line.clearing or "").rpartition("/")
    return line._replace(number=number, fiscal_year=year, line="", related=None)


def _share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    """The same share of `whole` that `part` is of `of`, to the last unit."""
    return whole if part == of else (whole * part / of).quantize(whole, rounding=ROUND_HALF_UP)
