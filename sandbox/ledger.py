"""The trial balance, computed from the journal: balances of whole fiscal periods, never of days.

Source: the service's own description ("period-based balances ... not day-based balances") and its parameters
and fields as named in public code [D]; that credits are printed with their sign is [K]. It refuses a request
without both parameters.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sandbox.books import ZERO, Company
from sandbox.faults import View
from sandbox.filters import BadQuery

SERVICE = "C_TRIALBALANCE_CDS"
RESULTS = "C_TRIALBALANCEResults"
PATH = re.compile(r"C_TRIALBALANCE\((?P<parameters>[^)]*)\)/Results")
PARAMETER = re.compile(r"(P_FromPostingDate|P_ToPostingDate)=datetime'(\d{4}-\d\d-\d\d)T00:00:00'")


@dataclass(slots=True)
class Balance:
    """One account's balance over a range of periods, in the company's currency."""

    company: Company
    account: str
    starting: Decimal
    debit: Decimal
    credit: Decimal

    @property
    def ending(self) -> Decimal:
        """The balance at the end of the last period."""
        return self.starting + self.debit + self.credit


def periods(parameters: str) -> tuple[date, date]:
    """Read the two parameters and widen them to whole fiscal periods (calendar months).

    Raises:
        BadQuery: one is missing or not a day.
    """
    values = dict(PARAMETER.findall(parameters))
    if set(values) != {"P_FromPostingDate", "P_ToPostingDate"}:
        raise BadQuery("The parameters P_FromPostingDate and P_ToPostingDate are mandatory")
    try:
        start = date.fromisoformat(values["P_FromPostingDate"])
        end = date.fromisoformat(values["P_ToPostingDate"])
    except ValueError as error:
        raise BadQuery(f"A parameter is not a day: {error}") from error
    return start.replace(day=1), end.replace(day=calendar.monthrange(end.year, end.month)[1])


def balances(view: View, start: date, end: date) -> list[Balance]:
    """Add up the journal per company code and account."""
    found = []
    for (code, account), lines in sorted(view.books.ledger.items()):
        if not view.shows_company(code):
            continue
        company = view.books.companies[code]
        zero = ZERO[company.currency]
        balance = Balance(company, account, zero, zero, zero)
        for line in lines:
            day = line.document.posting_date
            if day < start:
                balance.starting += line.company_amount
            elif day <= end:
                if line.company_amount < 0:
                    balance.credit += line.company_amount
                else:
                    balance.debit += line.company_amount
        found.append(balance)
    return found
