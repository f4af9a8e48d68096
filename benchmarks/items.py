"""The accounting items of the benchmark: a made-up sub-ledger of one company code, and its ledger.

The fields are those of `$select` in connectors/systems/sap_s4hana, about 2.4 KB a row as OData V2 JSON, as
a real gateway prints them. Everything follows from the row's number: nothing is random, nothing is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

ENTITY = "1010"
ACCOUNTS = ("12100000", "12130000")
ITEMS_OF_ONE_CUSTOMER = 100
EVERY_HUNDREDTH = 37  # the remainder that says which rows the third case changes

SERVICE = "API_OPLACCTGDOCITEMCUBE_SRV"
ITEM_SET = "A_OperationalAcctgDocItemCube"
ROOT = "https://s4.example.com:44300/sap/opu/odata/sap"

# The smallest unit of each document currency in cents, and what one of it is worth in company currency.
RATES = {"EUR": Decimal(1), "USD": Decimal("0.92"), "JPY": Decimal("0.0061")}

Row = dict[str, object]


def day(value: date) -> str:
    """A calendar day as OData V2 prints it: milliseconds of its midnight in UTC."""
    return f"/Date({int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()) * 1000})/"


def document(number: int) -> int:
    """The document of a row: five documents in six rows, every fifth has two instalments."""
    group, place = divmod(number, 6)
    return group * 5 + min(place, 4)


def customer(number: int, rows: int) -> str:
    """The customer of a row: spread over all of them, as in a real month."""
    return str(10100001 + document(number) * 7919 % customers(rows))


def customers(rows: int) -> int:
    """How many customers a sub-ledger of so many items has."""
    return max(20, rows // ITEMS_OF_ONE_CUSTOMER)


def changed(number: int) -> bool:
    """Whether the third case changes this row (1 % of them)."""
    return number % 100 == EVERY_HUNDREDTH


def cleared(number: int) -> bool:
    """Whether the change is a clearing (half of them); the others are dunned and get a new due date."""
    return changed(number) and number % 200 == EVERY_HUNDREDTH


def currency(number: int) -> str:
    """The document currency of a row: one in eight in dollars, one in forty in yen."""
    of = document(number)
    return "USD" if of % 8 == 1 else "JPY" if of % 40 == 2 else "EUR"


def kind(number: int) -> str:
    """The document type of a row: mostly invoices, some credit memos and payments on account."""
    return {11: "DG", 17: "DZ"}.get(document(number) % 30, "RV")


def account(owes: str) -> str:
    """The control account of a customer, and of all its items."""
    return ACCOUNTS[int(owes) % 16 == 3]


def amounts(number: int) -> tuple[Decimal, Decimal]:
    """The signed amounts of a row in document currency and in EUR."""
    cents = Decimal(1500 + number * 104729 % 4_000_000)
    if kind(number) != "RV":
        cents = -cents
    of = currency(number)
    amount = cents if of == "JPY" else cents.scaleb(-2)
    return amount, (amount * RATES[of]).quantize(Decimal("0.01"))


def item(number: int, rows: int, today: date, *, after: bool) -> Row:
    """The row of this number, as first loaded or `after` the changes of the third case."""
    of = document(number)
    name = str(1800000000 + of)
    owes = customer(number, rows)
    instalment = "2" if number % 6 == 5 else "1"
    kept_in = currency(number)
    amount, company = amounts(number)
    document_type = kind(number)
    is_invoice = document_type == "RV"
    posted = today.replace(day=1) + timedelta(days=of % today.day)
    due = posted + timedelta(days=30 * int(instalment))
    is_changed, is_cleared = after and changed(number), after and cleared(number)
    if is_changed and not is_cleared:
        due += timedelta(days=14)
    key = (
        f"{ROOT}/{SERVICE}/{ITEM_SET}(CompanyCode='{ENTITY}',FiscalYear='{posted.year}',"
        f"AccountingDocument='{name}',AccountingDocumentItem='{instalment}')"
    )
    return {
        "__metadata": {"id": key, "uri": key, "type": f"{SERVICE}.{ITEM_SET}Type"},
        "CompanyCode": ENTITY,
        "FiscalYear": str(posted.year),
        "AccountingDocument": name,
        "AccountingDocumentItem": instalment,
        "AccountingDocumentType": document_type,
        "AccountingDocumentCategory": "",
        "FinancialAccountType": "D",
        "PostingKey": {"RV": "01", "DG": "11", "DZ": "15"}[document_type],
        "DebitCreditCode": "S" if is_invoice else "H",
        "SpecialGLCode": "",
        "SpecialGLTransactionType": "",
        "GLAccount": account(owes),
        "Customer": owes,
        "BranchAccount": "",
        "PostingDate": day(posted),
        "DocumentDate": day(posted),
        "NetDueDate": day(due),
        "DueCalculationBaseDate": day(posted),
        "PaymentTerms": "0004",
        "CashDiscount1DueDate": day(posted + timedelta(days=14)),
        "CashDiscount1Percent": "2.000",
        "CashDiscount2DueDate": day(due),
        "CashDiscount2Percent": "0.000",
        "CashDiscountBaseAmount": str(amount),
        "CashDiscountAmount": "0" if kept_in == "JPY" else "0.00",
        "CashDiscountAmtInCoCodeCrcy": "0.00",
        "TransactionCurrency": kept_in,
        "AmountInTransactionCurrency": str(amount),
        "CompanyCodeCurrency": "EUR",
        "AmountInCompanyCodeCurrency": str(company),
        "BalanceTransactionCurrency": kept_in,
        "AmountInBalanceTransacCrcy": str(amount),
        "ValuationDiffAmtInCoCodeCrcy": "0.00",
        "IsCleared": is_cleared,
        "ClearingDate": day(today) if is_cleared else None,
        "ClearingCreationDate": day(today) if is_cleared else None,
        "ClearingAccountingDocument": str(1400000000 + number) if is_cleared else "",
        "ClearingDocFiscalYear": str(today.year) if is_cleared else "0000",
        "ClearingItem": "0",
        "ClearingIsReversed": False,
        "InvoiceReference": "",
        "InvoiceReferenceFiscalYear": "0000",
        "InvoiceItemReference": "0",
        "FollowOnDocumentType": "",
        "BillOfExchangeUsage": "",
        "PaymentMethod": "T" if number % 3 else "",
        "PaymentBlockingReason": "",
        "PaymentReference": f"RF{number % 97:02d}{name}" if is_invoice else "",
        "PaymentDifferenceReason": "",
        "DunningLevel": "1" if is_changed and not is_cleared else "0",
        "DunningArea": "",
        "DunningBlockingReason": "",
        "LastDunningDate": day(today) if is_changed and not is_cleared else None,
        "BillingDocument": str(90000000 + of) if is_invoice else "",
        "SalesDocument": str(3000000 + of) if is_invoice else "",
        "DocumentReferenceID": f"{90000000 + of:010d}" if is_invoice else "",
        "AssignmentReference": f"{posted:%Y%m%d}",
        "DocumentItemText": f"Lieferung {number % 1000} / Größe {number % 7}",
        "IsReversal": False,
        "IsReversed": False,
        "ReverseDocument": "",
        "ReverseDocumentFiscalYear": "0000",
        "ReversalReason": "",
        "IntercompanyTransaction": "",
        "SourceCompanyCode": "",
        "IsNegativePosting": False,
        "AccountingDocumentCreationDate": day(posted),
        "CreationTime": f"PT{number % 24:02d}H{number % 60:02d}M{number % 59:02d}S",
        "LastChangeDate": day(today if is_changed else posted),
        "ValueDate": None,
    }


def ledger(rows: int, *, after: bool) -> Iterator[tuple[str, str, str, Decimal, Decimal]]:
    """What the books say: (account, customer, document currency, its amount, the amount in EUR)."""
    sums: dict[tuple[str, str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for number in range(rows):
        if not (after and cleared(number)):
            amount, company = amounts(number)
            owes = customer(number, rows)
            both = sums[account(owes), owes, currency(number)]
            both[0] += amount
            both[1] += company
    for (of, owes, kept_in), (amount, company) in sums.items():
        yield of, owes, kept_in, amount, company


def example() -> Row:
    """The fields of a row with a value of their type, without what V2 adds to it."""
    return {
        name: value
        for name, value in item(0, 1, date(2026, 1, 15), after=False).items()
        if name != "__metadata"
    }


def edm_type(name: str, value: object) -> str:
    """The type of a field as the gateway's metadata declares it."""
    if isinstance(value, bool):
        return "Edm.Boolean"
    if name.endswith("Date"):
        return "Edm.DateTime"
    if "Amount" in name or "Amt" in name or name.endswith("Percent"):
        return "Edm.Decimal"
    return "Edm.String"
