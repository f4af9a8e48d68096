"""Control totals: balances of the receivables accounts in the general ledger, as of the run's day.

`get_accountbalances` for each entity and account, in the entity's base currency: another road than the rows
(grade ledger). Each customer's part is told beside it (by_customer). The rows' own sums (grade aggregate)
stand in where the user may not read balances, and give document currencies where an entity has foreign ones;
they know no accounts, so only entities with one. Interface sheet, section 7.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.kit import exact_xml
from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access
from connectors.kit.xml_request import Query, all_of, compared, element
from connectors.systems.sage_intacct import accounts as known_accounts
from connectors.systems.sage_intacct import by_customer
from connectors.systems.sage_intacct.asking import entity_of, exact, gateway, in_entities, sums
from connectors.systems.sage_intacct.days import printed_day
from connectors.systems.sage_intacct.entities import base_currencies, codes, with_foreign
from connectors.systems.sage_intacct.fields import ADJUSTMENT, ADVANCE, INVOICE, PAYMENT, Object
from connectors.systems.sage_intacct.payments import ADVANCE as ADVANCE_TYPE
from connectors.systems.sage_intacct.settings import TOP
from receivables.errors import Misconfigured, Rejected, Unreadable
from receivables.records import ControlTotal
from receivables.values import amount

STREAM: Final = "control_totals"
GROUP: Final = ("MEGAENTITYID", "BASECURR", "CURRENCY")
# Object, day of posting, and how it counts: money that is not applied takes from what is owed.
SUMMED: Final[Sequence[tuple[Object, str, int]]] = (
    (INVOICE, "WHENPOSTED", 1),
    (ADJUSTMENT, "WHENPOSTED", 1),
    (PAYMENT, "RECEIPTDATE", -1),
    (ADVANCE, "RECEIPTDATE", -1),
)

Accounts = dict[str, set[str]]
Place = tuple[str, str, str, str, str | None]  # entity, account, basis, currency, customer


def totals(access: Access, accounts: Sequence[tuple[str, str]]) -> list[ControlTotal]:
    """The totals of these accounts, of the settings' and, if none is known yet, of those that lines name.

    Raises Misconfigured when neither balances nor sums can be had, unless the settings accept that.
    """
    day = access.now.astimezone(access.zone).date()
    wanted = _accounts(access, accounts)
    try:
        found = _balances(access, wanted, set(accounts), day)
    except NotOffered as error:
        found = _Sums(access, day).totals(wanted, "company")
        if not found and wanted and not access.settings.accept_unproven:
            raise Misconfigured(
                f"{error} Or set `accept_unproven` to publish without proof: sums do not tell several "
                "accounts apart."
            ) from error
    of_foreign = with_foreign(access, stream=STREAM)
    foreign = {code: named for code, named in wanted.items() if code in of_foreign}
    found += _customers(access, found, wanted, day)
    return [*found, *(_Sums(access, day).totals(foreign, "document") if foreign else ())]


def _accounts(access: Access, accounts: Sequence[tuple[str, str]]) -> Accounts:
    """Accounts by entity: those of the settings, and those known or else those that lines stand on."""
    entities = codes(access, stream=STREAM)
    found: Accounts = {code: set() for code in entities}
    for code, account in {*accounts, *access.settings.extra_accounts(entities)}:
        if account and (code in found or not access.settings.entities or code in access.settings.entities):
            found.setdefault(code, set()).add(account)
    with_known = {code for code, _ in accounts}
    for code, named in found.items():
        if code not in with_known:
            named |= set(known_accounts.of_lines(access, stream=STREAM))
    return found


def _customers(
    access: Access, whole: Sequence[ControlTotal], wanted: Accounts, day: date
) -> Iterator[ControlTotal]:
    """Each customer's part of these accounts: of all accounts of an entity, or of none of them."""
    closings: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for total in whole:
        closings[total.entity][total.account] = Decimal(total.closing)
    currencies = {total.entity: total.currency for total in whole}
    accounts = sorted({total.account for total in whole})
    parts = by_customer.entries(access, accounts, day, stream=STREAM)
    by_entries = {code for code in closings if by_customer.told(parts, closings[code], code)}
    for code in sorted(by_entries):
        for account in sorted(closings[code]):
            for customer, closing in sorted(parts.get((code, account), {}).items()):
                place = (code, account, "company", currencies[code], customer)
                yield _total(access, place, day, closing, "ledger")
    others = {code: wanted[code] for code in closings if code not in by_entries}
    if others:
        yield from _Sums(access, day, customers=True).totals(others, "company")


# -- the ledger --------------------------------------------------------------------------------------------


def _balances(access: Access, wanted: Accounts, known: set[tuple[str, str]], day: date) -> list[ControlTotal]:
    currencies = base_currencies(access, stream=STREAM)
    apart = [code for code in wanted if code != TOP]
    found = []
    for code, named in sorted(wanted.items()):
        currency = currencies.get(code) or access.settings.base_currency
        for account in sorted(named):
            closing, told = _balance(access, account, code if code != TOP else None, day)
            if code == TOP and apart:
                closing -= sum((_balance(access, account, other, day)[0] for other in apart), Decimal(0))
            of = told or currency
            if not of:
                raise Misconfigured(
                    f"{access.http.connector}, {STREAM}: nothing names the currency of account {account} of "
                    f"{code}. Set `base_currency`."
                )
            if closing or (code, account) in known:
                found.append(_total(access, (code, account, "company", of, None), day, closing, "ledger"))
    return found


def _balance(access: Access, account: str, location: str | None, day: date) -> tuple[Decimal, str | None]:
    """The balance at the end of the day, and its currency if it is told; asked for once each time."""
    moment = [element("year", f"{day:%Y}"), element("month", f"{day:%m}"), element("day", f"{day:%d}")]
    content = [
        element("startdate", *moment),
        element("enddate", *(element(str(part.tag), str(part.text)) for part in moment)),
        element("glaccountno", account),
    ]
    if location is not None:
        content.append(element("locationid", location))
    content += [
        element("showzerobalances", "true"),
        element("reportingbook", access.settings.reporting_book),
        element("statistical", "exclude"),
    ]
    _, response = gateway(access).call(element("get_accountbalances", *content), stream=STREAM)
    closing, currency = Decimal(0), None
    for row in response.rows:
        balance = exact_xml.parse(row)
        named = balance.findtext("glaccountno")
        if named not in (None, "", account):
            raise Rejected(f"{access.http.connector}, {STREAM}: a balance of {named} for {account}.")
        currency = balance.findtext("currency") or currency
        closing += exact(access, balance.findtext("endbalance"), "endbalance", stream=STREAM)
    return closing, currency


# -- sums of the rows --------------------------------------------------------------------------------------


class _Sums:
    """What is open by entity, currency and, where asked for, customer, over the rows' own amounts."""

    def __init__(self, access: Access, day: date, *, customers: bool = False) -> None:
        self._access, self._day = access, day
        self._group = (*GROUP, "CUSTOMERID") if customers else GROUP
        self._advance: str = access.settings.advance_account
        # entity, basis, currency, customer, whether of money: amount
        self._found: dict[tuple[str, str, str, str | None, bool], Decimal] = defaultdict(Decimal)
        for of, posted, factor in SUMMED:
            for row in self._rows(of, posted):
                self._add(row, factor)

    def totals(self, wanted: Accounts, basis: str) -> list[ControlTotal]:
        """The totals of the entities whose documents stand on one account."""
        places: dict[Place, Decimal] = defaultdict(Decimal)
        for (code, of_basis, currency, customer, of_money), closing in self._found.items():
            of_documents = wanted.get(code, set()) - {self._advance}
            if of_basis == basis and len(of_documents) == 1:
                account = self._advance if of_money and self._advance else next(iter(of_documents))
                places[code, account, basis, currency, customer] += closing
        return [
            _total(self._access, place, self._day, closing, "aggregate")
            for place, closing in sorted(places.items(), key=lambda one: (*one[0][:4], one[0][4] or ""))
        ]

    def _add(self, row: dict[str, str], factor: int) -> None:
        access, code, money = self._access, entity_of(row), factor < 0
        company = row.get("BASECURR") or access.settings.base_currency
        document = row.get("CURRENCY") or company
        customer = row.get("CUSTOMERID", "") if "CUSTOMERID" in self._group else None
        due = exact(access, row["SUM.TRX_TOTALDUE"], "TRX_TOTALDUE", stream=STREAM)
        self._found[code, "document", document, customer, money] += factor * due
        company_due = exact(access, row["SUM.TOTALDUE"], "TOTALDUE", stream=STREAM)
        self._found[code, "company", company, customer, money] += factor * company_due

    def _rows(self, of: Object, posted: str) -> Iterator[dict[str, str]]:
        access = self._access
        where = [
            in_entities(access),
            compared("lessthanorequalto", posted, printed_day(self._day)),
            compared("notequalto", "STATE", "Draft"),
        ]
        if of is PAYMENT:
            where.append(compared("notequalto", "RECORDTYPE", ADVANCE_TYPE))
        query = Query(of.name, self._group, all_of(*where), self._group, sums=("TRX_TOTALDUE", "TOTALDUE"))
        try:
            yield from sums(access, query, stream=STREAM)
        except NotOffered:
            return


# -- both --------------------------------------------------------------------------------------------------


def _total(access: Access, place: Place, day: date, closing: Decimal, grade: str) -> ControlTotal:
    code, account, basis, currency, customer = place
    try:
        closing_text = amount(f"{closing:f}", currency, "endbalance")
    except Unreadable as error:
        raise Rejected(f"{access.http.connector}, {STREAM}: {error}") from error
    return ControlTotal(
        entity=code,
        account=account,
        basis=basis,
        currency=currency,
        as_of=day.isoformat(),
        grade=grade,
        closing=closing_text,
        customer=customer,
    )
