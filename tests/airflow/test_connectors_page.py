"""What the Connectors page shows for which state of the books."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from encours.overview import ConnectorStatus
from plugins.encours_pages.connectors import WORDS, ConnectorsPage, UnknownState, connectors_page

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

TIED_OUT = ConnectorStatus(
    key="acme-s4",
    tenant="Acme",
    system="sap_s4hana",
    title="SAP S/4HANA",
    state="tied_out",
    sentence="Equal to the ERP, 23 Nov 2026, 06:12.",
    since=NOW - timedelta(hours=2),
    difference=[],
    open_amounts=[(Decimal("3193063.10"), "EUR")],
    published_at=NOW - timedelta(hours=2),
    publication=4812,
    deadline_minutes=240,
    rejects=0,
    rows=86299,
    next_run=NOW + timedelta(minutes=25),
)


def status(key: str, state: str = "tied_out", *, hours: float = 2, **changes: Any) -> ConnectorStatus:
    published = NOW - timedelta(hours=hours)
    return dataclasses.replace(TIED_OUT, key=key, state=state, published_at=published, **changes)


def held(key: str, difference: str, *, hours: float, currency: str = "EUR") -> ConnectorStatus:
    return status(key, "held", hours=hours, difference=[(Decimal(difference), currency)])


def page(*statuses: ConnectorStatus, state: str | None = None, everything: bool = False) -> ConnectorsPage:
    return connectors_page(statuses, state=state, everything=everything, now=NOW, zone=UTC)


def keys(shown: ConnectorsPage) -> list[str]:
    return [row.key for row in shown.rows]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_row_of_equal_books() -> None:
    (row,) = page(TIED_OUT).rows
    assert (row.word, plain(row.since), row.sentence) == (
        "Tied out",
        "2 h",
        "Equal to the ERP, 23 Nov 2026, 06:12.",
    )
    assert (list(row.differences), plain(row.open_amounts[0])) == (["0.00"], "3,193,063.10 EUR")
    assert row.published is not None
    assert (row.published.text, row.published.machine) == ("Today 10:00", "2026-11-23T10:00:00+00:00")
    assert (row.publication, plain(row.age), plain(row.deadline), row.late) == ("4,812", "2 h", "4 h", False)
    assert (row.rejects, row.rows) == ("0", "86,299")
    assert row.next_run is not None
    assert plain(row.next_run.text) == "in 25 min"


def test_an_unknown_difference_is_a_dash_and_never_zero() -> None:
    for state in WORDS.keys() - {"tied_out"}:
        (row,) = page(status("a", state)).rows
        assert list(row.differences) == ["-"], state


def test_what_was_never_published_is_a_dash() -> None:
    never = dataclasses.replace(
        TIED_OUT,
        state="failing",
        since=None,
        published_at=None,
        publication=None,
        open_amounts=[],
        next_run=None,
    )
    (row,) = page(never).rows
    assert (row.published, row.age, row.publication, row.since, row.next_run) == (None, "-", "", "", None)
    assert (list(row.open_amounts), row.late) == (["-"], False)


def test_differences_of_several_currencies_are_listed_and_never_added() -> None:
    two = status("a", "held", difference=[(Decimal(-5), "USD"), (Decimal(1250), "EUR"), (Decimal(0), "JPY")])
    (row,) = page(two).rows
    assert [plain(one) for one in row.differences] == ["1,250.00 EUR", "\N{MINUS SIGN}5.00 USD"]


def test_the_deadline_is_kept_to_the_second() -> None:
    (in_time,) = page(status("a", hours=4)).rows
    assert not in_time.late
    (late,) = page(status("a", hours=4 + 1 / 3600)).rows
    assert late.late


def test_the_default_shows_what_needs_a_look_and_all_shows_all() -> None:
    statuses = status("fine"), status("a", "failing"), status("b", "paused")
    assert set(keys(page(*statuses))) == {"a", "b"}
    assert set(keys(page(*statuses, everything=True))) == {"a", "b", "fine"}
    assert keys(page(*statuses, state="tied_out")) == ["fine"]


def test_when_nothing_needs_a_look_everything_is_shown() -> None:
    shown = page(status("b"), status("a", hours=3))
    assert keys(shown) == ["a", "b"] or keys(shown) == ["b", "a"]
    assert shown.summary == "All 2 are tied out. Oldest publication: Today 09:00."
    assert [chip.current for chip in shown.chips] == [False, True]


def test_the_order_is_amount_times_hours_past_the_deadline() -> None:
    statuses = (
        held("much-but-fresh", "90000", hours=3),  # not yet late: 0
        held("small-and-old", "100", hours=104),  # 100 x 100 h
        held("large-and-late", "1250", hours=28),  # 1,250 x 24 h
        status("failing-for-long", "failing", hours=200),
        status("failing", "failing", hours=6),
        status("fine"),
        status("b-paused", "paused", hours=500),
    )
    assert keys(page(*statuses, everything=True)) == [
        "large-and-late",
        "small-and-old",
        "much-but-fresh",
        "failing-for-long",
        "failing",
        "b-paused",
        "fine",
    ]


def test_the_summary_says_how_many_need_a_look() -> None:
    statuses = held("a", "-1250", hours=5), held("b", "3", hours=5), status("c", "stale"), status("d")
    assert plain(page(*statuses).summary) == "3 of 4 need a look. 2 held, 1,250.00 EUR the largest."
    assert page(status("a", "stale"), status("b")).summary == "1 of 2 needs a look."
    mixed = held("a", "1", hours=5), held("b", "300", hours=5, currency="JPY")
    assert page(*mixed).summary == "2 of 2 need a look. 2 held."


def test_the_chips_count_each_state_once() -> None:
    statuses = held("a", "1", hours=5), status("b", "stale"), status("c"), status("d")
    chips = page(*statuses, state="stale").chips
    assert [(chip.word, chip.count, chip.current) for chip in chips] == [
        ("Held", "1", False),
        ("Stale", "1", True),
        ("Tied out", "2", False),
        ("All", "4", False),
    ]
    assert [chip.address for chip in chips][-2:] == ["/encours/?state=tied_out", "/encours/?all=1"]


def test_empty_pages_say_what_to_do() -> None:
    assert page().empty == "No connector yet. Add the first one: encours connectors add."
    assert page(TIED_OUT, state="held").empty == "No connector is in the state Held."
    assert page(TIED_OUT).empty is None


def test_an_unknown_state_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownState, match=r"There is no state 'broken'\. Known: held, failing, "):
        page(TIED_OUT, state="broken")
