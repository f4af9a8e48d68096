"""The books: what the services show agrees with the journal, and every kind of business is in them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Start

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
LINES = "API_GLACCOUNTLINEITEM/GLAccountLineItem"
PERIOD_END = date(2026, 11, 30)
PERIOD_END_TEXT = "/Date(1795996800000)/"
POSTED = "FinancialAccountType eq 'D' and AccountingDocumentCategory eq ''"
BALANCE = "CompanyCode,GLAccount,CompanyCodeCurrency,EndingBalanceAmtInCoCodeCrcy"

Sums = dict[tuple[str, ...], Decimal]


def total(rows: Iterable[dict[str, Any]], by: tuple[str, ...], amount: str) -> Sums:
    sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[tuple(row[name] for name in by)] += Decimal(row[amount])
    return {key: value for key, value in sums.items() if value}


def kind_counts(erp: Erp) -> Counter[str]:
    """How often each kind of business is among the items of the customers."""
    rows = erp.rows(CUBE, filter="FinancialAccountType eq 'D'")
    counts: Counter[str] = Counter()
    per_document = Counter((r["CompanyCode"], r["FiscalYear"], r["AccountingDocument"]) for r in rows)
    for row in rows:
        credit = row["DebitCreditCode"] == "H"
        kind, reference = row["AccountingDocumentType"], row["InvoiceReference"]
        counts["instalment"] += (
            per_document[row["CompanyCode"], row["FiscalYear"], row["AccountingDocument"]] == 3
        )
        counts["credit by billing"] += kind == "RV" and credit and not row["IsReversal"]
        counts["credit with reference"] += kind == "DG" and len(reference) > 1
        counts["credit without reference"] += kind == "DG" and not reference
        counts["credit due like an invoice"] += reference == "V"
        counts["partial payment"] += row["FollowOnDocumentType"] == "Z" and not row["IsCleared"]
        counts["residual item"] += row["PostingKey"] == "06"
        counts["reversed"] += row["IsReversed"]
        counts["reversal"] += row["IsReversal"]
        counts["negative posting"] += row["IsNegativePosting"]
        counts["advance"] += row["SpecialGLCode"] == "A" and not row["IsCleared"]
        counts["noted"] += row["SpecialGLCode"] == "F" and row["AccountingDocumentCategory"] == "S"
        counts["parked"] += row["AccountingDocumentCategory"] == "V"
        counts["on a head office"] += bool(row["BranchAccount"])
        counts["discount taken"] += float(row["CashDiscountAmount"]) > 0
        counts["dunned"] += row["DunningLevel"] != "0"
        counts["in the future"] += row["PostingDate"] > PERIOD_END_TEXT
        counts["entered late"] += row["AccountingDocumentCreationDate"] > row["PostingDate"]
        counts[row["TransactionCurrency"]] += 1
    return counts


def test_every_kind_of_business_is_there(erp: Erp) -> None:
    counts = kind_counts(erp)
    assert [kind for kind, n in counts.items() if n == 0] == []
    assert len(counts) >= 21


def test_open_items_are_what_the_journal_says_item_by_item(erp: Erp) -> None:
    rows = erp.rows(CUBE, filter=f"{POSTED} and ClearingAccountingDocument eq ''")
    shown = {
        (r["CompanyCode"], r["FiscalYear"], r["AccountingDocument"], r["AccountingDocumentItem"]): (
            r["GLAccount"],
            r["Customer"],
            r["AmountInTransactionCurrency"],
            r["AmountInCompanyCodeCurrency"],
        )
        for r in rows
    }
    books = {
        (i["company_code"], i["fiscal_year"], i["document"], i["item"]): (
            i["account"],
            i["customer"],
            i["amount"],
            i["company_amount"],
        )
        for i in erp.control("journal")["open_items"]
    }
    assert shown == books
    assert len(books) >= 800


def test_the_trial_balance_is_the_sum_of_the_items_up_to_the_end_of_the_period(erp: Erp) -> None:
    rows = [r for r in erp.rows(CUBE, filter=POSTED) if r["PostingDate"] <= PERIOD_END_TEXT]
    ours = total(rows, ("CompanyCode", "GLAccount"), "AmountInCompanyCodeCurrency")
    balances = erp.trial_balance(PERIOD_END, BALANCE, filter="Ledger eq '0L'")
    ledger = total(balances, ("CompanyCode", "GLAccount"), "EndingBalanceAmtInCoCodeCrcy")
    assert {key: ledger[key] for key in ours} == ours
    assert len(ours) >= 5
    assert {account for _, account in ours} == {"12100000", "12120000", "21190000"}


def test_uncleared_items_sum_to_the_balance_per_customer_in_both_currencies(erp: Erp) -> None:
    rows = erp.rows(CUBE, filter=f"{POSTED} and ClearingDate eq null")
    by = ("CompanyCode", "GLAccount", "Customer", "TransactionCurrency")
    select = ",".join(
        (*by, "AmountInTransactionCurrency", "CompanyCodeCurrency", "AmountInCompanyCodeCurrency")
    )
    lines = erp.rows(
        LINES, select=select, filter="Ledger eq '0L' and Customer ne '' and ClearingDate eq null"
    )
    for amount in ("AmountInTransactionCurrency", "AmountInCompanyCodeCurrency"):
        assert total(rows, by, amount) == total(lines, by, amount)
    assert len(lines) > 300


def test_cleared_groups_leave_nothing_on_their_account(erp: Erp) -> None:
    rows = erp.rows(CUBE, filter=f"{POSTED} and ClearingAccountingDocument ne ''")
    group = ("CompanyCode", "ClearingDocFiscalYear", "ClearingAccountingDocument", "GLAccount")
    assert len(rows) > 400
    assert total(rows, group, "AmountInCompanyCodeCurrency") == {}
    assert total(rows, group, "AmountInTransactionCurrency") == {}


def test_the_trial_balance_knows_whole_periods_only(erp: Erp) -> None:
    middle = erp.trial_balance(date(2026, 10, 13), BALANCE)
    end = erp.trial_balance(date(2026, 10, 31), BALANCE)
    by = ("CompanyCode", "GLAccount")
    amount = "EndingBalanceAmtInCoCodeCrcy"
    assert total(middle, by, amount) == total(end, by, amount)
    assert total(end, by, amount) != total(erp.trial_balance(PERIOD_END, BALANCE), by, amount)


def test_the_journal_is_double_entry_and_can_be_asked_for_a_day(erp: Erp) -> None:
    code = erp.company_codes[1]
    for as_of in (None, "2026-03-31"):
        query: dict[str, Any] = {"company_code": code, **({"as_of": as_of} if as_of else {})}
        books = erp.control("journal", **query)
        assert sum(Decimal(row["company_amount"]) for row in books["balances"]) == 0
        per_currency = total(books["balances"], ("currency",), "amount")
        assert per_currency == {}
        customers = [row for row in books["balances"] if row["customer"]]
        by = ("account", "customer", "currency")
        assert total(books["open_items"], by, "amount") == total(customers, by, "amount")
        assert {row["company_code"] for row in books["balances"]} == {code}


def test_master_data_joins(erp: Erp) -> None:
    customers = {row["Customer"] for row in erp.rows("API_BUSINESS_PARTNER/A_Customer")}
    partners = erp.rows("API_BUSINESS_PARTNER/A_BusinessPartner")
    addresses = erp.rows("API_BUSINESS_PARTNER/A_BusinessPartnerAddress")
    emails = erp.rows("API_BUSINESS_PARTNER/A_AddressEmailAddress")
    company = erp.rows("API_BUSINESS_PARTNER/A_CustomerCompany")
    assert len(customers) > 600
    assert {row["Customer"] for row in partners} == customers
    assert any(row["Customer"] != row["BusinessPartner"] for row in partners)
    assert any(row["BusinessPartnerIsBlocked"] for row in partners)
    assert {row["BusinessPartner"] for row in addresses} == {row["BusinessPartner"] for row in partners}
    assert {row["AddressID"] for row in emails} < {row["AddressID"] for row in addresses}
    assert any(row["CustomerHeadOffice"] in customers for row in company)
    assert any(row["AlternativePayerAccount"] in customers for row in company)
    items = {
        row["Customer"] for row in erp.rows(CUBE, filter="FinancialAccountType eq 'D'", select="Customer")
    }
    assert items < customers
    names = " ".join(row["BusinessPartnerFullName"] for row in partners)
    assert any("\u3040" <= letter <= "\u9fff" for letter in names)
    assert any(letter in names for letter in "éèäöü")


def test_the_worked_example(start: Start) -> None:
    erp = start("--world", "example").tenants["example"]
    rows = erp.rows(CUBE, filter="FinancialAccountType eq 'D'", orderby="PostingDate,AccountingDocumentItem")
    columns = (
        "AccountingDocument", "AccountingDocumentItem", "AccountingDocumentType", "PostingKey", "DebitCreditCode",
        "AmountInTransactionCurrency", "PostingDate", "NetDueDate", "ClearingAccountingDocument", "ClearingDate",
        "InvoiceReference", "InvoiceItemReference", "FollowOnDocumentType", "BillingDocument", "ReverseDocument",
    )  # fmt: skip
    day = {name: f"/Date({ms}00000)/" for name, ms in DAYS.items()}
    d = day.__getitem__
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("1800000012", "1", "RV", "01", "S", "600.00", d("01-15"), d("02-14"), "", None, "", "0", "", "90000123", ""),
        ("1800000012", "2", "RV", "01", "S", "600.00", d("01-15"), d("03-16"), "", None, "", "0", "", "90000123", ""),
        ("1400000031", "2", "DZ", "15", "H", "-250.00", d("02-20"), d("02-20"), "", None, "1800000012", "1", "Z", "", ""),
        ("1800000019", "1", "RV", "11", "H", "-120.00", d("02-25"), d("02-25"), "", None, "", "0", "", "90000150", ""),
        ("1800000025", "1", "DR", "01", "S", "360.00", d("02-26"), d("03-28"), "1800000026", d("02-27"), "", "0", "", "", "1800000026"),
        ("1800000026", "1", "DR", "11", "H", "-360.00", d("02-27"), d("02-27"), "1800000026", d("02-27"), "", "0", "", "", "1800000025"),
    ]  # fmt: skip
    assert {row["Customer"] for row in rows} == {"10100001"}
    assert [(row["IsReversed"], row["IsReversal"]) for row in rows[-2:]] == [(True, False), (False, True)]
    (balance,) = erp.trial_balance(date(2026, 3, 31), BALANCE, filter="GLAccount eq '12100000'")
    assert balance["EndingBalanceAmtInCoCodeCrcy"] == "830.00"
    assert [row["Customer"] for row in erp.rows("API_BUSINESS_PARTNER/A_Customer")] == ["10100001"]


DAYS = {  # hundreds of seconds since 1970
    "01-15": 17684352,
    "02-14": 17710272,
    "02-20": 17715456,
    "02-25": 17719776,
    "02-26": 17720640,
    "02-27": 17721504,
    "03-16": 17736192,
    "03-28": 17746560,
}


def test_the_same_seed_gives_the_same_books(start: Start) -> None:
    arguments = ("--tenant", "nippon", "--items", "60", "--today", "2026-05-04")
    first, second, other = start(*arguments), start(*arguments), start(*arguments, "--seed", "8")
    books = [sandbox.tenants["nippon"].control("journal") for sandbox in (first, second, other)]
    assert books[0] == books[1] != books[2]


@pytest.mark.long
def test_the_default_world_is_as_large_as_promised(start: Start) -> None:
    sandbox = start()
    for erp in sandbox.tenants.values():
        open_items = erp.control("journal")["open_items"]
        assert len(open_items) >= 12000
        cleared = int(
            erp.get(CUBE, filter=f"{POSTED} and IsCleared eq true", top=0, inlinecount="allpages").json()[
                "d"
            ]["__count"]
        )
        assert cleared >= 6000
        months = {i["PostingDate"][6:-2] for i in erp.rows(CUBE, filter=POSTED, select="PostingDate")}
        assert (max(map(int, months)) - min(map(int, months))) / 86_400_000 > 720
