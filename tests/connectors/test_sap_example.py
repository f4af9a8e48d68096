"""The worked example of the interface sheet (section 9) comes out as exactly its documents and open items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from connectors.kit.stream import Access
from receivables.records import (
    BillingDocument,
    ControlAccount,
    Customer,
    Document,
    LegalEntity,
    OpenItem,
    Receipt,
    Swept,
)
from tests.connectors.conftest import SYSTEM, Read, Start, access_to, read

MARCH = date(2026, 3, 1)


@pytest.fixture(scope="module")
def example(shared_start: Start) -> Iterator[Access]:
    (erp,) = shared_start("--world", "example", "--today", MARCH.isoformat()).values()
    with access_to(erp, day=MARCH, zone="Europe/Berlin") as access:
        yield access


@pytest.fixture(scope="module")
def loaded(example: Access) -> Read:
    return read(example, SYSTEM.plan(example, {}, sweep=True))


def test_documents(loaded: Read) -> None:
    found = {
        (d.number, d.type, d.kind, d.status, d.reversal_of, d.billing_document, d.issued_on, d.posted_on)
        for d in loaded.of(Document)
    }
    assert found == {
        ("1800000012", "RV", "invoice", "posted", None, "90000123", "2026-01-15", "2026-01-15"),
        ("1800000019", "RV", "credit_note", "posted", None, "90000150", "2026-02-25", "2026-02-25"),
        ("1800000025", "DR", "invoice", "reversed", None, None, "2026-02-26", "2026-02-26"),
        ("1800000026", "DR", "invoice", "posted", "1800000025/2026", None, "2026-02-27", "2026-02-27"),
    }
    assert {(d.entity, d.fiscal_year, d.customer, d.currency) for d in loaded.of(Document)} == {
        ("1010", "2026", "10100001", "EUR")
    }


def test_open_items(loaded: Read) -> None:
    found = {
        (i.number, i.instalment, i.original, i.open, i.due_on, i.cleared_on) for i in loaded.of(OpenItem)
    }
    assert found == {
        ("1800000012", "1", "600.00", "600.00", "2026-02-14", None),
        ("1800000012", "2", "600.00", "600.00", "2026-03-16", None),
        ("1800000019", "1", "-120.00", "-120.00", "2026-02-25", None),
        ("1800000025", "1", "360.00", "0", "2026-03-28", "2026-02-27"),
        ("1800000026", "1", "-360.00", "0", "2026-02-27", "2026-02-27"),
    }
    assert {(i.entity, i.fiscal_year, i.account, i.customer) for i in loaded.of(OpenItem)} == {
        ("1010", "2026", "12100000", "10100001")
    }
    assert {
        (i.company_currency, i.company_original == i.original, i.company_open == i.open)
        for i in loaded.of(OpenItem)
    } == {("EUR", True, True)}
    assert {i.clearing_document for i in loaded.of(OpenItem)} == {None, "1800000026/2026"}


def test_the_receipt(loaded: Read) -> None:
    (receipt,) = loaded.of(Receipt)
    assert (receipt.number, receipt.fiscal_year, receipt.line) == ("1400000031", "2026", "2")
    assert (receipt.amount, receipt.currency, receipt.unapplied) == ("250.00", "EUR", "250.00")
    assert (receipt.booked_on, receipt.status, receipt.related) == (
        "2026-02-20", "received", "1800000012/2026/1",
    )  # fmt: skip


def test_billing_documents_by_number(example: Access) -> None:
    assert SYSTEM.billing is not None
    keys = [("1010", "90000123"), ("1010", "90000150"), ("1010", "9")]
    found = read(example, [SYSTEM.billing(example, keys)])
    assert [
        (b.number, b.entity, b.status, b.cancels, b.currency, b.total_excl, b.tax_total, b.total_incl, b.taxes)
        for b in found.of(BillingDocument)
    ] == [
        ("90000123", "1010", "posted", None, "EUR", "1000.00", "200.00", "1200.00", '[["A1","20","1000.00","200.00"]]'),
        ("90000150", "1010", "posted", None, "EUR", "100.00", "20.00", "120.00", '[["A1","20","100.00","20.00"]]'),
    ]  # fmt: skip


def test_customer_and_company_code(loaded: Read) -> None:
    (customer,) = loaded.of(Customer)
    assert (customer.number, customer.entity, customer.name, customer.country) == (
        "10100001", "1010", "Inlandskunde DE 1", "DE",
    )  # fmt: skip
    assert (customer.control_account, customer.payment_terms, customer.vat_id, customer.language) == (
        "12100000", "0003", "DE123456788", "DE",
    )  # fmt: skip
    assert customer.email == "kreditoren@inlandskunde.example"
    (entity,) = loaded.of(LegalEntity)
    assert (entity.code, entity.currency, entity.country) == ("1010", "EUR", "DE")
    assert set(loaded.of(ControlAccount)) == {ControlAccount("1010", "12100000", "trade")}


def test_sweep_shows_what_is_open(loaded: Read) -> None:
    open_lines = {(i.number, i.instalment, i.original) for i in loaded.of(OpenItem) if i.open != "0"}
    open_lines |= {(r.number, r.line, f"-{r.amount}") for r in loaded.of(Receipt) if r.unapplied != "0"}
    assert {(s.number, s.instalment, s.original) for s in loaded.of(Swept)} == open_lines


def test_totals(example: Access, loaded: Read) -> None:
    totals = SYSTEM.totals(example, [("1010", "12100000")])
    assert {(t.account, t.basis, t.currency, t.customer, t.closing, t.as_of, t.grade) for t in totals} == {
        ("12100000", basis, "EUR", customer, "830.00", "2026-03-31", "ledger")
        for basis in ("company", "document")
        for customer in (None, "10100001")
    }
    assert not loaded.unreadable


def test_a_period_of_posting(example: Access) -> None:
    january = SYSTEM.period(example, date(2026, 1, 1), date(2026, 2, 1))
    assert {i.number for i in read(example, january).of(OpenItem)} == {"1800000012"}
    february = SYSTEM.period(example, date(2026, 2, 1), date(2026, 3, 1))
    found = read(example, february)
    assert {i.number for i in found.of(OpenItem)} == {"1800000019", "1800000025", "1800000026"}
    assert dict(found.bookmarks) == {}
    assert not any(slice_.skip_unchanged for slice_ in (*january, *february))
    march = read(example, SYSTEM.period(example, date(2026, 3, 1), date(2026, 4, 1)))
    assert march.records == []


def test_documents_and_customers_by_key(example: Access) -> None:
    keys = [("1010", "2026", "1800000012"), ("1010", "2026", "1800000026"), ("1010", "2025", "1")]
    found = read(example, [SYSTEM.documents(example, keys)])
    assert {(i.number, i.instalment) for i in found.of(OpenItem)} == {
        ("1800000012", "1"), ("1800000012", "2"), ("1800000026", "1"),
    }  # fmt: skip
    (customer,) = read(example, [SYSTEM.customers(example, [("1010", "10100001"), ("1010", "9")])]).of(
        Customer
    )
    assert (customer.number, customer.email) == ("10100001", "kreditoren@inlandskunde.example")


def test_every_step_of_the_test_succeeds(example: Access) -> None:
    checks = list(SYSTEM.test(example))
    assert [check.name for check in checks] == [
        "Name", "Sign in", "customers", "accounting_items 1010", "billing documents", "Control totals",
    ]  # fmt: skip
    assert all(check.ok for check in checks), checks
    assert checks[3].sentence == "4 open items."
    assert checks[4].sentence == "2 billing documents are shown to the user."
    assert "trial balance and G/L line items by customer" in checks[5].sentence
