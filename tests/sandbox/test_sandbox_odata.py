"""The OData V2 that the sandbox speaks: envelope, raw values, options, paging, errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
CUSTOMER = "API_BUSINESS_PARTNER/A_Customer"
KEY = "CompanyCode,FiscalYear,AccountingDocument,AccountingDocumentItem"


def test_the_first_row_of_the_worked_example_is_printed_as_recorded(start: Start) -> None:
    erp = start("--world", "example").tenants["example"]
    select = (
        "CompanyCode,FiscalYear,AccountingDocument,AccountingDocumentItem,AmountInTransactionCurrency,"
        "TransactionCurrency,PostingDate,NetDueDate,ClearingDate,ClearingAccountingDocument,IsCleared,"
        "InvoiceReference,InvoiceReferenceFiscalYear,InvoiceItemReference"
    )
    row = erp.rows(CUBE, select=select, filter="AccountingDocument eq '1800000012'", orderby=KEY)[0]
    metadata = row.pop("__metadata")
    assert row == {
        "CompanyCode": "1010",
        "FiscalYear": "2026",
        "AccountingDocument": "1800000012",
        "AccountingDocumentItem": "1",
        "AmountInTransactionCurrency": "600.00",
        "TransactionCurrency": "EUR",
        "PostingDate": "/Date(1768435200000)/",
        "NetDueDate": "/Date(1771027200000)/",
        "ClearingDate": None,
        "ClearingAccountingDocument": "",
        "IsCleared": False,
        "InvoiceReference": "",
        "InvoiceReferenceFiscalYear": "0000",
        "InvoiceItemReference": "0",
    }
    assert metadata["type"] == "API_OPLACCTGDOCITEMCUBE_SRV.A_OperationalAcctgDocItemCubeType"
    assert metadata["uri"] == (
        f"{erp.url}/sap/opu/odata/sap/{CUBE}(CompanyCode='1010',FiscalYear='2026',"
        "AccountingDocument='1800000012',AccountingDocumentItem='1')"
    )


@pytest.mark.parametrize(
    ("currency", "form"), [("EUR", r"-?\d+\.\d\d"), ("JPY", r"-?\d+"), ("KWD", r"-?\d+\.\d\d\d")]
)
def test_amounts_have_the_scale_of_their_currency(seeded: Sandbox, currency: str, form: str) -> None:
    rows = seeded.tenants["acme"].rows(CUBE, filter=f"TransactionCurrency eq '{currency}'", top=200)
    assert len(rows) > 10
    assert all(re.fullmatch(form, row["AmountInTransactionCurrency"]) for row in rows)
    assert all(re.fullmatch(form, row["CashDiscountAmount"]) for row in rows)
    assert all(re.fullmatch(r"-?\d+\.\d\d", row["AmountInCompanyCodeCurrency"]) for row in rows)


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("DebitCreditCode eq 'H'", lambda row: row["DebitCreditCode"] == "H"),
        ("not (DebitCreditCode eq 'H')", lambda row: row["DebitCreditCode"] == "S"),
        ("ClearingDate eq null", lambda row: row["ClearingDate"] is None),
        ("ClearingDate ne null and IsCleared eq true", lambda row: row["IsCleared"]),
        ("ClearingAccountingDocument eq ''", lambda row: not row["IsCleared"]),
        (
            "PostingDate lt datetime'2026-06-01T00:00:00'",
            lambda row: row["PostingDate"] < "/Date(1780272000000)/",
        ),
        (
            "ClearingDate ge datetime'2026-01-01T00:00:00'",
            lambda row: (row["ClearingDate"] or "") >= "/Date(1767225600000)/",
        ),
        ("AmountInTransactionCurrency gt 5000", lambda row: float(row["AmountInTransactionCurrency"]) > 5000),
        (
            "AmountInTransactionCurrency le -10.50M",
            lambda row: float(row["AmountInTransactionCurrency"]) <= -10.5,
        ),
        (
            "AccountingDocumentType eq 'DZ' or AccountingDocumentType eq 'AB' and PostingKey eq '09'",
            lambda row: row["AccountingDocumentType"] == "DZ" or row["PostingKey"] == "09",
        ),
        (
            "DocumentItemText eq 'L''échéance \"2\" est repoussée'",
            lambda row: '"2"' in row["DocumentItemText"],
        ),
    ],
)
def test_a_filter_chooses_exactly_its_rows(seeded: Sandbox, query: str, test: object) -> None:
    erp = seeded.tenants["acme"]
    every = erp.rows(CUBE, filter="FinancialAccountType eq 'D'")
    assert callable(test)
    wanted = {row["__metadata"]["uri"] for row in every if test(row)}
    found = {
        row["__metadata"]["uri"]
        for row in erp.rows(CUBE, filter=f"FinancialAccountType eq 'D' and ({query})")
    }
    assert found == wanted
    assert 0 < len(wanted) < len(every)


@pytest.mark.parametrize(
    "options",
    [
        {"select": "CompanyCode,NoSuchProperty"},
        {"filter": "NoSuchProperty eq '1'"},
        {"filter": "CompanyCode eq 1010"},
        {"filter": "PostingDate ge '2026-01-01'"},
        {"filter": "PostingDate ge datetime'2026-02-30T00:00:00'"},
        {"filter": "CompanyCode like '1010'"},
        {"filter": "substringof('10',CompanyCode)"},
        {"filter": "(CompanyCode eq '1010'"},
        {"filter": "CompanyCode eq"},
        {"filter": "CompanyCode eq '1010' CompanyCode eq '1020'"},
        {"orderby": "NoSuchProperty"},
        {"top": "-1"},
        {"expand": "to_Customer"},
        {"inlinecount": "some"},
    ],
)
def test_a_query_that_cannot_be_read_is_a_v2_error(erp: Erp, options: dict[str, str]) -> None:
    answer = erp.get(CUBE, **options)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"]
    assert error["message"]["lang"] == "en"
    assert error["message"]["value"]
    assert error["innererror"]["transactionid"]


def test_errors_are_atom_xml_for_a_client_that_does_not_ask_for_json(erp: Erp) -> None:
    answer = erp.session.get(
        f"{erp.url}/sap/opu/odata/sap/{CUSTOMER}?$select=Nothing", headers={"Accept": "*/*"}, timeout=30
    )
    tree = etree.fromstring(answer.content)
    assert answer.status_code == 406
    assert etree.QName(tree).localname == "error"


@pytest.mark.parametrize("auth", [None, ("COMM_ACME", "wrong"), ("other", "wrong")])
def test_who_does_not_sign_in_gets_401_and_html(seeded: Sandbox, auth: tuple[str, str] | None) -> None:
    url = f"{seeded.tenants['acme'].url}/sap/opu/odata/sap/{CUSTOMER}"
    answer = requests.get(url, auth=auth, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("API_NO_SUCH_SRV/Things", 403),
        ("API_BUSINESS_PARTNER/A_Nothing", 404),
        ("API_BUSINESS_PARTNER/A_Customer('99')", 404),
        ("API_BUSINESS_PARTNER/A_CustomerCompany(Customer='1')", 400),
        ("C_TRIALBALANCE_CDS/C_TRIALBALANCEResults", 404),
        ("C_TRIALBALANCE_CDS/C_TRIALBALANCE(P_FromPostingDate=datetime'2026-01-01T00:00:00')/Results", 400),
    ],
)
def test_an_address_that_is_not_there(erp: Erp, path: str, status: int) -> None:
    answer = erp.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]["value"]


def test_the_services_are_read_only(erp: Erp) -> None:
    answer = erp.session.post(f"{erp.url}/sap/opu/odata/sap/{CUSTOMER}", json={}, timeout=30)
    assert answer.status_code == 405


def test_one_entity_by_key_and_several_by_a_list_of_keys(erp: Erp) -> None:
    rows = erp.rows(CUBE, filter="FinancialAccountType eq 'D'", top=3)
    single = erp.session.get(rows[0]["__metadata"]["uri"], timeout=30).json()["d"]
    assert single == rows[0]
    groups = [" and ".join(f"{name} eq '{row[name]}'" for name in KEY.split(",")) for row in rows]
    found = erp.rows(CUBE, filter=" or ".join(f"({group})" for group in groups))
    assert found == rows


def test_a_set_without_links_is_read_by_skip_until_the_count(erp: Erp) -> None:
    """A client that waits for `__next` here reads one page only."""
    count = int(erp.get(CUBE, top=1, inlinecount="allpages").json()["d"]["__count"])
    found: list[str] = []
    while len(found) < count:
        payload = erp.get(CUBE, top=1000, skip=len(found), orderby=KEY, inlinecount="allpages").json()["d"]
        assert "__next" not in payload
        assert payload["__count"] == str(count)
        found += [row["__metadata"]["uri"] for row in payload["results"]]
    assert len(found) == len(set(found)) == count


def test_a_set_with_links_pages_by_skiptoken(erp: Erp) -> None:
    first = erp.get(CUSTOMER, orderby="Customer", inlinecount="allpages").json()["d"]
    assert len(first["results"]) == 500
    assert "skiptoken" in first["__next"]
    assert urlsplit(first["__next"]).netloc == urlsplit(erp.url).netloc
    rows = erp.rows(CUSTOMER, orderby="Customer")
    assert [row["Customer"] for row in rows] == sorted({row["Customer"] for row in rows})
    assert str(len(rows)) == first["__count"]
    assert len(erp.rows(CUSTOMER, top=550)) == 550


def test_a_set_is_ordered_as_asked(erp: Erp) -> None:
    rows = erp.rows(CUBE, orderby="PostingDate desc,AccountingDocumentItem", top=400)
    keys = [(-int(row["PostingDate"][6:-2]), int(row["AccountingDocumentItem"])) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) > 20


def test_a_page_is_compressed_when_asked_for(erp: Erp) -> None:
    plain = erp.session.get(
        f"{erp.url}/sap/opu/odata/sap/{CUBE}?$top=100", headers={"Accept-Encoding": "identity"}, timeout=30
    )
    packed = erp.get(CUBE, top=100)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) * 5 < int(plain.headers["Content-Length"])
    assert packed.content == plain.content


def test_other_parameters_are_accepted(erp: Erp) -> None:
    answer = erp.session.get(
        f"{erp.url}/sap/opu/odata/sap/{CUSTOMER}?sap-client=100&sap-language=EN&$format=json&$top=1",
        headers={"Accept": "*/*"},
        timeout=30,
    )
    assert len(answer.json()["d"]["results"]) == 1


def test_the_item_service_does_not_aggregate_and_the_ledger_does(erp: Erp) -> None:
    code = erp.company_codes[0]
    select = "CompanyCode,GLAccount,AmountInCompanyCodeCurrency"
    items = erp.rows(CUBE, select=select, filter=f"CompanyCode eq '{code}' and FinancialAccountType eq 'D'")
    lines = erp.rows(
        "API_GLACCOUNTLINEITEM/GLAccountLineItem",
        select=select,
        filter=f"CompanyCode eq '{code}' and FinancialAccountType eq 'D'",
    )
    assert len(items) > 500
    assert len(lines) == len({row["GLAccount"] for row in items}) == 3
