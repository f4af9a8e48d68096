"""Several entities in one company: payments over them, customers of more than one, the top level, zones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from receivables.records import Allocation, Customer, Document, Receipt
from tests.connectors.conftest import Read, read
from tests.connectors.intacct_books import SYSTEM, Books, Record, access_to, detail, line, worked_example
from tests.connectors.test_intacct_example import PUBLISHED

AMOUNTS = ("TRX_TOTALENTERED", "TRX_TOTALDUE", "TOTALENTERED", "TOTALDUE")


def of_entity(row: Record, number: str, entity: str, amount: str, **more: str) -> Record:
    """A record like this one in another entity, of this amount."""
    return {**row, "RECORDNO": number, "MEGAENTITYID": entity, **dict.fromkeys(AMOUNTS, amount), **more}


def one_payment_over_two_entities(**more: str) -> Books:
    """One transfer of 350: 250 in N-407 as in the worked example, 100 in E-200; and 40 owed at the top level."""
    books = worked_example()
    first = books.rows["ARINVOICE"][1]
    nothing = {"TRX_TOTALDUE": "0", "TOTALDUE": "0"}
    books.rows["ARINVOICE"] += [
        of_entity(first, "801", "E-200", "100", STATE="Paid", **nothing),
        of_entity(first, "802", "", "40"),
    ]
    books.rows["ARINVOICEITEM"] += [line("3001", "801", "100"), line("3002", "802", "40")]
    books.rows["LOCATIONENTITY"].append({"RECORDNO": "8", "LOCATIONID": "E-200", "NAME": "Europe"})
    payment = books.rows["ARPYMT"][0]
    payment |= {"MULTIENTITYPYMTKEY": "700", **more}
    books.rows["ARPYMT"].append(of_entity(payment, "703", "E-200", "100", **nothing))
    books.rows["ARPYMTDETAIL"].append({**detail("9004", "801", "3001", "100"), "PAYMENTKEY": "703"})
    return books


def loaded(books: Books, **settings: Any) -> Read:
    with access_to(books, **settings) as access:
        found = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
    assert not found.unreadable
    return found


@pytest.mark.parametrize(("document", "reference"), [("WIRE-5", "WIRE-5"), ("", "700")])
def test_one_payment_over_several_entities_is_a_receipt_in_each(document: str, reference: str) -> None:
    found = loaded(one_payment_over_two_entities(DOCNUMBER=document))
    assert [
        (r.entity, r.number, r.amount, r.unapplied, r.bank_reference, r.printed) for r in found.of(Receipt)
    ] == [
        ("N-407", "701", "250.00", "0.00", reference, reference),
        ("E-200", "703", "100.00", "0.00", reference, reference),
    ]
    assert {
        (a.entity, a.source_number, a.target_number, a.amount)
        for a in found.of(Allocation)
        if a.sequence == "cash"
    } == {
        ("N-407", "701", "501", "200.00"),
        ("N-407", "701", "501", "50.00"),
        ("E-200", "703", "801", "100.00"),
    }


def test_a_customer_is_one_in_each_entity_that_uses_it() -> None:
    books = one_payment_over_two_entities()
    books.rows["CUSTOMER"][0]["WHENMODIFIED"] = "02/25/2026 08:00:00"
    with access_to(books) as access:
        late = dict.fromkeys(PUBLISHED, "2026-02-24T00:00:00+00:00")
        changed = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM).of(Customer)
        keys = [(code, "C-100") for code in ("N-407", "E-200", "TOP")]
        named = read(access, [SYSTEM.customers(access, keys)], SYSTEM).of(Customer)
    assert {(c.entity, c.number, c.name) for c in changed} == {
        ("N-407", "C-100", "Burlington & Sons"),
        ("E-200", "C-100", "Burlington & Sons"),
        ("TOP", "C-100", "Burlington & Sons"),
    }
    assert {c.entity for c in named} == {"N-407", "E-200", "TOP"}
    with access_to(books, entities="E-200") as access:
        changed = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM).of(Customer)
    assert {c.entity for c in changed} == {"E-200"}, "other entities are not this connector's"


def test_a_customer_with_nothing_but_money_in_an_entity_is_one_of_it() -> None:
    books = one_payment_over_two_entities()
    books.rows["ARPYMT"].append(of_entity(books.rows["ARPYMT"][0], "704", "W-9", "7"))
    books.rows["CUSTOMER"][0]["WHENMODIFIED"] = ""
    with access_to(books) as access:
        late = dict.fromkeys(PUBLISHED, "2026-02-24T00:00:00+00:00")
        changed = read(access, SYSTEM.plan(access, late, sweep=False), SYSTEM).of(Customer)
    assert {c.entity for c in changed} == {"N-407", "E-200", "TOP", "W-9"}


@pytest.mark.parametrize(
    ("entities", "numbers"),
    [
        ("", {"501", "502", "503", "504", "610", "801", "802"}),
        ("TOP", {"802"}),
        ("E-200", {"801"}),
        ("E-200,TOP", {"801", "802"}),
    ],
)
def test_the_entities_of_the_settings_are_read(entities: str, numbers: set[str]) -> None:
    found = loaded(one_payment_over_two_entities(), **({"entities": entities} if entities else {}))
    assert {d.number for d in found.of(Document)} == numbers
    codes = {"N-407" if n[0] in "56" else "TOP" if n == "802" else "E-200" for n in numbers}
    assert {d.entity for d in found.of(Document)} == codes


def test_private_entities_are_asked_for_in_every_list() -> None:
    books = one_payment_over_two_entities()
    loaded(books)
    lists = [found for body in books.asked for found in etree.fromstring(body).iter("query")]
    assert lists
    assert {found.findtext("options/showprivate") for found in lists} == {"true"}


@pytest.mark.parametrize(
    ("zone", "since"),
    [
        ("UTC", "02/20/2026 11:50:00"),
        ("America/Los_Angeles", "02/20/2026 03:50:00"),
        ("Asia/Tokyo", "02/20/2026 20:50:00"),
    ],
)
def test_moments_of_change_are_asked_for_in_the_zone_of_the_settings(zone: str, since: str) -> None:
    books = worked_example()
    with access_to(books) as access:
        there = replace(access, zone=ZoneInfo(zone))
        published = dict.fromkeys(PUBLISHED, "2026-02-20T12:00:00+00:00")
        read(there, SYSTEM.plan(there, published, sweep=False), SYSTEM)
    asked = {
        value.text
        for body in books.asked
        for condition in etree.fromstring(body).iter("greaterthanorequalto")
        if condition.findtext("field") == "WHENMODIFIED"
        for value in condition.findall("value")
    }
    assert asked == {since}
