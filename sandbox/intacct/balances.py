"""`get_accountbalances` and `get_trialbalance`: balances of any day, computed from the journal.

Order of the request's elements: the vendor's schema 3.0 [D]; elements of the answer: the vendor's DTD 2.1 and
a public reader's field list [D] (start, debits, credits, adjustments, end; no period balance: that belongs to
get_accountbalancesbydimensions). A company with several base currencies must name a location [D]. Accounts
without a balance are left out unless showzerobalances is true [D]. It refuses reporting periods by name,
account groups and dimensions other than location and customer, with `BadQuery`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from lxml import etree

from sandbox.intacct.books import ZERO, Entity
from sandbox.intacct.envelope import put
from sandbox.intacct.filters import BadQuery
from sandbox.intacct.query import Page
from sandbox.intacct.view import View
from sandbox.intacct.wire import decimal

ORDERS = {
    "get_accountbalances": (
        "startdate", "enddate", "glaccountno", "startaccountno", "endaccountno", "locationid",
        "departmentid", "showzerobalances", "reportingbook", "adjbooks", "includereportingbook",
        "statistical", "dept_subs", "loc_subs", "customerid", "customerid_subs",
    ),
    "get_trialbalance": (
        "startdate", "enddate", "showzerobalances", "showdeptdetail", "showlocdetail", "reportingbook",
        "adjbooks", "includereportingbook", "statistical", "departmentid", "dept_subs", "locationid",
        "loc_subs", "customerid", "customerid_subs",
    ),
}  # fmt: skip


@dataclass
class Balance:
    """One account's balance over a range of days, in the entity's base currency."""

    account: str
    start: Decimal = ZERO
    debits: Decimal = ZERO
    credits: Decimal = ZERO

    @property
    def end(self) -> Decimal:
        """The balance at the end of the last day."""
        return self.start + self.debits - self.credits


def answer(view: View, element: etree._Element, location: str) -> Page:
    """Answer either function.

    Raises:
        BadQuery: an element is unknown or out of order, a day is missing, or the location is.
    """
    name = str(element.tag)
    given = _given(element, ORDERS[name])
    start, end = _day(given, "startdate"), _day(given, "enddate")
    if start > end:
        raise BadQuery("The start date is after the end date")
    entity = _entity(view, _text(given, "locationid") or location)
    if _text(given, "reportingbook") not in ("", "ACCRUAL"):
        raise BadQuery(f"Reporting book {_text(given, 'reportingbook')} is not set up")
    accounts = _accounts(given)
    if name == "get_accountbalances" and accounts == ("", "~"):
        raise BadQuery("An account number or a range of accounts is required")
    found = _balances(view, entity, accounts, (start, end), _text(given, "customerid"))
    if _text(given, "showzerobalances") != "true":
        found = [balance for balance in found if balance.end]
    row_name = "accountbalance" if name == "get_accountbalances" else "trialbalance"
    data = etree.Element("data")
    for balance in found:
        _write(put(data, row_name), balance, entity, with_adjustments=name == "get_accountbalances")
    return Page(data, row_name, len(found))


def _given(element: etree._Element, order: tuple[str, ...]) -> dict[str, etree._Element]:
    names = [str(child.tag) for child in element]
    unknown = [name for name in names if name not in order]
    if unknown:
        raise BadQuery(f"{element.tag}: {', '.join(unknown)} is not imitated")
    if names != [name for name in order if name in names]:
        raise BadQuery(f"{element.tag}: elements out of order; the order is {', '.join(order)}")
    return {str(child.tag): child for child in element}


def _text(given: dict[str, etree._Element], name: str) -> str:
    return (given[name].text or "") if name in given else ""


def _day(given: dict[str, etree._Element], name: str) -> date:
    parts = {str(part.tag): part.text or "" for part in given.get(name, ())}
    try:
        return date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    except (KeyError, ValueError) as error:
        raise BadQuery(f"{name} needs year, month and day") from error


def _entity(view: View, location: str) -> Entity:
    if not location:
        raise BadQuery("Location is required in a multi-base currency company")
    entity = view.books.entities.get(location)
    if entity is None:
        raise BadQuery(f"Location {location} is not valid")
    return entity


def _accounts(given: dict[str, etree._Element]) -> tuple[str, str]:
    account = _text(given, "glaccountno")
    if account:
        return account, account
    return _text(given, "startaccountno"), _text(given, "endaccountno") or "~"


def _balances(
    view: View, entity: Entity, accounts: tuple[str, str], days: tuple[date, date], customer: str
) -> list[Balance]:
    """Add up the journal per account of one entity."""
    first, last = accounts
    before = days[0] - timedelta(days=1)
    found = []
    for (code, account), lines in sorted(view.books.ledger.items()):
        if code != entity.code or not first <= account <= last:
            continue
        balance = Balance(account)
        for line in lines:
            if customer and line.customer != customer:
                continue
            if line.day <= before:
                balance.start += line.base
            elif line.day <= days[1] and line.base > 0:
                balance.debits += line.base
            elif line.day <= days[1]:
                balance.credits -= line.base
        found.append(balance)
    return found


def _write(element: etree._Element, balance: Balance, entity: Entity, *, with_adjustments: bool) -> None:
    put(element, "glaccountno", balance.account)
    put(element, "startbalance", decimal(balance.start))
    put(element, "debits", decimal(balance.debits))
    put(element, "credits", decimal(balance.credits))
    if with_adjustments:
        put(element, "adjdebits", "0")
        put(element, "adjcredits", "0")
    put(element, "endbalance", decimal(balance.end))
    put(element, "currency", entity.currency)
    put(element, "reportingbook", "ACCRUAL")
