"""What Intacct's audit history says was deleted, also where it fails on an entry or may not be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from connectors.kit.stream import Access, Adapted
from connectors.systems.sage_intacct import deletions
from connectors.systems.sage_intacct.fields import DELETION
from receivables.records import Deleted, OpenItem, Swept
from tests.connectors.intacct_books import SYSTEM, Books, access_to, failed, worked_example

SINCE = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@dataclass
class History(Books):
    """An audit history that fails whenever one of some entries is in the answer."""

    fails_on: set[str] = field(default_factory=set)
    requests: int = 0

    def query(self, function: etree._Element) -> bytes:
        if function.findtext("object") != DELETION.name:
            return super().query(function)
        self.requests += 1
        answer = super().query(function)
        shown = set(re.findall(r"<ID>(\d+)</ID>", answer.decode()))
        broken = "*" in self.fails_on or shown & self.fails_on
        return failed("There was an error processing the request", "Query Failed") if broken else answer


def entry(number: int, second: int = 0, **more: str) -> Mapping[str, str]:
    moment = SINCE + timedelta(minutes=number, seconds=second)
    return {
        "ID": str(number), "OBJECTTYPE": "arinvoice", "OBJECTKEY": str(500 + number), "ACCESSMODE": "D",
        "ACCESSTIME": f"{moment:%m/%d/%Y %H:%M:%S}", **more,
    }  # fmt: skip


def history(*entries: Mapping[str, str], fails_on: str = "") -> History:
    return History(rows={"AUDITHISTORY": [dict(one) for one in entries]}, fails_on=set(fails_on.split()))


def read(access: Access) -> Adapted:
    (page,) = deletions.pages(access, SINCE)
    assert page.last
    return deletions.Deletions()(page.rows)


def keys(adapted: Adapted) -> list[tuple[str, str]]:
    return [(one.kind, one.number) for one in adapted.records if isinstance(one, Deleted)]


def test_deletions_of_receivables_are_read_from_their_moment_on() -> None:
    books = history(
        entry(1), entry(2, OBJECTTYPE="arpymt"), entry(3, OBJECTTYPE="aradjustment"), entry(4, OBJECTTYPE="aradvance"),
        entry(5, OBJECTTYPE="customer"), entry(6, OBJECTTYPE="vendor"), entry(7, ACCESSMODE="M"), entry(-1),
    )  # fmt: skip
    with access_to(books) as access:
        adapted = read(access)
    assert keys(adapted) == [
        ("document", "501"), ("receipt", "502"), ("document", "503"), ("receipt", "504"), ("customer", "505"),
    ]  # fmt: skip
    assert adapted.records[0] == Deleted(
        "document",
        "501",
        "Entry 1 of Intacct's audit history says that it was deleted on 03/01/2026 08:01:00.",
    )
    assert books.requests == 1


@pytest.mark.parametrize("broken", ["3", "0", "5", "0 3", "2 3 4"])
def test_an_entry_that_fails_is_set_aside_alone(broken: str) -> None:
    books = history(*(entry(number) for number in range(6)), fails_on=broken)
    with access_to(books) as access:
        adapted = read(access)
    alone = broken.split()
    assert [number for _, number in keys(adapted)] == [str(500 + n) for n in range(6) if str(n) not in alone]
    moments = [f"03/01/2026 08:0{number}:00" for number in alone]
    assert [error.key for _, error in adapted.unreadable] == moments
    assert all(error.code == "not_shown" for _, error in adapted.unreadable)
    assert books.requests <= 40 * len(alone)


def test_entries_a_second_beside_the_one_that_fails_are_read() -> None:
    books = history(entry(1, -1), {**entry(1), "ID": "9"}, entry(1, 1), fails_on="9")
    with access_to(books) as access:
        adapted = read(access)
    assert len(keys(adapted)) == 2
    assert [error.key for _, error in adapted.unreadable] == ["03/01/2026 08:01:00"]


def test_a_moment_that_is_shown_again_has_the_name_of_its_reject() -> None:
    with access_to(history(entry(1), fails_on="1")) as access:
        (_, error), *_ = read(access).unreadable
    with access_to(history(entry(1))) as access:
        ((_, name),) = read(access).keys
    assert error.key == name.decode()


def test_a_history_that_always_fails_is_given_up_soon() -> None:
    books = history(entry(1), fails_on="*")
    with access_to(books) as access:
        adapted = read(access)
    assert not adapted.records
    assert 1 <= len(adapted.unreadable) <= 5
    assert books.requests == deletions.HOPELESS


def test_without_the_right_nothing_is_read_and_the_test_says_what_to_do() -> None:
    books = worked_example()
    books.hidden = {"AUDITHISTORY"}
    with access_to(books) as access:
        (page,) = deletions.pages(access, SINCE)
        (check,) = [check for check in SYSTEM.test(access) if check.name == "AUDITHISTORY"]
    assert (page.rows, page.last, len(page.warnings)) == ((), True, 1)
    assert check.ok
    assert "custom reports of Platform Services" in check.sentence
    with access_to(worked_example()) as access:
        (check,) = [check for check in SYSTEM.test(access) if check.name == "AUDITHISTORY"]
    assert check.sentence == "Tells what was deleted."


def test_the_history_is_read_after_all_rows() -> None:
    marks = dict.fromkeys(
        ("customers", "invoices", "adjustments", "receipts", "advances", "allocations", "deletions"),
        SINCE.isoformat(),
    )
    with access_to(worked_example()) as access:
        for bookmarks, sweep in (({}, False), (marks, False), (marks, True)):
            slices = [one for one in SYSTEM.plan(access, bookmarks, sweep=sweep) if one.stream != "sweep"]
            assert (slices[-1].name, slices[-1].bookmark) == ("deletions", "deletions")


def test_a_read_by_key_says_what_is_shown_of_documents_and_of_money() -> None:
    with access_to(worked_example()) as access:
        asked = SYSTEM.documents(access, [("N-407", "", number) for number in ("501", "503", "701", "999")])
        adapter = SYSTEM.adapters[asked.adapter](access)
        records = [record for page in asked.pages(access) for record in adapter(page.rows).records]
    assert not asked.skip_unchanged
    assert {one.number for one in records if isinstance(one, OpenItem)} == {"501", "503"}
    assert {(one.number, one.original) for one in records if isinstance(one, Swept)} == {
        ("501", "600.00"), ("503", "360.00"), ("701", "-250.00"),
    }  # fmt: skip
