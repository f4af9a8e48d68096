"""Whole runs against a simulated SAP: nothing lost or doubled, deltas read little, faults are found and named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.kit.stream import Access, Difference, Explained
from receivables.errors import Misconfigured
from receivables.records import ControlTotal, Customer, OpenItem, Receipt, Swept
from tests.connectors.conftest import SYSTEM, TODAY, Erp, Read, Start, access_to, now_on, read

Place = tuple[str, str, str, str, str | None]  # entity, account, basis, currency, customer
DELTAS = ("created", "cleared", "changed")
TAXES = "A_BillingDocumentItemPrcgElmnt"
Items = dict[tuple[str, str, str, str], OpenItem]


@pytest.fixture(scope="module")
def quiet(shared_start: Start) -> dict[str, Erp]:
    """Two SAP systems in which nothing happens."""
    return shared_start("--items", "600", "--today", TODAY.isoformat())


@pytest.fixture
def busy(start: Start) -> Erp:
    """An SAP system of the test's own."""
    return start("--items", "300", "--today", TODAY.isoformat(), "--tenant", "acme")["acme"]


def keyed(found: Read) -> Items:
    """The ledger's lines: open items, and receipts as the credits that they are."""
    lines = [*found.of(OpenItem), *map(as_line, found.of(Receipt))]
    return {(i.entity, i.fiscal_year, i.number, i.instalment): i for i in lines}


def as_line(receipt: Receipt) -> OpenItem:
    def credit(amount: str) -> str:
        return f"{-Decimal(amount):f}"

    return OpenItem(
        receipt.number, receipt.entity, receipt.fiscal_year, receipt.line, receipt.account, receipt.customer,
        receipt.currency, credit(receipt.amount), credit(receipt.unapplied),
        receipt.company_currency, credit(receipt.company_amount), credit(receipt.company_unapplied),
        receipt.booked_on, None, receipt.cleared_on,
    )  # fmt: skip


def sums(items: Items, as_of: str) -> dict[Place, Decimal]:
    """Our side of the tie-out, as the model says it."""
    found: dict[Place, Decimal] = defaultdict(Decimal)
    for item in items.values():
        if item.posted_on <= as_of and (item.cleared_on is None or item.cleared_on > as_of):
            for customer in (None, item.customer):
                place = (item.entity, item.account)
                found[*place, "company", item.company_currency, customer] += Decimal(item.company_original)
                found[*place, "document", item.currency, customer] += Decimal(item.original)
    return {place: amount for place, amount in found.items() if amount}


def closings(totals: Iterable[ControlTotal]) -> dict[Place, Decimal]:
    return {
        (t.entity, t.account, t.basis, t.currency, t.customer): Decimal(t.closing)
        for t in totals
        if Decimal(t.closing)
    }


def first_load(access: Access) -> tuple[Read, Items]:
    found = read(access, SYSTEM.plan(access, {}, sweep=False))
    assert not found.unreadable
    return found, keyed(found)


def accounts(items: Items) -> list[tuple[str, str]]:
    return sorted({(item.entity, item.account) for item in items.values()})


def differences(access: Access, items: Items) -> list[Difference]:
    """What the tie-out would find different."""
    totals = SYSTEM.totals(access, accounts(items))
    erp, hub = closings(totals), sums(items, totals[0].as_of)
    return [
        Difference(*place, erp=f"{erp.get(place, Decimal(0)):f}", hub=f"{hub.get(place, Decimal(0)):f}")
        for place in sorted({*erp, *hub}, key=str)
        if erp.get(place) != hub.get(place)
    ]


def explained(access: Access, items: Items, found: Sequence[Difference]) -> Sequence[Explained]:
    def ours(asked: Difference, as_of: date) -> Iterable[tuple[str, str]]:
        by_document: dict[str, Decimal] = defaultdict(Decimal)
        place = (asked.entity, asked.account, asked.customer, asked.currency)
        for item in items.values():
            counts = item.posted_on <= as_of.isoformat() and (
                item.cleared_on is None or item.cleared_on > as_of.isoformat()
            )
            of = item.currency if asked.basis == "document" else item.company_currency
            if counts and (item.entity, item.account, item.customer, of) == place:
                amount = item.original if asked.basis == "document" else item.company_original
                by_document[f"{item.number}/{item.fiscal_year}"] += Decimal(amount)
        return [(name, f"{amount:f}") for name, amount in by_document.items()]

    return SYSTEM.explain(access, found, ours)


@pytest.mark.parametrize("tenant", ["acme", "nippon"])
def test_a_first_load_holds_the_books_of_the_journal(quiet: dict[str, Erp], tenant: str) -> None:
    with access_to(quiet[tenant]) as access:
        found, items = first_load(access)
        assert differences(access, items) == []
        assert len(items) == len(
            {(i.entity, i.fiscal_year, i.number, i.instalment, i.account) for i in items.values()}
        )
    journal = quiet[tenant].control("journal")
    open_there = {
        (i["company_code"], i["fiscal_year"], i["document"], i["item"]): Decimal(i["amount"])
        for i in journal["open_items"]
    }
    assert len(open_there) > 500
    assert {key: Decimal(i.original) for key, i in items.items() if Decimal(i.open)} == open_there
    assert all(Decimal(i.open) in (Decimal(0), Decimal(i.original)) for i in items.values())
    assert {i.posted_on > TODAY.isoformat() for i in items.values()} == {True, False}
    names = {
        *(f"accounting_items/{code}/{delta}" for code in quiet[tenant].company_codes for delta in DELTAS),
        *(f"billing_documents/{code}" for code in quiet[tenant].company_codes),
    }
    assert set(found.bookmarks) == {"customers"} | names


def test_customers_are_joined_from_their_sets(quiet: dict[str, Erp]) -> None:
    with access_to(quiet["acme"]) as access:
        found = read(access, SYSTEM.plan(access, {}, sweep=False))
    customers = {(c.entity, c.number): c for c in found.of(Customer)}
    assert len(customers) > 600
    assert {i.customer for i in found.of(OpenItem)} <= {number for _, number in customers}
    french = [c for c in customers.values() if c.country == "FR"]
    assert all(c.registration_id and c.vat_id and c.vat_id.endswith(c.registration_id) for c in french)
    assert {c.country for c in customers.values()} == {"DE", "FR", "JP", "US"}
    assert any(c.head_office for c in customers.values())
    assert any(c.payer for c in customers.values())
    assert {c.email is None for c in customers.values()} == {True, False}
    assert {c.blocked for c in customers.values()} == {True, False}
    assert all(c.name for c in customers.values())


def test_sets_are_read_whole_however_they_are_paged(quiet: dict[str, Erp]) -> None:
    with access_to(quiet["acme"], page_size=50) as access:
        small, _ = first_load(access)
    with access_to(quiet["acme"]) as access:
        large, _ = first_load(access)
    assert sorted(map(repr, small.of(OpenItem))) == sorted(map(repr, large.of(OpenItem)))
    assert sorted(map(repr, small.of(Customer))) == sorted(map(repr, large.of(Customer)))


def test_a_second_run_reads_what_changed_and_the_overlap(busy: Erp) -> None:
    with access_to(busy) as access:
        found, items = first_load(access)
        before = busy.control("log")["last"]
        found = read(access, SYSTEM.plan(access, found.bookmarks, sweep=False))
        lines = busy.control("log", since=before)["requests"]
    assert {line["set"] for line in lines} <= {
        "$metadata", "A_OperationalAcctgDocItemCube", "A_BusinessPartner", "A_Customer", "A_BillingDocument", TAXES,
    }  # fmt: skip
    read_rows = sum(line["rows"] for line in lines if line["set"] != TAXES)  # they are part of their document
    assert read_rows == found.rows
    assert all(keyed(found)[key] == items[key] for key in keyed(found))
    assert len(keyed(found)) < len(items) / 5


def test_what_happens_is_found_by_the_deltas(busy: Erp) -> None:
    with access_to(busy) as access:
        found, items = first_load(access)
        bookmarks = found.bookmarks
        tomorrow = TODAY + timedelta(days=1)
        busy.control(
            "post",
            {"invoices": 3, "payments": 2, "partials": 2, "residuals": 1, "reversals": 1, "credit_memos": 1,
             "down_payments": 1, "due_dates": 1, "on": tomorrow.isoformat()},
        )  # fmt: skip
        later = replace(access, now=now_on(tomorrow))
        assert differences(later, items) != []
        items |= keyed(read(later, SYSTEM.plan(later, bookmarks, sweep=False)))
        assert differences(later, items) == []


def test_what_leaves_no_trace_is_shown_by_the_sweep(busy: Erp) -> None:
    with access_to(busy) as access:
        found, items = first_load(access)
        busy.control("post", {"resets": 1, "dunnings": 1})
        assert differences(access, items) == []  # a reset moves no balance
        swept = {
            (s.entity, s.fiscal_year, s.number, s.instalment): s
            for s in read(access, SYSTEM.plan(access, found.bookmarks, sweep=True)).of(Swept)
        }
        reopened = {key for key in swept if key not in items or not Decimal(items[key].open)}
        dunned = {
            key
            for key in swept
            if key in items
            and Decimal(items[key].original) > 0  # receipts are not dunned here
            and items[key].dunning_level != swept[key].dunning_level
        }
        assert reopened
        assert dunned
        again = keyed(
            read(access, [SYSTEM.documents(access, [key[:3] for key in sorted(reopened | dunned)])])
        )
        assert all(Decimal(again[key].open) for key in reopened)
        assert all(again[key].dunning_level == swept[key].dunning_level for key in dunned)


@pytest.mark.parametrize(
    "fault", ["row_hidden", "row_doubled", "wrong_sign", "cancelling_errors", "manual_journal"]
)
def test_each_fault_is_found_and_named(busy: Erp, fault: str) -> None:
    did: list[dict[str, Any]] = busy.control("faults", {"name": fault, "on": True})["faults"][0]["did"]
    assert did
    with access_to(busy) as access:
        _, items = first_load(access)
        found = differences(access, items)
        assert found
        before = busy.control("log")["last"]
        named = explained(access, items, found)
        assert len(busy.control("log", since=before)["requests"]) <= 20
    told = {(n.entity, n.account, n.customer, n.document, Decimal(n.difference)) for n in named}
    for one in did:
        amount = -Decimal(one["amount"])
        document = f"{one['document']}/{one['fiscal_year']}"
        assert (one["company_code"], one["account"], one["customer"], document, amount) in told
    assert len(told) == len(did)
    for line in named:
        assert f"Company code {line.entity}, account {line.account}" in line.sentence
        who = f"customer {line.customer}" if line.customer else "no customer: posted to the account"
        assert who in line.sentence


def test_a_hidden_account_group_is_named_by_customer(busy: Erp) -> None:
    did = busy.control("faults", {"name": "account_group_hidden", "on": True})["faults"][0]["did"]
    with access_to(busy) as access:
        _, items = first_load(access)
        before = busy.control("log")["last"]
        named = explained(access, items, differences(access, items))
        assert len(busy.control("log", since=before)["requests"]) <= 20
    told: dict[tuple[str, str, str | None, str], Decimal] = defaultdict(Decimal)
    for line in named:
        told[line.entity, line.account, line.customer, line.currency] += Decimal(line.difference)
    for one in did:
        place = (one["company_code"], one["account"], one["customer"], one["currency"])
        assert told[place] == -Decimal(one["amount"])


def test_a_company_code_without_rights_is_misconfigured(busy: Erp) -> None:
    code = busy.company_codes[1]
    with access_to(busy) as access:
        _, items = first_load(access)
        busy.control("faults", {"name": "company_code_without_rights", "on": True, "company_code": code})
        with pytest.raises(
            Misconfigured, match=f"acme-s4, control_totals: company code {code} shows no company data"
        ):
            SYSTEM.totals(access, accounts(items))
        with pytest.raises(Misconfigured, match=f"company code {code} shows no company data and no items"):
            SYSTEM.totals(access, [])
        with pytest.raises(Misconfigured, match=code):
            read(access, SYSTEM.plan(access, {}, sweep=False))
        checks = {check.name: check for check in SYSTEM.test(access)}
    assert not checks[f"accounting_items {code}"].ok
    assert code in checks[f"accounting_items {code}"].sentence
    assert checks[f"accounting_items {busy.company_codes[0]}"].ok


def test_a_company_code_that_does_not_exist_is_misconfigured(quiet: dict[str, Erp]) -> None:
    with (
        access_to(quiet["acme"], company_codes=["1010", "9999"]) as access,
        pytest.raises(Misconfigured, match="company code 9999 shows no company data"),
    ):
        SYSTEM.totals(access, [])


def test_a_page_of_nothing_ends_nothing(quiet: dict[str, Erp]) -> None:
    with access_to(quiet["acme"], company_codes=["1010"]) as access:
        empty = read(access, [SYSTEM.documents(access, []), SYSTEM.customers(access, [])])
        assert (empty.rows, empty.records) == (0, [])
