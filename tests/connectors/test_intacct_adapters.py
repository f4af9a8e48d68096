"""Rows of Intacct, one odd case each: what becomes of them, or why they are set aside."""

from __future__ import annotations

from datetime import date

import pytest

from connectors.kit.stream import Adapted
from connectors.kit.xml_rows import joined
from connectors.systems.sage_intacct.allocations import Allocations
from connectors.systems.sage_intacct.customers import Customers
from connectors.systems.sage_intacct.days import PrintedDays
from connectors.systems.sage_intacct.documents import Documents
from connectors.systems.sage_intacct.payments import Receipts
from connectors.systems.sage_intacct.settings import Settings
from receivables.errors import Unreadable
from receivables.records import Allocation, ControlAccount, Customer, Document, OpenItem, Receipt
from tests.connectors.intacct_books import Record, detail, line, printed

TODAY = date(2026, 3, 1)
SETTINGS = Settings.model_validate({"company_id": "ACME"})


def xml(of: str, row: Record) -> bytes:
    return printed(of, row, list(row)).encode()


def head(**more: str) -> Record:
    return {
        "RECORDNO": "501", "RECORDID": "IN-1", "RECORDTYPE": "ri", "STATE": "Posted", "CUSTOMERID": "C-100",
        "WHENCREATED": "01/15/2026", "WHENPOSTED": "01/16/2026", "WHENDUE": "02/14/2026", "CURRENCY": "USD",
        "BASECURR": "USD", "TRX_TOTALENTERED": "600", "TRX_TOTALDUE": "350", "TOTALENTERED": "600", "TOTALDUE": "350",
        "MEGAENTITYID": "N-407", "WHENMODIFIED": "02/20/2026 16:02:11", **more,
    }  # fmt: skip


def document(row: Record, *lines: Record, of: str = "ARINVOICE", **settings: str) -> Adapted:
    raw = joined("DOCUMENT", [xml(of, row), *(xml(f"{of}ITEM", one) for one in lines)])
    return Documents(Settings.model_validate({"company_id": "ACME", **settings}), TODAY)([raw])


def receipt(row: Record, account: str = "12000", of: str = "ARPYMT") -> Adapted:
    return Receipts(SETTINGS, TODAY)(
        [joined("RECEIPT", [xml(of, row), xml("MONEY", {"ACCOUNTNO": account})])]
    )


def allocation(row: Record, *more: bytes, currency: str = "USD") -> Adapted:
    paid = [
        xml(
            "ARINVOICE",
            {"RECORDNO": "501", "WHENCREATED": "01/15/2026", "CURRENCY": currency, "BASECURR": "USD"},
        )
    ]
    return Allocations(SETTINGS, TODAY)(
        [
            joined(
                "ALLOCATION",
                [xml("ARPYMTDETAIL", row), *paid, xml("ARINVOICEITEM", line("2001", "501", "600")), *more],
            )
        ]
    )


def of(found: Adapted, kind: type[Document | OpenItem | Receipt | Allocation]) -> list[object]:
    assert not found.unreadable, found.unreadable
    return [record for record in found.records if isinstance(record, kind)]


def the_document(found: Adapted) -> Document:
    (one,) = of(found, Document)
    assert isinstance(one, Document)
    return one


def items(found: Adapted) -> dict[str, OpenItem]:
    return {one.account: one for one in of(found, OpenItem) if isinstance(one, OpenItem)}


def fault(found: Adapted) -> Unreadable:
    ((_, error),) = found.unreadable
    assert not found.keys
    assert not found.records
    return error


def test_empty_and_missing_are_the_same() -> None:
    full = head(DOCNUMBER="", DESCRIPTION="", WHENDUE="")
    bare = {name: text for name, text in full.items() if text}
    one, other = document(full, line("1", "501", "600")), document(bare, line("1", "501", "600"))
    assert one.records == other.records
    assert items(one)["12000"].due_on is None


def test_an_invoice_with_one_account_on_many_lines_is_one_item() -> None:
    found = document(head(), line("1", "501", "500"), line("2", "501", "100"))
    assert {account: (i.original, i.open, i.cleared_on) for account, i in items(found).items()} == {
        "12000": ("600.00", "350.00", None)
    }
    assert found.keys == [(0, b"ARINVOICE/501")]
    assert the_document(found).posted_on == "2026-01-16"
    assert the_document(found).issued_on == "2026-01-15"


def test_two_control_accounts_are_two_items_split_by_lines() -> None:
    lines = [
        line("1", "501", "500", TOTALPAID="250"),
        line("2", "501", "60", "12100"),
        line("3", "501", "40", "12100", TOTALPAID="0"),
    ]
    found = document(head(), *lines)
    assert {account: (i.original, i.open) for account, i in items(found).items()} == {
        "12000": ("500.00", "250.00"),
        "12100": ("100.00", "100.00"),
    }
    assert [c.account for c in found.records if isinstance(c, ControlAccount)] == ["12000", "12100"]


@pytest.mark.parametrize(
    ("lines", "code", "field"),
    [
        ([], "account_missing", "OFFSETGLACCOUNTNO"),
        ([line("1", "501", "600", "")], "key_missing", "OFFSETGLACCOUNTNO"),
        ([line("1", "501", "500"), line("2", "501", "50", "12100")], "lines_sum", "TRX_TOTALENTERED"),
        ([line("1", "501", "500"), line("2", "501", "100", "12100")], "lines_sum", "TRX_TOTALDUE"),
    ],
)
def test_lines_that_do_not_tell_the_account(lines: list[Record], code: str, field: str) -> None:
    error = fault(document(head(), *lines))
    assert (error.code, error.field, error.key) == (code, field, "ARINVOICE/501")


def test_a_zero_invoice_needs_no_lines_and_is_cleared() -> None:
    zero = head(STATE="No Value", TRX_TOTALENTERED="0", TRX_TOTALDUE="0", TOTALENTERED="0", TOTALDUE="0")
    assert items(document(zero)) == {}
    assert the_document(document(zero)).kind == "invoice"
    item = items(document(zero, line("1", "501", "0")))["12000"]
    assert (item.original, item.open, item.cleared_on) == ("0.00", "0.00", "2026-02-20")


def test_a_negative_invoice_is_a_credit_note() -> None:
    amounts = dict.fromkeys(("TRX_TOTALENTERED", "TRX_TOTALDUE", "TOTALENTERED", "TOTALDUE"), "-350.00")
    found = document(
        head(RECORDID="Credit Memo-CM0001", MODULEKEY="8.SO", **amounts), line("1", "501", "-350")
    )
    assert (the_document(found).kind, the_document(found).type) == ("credit_note", "ri")
    assert items(found)["12000"].open == "-350.00"
    assert items(found)["12000"].due_on == "2026-02-14"


@pytest.mark.parametrize(("entered", "kind"), [("120", "debit_note"), ("-120", "credit_note")])
def test_an_adjustment_is_a_debit_or_a_credit(entered: str, kind: str) -> None:
    amounts = dict.fromkeys(("TRX_TOTALENTERED", "TRX_TOTALDUE", "TOTALENTERED", "TOTALDUE"), entered)
    row = head(RECORDTYPE="", WHENDUE="", **amounts)
    found = document(row, line("1", "501", entered), of="ARADJUSTMENT")
    assert (the_document(found).kind, the_document(found).type) == (kind, "ra")
    assert found.keys == [(0, b"ARADJUSTMENT/501")]
    wrong = document(
        row,
        line("1", "501", entered.removeprefix("-") if entered[0] == "-" else f"-{entered}"),
        of="ARADJUSTMENT",
    )
    assert fault(wrong).code == "sign_contradiction"


def test_a_reversal_pair() -> None:
    reversed_ = head(RECORDNO="500", STATE="Reversed", TRX_TOTALDUE="0", TOTALDUE="0")
    reversal = head(
        STATE="Reversal", TRX_TOTALENTERED="-600", TOTALENTERED="-600", TRX_TOTALDUE="0", TOTALDUE="0"
    )
    raw = joined(
        "DOCUMENT",
        [
            xml("ARINVOICE", reversal),
            xml("ARINVOICEITEM", line("1", "501", "-600")),
            joined("REVERSES", [xml("ARINVOICE", reversed_)]),
        ],
    )
    found = Documents(SETTINGS, TODAY)([raw])
    made = the_document(found)
    assert (made.type, made.kind, made.status, made.reversal_of) == (
        "ri-reversal",
        "invoice",
        "posted",
        "500/",
    )
    (taken_back,) = of(found, Allocation)
    assert isinstance(taken_back, Allocation)
    assert (taken_back.source_number, taken_back.target_number, taken_back.amount) == ("501", "500", "600.00")
    assert taken_back.derived
    assert the_document(document(reversed_, line("1", "500", "600"))).status == "reversed"
    alone = document(reversal, line("1", "501", "-600"))
    assert the_document(alone).reversal_of is None
    assert of(alone, Allocation) == []


@pytest.mark.parametrize("state", ["Draft", "D", "Submitted", "Partially Approved"])
def test_a_draft_is_no_debt_and_no_fault(state: str) -> None:
    found = document(head(STATE=state))
    assert (found.records, found.unreadable, found.keys) == ([], [], [(0, b"ARINVOICE/501")])


def test_yen_with_padding_and_two_currencies() -> None:
    row = head(
        CURRENCY="JPY",
        TRX_TOTALENTERED="68400.00",
        TRX_TOTALDUE="68400",
        TOTALENTERED="450.12",
        TOTALDUE="450.12",
    )
    item = items(document(row, line("1", "501", "68400.00")))["12000"]
    assert (item.currency, item.original, item.open) == ("JPY", "68400", "68400")
    assert (item.company_currency, item.company_original, item.carries) == ("USD", "450.12", "rest")
    assert the_document(document(row | {"EXCHANGE_RATE": "0.00658"}, line("1", "501", "1"))).rate == "0.00658"
    error = fault(document(row | {"TRX_TOTALENTERED": "68400.5"}, line("1", "501", "68400.00")))
    assert (error.code, error.field) == ("amount_scale", "TRX_TOTALENTERED")


def test_a_company_of_one_currency_names_it_in_the_settings() -> None:
    row = head(CURRENCY="", BASECURR="", TOTALENTERED="", TOTALDUE="")
    assert fault(document(row, line("1", "501", "600"))).code == "currency_missing"
    item = items(document(row, line("1", "501", "600"), base_currency="EUR"))["12000"]
    assert (item.currency, item.company_currency, item.company_open) == ("EUR", "EUR", "350.00")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"RECORDNO": ""}, "key_missing", "RECORDNO"),
        ({"CUSTOMERID": ""}, "key_missing", "CUSTOMERID"),
        ({"EXCHANGE_RATE": "0.0"}, "rate_form", "EXCHANGE_RATE"),
        ({"EXCHANGE_RATE": "-1"}, "rate_form", "EXCHANGE_RATE"),
        ({"CURRENCY": "XYZ"}, "currency_unknown", "TRX_TOTALENTERED"),
        ({"TRX_TOTALENTERED": "6e2000", "TOTALENTERED": "1"}, "amount_form", "TRX_TOTALENTERED"),
        ({"TRX_TOTALDUE": "-350"}, "sign_contradiction", "TRX_TOTALDUE"),
        ({"WHENCREATED": "2026-01-15"}, "day_form", "WHENCREATED"),
        ({"WHENDUE": "02/30/2026"}, "day_form", "WHENDUE"),
        ({"WHENDUE": "01/01/1900"}, "day_range", "WHENDUE"),
        ({"DESCRIPTION": "a\u202eb"}, "text_character", "DESCRIPTION"),
    ],
)
def test_a_bad_value_sets_the_row_aside(change: Record, code: str, field: str) -> None:
    error = fault(document(head() | change, line("1", "501", "600")))
    assert (error.code, error.field) == (code, field)


def test_the_top_level_is_an_entity() -> None:
    assert the_document(document(head(MEGAENTITYID=""), line("1", "501", "600"))).entity == "TOP"


def test_a_record_twice_on_a_page_is_set_aside() -> None:
    raw = joined("DOCUMENT", [xml("ARINVOICE", head()), xml("ARINVOICEITEM", line("1", "501", "600"))])
    found = Documents(SETTINGS, TODAY)([raw, raw])
    assert [error.code for _, error in found.unreadable] == ["key_twice"]


# -- receipts ----------------------------------------------------------------------------------------------


def paid(**more: str) -> Record:
    return {
        "RECORDNO": "701", "RECORDTYPE": "rp", "STATE": "Posted", "CUSTOMERID": "C-100", "DOCNUMBER": "WIRE-5",
        "RECEIPTDATE": "02/20/2026", "CURRENCY": "USD", "BASECURR": "USD", "TRX_TOTALENTERED": "250",
        "TRX_TOTALDUE": "0", "TOTALENTERED": "250", "TOTALDUE": "0", "MEGAENTITYID": "N-407", **more,
    }  # fmt: skip


def the_receipt(found: Adapted) -> Receipt:
    (one,) = of(found, Receipt)
    assert isinstance(one, Receipt)
    return one


def test_a_payment_of_several_customers_has_a_payer_and_no_customer() -> None:
    made = the_receipt(receipt(paid(CUSTOMERID="", PAYERNAME="Group Treasury")))
    assert (made.customer, made.payer) == ("", "Group Treasury")


def test_what_is_not_applied_stands_on_its_account() -> None:
    made = the_receipt(receipt(paid(TRX_TOTALDUE="30", TOTALDUE="30")))
    assert (made.amount, made.unapplied, made.account, made.cleared_on) == ("250.00", "30.00", "12000", None)
    advance = receipt(paid(RECORDTYPE="rr", TRX_TOTALDUE="250", TOTALDUE="250"), "24000", of="ARADVANCE")
    assert (the_receipt(advance).unapplied, the_receipt(advance).account) == ("250.00", "24000")
    assert advance.records[0] == ControlAccount("N-407", "24000", "advances")
    assert fault(receipt(paid(TRX_TOTALDUE="30", TOTALDUE="30"), "")).code == "account_missing"
    assert fault(receipt(paid(TRX_TOTALDUE="-30", TOTALDUE="-30"))).code == "sign_contradiction"


@pytest.mark.parametrize(
    "row",
    [
        paid(TRX_TOTALENTERED="0", TOTALENTERED="0"),
        paid(STATE="D"),
        paid(STATE="Draft"),
        paid(RECORDTYPE="rr"),
        paid(STATE="Reversal", TRX_TOTALENTERED="-250", TOTALENTERED="-250"),
    ],
)
def test_what_is_no_receipt(row: Record) -> None:
    found = receipt(row)
    assert (of(found, Receipt), len(found.keys)) == ([], 1)


def test_a_reversed_payment() -> None:
    assert the_receipt(receipt(paid(STATE="Reversed"))).status == "reversed"


# -- allocations -------------------------------------------------------------------------------------------


def allocated(found: Adapted) -> list[tuple[str, str, str, str, str]]:
    return [
        (a.sequence, a.source, a.source_number, a.amount, a.discount)
        for a in of(found, Allocation)
        if isinstance(a, Allocation)
    ]


def test_several_sources_of_one_detail() -> None:
    row = detail(
        "9001", "501", "2001", "200", ADJUSTMENTKEY="610", TRX_ADJUSTMENTAMOUNT="120", INLINEKEY="611",
        TRX_INLINEAMOUNT="0", POSTEDADVANCEKEY="801", TRX_POSTEDADVANCEAMOUNT="10", NEGATIVEINVOICEKEY="505",
        TRX_NEGATIVEINVOICEAMOUNT="5.50", POSTEDOVERPAYMENTKEY="702", TRX_POSTEDOVERPAYMENTAMOUNT="1",
        DISCOUNTKEY="1", TRX_DISCOUNTAMOUNT="4",
    )  # fmt: skip
    assert allocated(allocation(row)) == [
        ("cash", "receipt", "701", "204.00", "4.00"),
        ("adjustment", "credit_note", "610", "120.00", "0.00"),
        ("advance", "advance", "801", "10.00", "0.00"),
        ("overpayment", "receipt", "702", "1.00", "0.00"),
        ("negative_invoice", "credit_note", "505", "5.50", "0.00"),
    ]


def test_a_discount_alone() -> None:
    row = detail("9001", "501", "2001", "0", TRX_DISCOUNTAMOUNT="4", DISCOUNTAMOUNT="4")
    assert allocated(allocation(row)) == [("discount", "receipt", "701", "4.00", "4.00")]


def test_nothing_was_paid_is_nothing() -> None:
    assert allocated(allocation(detail("9001", "501", "2001", "0"))) == []
    assert allocated(allocation(detail("9001", "501", "2001", "9", STATE="Draft"))) == []


def test_a_reversed_payment_takes_its_allocation_back() -> None:
    earlier = joined("TAKESBACK", [xml("ARPYMTDETAIL", detail("8000", "501", "2001", "200"))])
    (one,) = of(allocation(detail("9001", "501", "2001", "-200"), earlier), Allocation)
    assert isinstance(one, Allocation)
    assert (one.amount, one.reverses) == ("-200.00", "8000/cash")


def worth(of: str, kind: str, entered: str, company: str, currency: str = "EUR") -> bytes:
    """What pays, as it is joined to a detail."""
    row = {
        "RECORDNO": "7", "CURRENCY": currency, "BASECURR": "USD", "TRX_TOTALENTERED": entered, "TOTALENTERED": company,
    }  # fmt: skip
    return joined(kind, [xml(of, row)])


@pytest.mark.parametrize(
    ("paying", "cash", "difference"),
    [
        (worth("ARPYMT", "CASH", "400", "500"), "200", "30.00"),  # at 1.25, invoiced at 1.10
        (worth("ARPYMT", "CASH", "400", "400"), "200", "-20.00"),
        (worth("ARPYMT", "CASH", "300", "333.33"), "200", "2.22"),  # 222.22: its share, to the cent
        (worth("ARPYMT", "CASH", "-400", "-500"), "-200", "-30.00"),  # taken back
        (worth("ARPYMT", "CASH", "400", "500", currency="GBP"), "200", "0.00"),  # not comparable
        (worth("ARPYMT", "CASH", "0", "0"), "200", "0.00"),
        (b"", "200", "0.00"),  # not shown to the user
    ],
)
def test_the_exchange_difference_is_worth_at_the_payments_rate(
    paying: bytes, cash: str, difference: str
) -> None:
    base = f"{float(cash) * 1.1:.2f}"
    row = detail("9001", "501", "2001", cash, CURRENCY="EUR", TRX_DISCOUNTAMOUNT="10", DISCOUNTAMOUNT="11")
    row["PAYMENTAMOUNT"] = base
    (one,) = of(allocation(row, *([paying] if paying else []), currency="EUR"), Allocation)
    assert isinstance(one, Allocation)
    assert (one.company_difference, one.company_discount) == (difference, "11.00")
    assert one.company_amount == f"{float(base) + 11:.2f}"


def test_each_source_has_its_own_rate() -> None:
    row = detail(
        "9001", "501", "2001", "100", CURRENCY="EUR", ADJUSTMENTKEY="610", TRX_ADJUSTMENTAMOUNT="50",
        ADJUSTMENTAMOUNT="55", INLINEKEY="611", TRX_INLINEAMOUNT="10", INLINEAMOUNT="11",
    )  # fmt: skip
    row["PAYMENTAMOUNT"] = "110"
    paying = [worth("ARPYMT", "CASH", "100", "120"), worth("ARADJUSTMENT", "ADJUSTMENT", "-50", "-60")]
    found = [a for a in of(allocation(row, *paying, currency="EUR"), Allocation) if isinstance(a, Allocation)]
    assert {a.sequence: a.company_difference for a in found} == {
        "cash": "10.00", "adjustment": "5.00", "inline": "0.00",
    }  # fmt: skip


def test_an_allocation_is_never_before_its_target() -> None:
    (one,) = of(allocation(detail("9001", "501", "2001", "9", PAYMENTDATE="01/02/2026")), Allocation)
    assert isinstance(one, Allocation)
    assert one.allocated_on == "2026-01-15"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (detail("9001", "", "", "200"), "key_missing"),
        (detail("9001", "501", "2001", "200", PAYMENTKEY=""), "key_missing"),
        (detail("9001", "501", "2001", "0", TRX_ADJUSTMENTAMOUNT="1"), "key_missing"),
        (detail("9001", "", "", "200", POSADJKEY="610"), "target_missing"),
        (detail("9001", "501", "2001", "200", PAYMENTDATE=""), "day_missing"),
    ],
)
def test_a_bad_detail_is_set_aside(row: Record, code: str) -> None:
    assert fault(allocation(row)).code == code


# -- customers and days ------------------------------------------------------------------------------------


def test_a_customers_bad_text_leaves_the_customer_without_it() -> None:
    row = {
        "RECORDNO": "1",
        "CUSTOMERID": "C-1",
        "NAME": "a\u202eb",
        "ONHOLD": "true",
        "DISPLAYCONTACT.EMAIL1": "a@b.example",
    }
    found = Customers()([joined("IN_ENTITY", [xml("ENTITY", {"CODE": "N-407"}), xml("CUSTOMER", row)])])
    (customer,) = found.records
    assert isinstance(customer, Customer)
    assert (customer.entity, customer.name, customer.blocked, customer.email) == (
        "N-407",
        None,
        True,
        "a@b.example",
    )
    ((_, error),) = found.unreadable
    assert (error.field, error.key) == ("NAME", "N-407/C-1")


@pytest.mark.parametrize(
    ("text", "day"), [("02/14/2026", "2026-02-14"), ("07/24/2017 15:19:46", "2017-07-24")]
)
def test_days_as_intacct_prints_them(text: str, day: str) -> None:
    assert PrintedDays(TODAY)(text, "F") == day


@pytest.mark.parametrize(
    "text", ["2026-02-14", "2/14/2026", "14/02/2026", "00/00/0000", "", "02/14/2026T10:00:00"]
)
def test_other_days_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        PrintedDays(TODAY)(text, "F")
