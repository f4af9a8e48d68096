"""Control totals from SAP's ledger, another road than the rows: trial balance and G/L line items.

The trial balance knows periods only, so both are taken at the end of the current fiscal period (calendar
month), with what is posted up to that end. It gives company currency; the line items give document currency
and, where `Customer` can be selected, each customer's part. Interface sheet, section 7.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.kit.failures import NotOffered
from connectors.kit.odata_v2 import all_of, any_of, day, text
from connectors.kit.stream import Access
from connectors.systems.sap_s4hana import fields
from connectors.systems.sap_s4hana.entities import require_shown
from connectors.systems.sap_s4hana.items import canonical
from connectors.systems.sap_s4hana.services import CUSTOMER_COMPANY, LEDGER, TRIAL_BALANCE, Source, service
from receivables.errors import Misconfigured, Rejected, Unreadable
from receivables.records import ControlTotal
from receivables.values import amount

STREAM: Final = "control_totals"
SET_OF_BALANCES: Final = "C_TRIALBALANCEResults"
SET_OF_LINES: Final = "GLAccountLineItem"
ACCOUNTS_OF_ONE_REQUEST: Final = 20
WIDTH: Final = 10  # SAP keeps account numbers with leading zeros; services print both forms

Accounts = dict[str, set[str]]


def totals(access: Access, accounts: Sequence[tuple[str, str]]) -> list[ControlTotal]:
    """The ledger's totals of these accounts, of the settings' and of all customers' reconciliation accounts.

    Raises Misconfigured for a company code that shows nothing, and when no ledger service is offered, unless
    the settings accept that.
    """
    as_of = period_end(access.now.astimezone(access.zone).date())
    found: list[ControlTotal] = []
    for code, numbers in _accounts(access, accounts).items():
        balances, lines = _balances(access, code, numbers, as_of), _lines(access, code, numbers, as_of)
        if balances is None and lines is None:
            _unproven(access)
            continue
        if not balances and not lines:
            require_shown(access, code, stream=STREAM)
        parts = [
            t for t in lines or () if balances is None or t.customer is not None or t.basis == "document"
        ]
        found += [*(balances or ()), *parts]
    return found


def period_end(today: date) -> date:
    """The last day of the fiscal period that this day is in: of the calendar month."""
    return today.replace(day=calendar.monthrange(today.year, today.month)[1])


def _accounts(access: Access, accounts: Sequence[tuple[str, str]]) -> Accounts:
    """Accounts by company code: those known, those of the settings, those that the ledger has customers on.

    Where the ledger does not tell and none is known, those of the customers' company data.
    """
    found: Accounts = {code: set() for code in access.settings.company_codes}
    for code, account in {*accounts, *access.settings.extra_accounts(), *_of_customers(access)}:
        if code in found:
            found[code].add(account)
    for code, numbers in found.items():
        if not numbers:
            companies = CUSTOMER_COMPANY.read(access, f"CompanyCode eq {text(code)}", stream=STREAM)
            numbers |= {c.reconciliation_account.lstrip("0") for c in companies if c.reconciliation_account}
            if not numbers:
                require_shown(access, code, stream=STREAM)
    return found


def _of_customers(access: Access) -> set[tuple[str, str]]:
    """(company code, account) of every account that the ledger has lines of customers on, if it tells."""
    try:
        offered = service(access, LEDGER).metadata(stream=STREAM).sets.get(SET_OF_LINES, {})
        if "FinancialAccountType" not in offered:
            return set()
        condition = all_of(
            f"Ledger eq {text(access.settings.ledger)}",
            any_of("CompanyCode", access.settings.company_codes),
            "FinancialAccountType eq 'D'",
        )
        source = Source(LEDGER, SET_OF_LINES, fields.LedgerAccount, ("CompanyCode", "GLAccount"))
        rows = list(source.read(access, condition, stream=STREAM))
    except NotOffered:
        return set()
    return {(row.company_code, _number(access, row.gl_account)) for row in rows}


def _unproven(access: Access) -> None:
    if not access.settings.accept_unproven:
        raise Misconfigured(
            f"{access.http.connector}, {STREAM}: neither {TRIAL_BALANCE} nor {LEDGER} is offered to the "
            "user, so nothing can be compared with the ledger. Give the user one of them (communication "
            "scenario SAP_COM_0303 on Cloud), or set `accept_unproven` to publish without proof."
        )


# -- trial balance -----------------------------------------------------------------------------------------


def balances_source(access: Access, as_of: date) -> Source[fields.Balance]:
    """The trial balance of the period that ends on this day."""
    metadata = service(access, TRIAL_BALANCE).metadata(stream=STREAM)
    named = SET_OF_BALANCES if SET_OF_BALANCES in metadata.sets else "C_TRIALBALANCE"
    path = (
        f"C_TRIALBALANCE(P_FromPostingDate={day(as_of.replace(day=1))},P_ToPostingDate={day(as_of)})/Results"
    )
    return Source(TRIAL_BALANCE, named, fields.Balance, ("CompanyCode", "GLAccount"), path)


def _balances(access: Access, code: str, accounts: Iterable[str], as_of: date) -> list[ControlTotal] | None:
    """Ending balances in company currency; None where the service is not offered."""
    try:
        source = balances_source(access, as_of)
        condition = _in_ledger(access, code)
        rows = [
            row
            for part in _forms(accounts)
            for row in source.read(access, all_of(condition, part), stream=STREAM)
        ]
    except NotOffered:
        return None
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    wanted = set(accounts)
    for row in rows:
        account = _number(access, row.gl_account)
        if row.company_code == code and account in wanted:
            currency = row.company_code_currency
            closing = row.ending_balance_amt_in_co_code_crcy
            sums[account, currency] += _exact(access, closing, currency, "EndingBalanceAmtInCoCodeCrcy")
    return [
        _total((code, account, "company", of), as_of, closing, None)
        for (account, of), closing in sums.items()
    ]


# -- G/L line items ----------------------------------------------------------------------------------------


def open_lines(access: Access, code: str, as_of: date) -> str:
    """The filter for what is open in the ledger on this day, as our side counts it."""
    return all_of(
        _in_ledger(access, code),
        f"PostingDate le {day(as_of)}",
        f"(ClearingDate eq null or ClearingDate gt {day(as_of)})",
    )


def _lines(access: Access, code: str, accounts: Iterable[str], as_of: date) -> list[ControlTotal] | None:
    """Open lines summed by account and currency, and by customer where offered; None without the service."""
    try:
        offered = service(access, LEDGER).metadata(stream=STREAM).sets.get(SET_OF_LINES, {})
        by_customer = "Customer" in offered
        rows = list(_ledger_rows(access, code, accounts, as_of, by_customer=by_customer))
    except NotOffered:
        return None
    return list(_summed(access, code, rows, as_of, set(accounts)))


def _ledger_rows(
    access: Access, code: str, accounts: Iterable[str], as_of: date, *, by_customer: bool
) -> Iterator[fields.LedgerSum]:
    shape = fields.LedgerCustomer if by_customer else fields.LedgerSum
    dimensions = ("CompanyCode", "GLAccount", "TransactionCurrency", "CompanyCodeCurrency")
    order = (*dimensions, "Customer") if by_customer else dimensions
    source = Source(LEDGER, SET_OF_LINES, shape, order)
    for part in _forms(accounts):
        yield from source.read(access, all_of(open_lines(access, code, as_of), part), stream=STREAM)


def _summed(
    access: Access, code: str, rows: Iterable[fields.LedgerSum], as_of: date, wanted: set[str]
) -> Iterator[ControlTotal]:
    sums: dict[tuple[str, str, str, str | None], Decimal] = defaultdict(Decimal)
    for row in rows:
        account = _number(access, row.gl_account)
        if row.company_code != code or account not in wanted:
            continue
        document = _exact(
            access,
            row.amount_in_transaction_currency,
            row.transaction_currency,
            "AmountInTransactionCurrency",
        )
        company = _exact(
            access,
            row.amount_in_company_code_currency,
            row.company_code_currency,
            "AmountInCompanyCodeCurrency",
        )
        parts: list[str | None] = [None]
        if isinstance(row, fields.LedgerCustomer):
            parts.append(_number(access, row.customer, "Customer") if row.customer else "")
        for customer in parts:
            sums[account, "document", row.transaction_currency, customer] += document
            sums[account, "company", row.company_code_currency, customer] += company
    for (account, basis, currency, customer), closing in sums.items():
        yield _total((code, account, basis, currency), as_of, closing, customer)


# -- both --------------------------------------------------------------------------------------------------


def _in_ledger(access: Access, code: str) -> str:
    return f"Ledger eq {text(access.settings.ledger)} and CompanyCode eq {text(code)}"


def _forms(accounts: Iterable[str]) -> Iterator[str]:
    """Filters for some accounts at a time, each in both forms that services print."""
    numbers = sorted(accounts)
    for at in range(0, len(numbers), ACCOUNTS_OF_ONE_REQUEST):
        some = numbers[at : at + ACCOUNTS_OF_ONE_REQUEST]
        yield any_of("GLAccount", dict.fromkeys(form for n in some for form in forms(n)))


def forms(number: str) -> tuple[str, ...]:
    """A number as printed without and with leading zeros."""
    return (number, number.zfill(WIDTH)) if number.isdigit() and len(number) < WIDTH else (number,)


def _number(access: Access, printed: str, field: str = "GLAccount") -> str:
    try:
        return canonical(printed, field)
    except Unreadable as error:
        raise Rejected(f"{access.http.connector}, {STREAM}: {error}") from error


def _exact(access: Access, value: str, currency: str, field: str) -> Decimal:
    try:
        return Decimal(amount(value, currency, field))
    except Unreadable as error:
        raise Rejected(f"{access.http.connector}, {STREAM}: {error}") from error


def _total(
    place: tuple[str, str, str, str], as_of: date, closing: Decimal, customer: str | None
) -> ControlTotal:
    code, account, basis, currency = place
    return ControlTotal(
        entity=code,
        account=account,
        basis=basis,
        currency=currency,
        as_of=as_of.isoformat(),
        grade="ledger",
        closing=f"{closing:f}",
        customer=customer,
    )
