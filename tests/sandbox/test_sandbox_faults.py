"""Seeded faults: each moves the rows away from the ledger by exactly what it says, and back when it is off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
LINES = "API_GLACCOUNTLINEITEM/GLAccountLineItem"
BY = ("CompanyCode", "GLAccount", "Customer", "TransactionCurrency")
AMOUNTS = ("AmountInTransactionCurrency", "AmountInCompanyCodeCurrency")
CONTROL_ACCOUNTS = ("12100000", "12120000", "21190000")

Difference = dict[tuple[str, ...], tuple[Decimal, Decimal]]


def differences(erp: Erp) -> Difference:
    """Rows minus ledger, per company code, account, customer and currency."""
    rows = erp.rows(
        CUBE,
        filter="FinancialAccountType eq 'D' and AccountingDocumentCategory eq '' and ClearingDate eq null",
    )
    accounts = " or ".join(f"GLAccount eq '{account}'" for account in CONTROL_ACCOUNTS)
    select = ",".join((*BY, *AMOUNTS))
    lines = erp.rows(LINES, select=select, filter=f"ClearingDate eq null and ({accounts})")
    sums: defaultdict[tuple[str, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for factor, found in ((1, rows), (-1, lines)):
        for row in found:
            for position, amount in enumerate(AMOUNTS):
                sums[tuple(row[name] for name in BY)][position] += factor * Decimal(row[amount])
    return {key: (a, b) for key, (a, b) in sums.items() if a or b}


def told(did: list[dict[str, Any]]) -> Difference:
    return {
        (d["company_code"], d["account"], d["customer"], d["currency"]): (
            Decimal(d["amount"]),
            Decimal(d["company_amount"]),
        )
        for d in did
    }


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--items", "600", "--today", "2026-11-24")


@pytest.fixture
def small(running: Sandbox) -> Iterator[Sandbox]:
    """Both tenants without faults, before and after."""
    yield running
    for erp in running.tenants.values():
        for fault in erp.control("faults")["faults"]:
            erp.control("faults", {"name": fault["name"], "on": False})


@pytest.mark.parametrize(
    ("name", "customers"),
    [
        ("row_hidden", 1),
        ("row_doubled", 1),
        ("wrong_sign", 1),
        ("cancelling_errors", 2),
        ("manual_journal", 1),
        ("account_group_hidden", 2),
        ("partner_blocked", 1),
    ],
)
def test_a_fault_does_what_it_says_and_can_be_undone(small: Sandbox, name: str, customers: int) -> None:
    for erp in small.tenants.values():
        assert differences(erp) == {}
        (fault,) = erp.control("faults", {"name": name})["faults"]
        assert fault["name"] == name
        assert differences(erp) == told(fault["did"])
        assert len({d["customer"] for d in fault["did"]}) >= customers
        assert erp.control("faults", {"name": name, "on": False})["faults"] == []
        assert differences(erp) == {}


def test_errors_that_cancel_leave_the_account_right(small: Sandbox) -> None:
    erp = small.tenants["acme"]
    (fault,) = erp.control("faults", {"name": "cancelling_errors"})["faults"]
    first, second = fault["did"]
    assert (first["company_code"], first["account"]) == (second["company_code"], second["account"])
    assert Decimal(first["amount"]) == -Decimal(second["amount"]) != 0


def test_a_doubled_row_has_another_item_number(small: Sandbox) -> None:
    erp = small.tenants["nippon"]
    (did,) = erp.control("faults", {"name": "row_doubled"})["faults"][0]["did"]
    rows = erp.rows(
        CUBE,
        filter=f"CompanyCode eq '{did['company_code']}' and FiscalYear eq '{did['fiscal_year']}' and "
        f"AccountingDocument eq '{did['document']}' and FinancialAccountType eq 'D'",
    )
    twins = [row for row in rows if row["AmountInTransactionCurrency"] == did["amount"]]
    assert len({row["AccountingDocumentItem"] for row in twins}) == len(twins) >= 2


def test_a_wrong_sign_is_consistent_in_itself(small: Sandbox) -> None:
    """Debit/credit code and sign agree, so that only the ledger can tell."""
    erp = small.tenants["acme"]
    erp.control("faults", {"name": "wrong_sign"})
    rows = erp.rows(CUBE, filter="FinancialAccountType eq 'D'")
    assert all(
        (Decimal(row["AmountInTransactionCurrency"]) < 0) == (row["DebitCreditCode"] == "H") for row in rows
    )


def test_an_account_group_is_hidden_from_the_customers_too(small: Sandbox) -> None:
    erp = small.tenants["acme"]
    before = {row["Customer"] for row in erp.rows("API_BUSINESS_PARTNER/A_Customer")}
    (fault,) = erp.control("faults", {"name": "account_group_hidden"})["faults"]
    after = erp.rows("API_BUSINESS_PARTNER/A_Customer")
    hidden = before - {row["Customer"] for row in after}
    assert {d["customer"] for d in fault["did"]} <= hidden
    assert all(row["CustomerAccountGroup"] != "KEYA" for row in after)


def test_a_customer_without_master_data_still_has_its_items(small: Sandbox) -> None:
    erp = small.tenants["acme"]
    (fault,) = erp.control("faults", {"name": "master_hidden"})["faults"]
    customer = fault["did"][0]["customer"]
    for path in ("A_Customer", "A_CustomerCompany", "A_BusinessPartner"):
        assert erp.rows(f"API_BUSINESS_PARTNER/{path}", filter=f"Customer eq '{customer}'") == []
    assert erp.rows(CUBE, filter=f"Customer eq '{customer}'")
    assert differences(erp) == {}


def test_without_rights_a_company_code_is_empty_everywhere_with_status_200(small: Sandbox) -> None:
    erp = small.tenants["nippon"]
    (fault,) = erp.control("faults", {"name": "company_code_without_rights"})["faults"]
    (code,) = [did["company_code"] for did in fault["did"]]
    assert code == "2020"
    for path in (CUBE, LINES, "API_BUSINESS_PARTNER/A_CustomerCompany", "API_COMPANYCODE_SRV/A_CompanyCode"):
        codes = {row["CompanyCode"] for row in erp.rows(path, select="CompanyCode")}
        assert codes == {"2010"}
        assert erp.rows(path, filter=f"CompanyCode eq '{code}'") == []
    empty = erp.get(CUBE, filter="CompanyCode eq '2020'")
    assert (empty.status_code, empty.json()) == (200, {"d": {"results": []}})


def test_a_fault_can_be_on_from_the_start_for_one_tenant(start: Start) -> None:
    sandbox = start("--items", "200", "--fault", "row_hidden:nippon")
    assert sandbox.tenants["acme"].control("faults")["faults"] == []
    (fault,) = sandbox.tenants["nippon"].control("faults")["faults"]
    assert differences(sandbox.tenants["nippon"]) == told(fault["did"])


def test_an_unknown_fault_is_refused(small: Sandbox) -> None:
    url = f"{small.tenants['acme'].url}/_sandbox/faults"
    answer = requests.post(url, json={"name": "row_eaten"}, timeout=30)
    assert answer.status_code == 400
    assert "row_hidden" in answer.json()["error"]
    answer = requests.post(url, json={"name": "row_hidden", "company_code": "9999"}, timeout=30)
    assert answer.status_code == 400
    assert "9999" in answer.json()["error"]
