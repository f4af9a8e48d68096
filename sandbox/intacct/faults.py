"""Seeded faults: ways in which what a user sees differs from the books, each switched on and off at run time.

All but one change the view only; `manual_journal` posts into the journal without a record. Every fault says
what it did: entity, account, customer, currency, and the rows' difference from the ledger (rows - ledger).
It refuses fault names it does not know and a fault for which the books hold no fitting record.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import time as time_of_day
from decimal import Decimal
from random import Random
from typing import Any

from sandbox.intacct.books import ADVANCE, PAYMENT, RECEIVABLES, Books, Detail, Entity, Line, Record, money
from sandbox.intacct.business import DISCOUNTS
from sandbox.intacct.journal import by_control
from sandbox.intacct.view import Fault, View


class UnknownFault(ValueError):
    """No fault of that name."""


def switch(
    view: View, name: str, *, on: bool, entity: str | None = None, customer: str | None = None
) -> Fault:
    """Switch a fault on or off; switched on twice it stays as it was.

    Raises:
        UnknownFault: the name is not one of FAULTS.
        ValueError: nothing in the books fits, or the entity is not there.
    """
    if name not in FAULTS:
        raise UnknownFault(f"no fault {name!r}: choose from {', '.join(FAULTS)}")
    view.version += 1
    if not on:
        fault = view.faults.pop(name, Fault(name))
        for line in fault.lines:
            view.books.strike(line)
        view.books.moments.end()
        return fault
    if name not in view.faults:
        pick = Pick(view.books, Random(f"{name} {view.seed}"), entity, customer)
        view.faults[name] = FAULTS[name](pick)
        for line in view.faults[name].lines:
            view.books.write(line)
        view.books.moments.end()
    return view.faults[name]


@dataclass
class Pick:
    """The books, a seeded choice, and what the caller asked for."""

    books: Books
    rng: Random
    entity_code: str | None
    customer: str | None

    def entity(self) -> Entity:
        """Give the entity asked for, or draw one that is not private."""
        if self.entity_code is not None:
            if self.entity_code not in self.books.entities:
                raise ValueError(f"no entity {self.entity_code}")
            return self.books.entities[self.entity_code]
        return self.rng.choice([each for each in self.books.entities.values() if not each.private])

    def invoices(self) -> list[Record]:
        """Give the open invoices of one entity that are posted up to today."""
        entity = self.entity()
        found = self.books.open_invoices(
            lambda record: (
                record.entity is entity
                and record.posted <= self.books.today
                and record.customer is not None
                and self.customer in (None, record.customer.number)
            )
        )
        if not found:
            raise ValueError(f"entity {entity.code} has no fitting open invoice")
        return found


def _effects(record: Record, factor: int) -> list[dict[str, Any]]:
    """Say how far the rows are from the ledger, per control account: what is open times `factor`."""
    found = []
    for control, entries in by_control(record):
        amount = sum((entry.open for entry in entries), Decimal(0)) * factor
        base = sum((entry.base_open for entry in entries), Decimal(0)) * factor
        found.append(
            {
                "entity": record.entity.code, "account": control,
                "customer": record.customer.number if record.customer else "",
                "object": record.object, "key": str(record.key), "document": record.number,
                "currency": record.currency, "amount": f"{amount:f}",
                "company_currency": record.entity.currency, "company_amount": f"{base:f}",
            }
        )  # fmt: skip
    return found


def _twin(record: Record) -> Record:
    """Copy a record with its entries."""
    twin = copy.copy(record)
    twin.entries = []
    for entry in record.entries:
        line = copy.copy(entry)
        line.record = twin
        twin.entries.append(line)
    return twin


def _row_hidden(pick: Pick) -> Fault:
    record = pick.rng.choice(pick.invoices())
    return Fault("row_hidden", _effects(record, -1), hidden={record})


def _row_doubled(pick: Pick) -> Fault:
    """Show an invoice a second time under other keys, with the same number."""
    record = pick.rng.choice(pick.invoices())
    twin = _twin(record)
    twin.key = record.key + 5_000_000
    for entry in twin.entries:
        entry.key += 5_000_000
    return Fault("row_doubled", _effects(record, 1), added=[twin])


def _wrong_sign(pick: Pick) -> Fault:
    """Negate an invoice with its lines, so that only the ledger can tell."""
    record = pick.rng.choice([each for each in pick.invoices() if each.untouched])
    twin = _twin(record)
    for entry in twin.entries:
        entry.amount, entry.base = -entry.amount, -entry.base
    return Fault("wrong_sign", _effects(record, -2), replaced={record: twin})


def _cancelling_errors(pick: Pick) -> Fault:
    """Move an amount from one customer's invoice to another's: the account's sum stays right."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in pick.invoices():
        if record.currency == record.entity.currency and record.untouched:
            groups[record.entries[0].control].append(record)
    records = max(groups.values(), key=len, default=[])
    if len({record.customer for record in records}) < 2:
        raise ValueError("no two customers have an unpaid invoice on the same account")
    first = pick.rng.choice(records)
    second = pick.rng.choice([record for record in records if record.customer is not first.customer])
    fault = Fault("cancelling_errors")
    least = min(first.entries[0].amount, second.entries[0].amount)
    shift = money(least / 2, first.currency)
    for record, change in ((first, shift), (second, -shift)):
        twin = _twin(record)
        twin.entries[0].amount += change
        twin.entries[0].base += change
        fault.replaced[record] = twin
        told = _effects(record, 1)[0]
        fault.did.append({**told, "amount": f"{change:f}", "company_amount": f"{change:f}"})
    return fault


def _manual_journal(pick: Pick) -> Fault:
    """Post on the receivables account without a record: in the journal only."""
    books, entity, day = pick.books, pick.entity(), pick.books.today
    amount = Decimal(pick.rng.randint(1000, 99999)).scaleb(-2)
    batch = books.number("batch")
    moment = datetime.combine(day, time_of_day(8))
    lines = [
        Line(
            books.number("line"), batch, "GJ", entity, account, entity.currency, sign * amount, sign * amount,
            "", day, moment, "Manual entry", None,
        )
        for account, sign in ((RECEIVABLES, 1), (DISCOUNTS, -1))
    ]  # fmt: skip
    did = {
        "entity": entity.code, "account": RECEIVABLES, "customer": "", "object": "GLDETAIL",
        "key": str(lines[0].key), "document": "Manual entry", "currency": entity.currency,
        "amount": f"{-amount:f}", "company_currency": entity.currency, "company_amount": f"{-amount:f}",
    }  # fmt: skip
    return Fault("manual_journal", [did], lines=lines)


def _entity_hidden(pick: Pick) -> Fault:
    """Hide all records of an entity; the entity and its ledger stay."""
    entity = pick.entity()
    sums: dict[tuple[str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for record in pick.books.all_records():
        if record.entity is entity and not record.draft:
            for told in _effects(record, -1):
                pair = sums[told["account"], told["customer"], told["currency"]]
                pair[0] += Decimal(told["amount"])
                pair[1] += Decimal(told["company_amount"])
    did = [
        {
            "entity": entity.code, "account": account, "customer": customer, "currency": currency,
            "amount": f"{amount:f}", "company_currency": entity.currency, "company_amount": f"{base:f}",
        }
        for (account, customer, currency), (amount, base) in sorted(sums.items())
        if amount or base
    ]  # fmt: skip
    return Fault("entity_hidden", did, entities={entity.code})


def _master_hidden(pick: Pick) -> Fault:
    """Hide one customer and show its records: the rows still agree with the ledger."""
    record = pick.rng.choice(pick.invoices())
    number = record.customer.number if record.customer else ""
    return Fault("master_hidden", _effects(record, 0)[:1], customers={number})


def _line_hidden(pick: Pick) -> Fault:
    """Hide one line of an invoice of several: the head still has its amount."""
    record = pick.rng.choice([each for each in pick.invoices() if len(each.entries) > 1])
    entry = record.entries[-1]
    told = {**_effects(record, 0)[0], "account": entry.control, "line": str(entry.key)}
    return Fault("line_hidden", [told], hidden_entries={entry})


def _allocation_hidden(pick: Pick) -> Fault:
    """Hide one payment detail: the invoice's open amount still counts it."""
    entity = pick.entity()
    details: list[Detail] = [
        detail
        for detail in pick.books.details
        if detail.payment.entity is entity and detail.target.open and not detail.payment.reversed_by
    ]
    if not details:
        raise ValueError(f"entity {entity.code} has no detail on an open record")
    detail = pick.rng.choice(details)
    told = {**_effects(detail.target.record, 0)[0], "detail": str(detail.key)}
    return Fault("allocation_hidden", [told], hidden_details={detail})


def _receipt_hidden(pick: Pick) -> Fault:
    """Hide a receipt or an advance that is not used up."""
    entity = pick.entity()
    found = [
        record
        for name in (PAYMENT, ADVANCE)
        for record in pick.books.records[name].values()
        if record.entity is entity and record.open
    ]
    if not found:
        raise ValueError(f"entity {entity.code} has no unapplied receipt")
    record = pick.rng.choice(found)
    return Fault("receipt_hidden", _effects(record, -1), hidden={record})


FAULTS: dict[str, Callable[[Pick], Fault]] = {
    "row_hidden": _row_hidden,
    "row_doubled": _row_doubled,
    "wrong_sign": _wrong_sign,
    "cancelling_errors": _cancelling_errors,
    "manual_journal": _manual_journal,
    "entity_hidden": _entity_hidden,
    "master_hidden": _master_hidden,
    "line_hidden": _line_hidden,
    "allocation_hidden": _allocation_hidden,
    "receipt_hidden": _receipt_hidden,
}
