"""Names what lies behind a difference: entries that the ledger has from elsewhere, then customers.

Journals posted by hand to a receivables account are the usual reason, so the account's entries that are of no
record of a subledger are named first, then the customers whose entries sum to something else than we hold:
those that the totals told, else those that are asked for. Asks at most 20 times; a difference that is not
reached is named without its reason. Interface sheet, section 7.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from lxml import etree

from connectors.kit.stream import Access, Difference, Explained
from connectors.kit.xml_request import Query, all_of, any_of, compared
from connectors.systems.sage_intacct.asking import cells, exact, gateway, sums
from connectors.systems.sage_intacct.by_customer import ledger_fields, sign
from connectors.systems.sage_intacct.days import printed_day
from connectors.systems.sage_intacct.fields import LEDGER_DETAIL
from connectors.systems.sage_intacct.settings import TOP
from connectors.systems.sage_intacct.totals import STREAM

REQUESTS: Final = 14  # and some for the fields that the ledger's entries have
LINES: Final = 20
CUSTOMERS: Final = 500  # customers of one account that are compared

Ours = Callable[[Difference, date], Iterable[tuple[str, str]]]


def explain(access: Access, differences: Sequence[Difference], ours: Ours) -> list[Explained]:
    """Entries and customers behind the differences of company currency, the largest first."""
    day = access.now.astimezone(access.zone).date()
    names = ledger_fields(access, stream=STREAM)
    largest = sorted(differences, key=lambda d: -abs(_gap(d)))
    told: dict[tuple[str, ...], list[Difference]] = defaultdict(list)
    for difference in largest:
        if difference.customer is not None:
            told[_place(difference)].append(difference)
    explained: list[Explained] = []
    left = REQUESTS
    for difference in (d for d in largest if d.customer is None):
        reasons: list[Explained] = []
        if difference.basis == "company" and names and left > 1:
            left -= 2
            reasons += _foreign_entries(access, difference, names, day)
            if not reasons and _place(difference) not in told:
                reasons += _customers(access, difference, names, day, ours)
        explained += reasons or [_line(difference, None, None, _gap(difference), _whole(difference))]
    for customers in told.values():
        explained += [_line(d, None, None, _gap(d), _whole(d)) for d in customers[:LINES]]
        if len(customers) > LINES:
            explained.append(_of_more(customers[LINES:]))
    return explained


def _of_more(customers: Sequence[Difference]) -> Explained:
    """One line for the customers of one account that are not named one by one."""
    gap = sum((_gap(difference) for difference in customers), Decimal(0))
    sentence = f"{len(customers)} more customers differ, by {gap:f} {customers[0].currency} in all."
    return _line(replace(customers[0], customer=None), None, None, gap, sentence)


def _place(difference: Difference) -> tuple[str, str, str, str]:
    return difference.entity, difference.account, difference.basis, difference.currency


def _foreign_entries(
    access: Access, difference: Difference, names: frozenset[str], day: date
) -> Iterator[Explained]:
    """The account's entries that name no record of a subledger."""
    if "RECORDID" not in names:
        return
    fields = [name for name in LEDGER_DETAIL.fields if name in names]
    where = all_of(_of_account(difference, names, day), compared("isnull", "RECORDID"))
    query = Query(LEDGER_DETAIL.name, fields, where, ("RECORDNO",))
    listed = gateway(access).listed(query, stream=STREAM, size=LINES)
    for row in listed.rows:
        entry = cells(access, row, stream=STREAM)
        amount = exact(access, entry.get("AMOUNT"), "AMOUNT", stream=STREAM) * sign(entry)
        says = ", ".join(entry[name] for name in ("SYMBOL", "DESCRIPTION") if entry.get(name))
        sentence = (
            f"Entry {entry['RECORDNO']} of {entry.get('ENTRY_DATE', 'no day')} ({says or 'no text'}; "
            f"{amount:f} {difference.currency}) was posted to the account and is of no receivables document."
        )
        yield _line(difference, entry.get("CUSTOMERID"), entry["RECORDNO"], amount, sentence)


def _customers(
    access: Access, difference: Difference, names: frozenset[str], day: date, ours: Ours
) -> Iterator[Explained]:
    """The customers whose entries sum to something else than we hold."""
    if "CUSTOMERID" not in names:
        return
    group = ("CUSTOMERID", "TR_TYPE")
    query = Query(LEDGER_DETAIL.name, group, _of_account(difference, names, day), group, sums=("AMOUNT",))
    ledger: dict[str, Decimal] = defaultdict(Decimal)
    for row in sums(access, query, stream=STREAM):
        amount = exact(access, row.get("SUM.AMOUNT"), "AMOUNT", stream=STREAM)
        ledger[row.get("CUSTOMERID", "")] += amount * sign(row)
    if len(ledger) > CUSTOMERS:
        return
    found = []
    for customer, theirs in ledger.items():
        documents = ours(replace(difference, customer=customer), day)
        held = sum((Decimal(amount) for _, amount in documents), Decimal(0))
        if theirs != held:
            found.append((theirs - held, customer, theirs, held))
    for gap, customer, theirs, held in sorted(found, key=lambda one: -abs(one[0]))[:LINES]:
        sentence = (
            f"The ledger's entries sum to {theirs:f} {difference.currency}, what we hold to {held:f} "
            f"{difference.currency}."
        )
        yield _line(difference, customer, None, gap, sentence)


def _of_account(difference: Difference, names: frozenset[str], day: date) -> etree._Element | None:
    conditions = [
        compared("equalto", "ACCOUNTNO", difference.account),
        compared("lessthanorequalto", "ENTRY_DATE", printed_day(day)),
    ]
    if "LOCATIONID" in names:
        of_entity = compared("equalto", "LOCATIONID", difference.entity)
        nowhere = compared("isnull", "LOCATIONID")
        conditions.append(any_of(nowhere) if difference.entity == TOP else of_entity)
    return all_of(*conditions)


def _whole(difference: Difference) -> str:
    of = difference.currency
    return f"Intacct says {difference.erp} {of}, the documents read sum to {difference.hub} {of}."


def _line(
    difference: Difference, customer: str | None, document: str | None, gap: Decimal, sentence: str
) -> Explained:
    customer = customer if customer is not None else difference.customer
    who = "no customer" if customer == "" else f"customer {customer}" if customer else "the whole account"
    where = f"Entity {difference.entity}, account {difference.account}, {who}: "
    return Explained(
        entity=difference.entity,
        account=difference.account,
        currency=difference.currency,
        customer=customer,
        document=document,
        difference=f"{gap:f}",
        sentence=where + sentence,
    )


def _gap(difference: Difference) -> Decimal:
    return Decimal(difference.erp) - Decimal(difference.hub)
