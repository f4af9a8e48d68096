"""The test of a connector, step by step: name, TLS, sign-in, each object that is read, control totals.

Writes nothing. A step that fails says what to do; the steps that stand on it are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from connectors.kit.failures import NotOffered
from connectors.kit.steps import Step, checked, of_the_way
from connectors.kit.stream import Access, Check
from connectors.kit.xml_request import Query
from connectors.systems.sage_intacct import deletions, totals
from connectors.systems.sage_intacct.asking import gateway, in_entities, offered, sums
from connectors.systems.sage_intacct.entities import STREAM, entity_pages
from connectors.systems.sage_intacct.fields import (
    ADJUSTMENT,
    ADJUSTMENT_LINE,
    ADVANCE,
    CUSTOMER,
    DELETION,
    DETAIL,
    INVOICE,
    INVOICE_LINE,
    PAYMENT,
    Object,
)
from receivables.records import ControlTotal

READ: Final = (CUSTOMER, INVOICE, INVOICE_LINE, ADJUSTMENT, ADJUSTMENT_LINE, PAYMENT, DETAIL, ADVANCE)
# By grade of the totals of customers, how they are compared.
BY_CUSTOMER: Final[Mapping[str | None, str]] = {
    "ledger": "with the ledger's entries",
    "aggregate": "with sums of the documents, because the ledger's entries do not tell them",
    None: "not, because nothing tells them by account",
}
BY_TYPE: Final = (INVOICE, ADJUSTMENT, PAYMENT, ADVANCE)  # objects whose types of record are shown


def test(access: Access) -> Iterator[Check]:
    """Every step with its outcome, until one fails on which the others stand."""
    steps: list[Step] = [*of_the_way(access), ("Sign in", partial(_sign_in, access))]
    for name, step in steps:
        check = checked(name, step)
        yield check
        if not check.ok:
            return
    yield checked("entities", partial(_entities, access))
    for of in READ:
        yield checked(of.name, partial(_object, access, of))
    yield checked(DELETION.name, partial(_deletions, access))
    yield checked("Control totals", partial(_totals, access))


def _sign_in(access: Access) -> str:
    gateway(access).listed(Query(INVOICE.name, ("RECORDNO",)), stream="sign in", size=1)
    return f"The sender and the user are accepted by company {access.settings.company_id}."


def _entities(access: Access) -> str:
    (page,) = entity_pages(access)
    return f"{len(page.rows)} entities are shown to the user."


def _object(access: Access, of: Object) -> str:
    """The object offers what is needed; how many records there are, by type where they have one."""
    names = offered(access, of, stream=STREAM)
    missing = [name for name in of.optional if name not in names and "." not in name]
    without = f" Not offered: {', '.join(missing)}." if missing else ""
    if of not in BY_TYPE or "RECORDTYPE" not in names:
        return f"Offers what is needed.{without}"
    group = ("RECORDTYPE",)
    rows = sums(
        access, Query(of.name, group, in_entities(access), group, counts=("RECORDNO",)), stream=STREAM
    )
    counted = ", ".join(f"{row.get('RECORDTYPE', 'no type')}: {row['COUNT.RECORDNO']}" for row in rows)
    return f"Records by type: {counted or 'none'}.{without}"


def _deletions(access: Access) -> str:
    """Whether the audit history tells what is deleted; a connector works without it, and slower."""
    query = deletions.asked(access, access.now - timedelta(hours=1), access.now)
    try:
        gateway(access).listed(query, stream=STREAM, size=1)
    except NotOffered:
        return (
            "The user may not read it, so that a deletion is only found by the day's sweep, and until then "
            "runs are held. Give the user the right to view custom reports of Platform Services."
        )
    return "Tells what was deleted."


def _totals(access: Access) -> str:
    """Which accounts have balances, and of what grade."""
    found = totals.totals(access, ())
    if not found:
        return "Nothing is offered to compare with: publications are not proven."
    places = sorted({f"{total.entity}/{total.account}" for total in found})
    grades = {total.grade for total in found if total.customer is None and total.basis == "company"}
    grade = (
        "balances of the general ledger"
        if "ledger" in grades
        else "sums of the documents only (grade aggregate): give the user the right to read account balances"
    )
    return f"{len(places)} accounts ({', '.join(places[:6])}) by {grade}. {_by_customer(found)}"


def _by_customer(found: Sequence[ControlTotal]) -> str:
    """What each customer is compared with, entity by entity."""
    entities = {total.entity for total in found}
    grades = {total.entity: total.grade for total in found if total.customer is not None}
    told = [
        f"{', '.join(sorted(code for code in entities if grades.get(code) == grade))} {words}"
        for grade, words in BY_CUSTOMER.items()
        if any(grades.get(code) == grade for code in entities)
    ]
    return f"Customers are compared: {'; '.join(told)}."
