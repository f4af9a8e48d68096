"""What billing documents give to the documents that name them, over runs, whatever the sign they are printed with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from receivables.records import BillingDocument, ControlAccount, DocumentTax

TOTALS = "select number, total_excl, tax_total, total_incl, prepaid from receivables.document order by number"
TAXES = (
    "select number, category, rate, base, tax from receivables.document_tax order by number, category, rate"
)
UNKNOWN = (
    "Billing document {} is not shown to the user, so net and tax of its document are unknown "
    "(one of 1 such documents)."
)
TWO_RATES = '[["A1","20","900.00","180.00"],["A2","5.5","100.00","5.50"]]'


def billing(number: str = "90", *amounts: str, **fields: Any) -> BillingDocument:
    """A billing document of 1010 in EUR: net, tax, gross."""
    net, tax, gross = amounts or ("500.00", "100.00", "600.00")
    given: dict[str, Any] = {
        "entity": "1010", "type": "F2", "status": "posted", "cancels": None, "currency": "EUR",
        "taxes": f'[["A1","20","{net}","{tax}"]]',
    }  # fmt: skip
    return BillingDocument(number=number, total_excl=net, tax_total=tax, total_incl=gross, **given | fields)


def rows(office: Any, query: str) -> list[tuple[str, ...]]:
    return [tuple(str(value) for value in row) for row in office.sql(query)]


def test_a_billing_document_that_comes_with_its_document(office: Any, make: Any) -> None:
    office.load(make.item(), make.document(billing_document="90"), billing())
    assert rows(office, TOTALS) == [("1800000012", "500.00", "100.00", "600.00", "0")]
    assert rows(office, TAXES) == [("1800000012", "A1", "20", "500.00", "100.00")]


@pytest.mark.parametrize("later", [True, False])
def test_either_may_come_first_and_the_result_is_the_same(office: Any, make: Any, *, later: bool) -> None:
    document = [make.item(), make.document(billing_document="90")]
    first, second = (document, [billing()]) if later else ([billing()], document)
    office.load(*first)
    office.load(*second)
    office.load(*document, billing(), connector_id=2)
    one, other = (office.store.status(1, connector).publication for connector in (1, 2))
    assert one.content_hash == other.content_hash
    assert rows(office, TOTALS) == [("1800000012", "500.00", "100.00", "600.00", "0")] * 2
    if later:
        assert rows(office, "select total_excl from receivables.document_history") == [("None",)]


def test_a_billing_document_that_changes_moves_net_and_taxes_to_history(office: Any, make: Any) -> None:
    office.load(make.item(original="1185.50"), make.document(billing_document="90"), billing())
    office.load(billing("90", "1000.00", "185.50", "1185.50", taxes=TWO_RATES))
    assert rows(office, TAXES) == [
        ("1800000012", "A1", "20", "900.00", "180.00"), ("1800000012", "A2", "5.5", "100.00", "5.50"),
    ]  # fmt: skip
    office.load(billing("90", "1000.00", "185.50", "1185.50", taxes='[["A2","5.5","1000.00","185.50"]]'))
    assert rows(office, TAXES) == [("1800000012", "A2", "5.5", "1000.00", "185.50")]
    assert rows(office, "select category, base from receivables.document_tax_history order by known_to, category") == [
        ("A1", "500.00"), ("A1", "900.00"), ("A2", "100.00"),
    ]  # fmt: skip
    changes = office.store.status(1, 1).publication.changes
    assert {name: n for name, n in changes.items() if n} == {"billing_document": 1, "document_tax": 2}


@pytest.mark.parametrize("printed", ["", "-"])
@pytest.mark.parametrize(
    ("fields", "sign"),
    [
        ({"kind": "invoice"}, ""),
        ({"kind": "credit_note"}, "-"),
        ({"kind": "invoice", "reversal_of": "1/2026"}, "-"),
        ({"kind": "credit_note", "reversal_of": "1/2026"}, ""),
    ],
)
def test_the_document_has_the_sign(
    office: Any, make: Any, printed: str, fields: dict[str, str], sign: str
) -> None:
    amounts = [f"{printed}{amount}" for amount in ("500.00", "100.00", "600.00")]
    office.load(
        make.item(original=f"{sign}600.00"),
        make.document(**fields, billing_document="90"),
        billing("90", *amounts),
    )
    assert rows(office, TOTALS) == [("1800000012", f"{sign}500.00", f"{sign}100.00", f"{sign}600.00", "0")]
    assert rows(office, TAXES) == [("1800000012", "A1", "20", f"{sign}500.00", f"{sign}100.00")]
    assert office.store.status(1, 1).run.notes == []


def test_the_residual_of_a_payment_that_names_an_invoice_has_no_tax(office: Any, make: Any) -> None:
    office.load(make.item(), make.document(kind="journal", type="DZ", billing_document="90"), billing())
    assert rows(office, TOTALS) == [("1800000012", "None", "None", "600.00", "None")]
    assert rows(office, TAXES) == []


def test_a_down_payment_that_the_invoice_takes_is_prepaid(office: Any, make: Any) -> None:
    office.load(
        ControlAccount("1010", "21190000", "advances"),
        make.item(original="450.00"),
        make.item(instalment="2", account="21190000", original="150.00"),
        make.document(billing_document="90"),
        billing(),
    )
    assert rows(office, TOTALS) == [("1800000012", "500.00", "100.00", "600.00", "150.00")]


def test_what_was_cancelled_and_what_took_it_back(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12", billing_document="90"), billing())
    office.load(
        make.item("13", original="-600.00"),
        make.document("13", kind="credit_note", billing_document="91"),
        billing(status="cancelled"),
        billing("91", cancels="90", type="S1"),
    )
    documents = "select number, kind, status, reversal_of from receivables.document order by number"
    assert rows(office, documents) == [
        ("12", "invoice", "cancelled", "None"), ("13", "invoice", "posted", "12/2026"),
    ]  # fmt: skip
    assert rows(office, TOTALS)[1] == ("13", "-500.00", "-100.00", "-600.00", "0")
    office.load(make.item("12", dunning_level="1"), make.document("12", billing_document="90"))
    assert rows(office, documents)[0] == ("12", "invoice", "cancelled", "None")
    changes = office.store.status(1, 1).publication.changes
    assert {name: n for name, n in changes.items() if n} == {"open_item": 1}
    office.load(
        make.item("12", dunning_level="1"), make.document("12", billing_document="90"), billing(status="cancelled"),
        make.item("13", original="-600.00"), make.document("13", kind="credit_note", billing_document="91"),
        billing("91", cancels="90", type="S1"), connector_id=2,
    )  # fmt: skip
    one, other = (office.store.status(1, connector).publication for connector in (1, 2))
    assert one.content_hash == other.content_hash


def test_what_the_ledger_reversed_stays_reversed(office: Any, make: Any) -> None:
    office.load(
        make.item(), make.document(status="reversed", billing_document="90"), billing(status="cancelled")
    )
    assert rows(office, "select status from receivables.document") == [("reversed",)]


def test_what_does_not_fit_is_told_and_does_not_hold(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(
            run,
            make.item("12"),
            make.document("12", billing_document="90"),
            billing("90", "500.00", "100.00", "601.00", taxes='[["A1","20","500.00","99.00"]]'),
            make.item("13"),
            make.document("13", billing_document="91"),
        )
        run.tie_out(office.totals(run), {})
        assert run.broken == []
        assert run.notes == [
            "Billing document 90 of 1010: net 500.00 and tax 100.00 are not 601.00 EUR.",
            "Billing document 90 of 1010: its taxes sum to 99.00 EUR, it says 100.00.",
            "Document 12/2026 of 1010: its items sum to 600.00 EUR, billing document 90 says 601.00 EUR.",
            UNKNOWN.format("91 of 1010"),
        ]
        run.publish()
    assert office.sql("select total_excl from receivables.document order by number") == [
        (Decimal("500.00"),),
        (None,),
    ]


def test_billing_documents_to_read_are_those_of_the_run_or_of_all(office: Any, make: Any) -> None:
    office.load(make.item("12"), make.document("12", billing_document="90"))
    with office.run(sweep=False) as run:
        make.stage(run, make.item("13"), make.document("13", billing_document="91"))
        assert run.unknown_billing() == [("1010", "91")]
        assert run.unknown_billing(("1010", "91")) == []
        make.stage(run, billing("91"), slice_="billing")
        assert run.unknown_billing() == []
        run.tie_out(office.totals(run), {})
        run.publish()
    with office.run(sweep=True) as run:
        assert run.unknown_billing() == [("1010", "90")]
        run.fail("")


def test_a_tax_that_an_adapter_gives_itself_is_kept(office: Any, make: Any) -> None:
    given = DocumentTax("1800000012", "1010", "2026", "RV", "S", "20", "500.00", "100.00")
    office.load(make.item(), make.document(), given)
    assert rows(office, TAXES) == [("1800000012", "S", "20", "500.00", "100.00")]
    office.load(make.item(), make.document())
    assert rows(office, TAXES) == []
