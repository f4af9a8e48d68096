"""Publishing: what becomes visible, what stays as history, and what a run that fails leaves untouched."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest
import xxhash

from receivables.errors import Conflict
from receivables.records import ControlAccount, Customer, LegalEntity


def test_first_load_is_published_with_totals_and_counts(office: Any, make: Any) -> None:
    entity = LegalEntity(code="1010", name="Acme", country="DE", currency="EUR")
    account = ControlAccount(entity="1010", account="12100000", kind="trade")
    customer = Customer(number="10100001", entity="1010", printed="10100001", name="Müller & Söhne")
    second = make.item(instalment="2", original="600.00", due_on="2026-03-16")
    office.load(entity, account, customer, make.item(), second, make.document())

    status = office.store.status(1, 1)
    assert status.publication.number == 1
    assert status.publication.grade == "ledger"
    assert status.publication.counts == {
        "legal_entity": 1, "control_account": 1, "customer": 1, "open_item": 2, "document": 1,
        "receipt": 0, "allocation": 0, "billing_document": 0, "document_tax": 0,
    }  # fmt: skip
    assert status.open_amounts == [(Decimal("1200.00"), "EUR")]
    assert status.run.state == "published"
    assert office.sql("select total_incl, adapter from receivables.document") == [(Decimal("1200.00"), "1")]
    assert office.sql("select name, incomplete, blocked from receivables.customer") == [
        ("Müller & Söhne", False, False)
    ]


def test_changed_row_moves_its_old_version_to_history(office: Any, make: Any) -> None:
    office.load(make.item(), make.item("7"), make.document(), make.document("7"))
    first = office.store.status(1, 1).publication
    office.load(make.item(dunning_level="2"), make.item("7"), make.document())
    second = office.store.status(1, 1).publication

    assert office.sql("select number, dunning_level from receivables.open_item order by 1") == [
        ("1800000012", "2"),
        ("7", None),
    ]
    assert office.sql(
        "select number, dunning_level, known_from, known_to from receivables.open_item_history"
    ) == [("1800000012", None, first.published_at, second.published_at)]
    assert office.sql("select known_from from receivables.open_item where number = '1800000012'") == [
        (second.published_at,)
    ]
    assert office.sql("select count(*) from receivables.document_history") == [(0,)]
    assert second.changes["open_item"] == 1
    assert second.counts["open_item"] == 2
    assert (second.number, first.content_hash == second.content_hash) == (2, False)


def test_document_total_follows_its_items(office: Any, make: Any) -> None:
    office.load(make.item(), make.document())
    office.load(make.item(instalment="2", original="0.55"), make.document())
    assert office.sql("select total_incl from receivables.document") == [(Decimal("600.55"),)]
    assert office.sql("select total_incl from receivables.document_history") == [(Decimal("600.00"),)]


def test_of_a_key_read_twice_the_last_counts(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item(), make.item("9"), make.document(), number=0, last=False)
        make.stage(run, make.item(payment_block="A"), make.item(payment_block="B"), make.document(), number=1)
        make.stage(run, make.item("9", text="later"), slice_="open_items/1010/cleared", number=0)
        run.tie_out([make.total("1010", "12100000", "1200.00")], {})
        run.publish()
    assert office.sql("select number, payment_block, text from receivables.open_item order by 1") == [
        ("1800000012", "B", None),
        ("9", None, "later"),
    ]
    assert office.sql("select count(*) from receivables.document") == [(1,)]


def test_content_hash_tells_content_not_order_nor_path(office: Any, make: Any) -> None:
    items = [make.item(str(n), original=f"{n}.00") for n in range(1, 6)]
    hashes = []
    for connector_id, steps in enumerate(([items], [items[::-1]], [items[:2], items[1:]]), 1):
        for step in steps:
            office.load(*step, connector_id=connector_id)
        hashes.append(office.store.status(1, connector_id).publication.content_hash)
    changed_back = [[make.item("1", text="x"), *items[1:]], items]
    for step in changed_back:
        office.load(*step, connector_id=9)
    hashes.append(office.store.status(1, 9).publication.content_hash)
    assert len(set(hashes)) == 1
    office.load(make.item("1", text="other"), connector_id=9)
    assert office.store.status(1, 9).publication.content_hash != hashes[0]


def test_nothing_changed_changes_nothing(office: Any, make: Any) -> None:
    rows = [make.item(), make.document(), make.item("8", original="-5.00", posted_on="2026-02-01")]
    office.load(*rows)
    before = office.sql("select * from receivables.open_item order by number")
    first = office.store.status(1, 1).publication
    office.load(*rows)
    second = office.store.status(1, 1).publication
    assert office.sql("select * from receivables.open_item order by number") == before
    assert second.content_hash == first.content_hash
    assert set(second.changes.values()) == {0}
    assert second.counts == first.counts


def test_unknown_customer_is_published_incomplete_then_completed(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item(customer="4711"))
        assert run.to_read_again() == []
        assert run.unknown_customers() == [("1010", "4711")]
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        run.publish()
    assert office.sql("select number, name, incomplete from receivables.customer") == [("4711", None, True)]
    with office.run() as run:
        make.stage(run, make.item("2", customer="4711"))
        assert run.unknown_customers() == [("1010", "4711")]
        run.moving()
    office.load(
        Customer(number="4711", entity="1010", printed="4711", name="Tanaka 田中"),
        make.item("2", customer="4711"),
    )
    assert office.sql("select number, name, incomplete from receivables.customer") == [
        ("4711", "Tanaka 田中", False)
    ]


def test_raw_digests_know_the_rows_as_published_now(office: Any, make: Any) -> None:
    def load(raw: bytes) -> None:
        with office.run() as run:
            make.stage(run, make.item(text=raw.decode()), keys=[(b"1010/2026/1800000012/1", raw)])
            run.tie_out([make.total("1010", "12100000", "600.00")], {})
            run.publish()

    def known(raw: bytes) -> bool:
        with office.run() as run:
            return not run.known("open_items").missing([xxhash.xxh3_128_digest(raw)])

    assert not known(b"A")
    load(b"A")
    assert (known(b"A"), known(b"B")) == (True, False)
    load(b"B")
    assert (known(b"A"), known(b"B")) == (False, True)
    load(b"A")
    assert (known(b"A"), known(b"B")) == (True, False)
    assert office.sql("select text from receivables.open_item") == [("A",)]


def test_bookmarks_move_with_the_publication_only(office: Any, make: Any) -> None:
    with office.run() as run:
        assert (run.mode, dict(run.bookmarks)) == ("snapshot", {})
        make.stage(run, make.item(), bookmark="open_items/1010/created", reached="2026-11-24")
        run.tie_out([make.total("1010", "12100000", "1.00")], {})
        run.hold("difference", ["600.00 too much"])
    with office.run() as run:
        assert dict(run.bookmarks) == {}
    office.load(make.item(), number="2026-11-25")
    with office.run() as run:
        assert (run.mode, dict(run.bookmarks)) == ("delta", {"open_items/1010/created": "2026-11-25"})


def test_what_is_done_also_is_part_of_the_publication(office: Any, make: Any) -> None:
    office.load(make.item())

    def broken(connection: psycopg.Connection[Any]) -> None:
        connection.execute("select 1 / 0")

    with office.run() as run:
        make.stage(run, make.item(text="new"), bookmark="open_items/1010/created", reached="2027-01-01")
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        with pytest.raises(psycopg.errors.DivisionByZero):
            run.publish(broken)
    status = office.store.status(1, 1)
    assert (status.publication.number, status.run.state) == (1, "reading")
    assert office.sql("select text from receivables.open_item") == [(None,)]
    assert office.sql("select value from receivables.bookmark") == [("2026-11-24",)]


def test_held_run_keeps_the_last_publication(office: Any, make: Any) -> None:
    office.load(make.item())
    with office.run() as run:
        make.stage(run, make.item("66", original="5.00"))
        lines = run.tie_out([make.total("1010", "12100000", "600.00")], {})
        assert [(line.status, line.difference) for line in lines] == [("different", Decimal("-5.00"))]
        with pytest.raises(Conflict, match="the books differ"):
            run.publish()
        run.hold("difference", ["document 66 is not in the ledger"], message="the books differ by -5.00 EUR")
    status = office.store.status(1, 1)
    assert (status.run.state, status.run.reason) == ("held", "difference")
    assert status.run.explanation == ["document 66 is not in the ledger"]
    assert status.publication.number == 1
    assert status.open_amounts == [(Decimal("600.00"), "EUR")]
    assert [line.difference for line in status.differences] == [Decimal("-5.00")]
    assert status.unpublished_since == status.run.ended_at

    office.load(make.item("66", original="5.00"))
    assert office.sql("select number, state from receivables.run order by 1") == [
        (1, "published"), (2, "superseded"), (3, "published"),
    ]  # fmt: skip
    assert office.store.status(1, 1).unpublished_since is None
    assert office.sql("select count(*) from receivables.staged_open_item") == [(0,)]


def test_publishing_takes_a_tie_out_after_the_last_page(office: Any, make: Any) -> None:
    with office.run() as run:
        make.stage(run, make.item(), last=False)
        with pytest.raises(Conflict, match="after the last tie-out"):
            run.publish()
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        with pytest.raises(Conflict, match=r"open_items/1010/2026-01 has not been read to its end"):
            run.publish()
        run.tie_out([make.total("1010", "12100000", "600.00")], {})
        make.stage(run, make.item("2", original="1.00"), number=1)
        with pytest.raises(Conflict, match="after the last tie-out"):
            run.publish()
    assert office.store.status(1, 1).publication is None


def test_amounts_that_are_no_numbers_are_refused_by_the_database(office: Any, make: Any) -> None:
    office.load(make.item())
    for bad in ("NaN", "Infinity", "-Infinity", "1e18"):
        with pytest.raises(psycopg.errors.CheckViolation, match="amounts_are_numbers"):
            office.sql("update receivables.open_item set open = %s", bad)


def test_a_big_load_leaves_fresh_statistics(office: Any, make: Any) -> None:
    office.load(*(make.item(str(n), original="1.00") for n in range(10_000)))
    assert office.sql("select reltuples from pg_class where oid = 'receivables.open_item'::regclass") == [
        (10_000,)
    ]
