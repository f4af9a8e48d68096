"""The worked example of the interface sheet (section 9): in as rows, out as exactly what the sheet says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sync.conftest import Install, Installation, Start

KEY = "example"
MONTHS = 120  # of history: what was cleared in February 2026 is still read years later


@pytest.fixture(scope="module")
def published(start: Start, install: Install) -> Installation:
    """An installation that has read the example once, and published it as equal."""
    installation = install()
    (erp,) = start("--world", "example").tenants.values()
    result = installation.hub.sync(installation.connect(erp, KEY, history_months=MONTHS))
    assert (result.state, result.verdict, result.grade, result.rejects) == ("published", "equal", "ledger", 0)
    return installation


def chosen(rows: list[dict[str, Any]], *names: str) -> set[tuple[Any, ...]]:
    """Some columns of each row; rows that are the same twice are not hidden."""
    found = [tuple(row[name] for name in names) for row in rows]
    assert len(set(found)) == len(found)
    return set(found)


def test_the_customer(published: Installation) -> None:
    (row,) = published.of(KEY, "customer")
    expected = {
        "entity": "1010", "number": "10100001", "printed": "10100001", "name": "Inlandskunde DE 1", "country": "DE",
        "control_account": "12100000", "payment_terms": "0003", "language": "DE", "vat_id": "DE123456788",
        "email": "kreditoren@inlandskunde.example", "blocked": False, "incomplete": False, "payer": None,
        "head_office": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_the_documents(published: Installation) -> None:
    rows = published.of(KEY, "document")
    names = ("number", "kind", "status", "reversal_of", "total_excl", "tax_total", "total_incl", "prepaid")
    assert chosen(rows, *names) == {
        ("1800000012", "invoice", "posted", None, Decimal("1000.00"), Decimal("200.00"), Decimal("1200.00"), 0),
        ("1800000019", "credit_note", "posted", None, Decimal("-100.00"), Decimal("-20.00"), Decimal("-120.00"), 0),
        ("1800000025", "invoice", "reversed", None, None, None, Decimal("360.00"), None),
        ("1800000026", "invoice", "posted", "1800000025/2026", None, None, Decimal("-360.00"), None),
    }  # fmt: skip
    assert chosen(rows, "number", "type", "posted_on", "billing_document") == {
        ("1800000012", "RV", date(2026, 1, 15), "90000123"),
        ("1800000019", "RV", date(2026, 2, 25), "90000150"),
        ("1800000025", "DR", date(2026, 2, 26), None),
        ("1800000026", "DR", date(2026, 2, 27), None),
    }
    assert {(row["entity"], row["fiscal_year"], row["customer"], row["currency"]) for row in rows} == {
        ("1010", "2026", "10100001", "EUR")
    }


def test_the_taxes(published: Installation) -> None:
    rows = published.of(KEY, "document_tax")
    assert chosen(rows, "number", "type", "category", "rate", "base", "tax") == {
        ("1800000012", "RV", "A1", 20, Decimal("1000.00"), Decimal("200.00")),
        ("1800000019", "RV", "A1", 20, Decimal("-100.00"), Decimal("-20.00")),
    }
    assert published.last_run(KEY).notes == []


def test_the_open_items(published: Installation) -> None:
    rows = published.of(KEY, "open_item")
    assert chosen(rows, "number", "instalment", "original", "open", "due_on", "cleared_on") == {
        ("1800000012", "1", Decimal("600.00"), Decimal("350.00"), date(2026, 2, 14), None),
        ("1800000012", "2", Decimal("600.00"), Decimal("600.00"), date(2026, 3, 16), None),
        ("1800000019", "1", Decimal("-120.00"), Decimal("-120.00"), date(2026, 2, 25), None),
        ("1800000025", "1", Decimal("360.00"), Decimal(0), date(2026, 3, 28), date(2026, 2, 27)),
        ("1800000026", "1", Decimal("-360.00"), Decimal(0), date(2026, 2, 27), date(2026, 2, 27)),
    }
    for row in rows:
        assert (row["entity"], row["account"], row["customer"]) == ("1010", "12100000", "10100001")
        assert (row["currency"], row["company_currency"]) == ("EUR", "EUR")
        assert (row["company_original"], row["company_open"]) == (row["original"], row["open"])
        assert row["clearing_document"] == ("1800000026/2026" if row["cleared_on"] else None)
    assert sum(row["open"] for row in rows) == Decimal("830.00")


def test_the_receipt(published: Installation) -> None:
    rows = published.of(KEY, "receipt")
    names = ("number", "line", "amount", "unapplied", "booked_on", "status", "cleared_on")
    assert chosen(rows, *names) == {
        ("1400000031", "2", Decimal("250.00"), Decimal("0.00"), date(2026, 2, 20), "received", None)
    }


def test_the_allocations(published: Installation) -> None:
    rows = published.of(KEY, "allocation")
    names = (
        "source",
        "source_number",
        "source_line",
        "target_number",
        "target_instalment",
        "amount",
        "allocated_on",
    )
    assert chosen(rows, *names) == {
        ("receipt", "1400000031", "2", "1800000012", "1", Decimal("250.00"), date(2026, 2, 20)),
        ("journal", "1800000026", "1", "1800000025", "1", Decimal("360.00"), date(2026, 2, 27)),
    }
    for row in rows:
        assert (row["company_amount"], row["company_difference"], row["discount"]) == (row["amount"], 0, 0)
        assert (row["derived"], row["target_account"]) == (False, "12100000")


def test_the_legal_entity_and_the_control_account(published: Installation) -> None:
    assert chosen(published.of(KEY, "legal_entity"), "code", "name", "country", "currency", "vat_id") == {
        ("1010", "Acme Werke DE", "DE", "EUR", "DE129274202")
    }
    assert chosen(published.of(KEY, "control_account"), "entity", "account", "kind") == {
        ("1010", "12100000", "trade")
    }


def test_the_amount_shown(published: Installation) -> None:
    (status,) = published.hub.overview()
    assert (status.state, status.open_amounts) == ("tied_out", [(Decimal("830.00"), "EUR")])
    lines = published.hub.tie_out(KEY).rows
    assert {(line.basis, line.account, line.erp, line.hub, line.status) for line in lines} == {
        (basis, "12100000", Decimal("830.00"), Decimal("830.00"), "equal")
        for basis in ("company", "document")
    }


def test_the_next_day(start: Start, install: Install) -> None:
    """Instalment 1 is settled: found by what was cleared; the part paid before stays the same fact."""
    installation = install()
    (erp,) = start("--world", "example").tenants.values()
    key = installation.connect(erp, KEY, history_months=MONTHS)
    assert installation.hub.sync(key).verdict == "equal"
    before = installation.of(key, "allocation")
    settled = [["1010", "2026", "1800000012", "1"], ["1010", "2026", "1400000031", "2"]]
    erp.post(settle=[settled], number="1400000040", on=datetime.now(UTC).date().isoformat())

    result = installation.hub.sync(key, sweep=False)

    assert result.verdict == "equal", result.explanation
    after = installation.of(key, "allocation")
    (new,) = [row for row in after if row not in before]
    assert len(after) == len(before) + 1
    assert (new["source"], new["source_number"], new["amount"]) == (
        "receipt",
        "1400000040",
        Decimal("350.00"),
    )
    assert (new["target_number"], new["target_instalment"], new["derived"]) == ("1800000012", "1", False)
    items = installation.of(key, "open_item")
    assert chosen(items, "number", "instalment", "open") == {
        ("1800000012", "1", Decimal(0)), ("1800000012", "2", Decimal("600.00")),
        ("1800000019", "1", Decimal("-120.00")), ("1800000025", "1", Decimal(0)), ("1800000026", "1", Decimal(0)),
    }  # fmt: skip
    assert chosen(installation.of(key, "receipt"), "number", "amount", "unapplied") == {
        ("1400000031", Decimal("250.00"), Decimal(0)), ("1400000040", Decimal("350.00"), Decimal(0)),
    }  # fmt: skip
    publication = max(installation.of(key, "publication"), key=lambda row: row["number"])
    assert (publication["changes"]["allocation"], publication["changes"]["receipt"]) == (1, 2)
    (status,) = installation.hub.overview()
    assert status.open_amounts == [(Decimal("480.00"), "EUR")]
    again = installation.hub.sync(key, sweep=False)
    assert (again.rows_staged, again.notes) == (0, [])
    assert set(
        max(installation.of(key, "publication"), key=lambda row: row["number"])["changes"].values()
    ) == {0}
