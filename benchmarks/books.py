"""The other lists that a run of ours reads: company code, customers, and a ledger that fits the items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from benchmarks import items
from benchmarks.items import ENTITY, Row, day

# service -> entity set -> the list that answers it
SERVICES = {
    items.SERVICE: {items.ITEM_SET: "items"},
    "API_COMPANYCODE_SRV": {"A_CompanyCode": "company_codes"},
    "API_BUSINESS_PARTNER": {
        "A_Customer": "customers",
        "A_CustomerCompany": "customer_companies",
        "A_BusinessPartner": "partners",
        "A_BusinessPartnerAddress": "addresses",
        "A_AddressEmailAddress": "emails",
        "A_BusinessPartnerTaxNumber": "tax_numbers",
        "A_CustomerDunning": "dunning",
    },
    "C_TRIALBALANCE_CDS": {"C_TRIALBALANCE": "trial_balance"},
    "API_GLACCOUNTLINEITEM": {"GLAccountLineItem": "ledger"},
}


def lists(rows: int, today: date, *, after: bool) -> Iterator[tuple[str, Sequence[Row]]]:
    """Every list but the items, in the state before or `after` the third case."""
    yield "company_codes", [company_code()]
    numbers = [str(10100001 + n) for n in range(items.customers(rows))]
    yield "customers", [customer(n, today) for n in numbers]
    yield "customer_companies", [customer_company(n) for n in numbers]
    yield "partners", [partner(n, today) for n in numbers]
    yield "addresses", [address(n) for n in numbers]
    yield "emails", [email(n) for n in numbers]
    yield "tax_numbers", [tax_number(n) for n in numbers]
    yield "dunning", [dunning(n) for n in numbers[:1]]
    books = list(items.ledger(rows, after=after))
    yield "trial_balance", trial_balance(books, today)
    yield "ledger", ledger(books, by_customer=False)
    yield "ledger_by_customer", ledger(books, by_customer=True)


def company_code() -> Row:
    """The one company code of this world."""
    return {
        "CompanyCode": ENTITY,
        "CompanyCodeName": "Bench DE",
        "Country": "DE",
        "Currency": "EUR",
        "Language": "DE",
        "ChartOfAccounts": "YCOA",
        "FiscalYearVariant": "K4",
        "VATRegistration": "DE123456789",
    }


def customer(number: str, today: date) -> Row:
    """One customer's general data."""
    return {
        "Customer": number,
        "CustomerName": f"Müller {number} GmbH",
        "CustomerFullName": f"Müller {number} GmbH",
        "CustomerAccountGroup": "CUST",
        "CreationDate": day(today),
        "PostingIsBlocked": False,
        "DeletionIndicator": False,
        "CustomerCorporateGroup": "",
        "TaxNumber1": "",
        "TaxNumber2": "",
        "VATRegistration": f"DE{number}0",
        "Supplier": "",
    }


def customer_company(number: str) -> Row:
    """One customer's data in the company code."""
    return {
        "Customer": number,
        "CompanyCode": ENTITY,
        "ReconciliationAccount": items.account(number),
        "PaymentTerms": "0004",
        "PaymentMethodsList": "T",
        "PaymentBlockingReason": "",
        "AlternativePayerAccount": "",
        "CustomerHeadOffice": "",
        "AccountingClerk": "",
        "UserAtCustomer": "",
        "DeletionIndicator": False,
        "CustomerSupplierClearingIsUsed": False,
    }


def partner(number: str, today: date) -> Row:
    """The business partner behind a customer, of the same number."""
    return {
        "BusinessPartner": number,
        "Customer": number,
        "BusinessPartnerCategory": "2",
        "BusinessPartnerFullName": f"Müller {number} GmbH",
        "CorrespondenceLanguage": "DE",
        "Language": "DE",
        "LastChangeDate": day(today),
        "LastChangeTime": "PT08H00M00S",
        "CreationDate": day(today),
        "CreationTime": "PT08H00M00S",
        "BusinessPartnerIsBlocked": False,
        "IsMarkedForArchiving": False,
        "TradingPartner": "",
    }


def address(number: str) -> Row:
    """Where a business partner is."""
    return {
        "BusinessPartner": number,
        "AddressID": number,
        "StreetName": "Hauptstraße",
        "HouseNumber": "1",
        "PostalCode": "69190",
        "CityName": "Walldorf",
        "Region": "BW",
        "Country": "DE",
        "Language": "DE",
        "ValidityStartDate": "/Date(1451606400000+0000)/",
        "ValidityEndDate": "/Date(253402300799000+0000)/",
    }


def email(number: str) -> Row:
    """The address that invoices go to."""
    return {
        "AddressID": number,
        "Person": "",
        "OrdinalNumber": "1",
        "IsDefaultEmailAddress": True,
        "EmailAddress": f"ap-{number}@example.com",
    }


def tax_number(number: str) -> Row:
    """A business partner's tax number."""
    return {
        "BusinessPartner": number,
        "BPTaxType": "DE0",
        "BPTaxNumber": f"DE{number}0",
        "BPTaxLongNumber": "",
    }


def dunning(number: str) -> Row:
    """A customer's dunning data: one has any."""
    return {
        "Customer": number,
        "CompanyCode": ENTITY,
        "DunningArea": "",
        "DunningBlock": "",
        "DunningLevel": "0",
        "DunningProcedure": "0001",
        "LastDunnedOn": None,
    }


Books = Sequence[tuple[str, str, str, Decimal, Decimal]]


def trial_balance(books: Books, today: date) -> list[Row]:
    """The accounts' ending balances of the current period, in company currency."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for account, _, _, _, company in books:
        sums[account] += company
    return [
        {
            "CompanyCode": ENTITY,
            "GLAccount": account,
            "CompanyCodeCurrency": "EUR",
            "StartingBalanceAmtInCoCodeCrcy": "0.00",
            "DebitAmountInCoCodeCrcy": str(balance),
            "CreditAmountInCoCodeCrcy": "0.00",
            "EndingBalanceAmtInCoCodeCrcy": str(balance),
            "FiscalYear": str(today.year),
        }
        for account, balance in sums.items()
    ]


def ledger(books: Books, *, by_customer: bool) -> list[Row]:
    """The line items of the ledger summed by account and currency, and by customer where asked."""
    sums: dict[tuple[str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for account, owes, currency, amount, company in books:
        both = sums[account, owes if by_customer else "", currency]
        both[0] += amount
        both[1] += company
    rows: list[Row] = []
    for (account, owes, currency), (amount, company) in sums.items():
        row: Row = {
            "CompanyCode": ENTITY,
            "GLAccount": account,
            "TransactionCurrency": currency,
            "AmountInTransactionCurrency": str(amount),
            "CompanyCodeCurrency": "EUR",
            "AmountInCompanyCodeCurrency": str(company),
        }
        rows.append(row | {"Customer": owes} if by_customer else row)
    return rows
