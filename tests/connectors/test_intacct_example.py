"""The worked example of the interface sheet (section 10) comes out as exactly its documents, items and receipts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from lxml import etree

from connectors.kit.stream import Access
from receivables.records import (
    Allocation,
    ControlAccount,
    Customer,
    Document,
    LegalEntity,
    OpenItem,
    Receipt,
    Swept,
)
from tests.connectors.conftest import Read, read
from tests.connectors.intacct_books import SYSTEM, Books, access_to, failed, line, worked_example

PUBLISHED = dict.fromkeys(("customers", "invoices", "adjustments", "receipts", "advances", "allocations"), "2026-02-01T00:00:00+00:00")  # fmt: skip


@pytest.fixture
def books() -> Books:
    return worked_example()


@pytest.fixture
def example(books: Books) -> Iterator[Access]:
    with access_to(books) as access:
        yield access


@pytest.fixture
def loaded(example: Access) -> Read:
    return read(example, SYSTEM.plan(example, {}, sweep=False), SYSTEM)


def test_documents(loaded: Read) -> None:
    assert not loaded.unreadable
    found = {
        (d.number, d.printed, d.type, d.kind, d.status, d.reversal_of, d.issued_on, d.posted_on)
        for d in loaded.of(Document)
    }
    assert found == {
        ("501", "IN-77-01", "ri", "invoice", "posted", None, "2026-01-15", "2026-01-15"),
        ("502", "IN-77-02", "ri", "invoice", "posted", None, "2026-01-15", "2026-01-15"),
        ("503", "IN-78", "ri", "invoice", "reversed", None, "2026-02-26", "2026-02-26"),
        ("504", "IN-78", "ri-reversal", "invoice", "posted", "503/", "2026-02-27", "2026-02-27"),
        ("610", "CM-9", "ra", "credit_note", "posted", None, "2026-02-25", "2026-02-25"),
    }
    assert {(d.entity, d.fiscal_year, d.customer, d.currency) for d in loaded.of(Document)} == {
        ("N-407", "", "C-100", "USD")
    }


def test_open_items(loaded: Read) -> None:
    items = loaded.of(OpenItem)
    assert {(i.number, i.original, i.open, i.due_on, i.cleared_on) for i in items} == {
        ("501", "600.00", "350.00", "2026-02-14", None),
        ("502", "600.00", "600.00", "2026-03-16", None),
        ("503", "360.00", "0.00", "2026-03-28", "2026-02-26"),
        ("504", "-360.00", "0.00", "2026-02-27", "2026-02-27"),
        ("610", "-120.00", "-120.00", None, None),
    }
    assert {(i.entity, i.fiscal_year, i.instalment, i.account, i.customer) for i in items} == {
        ("N-407", "", "1", "12000", "C-100")
    }
    assert all((i.company_original, i.company_open) == (i.original, i.open) for i in items)
    assert set(loaded.of(ControlAccount)) == {ControlAccount("N-407", "12000", "trade")}


def test_receipt_and_allocations(loaded: Read) -> None:
    (receipt,) = loaded.of(Receipt)
    assert (receipt.number, receipt.printed, receipt.amount, receipt.unapplied) == (
        "701",
        "WIRE-5",
        "250.00",
        "0.00",
    )
    assert (receipt.value_on, receipt.customer, receipt.method, receipt.status) == (
        "2026-02-20", "C-100", "EFT", "received",
    )  # fmt: skip
    assert {
        (
            a.number,
            a.sequence,
            a.source,
            a.source_number,
            a.target_number,
            a.amount,
            a.allocated_on,
            a.derived,
        )
        for a in loaded.of(Allocation)
    } == {
        ("9001", "cash", "receipt", "701", "501", "200.00", "2026-02-20", False),
        ("9002", "cash", "receipt", "701", "501", "50.00", "2026-02-20", False),
        ("504", "reversal/12000", "invoice", "504", "503", "360.00", "2026-02-27", True),
    }
    assert {(a.entity, a.target_account, a.discount) for a in loaded.of(Allocation)} == {
        ("N-407", "12000", "0.00")
    }


def test_a_credit_memo_applied_without_cash(books: Books) -> None:
    """If CM-9 is then applied to 502, both opens move and the total stays."""
    changed = {"STATE": "Partially Paid", "WHENMODIFIED": "02/28/2026 10:00:00"}
    (applied_to,) = [row for row in books.rows["ARINVOICE"] if row["RECORDNO"] == "502"]
    applied_to |= {"TRX_TOTALDUE": "480", "TOTALDUE": "480", "TRX_TOTALPAID": "120", **changed}
    books.rows["ARADJUSTMENT"][0] |= {
        "TRX_TOTALDUE": "0",
        "TOTALDUE": "0",
        "TRX_TOTALPAID": "-120",
        **changed,
    }
    books.rows["ARPYMT"].append(
        {
            **books.rows["ARPYMT"][0],
            "RECORDNO": "702",
            "TRX_TOTALENTERED": "0",
            "TOTALENTERED": "0",
            "DOCNUMBER": "",
        }
    )
    books.rows["ARPYMTDETAIL"].append(
        {
            "RECORDNO": "9003", "PAYMENTKEY": "702", "RECORDKEY": "502", "ENTRYKEY": "2003", "PAYMENTDATE": "02/28/2026",
            "ADJUSTMENTKEY": "610", "TRX_ADJUSTMENTAMOUNT": "120", "WHENMODIFIED": "02/28/2026 10:00:00",
        }
    )  # fmt: skip
    with access_to(books) as access:
        found = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
        (total,) = [t for t in SYSTEM.totals(access, ()) if t.customer is None]
    assert not found.unreadable
    assert [r.number for r in found.of(Receipt)] == ["701"]
    (applied,) = [a for a in found.of(Allocation) if a.number == "9003"]
    assert (applied.sequence, applied.source, applied.source_number, applied.target_number, applied.amount) == (
        "adjustment", "credit_note", "610", "502", "120.00",
    )  # fmt: skip
    assert {i.number: (i.original, i.open, i.cleared_on) for i in found.of(OpenItem)} == {
        "501": ("600.00", "350.00", None),
        "502": ("600.00", "480.00", None),
        "503": ("360.00", "0.00", "2026-02-26"),
        "504": ("-360.00", "0.00", "2026-02-27"),
        "610": ("-120.00", "0.00", "2026-02-28"),
    }
    assert sum(Decimal(i.open) for i in found.of(OpenItem)) == Decimal(total.closing) == 830


def allocations(books: Books) -> Read:
    with access_to(books) as access:
        slices = [s for s in SYSTEM.plan(access, {}, sweep=False) if s.stream == "allocations"]
        return read(access, slices, SYSTEM)


@pytest.mark.parametrize("shown", ["2001", "2002"])
def test_the_other_line_of_a_document_tells_its_account(books: Books, shown: str) -> None:
    """A payment's detail may name a line that the user is not shown, or none: paid as a whole."""
    whole = allocations(books).of(Allocation)
    lines = books.rows["ARINVOICEITEM"]
    books.rows["ARINVOICEITEM"] = [
        one for one in lines if one["RECORDKEY"] != "501" or one["RECORDNO"] == shown
    ]
    assert allocations(books).of(Allocation) == whole
    books.rows["ARPYMTDETAIL"][0]["ENTRYKEY"] = ""
    assert allocations(books).of(Allocation) == whole


def test_a_hidden_line_of_two_accounts_sets_its_payment_aside(books: Books) -> None:
    books.rows["ARINVOICEITEM"] = [one for one in books.rows["ARINVOICEITEM"] if one["RECORDNO"] != "2001"]
    books.rows["ARINVOICEITEM"] += [line("2009", "501", "0", "12100")]
    found = allocations(books)
    assert [a.number for a in found.of(Allocation)] == ["9002"]
    assert [(error.key, error.code) for _, error in found.unreadable] == [
        ("ARPYMTDETAIL/9001", "target_missing")
    ]


def foreign(books: Books) -> Books:
    """Invoice 501 is in euros at 1.10, and was paid at 1.20."""
    of_invoice = {"CURRENCY": "EUR", "TOTALENTERED": "660", "TOTALDUE": "385", "EXCHANGE_RATE": "1.1"}
    books.rows["ARINVOICE"][0] |= of_invoice
    for row, share in zip(books.rows["ARINVOICEITEM"], ("550", "110"), strict=False):
        row["AMOUNT"] = share
    books.rows["ARPYMT"][0] |= {"CURRENCY": "EUR", "TOTALENTERED": "300", "EXCHANGE_RATE": "1.2"}
    for row, share in zip(books.rows["ARPYMTDETAIL"], ("220", "55"), strict=True):
        row |= {"CURRENCY": "EUR", "PAYMENTAMOUNT": share}
    return books


def test_money_that_came_at_another_rate(books: Books) -> None:
    with access_to(foreign(books)) as access:
        found = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
    paid = {a.number: a for a in found.of(Allocation) if a.sequence == "cash"}
    assert {
        number: (a.currency, a.amount, a.company_amount, a.company_difference) for number, a in paid.items()
    } == {"9001": ("EUR", "200.00", "220.00", "20.00"), "9002": ("EUR", "50.00", "55.00", "5.00")}
    (receipt,) = found.of(Receipt)
    gave = sum(Decimal(a.company_amount) + Decimal(a.company_difference) for a in paid.values())
    assert gave == Decimal(receipt.company_amount) == 300
    (item,) = [i for i in found.of(OpenItem) if i.number == "501"]
    assert Decimal(item.company_open) == 660 - 220 - 55


def test_what_pays_is_asked_for_in_a_foreign_currency_only(books: Books) -> None:
    def asked(served: Books) -> int:
        allocations(served)
        return sum(b"<object>ARPYMT</object>" in body for body in served.asked)

    assert (asked(books), asked(foreign(worked_example()))) == (0, 1)
    hidden = foreign(worked_example())
    hidden.hidden = {"ARPYMT"}
    differences = {a.company_difference for a in allocations(hidden).of(Allocation)}
    assert differences == {"0.00"}, "who may not read payments has the allocations all the same"


def test_entity_and_customer(example: Access, loaded: Read) -> None:
    (entity,) = loaded.of(LegalEntity)
    assert (entity.code, entity.name, entity.currency) == ("N-407", "North", "USD")
    assert loaded.of(Customer) == []
    (customer,) = read(
        example, [SYSTEM.customers(example, [("N-407", "C-100"), ("N-407", "C-9")])], SYSTEM
    ).of(Customer)
    assert (customer.entity, customer.number, customer.name) == ("N-407", "C-100", "Burlington & Sons")


def with_terms(books: Books) -> Books:
    books.rows["CUSTOMER"][0]["TERMNAME"] = "Net 30"
    books.rows["ARTERM"] = [
        {
            "RECORDNO": "1", "NAME": "Net 30", "DESCRIPTION": "30 days net", "DUEDATE": "30",
            "DUEFROM": "from invoice/bill date", "WHENMODIFIED": "01/02/2026 08:00:00",
        },
        {"RECORDNO": "2", "NAME": "Net 60", "WHENMODIFIED": "01/02/2026 08:00:00"},
    ]  # fmt: skip
    return books


def test_terms_are_told_with_what_they_mean(books: Books) -> None:
    def told() -> str | None:
        with access_to(books) as access:
            (one,) = read(access, [SYSTEM.customers(access, [("N-407", "C-100")])], SYSTEM).of(Customer)
        return one.payment_terms

    assert told() is None
    with_terms(books)
    assert told() == "Net 30: 30 days net"
    books.rows["ARTERM"][0]["DESCRIPTION"] = ""
    assert told() == "Net 30: due in 30 days from invoice/bill date"
    books.rows["ARTERM"][0]["DUEDATE"] = ""
    assert told() == "Net 30"
    books.hidden = {"ARTERM"}
    assert told() == "Net 30"


def test_a_change_of_terms_tells_customers_and_moves_no_due_date(books: Books) -> None:
    with_terms(books).rows["ARTERM"][0] |= {
        "DESCRIPTION": "45 days net", "DUEDATE": "45", "WHENMODIFIED": "02/25/2026 08:00:00",
    }  # fmt: skip
    with access_to(books) as access:
        late = dict.fromkeys(PUBLISHED, "2026-02-24T00:00:00+00:00")
        found = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM)
        assert {(c.number, c.payment_terms) for c in found.of(Customer)} == {("C-100", "Net 30: 45 days net")}
        assert found.of(Document) == []
        loaded = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
        assert {i.due_on for i in loaded.of(OpenItem) if i.number in ("501", "502")} == {
            "2026-02-14",
            "2026-03-16",
        }
        later = dict.fromkeys(PUBLISHED, "2026-02-26T00:00:00+00:00")
        assert read(access, SYSTEM.plan(access, later, sweep=False), SYSTEM).of(Customer) == []


class WithoutMoments(Books):
    """A company whose terms do not tell when they changed."""

    def query(self, function: etree._Element) -> bytes:
        if function.findtext("object") == "ARTERM" and function.find("filter") is not None:
            return failed("WHENMODIFIED is not a field of ARTERM", "DL02000001")
        return super().query(function)


def test_terms_that_do_not_tell_when_they_changed_wait_for_their_customers() -> None:
    books = with_terms(worked_example())
    books.rows["CUSTOMER"][0]["WHENMODIFIED"] = "02/25/2026 08:00:00"
    refusing = WithoutMoments(rows=books.rows, balances=books.balances, columns=books.columns)
    with access_to(refusing) as access:
        late = dict.fromkeys(PUBLISHED, "2026-02-24T00:00:00+00:00")
        found = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM).of(Customer)
    assert {customer.payment_terms for customer in found} == {"Net 30: 30 days net"}


def test_totals(example: Access) -> None:
    for known in ((), [("N-407", "12000")]):
        assert [
            (t.entity, t.account, t.basis, t.currency, t.closing, t.as_of, t.grade)
            for t in SYSTEM.totals(example, known)
            if t.customer is None
        ] == [("N-407", "12000", "company", "USD", "830.00", "2026-03-01", "ledger")]


def test_a_delta_and_a_sweep(books: Books) -> None:
    books.rows["ARINVOICE"][1]["WHENMODIFIED"] = ""
    books.rows["CUSTOMER"][0]["WHENMODIFIED"] = "02/02/2026 08:00:00"
    with access_to(books) as access:
        found = read(access, SYSTEM.plan(access, PUBLISHED, sweep=True), SYSTEM)
        assert {s.number for s in found.of(Swept)} == {"501", "502", "610"}
        assert {(c.entity, c.number) for c in found.of(Customer)} == {("N-407", "C-100")}
        late = dict.fromkeys(PUBLISHED, "2026-02-28T00:00:00+00:00")
        found = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM)
        assert [d.number for d in found.of(Document)] == ["502"], (
            "without a moment of change it comes every time"
        )
        assert found.bookmarks.pop("late") == "2026-03-01T07:59:58+00:00", "the second reader is behind"
        assert set(found.bookmarks.values()) == {"2026-03-01T09:59:58+00:00"}, (
            "Intacct's clock is the earlier one"
        )
        assert found.of(Customer) == []


def test_a_period_of_posting(example: Access) -> None:
    january = SYSTEM.period(example, date(2026, 1, 1), date(2026, 2, 1))
    found = read(example, january, SYSTEM)
    assert {d.number for d in found.of(Document)} == {"501", "502"}
    assert (found.of(Receipt), found.of(Allocation), dict(found.bookmarks)) == ([], [], {})
    february = SYSTEM.period(example, date(2026, 2, 1), date(2026, 3, 1))
    found = read(example, february, SYSTEM)
    assert {d.number for d in found.of(Document)} == {"503", "504", "610"}
    assert [receipt.number for receipt in found.of(Receipt)] == ["701"]
    assert len(found.of(Allocation)) >= 2
    assert not any(slice_.skip_unchanged for slice_ in (*january, *february))
    assert {slice_.name for slice_ in january}.isdisjoint(slice_.name for slice_ in february)


def test_documents_by_key(example: Access) -> None:
    keys = [("N-407", "", "502"), ("N-407", "", "610"), ("N-407", "", "no number")]
    assert {d.number for d in read(example, [SYSTEM.documents(example, keys)], SYSTEM).of(Document)} == {
        "502",
        "610",
    }


def test_every_step_of_the_test_succeeds(example: Access) -> None:
    checks = list(SYSTEM.test(example))
    assert all(check.ok for check in checks), checks
    assert [check.name for check in checks][:3] == ["Name", "Sign in", "entities"]
    assert "general ledger" in checks[-1].sentence
    assert "ri: 4" in next(check.sentence for check in checks if check.name == "ARINVOICE")
