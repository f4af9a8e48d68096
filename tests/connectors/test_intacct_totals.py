"""Totals of the ledger by entity and account, what stands in for them, and the reasons behind a difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from lxml import etree

from connectors.kit.stream import Access, Difference
from receivables.errors import Misconfigured, Rejected
from receivables.records import LegalEntity, Receipt
from tests.connectors.conftest import read
from tests.connectors.intacct_books import SYSTEM, Books, Record, access_to, failed, line, worked_example

Total = tuple[str, str, str, str, str, str]
Part = tuple[str, str, str, str, str]


def totals(books: Books, known: Sequence[tuple[str, str]] = (), **settings: Any) -> list[Total]:
    """The totals of whole accounts."""
    with access_to(books, **settings) as access:
        return [
            (t.entity, t.account, t.basis, t.currency, t.closing, t.grade)
            for t in SYSTEM.totals(access, known)
            if t.customer is None
        ]


def parts(books: Books, known: Sequence[tuple[str, str]] = (), **settings: Any) -> list[Part]:
    """The totals of customers."""
    with access_to(books, **settings) as access:
        return [
            (t.entity, t.account, t.customer, t.closing, t.grade)
            for t in SYSTEM.totals(access, known)
            if t.customer is not None
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
    (asked,) = [body for body in books.asked if b"<get_accountbalances>" in body]
    function = etree.fromstring(asked).find("operation/content/function/get_accountbalances")
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


# -- customers ---------------------------------------------------------------------------------------------


def entry(account: str, customer: str, amount: str, **more: str) -> Record:
    """An entry of the ledger, a debit unless it says otherwise."""
    return {
        "ACCOUNTNO": account, "CUSTOMERID": customer, "AMOUNT": amount, "TR_TYPE": "1", "LOCATIONID": "N-407",
        "ENTRY_DATE": "02/20/2026", "RECORDID": "IN-1", **more,
    }  # fmt: skip


def with_entries(books: Books, *entries: Record) -> Books:
    books.rows["GLDETAIL"] = [{"RECORDNO": str(n), **one} for n, one in enumerate(entries, start=1)]
    return books


def test_the_ledgers_entries_tell_each_customer() -> None:
    books = with_entries(
        two_entities(),
        entry("12000", "C-100", "900"),
        entry("12000", "C-100", "100", TR_TYPE="-1"),
        entry("12000", "C-7", "25"),
        entry("12000", "", "5"),
        entry("12000", "C-7", "9", ENTRY_DATE="03/02/2026"),
        entry("40000", "C-7", "9"),
        entry("12000", "C-100", "100", LOCATIONID="E-200"),
        entry("12000", "C-9", "40", LOCATIONID=""),
    )
    books.balances["12000", ""] = "970.00"
    before = len(books.asked)
    assert parts(books) == [
        ("E-200", "12000", "C-100", "100.00", "ledger"),
        ("N-407", "12000", "", "5.00", "ledger"),
        ("N-407", "12000", "C-100", "800.00", "ledger"),
        ("N-407", "12000", "C-7", "25.00", "ledger"),
        ("TOP", "12000", "C-9", "40.00", "ledger"),
    ]
    lists = [body for body in books.asked[before:] if b"<object>GLDETAIL</object>" in body]
    assert len(lists) == 2, "one for the fields, one for all entities, accounts and customers"


@pytest.mark.parametrize(
    "entries",
    [
        [entry("12000", "", "830")],  # names no customer
        [entry("12000", "C-100", "829.99")],  # is not the balance
        [],
    ],
)
def test_sums_of_documents_stand_in_for_entries_that_do_not_tell_customers(entries: list[Record]) -> None:
    books = with_entries(worked_example(), *entries)
    other = copied(books.rows["ARINVOICE"][1], RECORDNO="809", CUSTOMERID="C-8")
    books.rows["ARINVOICE"].append(other | {"TRX_TOTALDUE": "10", "TOTALDUE": "10"})
    books.rows["ARPYMT"][0] |= {"CUSTOMERID": "", "TRX_TOTALDUE": "3", "TOTALDUE": "3"}
    assert parts(books) == [
        ("N-407", "12000", "", "-3.00", "aggregate"),
        ("N-407", "12000", "C-100", "830.00", "aggregate"),
        ("N-407", "12000", "C-8", "10.00", "aggregate"),
    ]
    with access_to(books) as access:
        assert "N-407 with sums of the documents" in list(SYSTEM.test(access))[-1].sentence


class WithoutSums(Books):
    """A company whose ledger entries may be listed and not summed."""

    def query(self, function: etree._Element) -> bytes:
        if function.findtext("object") == "GLDETAIL" and function.find("select/sum") is not None:
            return failed("Sums are not supported for GLDETAIL", "DL02000001")
        return super().query(function)


def test_entries_that_may_not_be_summed_keep_nothing_from_being_compared() -> None:
    books = with_entries(worked_example(), entry("12000", "C-100", "830"))
    refusing = WithoutSums(rows=books.rows, balances=books.balances, columns=books.columns)
    assert totals(refusing) == [("N-407", "12000", "company", "USD", "830.00", "ledger")]
    assert parts(refusing) == [("N-407", "12000", "C-100", "830.00", "aggregate")]


def test_customers_of_several_accounts_are_told_by_entries_only() -> None:
    books = worked_example()
    books.balances["12100", "N-407"] = "20"
    known = [("N-407", "12000"), ("N-407", "12100")]
    assert parts(books, known) == []
    entries = [entry("12000", "C-100", "830"), entry("12100", "C-7", "20")]
    assert [part[1:3] for part in parts(with_entries(books, *entries), known)] == [
        ("12000", "C-100"),
        ("12100", "C-7"),
    ]
    short = entry("12100", "C-7", "19")
    assert parts(with_entries(books, entries[0], short), known) == [], "all accounts of an entity, or none"


def test_an_entry_that_is_no_amount_is_refused() -> None:
    with pytest.raises(Rejected, match="control_totals: AMOUNT"):
        parts(with_entries(worked_example(), entry("12000", "C-100", "1e900")))


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


def test_customers_that_the_totals_told_are_not_asked_for_again() -> None:
    told = [
        Difference("N-407", "12000", "company", "USD", customer, erp, hub)
        for customer, erp, hub in (("C-100", "840", "830"), ("C-7", "0", "10"))
    ]
    with with_ledger(
        worked_example(), {"AMOUNT": "830", "RECORDID": "IN-1", "CUSTOMERID": "C-100"}
    ) as access:
        found = SYSTEM.explain(access, told, ours)
    assert [(one.customer, one.difference) for one in found] == [("C-100", "10"), ("C-7", "-10")]
    assert "customer C-100: Intacct says 840 USD, the documents read sum to 830 USD" in found[0].sentence
    many = [replace(told[0], customer=f"C-{number}", erp=str(1000 + number)) for number in range(25)]
    with access_to(worked_example()) as access:
        found = SYSTEM.explain(access, [PLACE, *many], ours)
    assert [one.customer for one in found] == [None, *(f"C-{number}" for number in range(24, 4, -1)), None]
    assert "the whole account: 5 more customers differ, by 860 USD in all" in found[-1].sentence


def test_without_the_ledgers_entries_the_account_is_named() -> None:
    books = worked_example()
    books.hidden = {"GLDETAIL"}
    many = [Difference("N-407", str(account), "company", "USD", None, "1", "0") for account in range(100)]
    with access_to(books) as access:
        found = SYSTEM.explain(access, [PLACE, *many], ours)
    assert len(found) == 101
    assert "Intacct says 900 USD, the documents read sum to 830 USD" in found[0].sentence
    assert len(books.asked) <= 20
