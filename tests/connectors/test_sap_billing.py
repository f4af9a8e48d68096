"""Billing documents as rows and as requests: taxes by code and rate, ranges of numbers, and recorded answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from connectors.kit.stream import Access
from connectors.systems.sap_s4hana.billing import NOT_OFFERED, BillingDocuments, by_number
from connectors.systems.sap_s4hana.settings import Settings
from receivables.errors import Misconfigured, Unreadable
from receivables.records import BillingDocument
from tests.connectors.conftest import TODAY, Read, Reply, Server, now_on, read, serving, session

RECORDED = Path(__file__).resolve().parents[3] / "shared/data/sap-odata/latona-billing-sandbox"
EDMX = Path(__file__).resolve().parents[2] / "sandbox/metadata/API_BILLING_DOCUMENT_SRV.xml"
ELEMENTS = "A_BillingDocumentItemPrcgElmnt"


def header(**values: Any) -> dict[str, Any]:
    return {
        "BillingDocument": "0090000123", "CompanyCode": "1010", "BillingDocumentType": "F2",
        "TransactionCurrency": "EUR", "TotalNetAmount": "1000.00", "TaxAmount": "200.00", "TotalGrossAmount": "1200.00",
        "BillingDocumentIsCancelled": False, "CancelledBillingDocument": "", **values,
    }  # fmt: skip


def tax(**values: Any) -> dict[str, Any]:
    return {
        "BillingDocument": "0090000123", "BillingDocumentItem": "10", "PricingProcedureStep": "850",
        "PricingProcedureCounter": "1", "ConditionClass": "D", "ConditionType": "MWST", "TaxCode": "A1",
        "ConditionCalculationType": "A", "ConditionRateValue": "20.000000000", "ConditionBaseValue": "1000.000000000",
        "ConditionAmount": "200.00", "ConditionIsForStatistics": False, "ConditionInactiveReason": "", **values,
    }  # fmt: skip


def adapt(head: dict[str, Any], *taxes: dict[str, Any]) -> tuple[list[Any], list[Unreadable]]:
    raw = json.dumps({"A_BillingDocument": head, ELEMENTS: taxes}).encode()
    adapted = BillingDocuments()([raw])
    assert len(adapted.keys) == len(adapted.records)
    return adapted.records, [error for _, error in adapted.unreadable]


def one(head: dict[str, Any], *taxes: dict[str, Any]) -> BillingDocument:
    (made,), errors = adapt(head, *taxes)
    assert not errors
    assert isinstance(made, BillingDocument)
    return made


def test_a_billing_document() -> None:
    made = one(header(), tax())
    assert made == BillingDocument(
        "90000123", "1010", "F2", "posted", None, "EUR", "1000.00", "200.00", "1200.00", '[["A1","20","1000.00","200.00"]]'
    )  # fmt: skip
    yen = one(
        header(TransactionCurrency="JPY", TotalNetAmount="1000.000", TaxAmount="100", TotalGrossAmount="1100")
    )
    assert (yen.total_excl, yen.tax_total, yen.total_incl, yen.taxes) == ("1000", "100", "1100", "[]")


def test_what_was_cancelled_and_what_cancels() -> None:
    assert one(header(BillingDocumentIsCancelled=True)).status == "cancelled"
    assert one(header(CancelledBillingDocument="0090000007")).cancels == "90000007"
    assert one(header(CancelledBillingDocument="0000000000")).cancels is None


def test_taxes_are_summed_by_code_and_rate_and_others_left_out() -> None:
    made = one(
        header(),
        tax(ConditionBaseValue="400.00", ConditionAmount="80.00"),
        tax(ConditionBaseValue="300.00", ConditionAmount="60.00", BillingDocumentItem="20"),
        tax(TaxCode="A2", ConditionRateValue="5.500", ConditionBaseValue="100.00", ConditionAmount="5.50"),
        tax(TaxCode="AR", ConditionRateValue="0.000000000", ConditionBaseValue="200.00", ConditionAmount="0.00"),
        tax(TaxCode="", ConditionType="ECO", ConditionCalculationType="C", ConditionRateValue="0.50", ConditionAmount="1.50"),
        tax(ConditionIsForStatistics=True),
        tax(ConditionInactiveReason="X"),
    )  # fmt: skip
    assert json.loads(made.taxes) == [
        ["A1", "20", "700.00", "140.00"], ["A2", "5.5", "100.00", "5.50"], ["AR", "0", "200.00", "0.00"],
        ["ECO", "0", "1000.00", "1.50"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "element", "code", "field"),
    [
        ({"TaxAmount": "1.0x"}, {}, "amount_form", "TaxAmount"),
        ({"TotalNetAmount": "1.005"}, {}, "amount_scale", "TotalNetAmount"),
        ({"TransactionCurrency": "XXQ"}, {}, "currency_unknown", "TransactionCurrency"),
        ({}, {"ConditionAmount": "NaN"}, "amount_form", "ConditionAmount"),
        ({}, {"ConditionRateValue": "-20"}, "rate_form", "ConditionRateValue"),
        ({}, {"ConditionRateValue": "twenty"}, "rate_form", "ConditionRateValue"),
        ({}, {"TaxCode": "A\u0000"}, "key_character", "TaxCode"),
    ],
)
def test_what_cannot_be_read_is_set_aside(
    head: dict[str, Any], element: dict[str, Any], code: str, field: str
) -> None:
    records, (error,) = adapt(header(**head), tax(**element))
    assert records == []
    assert (error.code, error.field, error.key) == (code, field, "0090000123")


# -- requests ----------------------------------------------------------------------------------------------


def answering(path: str, headers: list[dict[str, Any]], taxes: list[dict[str, Any]]) -> Reply:
    """An answer of a service that shows all it has, whatever it is asked for."""
    if path.endswith("$metadata") or "$metadata?" in path:
        return Reply(EDMX.read_bytes(), headers={"Content-Type": "application/xml"})
    rows = taxes if ELEMENTS in path else headers
    body = {"d": {"results": rows, "__count": str(len(rows))}}
    return Reply(json.dumps(body).encode())


@contextmanager
def access_to(server: Server, **settings: Any) -> Iterator[Access]:
    made = Settings.model_validate({"base_url": server.url, "company_codes": "1010", **settings})
    with session(server.url) as http:
        yield Access(http, made, now_on(TODAY), ZoneInfo("UTC"), "acme-s4")


def asked(server: Server, entity_set: str) -> list[str]:
    """The filters of the requests for a set."""
    found = [urlsplit(path) for path, _ in server.asked]
    return [parse_qs(url.query)["$filter"][0] for url in found if url.path.endswith(f"/{entity_set}")]


def by(server: Server, *numbers: str, **settings: Any) -> Read:
    with access_to(server, **settings) as access:
        return read(access, [by_number(access, [("1010", number) for number in numbers])])


def test_close_numbers_are_a_range_and_what_else_is_in_it_is_left() -> None:
    known = [header(BillingDocument=f"900000{n:02}") for n in range(1, 31)]
    with serving(lambda path, _: answering(path, known, [])) as server:
        found = by(server, *(f"900000{n:02}" for n in range(1, 31) if n % 2))
    assert [b.number for b in found.of(BillingDocument)] == [f"900000{n:02}" for n in range(1, 31) if n % 2]
    assert asked(server, "A_BillingDocument") == [
        "BillingDocument ge '90000001' and BillingDocument le '90000029'"
    ]
    (taxes,) = asked(server, ELEMENTS)
    assert taxes.endswith(" and ConditionClass eq 'D'")


def test_distant_numbers_and_names_are_asked_for_one_by_one() -> None:
    with serving(lambda path, _: answering(path, [], [])) as server:
        by(server, "90000001", "90009999")
        by(server, "A1", "A2")
    assert asked(server, "A_BillingDocument") == [
        "(BillingDocument eq '90000001' or BillingDocument eq '90009999')",
        "(BillingDocument eq 'A1' or BillingDocument eq 'A2')",
    ]


@pytest.mark.parametrize("status", [403, 404])
def test_a_service_that_is_not_offered_is_a_warning(status: int) -> None:
    with serving(lambda *_: Reply(b"{}", status)) as server, access_to(server) as access:
        (page,) = by_number(access, [("1010", "90000001")]).pages(access)
    assert (page.rows, page.last, page.warnings) == ((), True, (NOT_OFFERED,))


def test_a_refusal_in_the_middle_is_no_end() -> None:
    known = [header(BillingDocument="90000001")]

    def answer(path: str, _: object) -> Reply:
        return Reply(b"{}", 403) if "90009999" in path else answering(path, known, [])

    with serving(answer) as server, access_to(server) as access:
        numbers = ["90000001", *(str(80000000 + 1000 * n) for n in range(40)), "90009999"]
        pages = by_number(access, [("1010", number) for number in numbers]).pages(access)
        assert not next(pages).last
        with pytest.raises(Misconfigured):
            list(pages)


def test_settings_may_leave_them_out() -> None:
    with serving(lambda *_: Reply(b"{}", 500)) as server:
        assert by(server, "90000001", billing=False).rows == 0
    assert server.asked == []


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason="../shared/data/sap-odata with the recorded answers is absent"
)
def test_a_recorded_billing_document_of_the_united_states() -> None:
    """Its four taxes sum to its tax; UTXJ, whose rate is 100 percent, is no tax and statistical in the standard."""
    (head,) = message("billing-document-header-01-sample.json")
    elements = message("billing-document-header-05-item-pricing-element-sample.json")
    of_tax = [
        {**element, "ConditionClass": "D", "ConditionIsForStatistics": element["ConditionType"] == "UTXJ"}
        for element in elements if element["ConditionType"] == "UTXJ" or element["ConditionType"].startswith("XR")
    ]  # fmt: skip
    with serving(lambda path, _: answering(path, [head], of_tax)) as server:
        (made,) = by(server, "90000000").of(BillingDocument)
    assert (made.number, made.entity, made.currency) == ("90000000", "1710", "USD")
    assert (made.total_excl, made.tax_total, made.total_incl) == ("52.65", "4.21", "56.86")
    assert json.loads(made.taxes) == [
        ["O1", "0", "105.30", "0.00"], ["O1", "1", "105.30", "1.06"], ["O1", "2", "52.65", "1.05"],
        ["O1", "4", "52.65", "2.10"],
    ]  # fmt: skip


def message(name: str) -> list[dict[str, Any]]:
    """The rows of a recorded sample."""
    found: list[dict[str, Any]] = json.loads((RECORDED / name).read_text(encoding="utf-8"))["message"]
    return found
