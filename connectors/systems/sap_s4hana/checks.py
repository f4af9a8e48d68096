"""The test of a connector, step by step: name, TLS, sign-in, each set, each company code, control totals.

Writes nothing. A step that fails says what to do; the steps that stand on it are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from connectors.kit.failures import NotOffered
from connectors.kit.odata_v2 import Query, all_of, text
from connectors.kit.steps import checked, of_the_way
from connectors.kit.stream import Access, Check
from connectors.systems.sap_s4hana import billing, totals
from connectors.systems.sap_s4hana.entities import require_shown
from connectors.systems.sap_s4hana.plan import OPEN, STREAM
from connectors.systems.sap_s4hana.services import (
    CUSTOMER_COMPANY,
    ITEM,
    ITEMS,
    LEDGER,
    TRIAL_BALANCE,
    service,
)
from receivables.errors import Misconfigured

OTHER_OPEN: Final = ("IsCleared eq false", "ClearingDate eq null")


def test(access: Access) -> Iterator[Check]:
    """Every step with its outcome, until one fails on which the others stand."""
    steps = [
        *of_the_way(access),
        ("Sign in", lambda: _sign_in(access)),
        ("customers", lambda: _customers(access)),
    ]
    for name, step in steps:
        check = checked(name, step)
        yield check
        if not check.ok:
            return
    for code in access.settings.company_codes:
        yield checked(f"{STREAM} {code}", partial(_items, access, code))
    if access.settings.billing:
        yield checked("billing documents", lambda: _billing(access))
    yield checked("Control totals", lambda: _totals(access))


def _sign_in(access: Access) -> str:
    service(access, ITEMS).metadata(stream=STREAM)
    return "The user is accepted and may call the service of accounting items."


def _customers(access: Access) -> str:
    """The business partner service answers and has what is needed."""
    listed = CUSTOMER_COMPANY.query(access, stream="customers")
    count = service(access, CUSTOMER_COMPANY.service).count(Query(listed.path, ()), stream="customers")
    return f"{count} customers in company codes are shown to the user."


def _items(access: Access, code: str) -> str:
    """The company code shows something, and different ways to ask for open items agree."""
    ITEM.query(access, stream=STREAM)
    of = f"FinancialAccountType eq 'D' and CompanyCode eq {text(code)}"
    require_shown(access, code, stream=STREAM)
    counts = {
        condition: service(access, ITEMS).count(
            Query(ITEM.entity_set, (), all_of(of, condition)), stream=STREAM
        )
        for condition in (OPEN, *OTHER_OPEN)
    }
    if len(set(counts.values())) > 1:
        told = "; ".join(f"{condition}: {count}" for condition, count in counts.items())
        raise Misconfigured(
            f"Company code {code}: the filters for open items disagree ({told}). This release means "
            "something else by them; do not use this connector before its filter is settled."
        )
    return f"{counts[OPEN]} open items."


def _billing(access: Access) -> str:
    """Whether net and tax can be read; without them receivables are still whole."""
    try:
        return f"{billing.count(access)} billing documents are shown to the user."
    except NotOffered:
        return billing.NOT_OFFERED


def _totals(access: Access) -> str:
    """Which ledger services are offered, and whether customers can be told apart."""
    offered = []
    for name in (TRIAL_BALANCE, LEDGER):
        try:
            metadata = service(access, name).metadata(stream=totals.STREAM)
        except NotOffered:
            continue
        by_customer = name == LEDGER and "Customer" in metadata.sets.get(totals.SET_OF_LINES, {})
        offered.append(
            "G/L line items" + (" by customer" if by_customer else "") if name == LEDGER else "trial balance"
        )
    found = totals.totals(access, ())
    if not found:
        return "No ledger service is offered: publications are not proven."
    accounts = sorted({f"{t.entity}/{t.account}" for t in found})
    return f"{' and '.join(offered)}: {len(accounts)} accounts ({', '.join(accounts[:6])})."
