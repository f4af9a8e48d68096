"""Ageing and statements: buckets are the balance, and every past day can be seen again as it was."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from receivables.ageing import BUCKETS
from receivables.as_of import View, visible
from receivables.errors import Misconfigured
from receivables.kinds import ALLOCATION, OPEN_ITEM, RECEIPT, Kind
from receivables.records import Customer, LegalEntity, Receipt

TODAY = date(2026, 11, 24)
PARIS = ZoneInfo("Europe/Paris")
EACH = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def view(day: date = TODAY, *, connector_id: int = 1, zone: str = "UTC") -> View:
    return View(1, connector_id, "acme-s4", day, ZoneInfo(zone))


def receipt(number: str, amount: str, **fields: Any) -> Receipt:
    open_ = "0" if fields.get("cleared_on") else amount
    given_: dict[str, Any] = {
        "entity": "1010", "fiscal_year": "2026", "line": "2", "account": "12100000", "customer": "10100001",
        "printed": number, "currency": "EUR", "amount": amount, "unapplied": open_, "company_currency": "EUR",
        "company_amount": amount, "company_unapplied": open_, "booked_on": "2026-02-20", "value_on": None,
        "status": "received",
    }  # fmt: skip
    return Receipt(number=number, **given_ | fields)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-1, "not_due"), (0, "not_due"), (1, "1-30"), (30, "1-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"),
        (90, "61-90"), (91, "91-180"), (180, "91-180"), (181, "over 180"), (None, "no_due_date"),
    ],
)  # fmt: skip
def test_the_bucket_of_an_item(office: Any, make: Any, days: int | None, bucket: str) -> None:
    due = None if days is None else (TODAY - timedelta(days=days)).isoformat()
    office.load(make.item(due_on=due))
    (row,) = office.store.ageing(view(), "customer").rows
    assert row.buckets == row.company_buckets == {bucket: Decimal("600.00")}
    assert office.store.status(1, 1).publication.totals[0]["buckets"] == {bucket: "600.00"}


def test_rows_by_customer_company_currency_and_bucket(office: Any, make: Any) -> None:
    dollars = {
        "currency": "USD",
        "original": "110.00",
        "company_original": "100.00",
        "company_open": "100.00",
    }
    office.load(
        Customer(number="10100001", entity="1010", printed="10100001", name="Müller & Söhne"),
        make.item("1", due_on="2026-11-30"), make.item("2", original="-20.00", due_on=None),
        make.item("3", customer="7", due_on="2026-11-20"), make.item("4", **dollars, entity="1020", due_on="2026-11-20"),
        make.item("5", cleared_on="2026-11-01"), receipt("31", "50.00"),
    )  # fmt: skip
    by_customer = office.store.ageing(view(), "customer")
    assert [(r.entity, r.customer, r.name, r.currency, r.balance, r.lines) for r in by_customer.rows] == [
        ("1010", "10100001", "Müller & Söhne", "EUR", Decimal("530.00"), 3),
        ("1010", "7", None, "EUR", Decimal("600.00"), 1),
        ("1020", "10100001", None, "USD", Decimal("110.00"), 1),
    ]
    assert by_customer.rows[0].buckets == {
        "not_due": Decimal("600.00"), "no_due_date": Decimal("-20.00"), "unapplied": Decimal("-50.00"),
    }  # fmt: skip
    assert by_customer.rows[2].company_buckets == {"1-30": Decimal("100.00")}
    by_entity = office.store.ageing(view(), "entity").rows
    assert [(r.entity, r.customer, r.balance, r.currency) for r in by_entity] == [
        ("1010", None, Decimal("1130.00"), "EUR"), ("1020", None, Decimal("110.00"), "USD"),
    ]  # fmt: skip
    by_currency = office.store.ageing(view(), "currency").rows
    assert [(r.currency, r.company_currency, r.company_balance) for r in by_currency] == [
        ("EUR", "EUR", Decimal("1130.00")), ("USD", "EUR", Decimal("100.00")),
    ]  # fmt: skip
    by_bucket = office.store.ageing(view(), "bucket").rows
    assert [(r.bucket, r.currency, r.balance) for r in by_bucket] == [
        ("not_due", "EUR", Decimal("600.00")), ("1-30", "EUR", Decimal("600.00")), ("1-30", "USD", Decimal("110.00")),
        ("no_due_date", "EUR", Decimal("-20.00")), ("unapplied", "EUR", Decimal("-50.00")),
    ]  # fmt: skip


AMOUNTS = st.integers(-90_000, 90_000).map(lambda cents: f"{Decimal(cents) / 100:.2f}")
CURRENCIES = st.sampled_from(["EUR", "USD", "KWD"])
DUE = st.none() | st.dates(date(2025, 1, 1), date(2027, 1, 1))
OWED = st.lists(
    st.tuples(AMOUNTS, CURRENCIES, DUE, st.sampled_from("ABC"), st.booleans()), min_size=1, max_size=30
)


@EACH
@given(OWED)
def test_buckets_are_the_balance_none_missing_and_none_twice(
    office: Any, make: Any, owed: list[tuple[str, str, date | None, str, bool]]
) -> None:
    connector_id = next(NUMBERS)
    records = []
    expected: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for place, (amount, currency, due, customer, received) in enumerate(owed):
        common = {"customer": customer, "currency": currency, "company_currency": "EUR"}
        if received:
            taken = amount.lstrip("-")
            records.append(receipt(f"4{place}", taken, **common))
            expected[customer, currency] -= Decimal(taken)
        else:
            records.append(make.item(f"1{place}", original=amount, due_on=due and due.isoformat(), **common))
            expected[customer, currency] += Decimal(amount)
    office.load(*records, connector_id=connector_id)
    rows = office.store.ageing(view(connector_id=connector_id), "customer").rows
    found = {(r.customer, r.currency): r for r in rows}
    assert len(found) == len(rows)
    assert {place: r.balance for place, r in found.items() if r.balance} == {
        place: amount for place, amount in expected.items() if amount
    }
    for row in rows:
        assert set(row.buckets) <= set(BUCKETS)
        assert sum(row.buckets.values()) == row.balance
        assert sum(row.company_buckets.values()) == row.company_balance
    everything = sum(r.lines for r in rows)
    for by in ("entity", "currency", "bucket"):
        folded = office.store.ageing(view(connector_id=connector_id), by).rows
        assert sum(r.lines for r in folded) == everything == sum(1 for amount, *_ in owed if Decimal(amount))
        for currency in {r.currency for r in folded}:
            assert sum(r.balance for r in folded if r.currency == currency) == sum(
                amount for (_, of), amount in expected.items() if of == currency
            )


NUMBERS = iter(range(1, 10_000))


# -- as of --------------------------------------------------------------------------------------------------------


def seen(office: Any, kind: Kind, at: View) -> set[tuple[Any, ...]]:
    """The rows of a kind as the view sees them."""
    with psycopg.connect(office.url("encours_app")) as connection:
        connection.execute("select set_config('app.tenant', '1', true)")
        return set(connection.execute(visible(kind, at), at.scope).fetchall())


def current(office: Any, kind: Kind, connector_id: int) -> set[tuple[Any, ...]]:
    """The rows of a kind as they are now."""
    with psycopg.connect(office.url("encours_app")) as connection:
        connection.execute("select set_config('app.tenant', '1', true)")
        query = sql.SQL("select {} from {} where connector_id = {}").format(
            sql.SQL(", ").join(map(sql.Identifier, kind.fields)), kind.current, connector_id
        )
        return set(connection.execute(query).fetchall())


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["bill", "part", "pay", "reset", "dun"]), st.integers(0, 2)),
    min_size=1, max_size=8,
)  # fmt: skip


@pytest.mark.long
@EACH
@given(EVENTS)
def test_a_past_day_is_what_the_last_publication_of_that_day_showed(
    office: Any, make: Any, events: list[tuple[int, str, int]]
) -> None:
    """Publications are replayed: what each day's last one showed is what the day shows afterwards."""
    connector_id, day = next(NUMBERS), date(2026, 1, 10)
    replayed: dict[date, dict[str, set[tuple[Any, ...]]]] = {}
    for place, (later, what, number) in enumerate(events):
        day += timedelta(days=later)
        office.clock.now = datetime(day.year, day.month, day.day, 8, place, tzinfo=UTC)
        clearing = {"cleared_on": day.isoformat(), "clearing_document": f"4{number}/2026"}
        item, paid = f"1{number}", receipt(f"4{number}", "600.00", booked_on="2026-01-15")
        records = {
            "bill": [make.item(item)],
            "part": [make.item(item), receipt(f"3{number}", "250.00", related=f"{item}/2026/1")],
            "pay": [make.item(item, **clearing), receipt(f"4{number}", "600.00", **clearing)],
            "reset": [make.item(item), paid],
            "dun": [make.item(item, dunning_level=str(place))],
        }
        office.load(*records[what], connector_id=connector_id)
        replayed[day] = {
            kind.name: current(office, kind, connector_id) for kind in (OPEN_ITEM, RECEIPT, ALLOCATION)
        }
    for one in (day + timedelta(days=ahead) for ahead in range(-20, 1)):
        before = [shown for shown in replayed if shown <= one]
        if not before:
            with pytest.raises(Misconfigured, match="nothing was published; the first is of 2026-01-1"):
                office.store.ageing(view(one, connector_id=connector_id), "customer")
            continue
        at = view(one, connector_id=connector_id)
        for kind in (OPEN_ITEM, RECEIPT, ALLOCATION):
            assert seen(office, kind, at) == replayed[max(before)][kind.name]
        balance = sum(
            (row[kind.fields.index(amount)] * sign)
            for kind, amount, sign in ((OPEN_ITEM, "open", 1), (RECEIPT, "unapplied", -1))
            for row in replayed[max(before)][kind.name]
        )
        assert sum(r.balance for r in office.store.ageing(at, "currency").rows) == balance


def test_a_day_ends_in_its_zone(office: Any, make: Any) -> None:
    office.clock.now = datetime(2026, 6, 1, 21, 30, tzinfo=UTC)
    office.load(make.item())
    office.clock.now = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)  # the 2nd of June in Paris
    office.load(make.item(cleared_on="2026-06-02"))
    for zone, day, owed in (("UTC", 1, 0), ("Europe/Paris", 1, 1), ("Europe/Paris", 2, 0)):
        assert len(office.store.ageing(view(date(2026, 6, day), zone=zone), "customer").rows) == owed
    assert view(date(2026, 3, 29)).until(PARIS) == datetime(2026, 3, 30, tzinfo=PARIS)


def test_a_day_of_a_company_ends_in_its_own_zone(office: Any, make: Any) -> None:
    """Published at 23:30 UTC: in Paris and Tokyo the next day has begun, in Los Angeles it is afternoon."""
    office.clock.now = datetime(2026, 11, 24, 23, 29, tzinfo=UTC)
    zones = {"1010": None, "1710": "America/Los_Angeles", "2910": "Asia/Tokyo"}
    companies = [LegalEntity(code, code, None, "EUR", zone=zone) for code, zone in zones.items()]
    office.load(*companies, *(make.item(entity=code) for code in zones))
    own = office.store.zones(1, 1)
    assert own == {"1710": ZoneInfo("America/Los_Angeles"), "2910": ZoneInfo("Asia/Tokyo")}

    def seen(day: date) -> set[str | None]:
        found = office.store.ageing(View(1, 1, "acme-s4", day, PARIS, own), "entity")
        assert found.zone == "Europe/Paris; 1710 America/Los_Angeles; 2910 Asia/Tokyo"
        return {row.entity for row in found.rows}

    assert seen(TODAY) == {"1710"}
    assert seen(TODAY + timedelta(days=1)) == set(zones)
    with pytest.raises(Misconfigured, match="nothing was published"):
        seen(TODAY - timedelta(days=1))


def test_nothing_published_says_what_to_do(office: Any) -> None:
    with pytest.raises(Misconfigured, match="nothing was published; start a sync: encours sync acme-s4"):
        office.store.ageing(view(), "customer")


# -- statements ---------------------------------------------------------------------------------------------------


def test_a_statement_shows_what_is_open_and_what_paid_it(office: Any, make: Any) -> None:
    office.clock.now = datetime(2026, 2, 1, tzinfo=UTC)
    office.load(
        Customer(number="10100001", entity="1010", printed="0010100001", name="Müller & Söhne", country="DE"),
        make.item("12"), make.document("12", printed="0012"), make.item("13", original="100.00"),
        make.item("9", customer="7"),
    )  # fmt: skip
    office.clock.now = datetime(2026, 2, 20, tzinfo=UTC)
    paid = {"cleared_on": "2026-02-20", "clearing_document": "41/2026"}
    office.load(
        receipt("31", "250.00", customer="7", related="12/2026/1", printed="WIRE-31"), receipt("32", "5.00"),
        make.item("13", original="100.00", **paid), receipt("41", "100.00", **paid),
    )  # fmt: skip
    found = office.store.statement(view(date(2026, 2, 21)), "0010100001")
    assert [(c.number, c.name) for c in found.customers] == [("10100001", "Müller & Söhne")]
    assert [(i.number, i.printed, i.kind, i.open, i.bucket) for i in found.items] == [
        ("12", "0012", "invoice", Decimal("350.00"), "1-30")
    ]
    assert [(r.number, r.customer, r.unapplied) for r in found.receipts] == [
        ("31", "7", Decimal("0.00")), ("32", "10100001", Decimal("5.00")),
    ]  # fmt: skip
    assert [(a.source_number, a.target_number, a.amount) for a in found.allocations] == [
        ("31", "12", Decimal("250.00"))
    ]
    assert [(a.source_printed, a.target_printed) for a in found.allocations] == [("WIRE-31", "0012")]
    assert found.balances == {"EUR": Decimal("345.00")}
    before = office.store.statement(view(date(2026, 2, 10)), "10100001")
    assert [(i.number, i.open) for i in before.items] == [
        ("12", Decimal("600.00")),
        ("13", Decimal("100.00")),
    ]
    assert (before.receipts, before.allocations) == ([], [])
    assert before.balances == {"EUR": Decimal("700.00")}
    assert office.store.statement(view(date(2026, 2, 10)), "nobody") is None
