"""Totals of the ledger by entity and account, what stands in for them, and the reasons behind a difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import pytest
from lxml import etree

from connectors.kit.stream import Access, Difference
from receivables.errors import Misconfigured
from receivables.records import LegalEntity, Receipt
from tests.connectors.conftest import read
from tests.connectors.intacct_books import SYSTEM, Books, Record, access_to, line, worked_example

Total = tuple[str, str, str, str, str, str]


def totals(books: Books, known: Sequence[tuple[str, str]] = (), **settings: Any) -> list[Total]:
    with access_to(books, **settings) as access:
        return [
            (t.entity, t.account, t.basis, t.currency, t.closing, t.grade)
            for t in SYSTEM.totals(access, known)
        ]


def copied(row: Record, **changes: str) -> Record:
    return {**row, **changes}


def two_entities() -> Books:
    """The worked example, and one invoice of 100 EUR in another entity and one of 40 USD at the top level."""
    books = worked_example()
    first = books.rows["ARINVOICE"][1]
    amounts = dict.fromkeys(("TRX_TOTALENTERED", "TRX_TOTALDUE", "TOTALENTERED", "TOTALDUE"), "100")
    euro = copied(first, RECORDNO="801", MEGAENTITYID="E-200", CURRENCY="EUR", BASECURR="EUR", **amounts)
    top = copied(first, RECORDNO="802", MEGAENTITYID="", **dict.fromkeys(amounts, "40"))
    books.rows["ARINVOICE"] += [euro, top]
    books.rows["ARINVOICEITEM"] += [line("3001", "801", "100"), line("3002", "802", "40")]
    books.rows["LOCATIONENTITY"] += [{"RECORDNO": "8", "LOCATIONID": "E-200", "NAME": "Europe"}]
    books.balances |= {("12000", "E-200"): "100.00"}
    return books


def test_each_entity_is_asked_for_in_its_own_currency() -> None:
    books = two_entities()
    books.balances["12000", ""] = "970.00"
    assert totals(books) == [
        ("E-200", "12000", "company", "EUR", "100.00", "ledger"),
        ("N-407", "12000", "company", "USD", "830.00", "ledger"),
        ("TOP", "12000", "company", "USD", "40.00", "ledger"),
    ]
    with access_to(books) as access:
        found = {
            e.code: (e.name, e.currency)
            for e in read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM).of(LegalEntity)
        }
    assert found == {"N-407": ("North", "USD"), "E-200": ("Europe", "EUR"), "TOP": ("ACME", "USD")}


def test_only_the_entities_of_the_settings() -> None:
    books = two_entities()
    assert [total[0] for total in totals(books, entities="E-200")] == ["E-200"]
    with access_to(books, entities="N-407,TOP") as access:
        found = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
    assert {e.code for e in found.of(LegalEntity)} == {"N-407", "TOP"}
    assert {r.entity for r in found.of(Receipt)} == {"N-407"}
    with access_to(books, entities="X-1") as access, pytest.raises(Misconfigured, match="X-1"):
        read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)


def test_accounts_of_the_settings_are_compared_too() -> None:
    books = worked_example()
    books.balances["12900", "N-407"] = "5"
    found = totals(books, [("N-407", "12000"), ("N-407", "12100")], control_accounts="12900,N-407/12950")
    assert [(account, closing) for _, account, _, _, closing, _ in found] == [
        ("12000", "830.00"), ("12100", "0.00"), ("12900", "5.00"),
    ], "an account that is known is told even if it is empty"  # fmt: skip


def test_a_balance_is_asked_for_on_the_day_in_the_order_of_the_vendors_page() -> None:
    books = worked_example()
    totals(books, reporting_book="GAAP")
    function = etree.fromstring(books.asked[-1]).find("operation/content/function/get_accountbalances")
    assert function is not None
    assert [(child.tag, "".join(map(str, child.itertext()))) for child in function] == [
        ("startdate", "20260301"), ("enddate", "20260301"), ("glaccountno", "12000"), ("locationid", "N-407"),
        ("showzerobalances", "true"), ("reportingbook", "GAAP"), ("statistical", "exclude"),
    ]  # fmt: skip


def hidden() -> Books:
    books = worked_example()
    books.hidden.add("get_accountbalances")
    return books


def test_sums_stand_in_for_balances_that_may_not_be_read() -> None:
    books = hidden()
    books.rows["ARPYMT"][0] |= {"TRX_TOTALDUE": "30", "TOTALDUE": "30"}
    assert totals(books) == [("N-407", "12000", "company", "USD", "800.00", "aggregate")]
    with access_to(books) as access:
        step = list(SYSTEM.test(access))[-1]
    assert (step.ok, "grade aggregate" in step.sentence) == (True, True)


def test_sums_do_not_tell_several_accounts_apart() -> None:
    books = hidden()
    books.rows["ARINVOICEITEM"][0]["OFFSETGLACCOUNTNO"] = "12100"
    with pytest.raises(Misconfigured, match="accept_unproven"):
        totals(books)
    assert totals(books, accept_unproven=True) == []


def test_document_currencies_are_compared_where_there_are_foreign_ones() -> None:
    books = worked_example()
    books.rows["ARINVOICE"][1] |= {"CURRENCY": "GBP", "TRX_TOTALDUE": "480", "TRX_TOTALENTERED": "480"}
    assert totals(books) == [
        ("N-407", "12000", "company", "USD", "830.00", "ledger"),
        ("N-407", "12000", "document", "GBP", "480.00", "aggregate"),
        ("N-407", "12000", "document", "USD", "230.00", "aggregate"),
    ]


def test_money_counts_against_and_advances_have_their_account() -> None:
    books = hidden()
    paid = books.rows["ARPYMT"][0]
    advance = copied(
        paid,
        RECORDNO="705",
        RECORDTYPE="rr",
        TRX_TOTALDUE="80",
        TOTALDUE="80",
        TRX_TOTALENTERED="80",
        TOTALENTERED="80",
    )
    books.rows["ARPYMT"].append(advance)
    books.rows["ARADVANCE"].append(advance)
    assert totals(books, advance_account="24000") == [
        ("N-407", "12000", "company", "USD", "830.00", "aggregate"),
        ("N-407", "24000", "company", "USD", "-80.00", "aggregate"),
    ]
    with access_to(books, advance_account="24000") as access:
        receipts = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM).of(Receipt)
    assert {(r.number, r.account, r.unapplied) for r in receipts} == {
        ("701", "12000", "0.00"),
        ("705", "24000", "80.00"),
    }


def test_advances_stand_where_their_entries_credit() -> None:
    books = worked_example()
    advance = copied(
        books.rows["ARPYMT"][0],
        RECORDNO="705",
        RECORDID="AD-5",
        RECORDTYPE="rr",
        TRX_TOTALDUE="80",
        TOTALDUE="80",
    )
    books.rows["ARADVANCE"].append(advance)
    entry = {"RECORDNO": "1", "RECORDID": "AD-5", "ACCOUNTNO": "24100", "TR_TYPE": "-1", "AMOUNT": "80"}
    books.rows["GLDETAIL"] = [entry, copied(entry, RECORDNO="2", ACCOUNTNO="10100", TR_TYPE="1")]
    for hide, account in ((set(), "24100"), ({"GLDETAIL"}, "12000")):
        books.hidden = hide
        with access_to(books) as access:
            receipts = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM).of(Receipt)
        assert {r.account for r in receipts if r.number == "705"} == {account}


def test_fields_that_a_company_lacks_are_left_out() -> None:
    with access_to(worked_example()) as access:
        whole = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
    for refuse_lookup in (False, True):
        books = worked_example()
        books.unknown = {"DUNNINGCOUNT", "TAXID"}
        books.no_lookup = refuse_lookup
        with access_to(books) as access:
            found = read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)
        assert found.records == whole.records
    books = worked_example()
    books.unknown = {"TRX_TOTALDUE"}
    with access_to(books) as access, pytest.raises(Misconfigured, match="ARINVOICE offers no TRX_TOTALDUE"):
        read(access, SYSTEM.plan(access, {}, sweep=False), SYSTEM)


def test_advances_that_may_not_be_read_are_none_with_a_warning() -> None:
    books = worked_example()
    books.hidden = {"ARADVANCE"}
    with access_to(books) as access:
        (slice_,) = [s for s in SYSTEM.plan(access, {}, sweep=False) if s.stream == "advances"]
        (page,) = slice_.pages(access)
    assert (page.last, len(page.rows), "ARADVANCE" in page.warnings[0]) == (True, 0, True)


# -- reasons -----------------------------------------------------------------------------------------------

PLACE = Difference("N-407", "12000", "company", "USD", None, "900", "830")


def ours(asked: Difference, _: date) -> Iterable[tuple[str, str]]:
    return {"C-100": [("501/", "350"), ("502/", "480")], None: [("501/", "350"), ("502/", "480")]}.get(
        asked.customer, []
    )


def with_ledger(books: Books, *entries: Record) -> AbstractContextManager[Access]:
    whole = {
        "ACCOUNTNO": "12000",
        "LOCATIONID": "N-407",
        "ENTRY_DATE": "02/20/2026",
        "TR_TYPE": "1",
        "SYMBOL": "ARJ",
    }
    books.rows["GLDETAIL"] = [
        {"RECORDNO": str(n), **whole, **entry} for n, entry in enumerate(entries, start=1)
    ]
    return access_to(books)


def test_an_entry_posted_by_hand_is_named() -> None:
    books = worked_example()
    by_hand = {"AMOUNT": "70", "SYMBOL": "GJ", "DESCRIPTION": "Correction", "RECORDID": "", "CUSTOMERID": ""}
    with with_ledger(books, {"AMOUNT": "830", "RECORDID": "IN-77", "CUSTOMERID": "C-100"}, by_hand) as access:
        before = len(books.asked)
        (one,) = SYSTEM.explain(access, [PLACE], ours)
    assert (one.document, one.difference, one.customer) == ("2", "70", None)
    assert "GJ, Correction; 70 USD" in one.sentence
    assert len(books.asked) - before <= 20


def test_customers_that_differ_are_named_by_the_signed_sum_of_their_entries() -> None:
    entries = [
        {"AMOUNT": "1000", "RECORDID": "IN-1", "CUSTOMERID": "C-100"},
        {"AMOUNT": "170", "RECORDID": "P-1", "CUSTOMERID": "C-100", "TR_TYPE": "-1"},
        {"AMOUNT": "70", "RECORDID": "IN-9", "CUSTOMERID": "C-900"},
        {"AMOUNT": "9", "RECORDID": "IN-9", "CUSTOMERID": "C-900", "ENTRY_DATE": "03/20/2026"},
    ]
    with with_ledger(worked_example(), *entries) as access:
        (one,) = SYSTEM.explain(access, [PLACE], ours)
    assert (one.customer, one.difference) == ("C-900", "70")
    assert "sum to 70 USD, what we hold to 0 USD" in one.sentence


def test_without_the_ledgers_entries_the_account_is_named() -> None:
    books = worked_example()
    books.hidden = {"GLDETAIL"}
    many = [Difference("N-407", str(account), "company", "USD", None, "1", "0") for account in range(100)]
    with access_to(books) as access:
        found = SYSTEM.explain(access, [PLACE, *many], ours)
    assert len(found) == 101
    assert "Intacct says 900 USD, the documents read sum to 830 USD" in found[0].sentence
    assert len(books.asked) <= 20
