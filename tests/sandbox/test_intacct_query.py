"""`query` and its older sisters: filters, order, pages, sums, private entities, balances."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.conftest import TODAY
from tests.sandbox.intacct_client import balances, condition, day_parts, query

if TYPE_CHECKING:
    from tests.sandbox.conftest import Start
    from tests.sandbox.intacct_client import Intacct, Row

FIELDS = (
    "RECORDNO CUSTOMERID STATE WHENDUE WHENPAID TRX_TOTALDUE TOTALDUE WHENMODIFIED DESCRIPTION MEGAENTITYID"
)


@pytest.fixture
def invoices(globex: Intacct) -> list[Row]:
    """Every invoice."""
    return globex.rows("ARINVOICE", FIELDS)


def amount(row: Row, name: str = "TRX_TOTALDUE") -> Decimal:
    return Decimal(row[name] or "0")


def day(text: str | None) -> date:
    return datetime.strptime(str(text), "%m/%d/%Y").replace(tzinfo=UTC).date()


def moment(text: str | None) -> datetime:
    return datetime.strptime(str(text), "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)


def keys(rows: list[Row]) -> list[int]:
    return [int(row["RECORDNO"] or 0) for row in rows]


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        (condition("equalto", "STATE", "Posted"), lambda r: r["STATE"] == "Posted"),
        (condition("notequalto", "STATE", "Posted"), lambda r: r["STATE"] != "Posted"),
        (condition("lessthan", "TRX_TOTALDUE", "100.50"), lambda r: amount(r) < Decimal("100.50")),
        (condition("lessthanorequalto", "RECORDNO", 1100), lambda r: int(r["RECORDNO"]) <= 1100),
        (condition("greaterthan", "TRX_TOTALDUE", "5000"), lambda r: amount(r) > 5000),
        (
            condition("greaterthanorequalto", "WHENMODIFIED", "10/01/2026 12:00:00"),
            lambda r: moment(r["WHENMODIFIED"]) >= datetime(2026, 10, 1, 12, tzinfo=UTC),
        ),
        (
            condition("between", "WHENDUE", "01/01/2026", "03/31/2026"),
            lambda r: date(2026, 1, 1) <= day(r["WHENDUE"]) <= date(2026, 3, 31),
        ),
        (condition("in", "STATE", "Reversed", "Reversal"), lambda r: str(r["STATE"]).startswith("Revers")),
        (condition("notin", "STATE", "Posted", "Paid"), lambda r: r["STATE"] not in ("Posted", "Paid")),
        (condition("like", "CUSTOMERID", "C-00001_"), lambda r: str(r["CUSTOMERID"])[:-1] == "C-00001"),
        (condition("notlike", "CUSTOMERID", "%7"), lambda r: not str(r["CUSTOMERID"]).endswith("7")),
        (condition("isnull", "WHENPAID"), lambda r: not r.get("WHENPAID")),
        (condition("isnotnull", "DESCRIPTION"), lambda r: bool(r.get("DESCRIPTION"))),
        (
            (
                f"<or>{condition('equalto', 'STATE', 'Draft')}<and>{condition('isnull', 'WHENPAID')}"
                f"{condition('greaterthan', 'TRX_TOTALDUE', 3000)}</and></or>"
            ),
            lambda r: r["STATE"] == "Draft" or (not r.get("WHENPAID") and amount(r) > 3000),
        ),
    ],
)
def test_a_filter_chooses_what_it_says(globex: Intacct, invoices: list[Row], given: str, passes: Any) -> None:
    answer = globex.page("ARINVOICE", "RECORDNO", filter=given, order="RECORDNO", size=2000, private=True)
    expected = [row for row in invoices if passes(row)]
    assert keys(answer.rows) == keys(expected)
    assert 0 < len(expected) < len(invoices)


@pytest.mark.parametrize(
    "given",
    [
        condition("equalto", "RECORDNO", "many"),
        condition("between", "RECORDNO", 1),
        condition("startswith", "CUSTOMERID", "C"),
        condition("equalto", "WHENDUE", "2026-01-31"),
        condition("equalto", "NOSUCHFIELD", 1),
        f"<and>{condition('isnull', 'WHENPAID')}</and>",
        condition("isnull", "WHENPAID") + condition("isnull", "WHENDUE"),
    ],
)
def test_a_filter_that_cannot_be_read_is_an_error(globex: Intacct, given: str) -> None:
    answer = globex.page("ARINVOICE", "RECORDNO", filter=given)
    assert answer.text("operation/result/status") == "failure"
    assert answer.tree.find("operation/result/data") is None


def test_case_counts_unless_it_is_ignored(globex: Intacct) -> None:
    given = condition("like", "CUSTOMERID", "c-00001%")
    assert globex.page("CUSTOMER", "RECORDNO", filter=given).figure("totalcount") == 0
    assert globex.page("CUSTOMER", "RECORDNO", filter=given, ignore_case=True).figure("totalcount") >= 8


def test_pages_are_counted(globex: Intacct, invoices: list[Row]) -> None:
    total = len(invoices)
    first = globex.page("ARINVOICE", "RECORDNO", order="RECORDNO", private=True)
    figures = {name: int(value) for name, value in first.data.attrib.items() if name != "listtype"}
    assert figures == {"totalcount": total, "offset": 0, "count": 100, "numremaining": total - 100}
    assert first.data.get("listtype") == "ARINVOICE"
    second = globex.page("ARINVOICE", "RECORDNO", order="RECORDNO", private=True, size=7, offset=100)
    assert keys(first.rows + second.rows) == keys(invoices)[:107]
    none = globex.page("ARINVOICE", "RECORDNO", filter=condition("equalto", "RECORDNO", 1))
    assert (none.figure("count"), none.figure("numremaining"), len(none.data)) == (0, 0, 0)


@pytest.mark.parametrize("size", [0, 2001, "many"])
def test_a_page_has_1_to_2000_rows(globex: Intacct, size: object) -> None:
    answer = globex.call(
        f"<query><select><field>RECORDNO</field></select><object>ARINVOICE</object><pagesize>{size}</pagesize></query>"
    )
    assert answer.text("operation/result/status") == "failure"


def test_rows_are_scattered_unless_an_order_is_asked_for(globex: Intacct, invoices: list[Row]) -> None:
    plain = keys(globex.page("ARINVOICE", "RECORDNO", size=2000, private=True).rows)
    assert plain != sorted(plain)
    assert sorted(plain) == keys(invoices)
    ordered = globex.page("ARINVOICE", FIELDS, order="STATE -TRX_TOTALDUE", size=2000, private=True).rows
    pairs = [(str(row["STATE"]), -amount(row)) for row in ordered]
    assert pairs == sorted(pairs)


def test_sums_are_grouped_by_the_fields_beside_them(globex: Intacct, invoices: list[Row]) -> None:
    answer = globex.page(
        "ARINVOICE", "MEGAENTITYID STATE sum:TOTALDUE count:RECORDNO min:TOTALDUE max:WHENDUE avg:TOTALDUE",
        size=2000, private=True,
    )  # fmt: skip
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in invoices:
        groups.setdefault((str(row["MEGAENTITYID"]), str(row["STATE"])), []).append(row)
    assert len(answer.rows) == len(groups) == answer.figure("totalcount")
    for found in answer.rows:
        members = groups[str(found["MEGAENTITYID"]), str(found["STATE"])]
        dues = [amount(row, "TOTALDUE") for row in members]
        assert amount(found, "SUM.TOTALDUE") == sum(dues)
        assert amount(found, "MIN.TOTALDUE") == min(dues)
        assert int(found["COUNT.RECORDNO"] or 0) == len(members)
        assert day(found["MAX.WHENDUE"]) == max(day(row["WHENDUE"]) for row in members)
        assert abs(amount(found, "AVG.TOTALDUE") - sum(dues, Decimal(0)) / len(dues)) < Decimal("0.01")
    (whole,) = globex.page("ARINVOICE", "count:RECORDNO", private=True).rows
    assert int(whole["COUNT.RECORDNO"] or 0) == len(invoices)


def test_a_private_entity_is_missing_unless_asked_for(globex: Intacct) -> None:
    def shown(*, private: bool) -> Counter[str]:
        rows = globex.page("ARINVOICE", "MEGAENTITYID count:RECORDNO", private=private).rows
        return Counter({str(row["MEGAENTITYID"]): int(row["COUNT.RECORDNO"] or 0) for row in rows})

    assert shown(private=True) - shown(private=False) == {"P-900": shown(private=True)["P-900"]}
    assert shown(private=True)["P-900"] > 10
    for name in ("ARINVOICEITEM", "ARPYMT", "ARPYMTDETAIL", "CUSTOMER", "LOCATIONENTITY", "GLDETAIL"):
        counts = [globex.page(name, "RECORDNO", private=p).figure("totalcount") for p in (True, False)]
        assert counts[0] > counts[1] > 0, name


def test_null_is_an_empty_element_or_none(globex: Intacct) -> None:
    rows = globex.page("ARINVOICE", "RECORDNO WHENPAID", filter=condition("isnull", "WHENPAID"), size=9).rows
    assert {row.get("WHENPAID") for row in rows} == {None}
    assert {"WHENPAID" in row for row in rows} == {True, False}


def test_values_are_printed_as_recorded(globex: Intacct, invoices: list[Row]) -> None:
    texts = {str(row[name]) for row in invoices for name in ("TRX_TOTALDUE", "TOTALDUE")}
    assert "0" in texts
    assert not any(text.endswith((".", ".0", ".00")) or "E" in text for text in texts)
    assert not any("." in text and text.endswith("0") for text in texts)
    assert all(day(row["WHENDUE"]) for row in invoices)
    assert all(moment(row["WHENMODIFIED"]) for row in invoices)
    yen = globex.rows("ARINVOICE", "TRX_TOTALENTERED", condition("equalto", "CURRENCY", "JPY"))
    assert yen
    assert all("." not in str(row["TRX_TOTALENTERED"]) for row in yen)


def test_fields_of_related_objects(globex: Intacct) -> None:
    names = {row["CUSTOMERID"]: row["NAME"] for row in globex.rows("CUSTOMER", "CUSTOMERID NAME")}
    rows = globex.page(
        "ARINVOICEITEM", "RECORDNO ARINVOICE.CUSTOMERID ARINVOICE.CUSTOMER.NAME", size=50, private=True
    ).rows
    assert len(rows) == 50
    assert all(names[r["ARINVOICE.CUSTOMERID"]] == r["ARINVOICE.CUSTOMER.NAME"] for r in rows)
    parents = globex.page(
        "CUSTOMER", "PARENT.NAME", filter=condition("isnotnull", "PARENTID"), size=2000
    ).rows
    assert parents
    assert all(row["PARENT.NAME"] in names.values() for row in parents)


def test_an_offset_shifts_when_a_row_is_inserted(start: Start) -> None:
    company = start("--tenant", "globex", "--items", "60", "--today", "2026-11-24").companies["globex"]
    company.sign_in()
    pages = [company.page("ARINVOICE", "RECORDNO", order="-RECORDNO", size=20).rows]
    company.post(invoices=1)
    pages.append(company.page("ARINVOICE", "RECORDNO", order="-RECORDNO", size=20, offset=20).rows)
    assert keys(pages[0])[-1] == keys(pages[1])[0]


def test_lookup_names_every_field_that_a_query_gives(globex: Intacct) -> None:
    for name in (
        "CUSTOMER", "ARINVOICE", "ARINVOICEITEM", "ARADJUSTMENT", "ARADJUSTMENTITEM", "ARPYMT", "ARPYMTDETAIL",
        "ARADVANCE", "ARTERM", "LOCATIONENTITY", "AUDITHISTORY", "GLDETAIL",
    ):  # fmt: skip
        described = globex.call(f"<lookup><object>{name}</object></lookup>").data.find("Type")
        assert described is not None
        names = [str(f.findtext("ID")) for f in described.iterfind("Fields/Field")]
        assert described.get("Name") == name
        answer = globex.page(name, " ".join(names), size=3, private=True)
        assert answer.figure("count") > 0, name
        assert set(answer.rows[1] if len(answer.rows) > 1 else answer.rows[0]) <= set(names)
    states = globex.call("<lookup><object>ARINVOICE</object></lookup>").data.findall(".//VALIDVALUE")
    assert {"Posted", "No Value", "Draft"} <= {str(value.text) for value in states}


def test_read_gives_rows_by_key_and_the_details_of_a_receipt(globex: Intacct) -> None:
    payment = globex.rows("ARPYMTDETAIL", "PAYMENTKEY RECORDKEY TRX_PAYMENTAMOUNT")[0]
    key = payment["PAYMENTKEY"]
    answer = globex.call(f"<read><object>ARPYMT</object><keys>{key}, 1</keys><fields>*</fields></read>")
    assert (answer.figure("count"), len(answer.data)) == (1, 1)
    details = answer.data.findall("ARPYMT/ARPYMTDETAILS/arpymtdetail")
    assert payment["RECORDKEY"] in [detail.findtext("RECORDKEY") for detail in details]
    many = ",".join(str(number) for number in range(101))
    refused = globex.call(f"<read><object>ARPYMT</object><keys>{many}</keys><fields>*</fields></read>")
    assert refused.text("operation/result/status") == "failure"


def test_read_by_query_uses_codes_and_read_more_goes_on(globex: Intacct) -> None:
    posted = globex.page("ARINVOICE", "RECORDNO", filter=condition("equalto", "STATE", "Posted")).figure(
        "totalcount"
    )
    words = globex.call(
        "<readByQuery><object>ARINVOICE</object><query>STATE = 'Posted'</query><fields>RECORDNO</fields></readByQuery>"
    )
    assert words.figure("totalcount") == 0
    answer = globex.call(
        "<readByQuery><object>ARINVOICE</object><query>STATE = 'A' and RECORDNO &gt; 0</query>"
        "<fields>RECORDNO,STATE</fields><pagesize>300</pagesize></readByQuery>"
    )
    found = answer.rows
    assert answer.data[0].tag == answer.data.get("listtype") == "arinvoice"
    while answer.figure("numremaining"):
        more = f"<readMore><resultId>{answer.data.get('resultId')}</resultId></readMore>"
        answer = globex.call(more)
        found += answer.rows
    assert len({row["RECORDNO"] for row in found}) == len(found) == posted
    assert {row["STATE"] for row in found} == {"Posted"}
    assert globex.call("<readMore><resultId>gone</resultId></readMore>").errors


def test_entities_and_their_base_currencies(globex: Intacct) -> None:
    rows = globex.page("LOCATIONENTITY", "LOCATIONID NAME CURRENCY", order="LOCATIONID", private=True).rows
    found = {row["LOCATIONID"]: row["CURRENCY"] for row in rows}
    assert found == {"E-200": "EUR", "N-100": "USD", "P-900": "USD"}
    details = globex.call("<readEntityDetails/>").data
    assert {e.findtext("id"): e.findtext("currency") for e in details} == found


def test_balances_need_a_location_and_their_elements_in_order(globex: Intacct) -> None:
    for function, words in (
        (balances("12000", "", TODAY), "Location is required"),
        (balances("12000", "X-1", TODAY), "not valid"),
        (f"<get_accountbalances>{day_parts('startdate', TODAY)}</get_accountbalances>", "enddate"),
        (
            (
                f"<get_accountbalances>{day_parts('enddate', TODAY)}{day_parts('startdate', TODAY)}"
                "<glaccountno>1</glaccountno></get_accountbalances>"
            ),
            "order",
        ),
    ):
        ((_, text),) = globex.call(function).errors
        assert words in str(text)


def test_the_trial_balance_adds_up_to_zero(globex: Intacct) -> None:
    since = date(2026, 10, 1)
    for entity in globex.entities:
        answer = globex.call(
            f"<get_trialbalance>{day_parts('startdate', since)}{day_parts('enddate', TODAY)}"
            f"<reportingbook>ACCRUAL</reportingbook><locationid>{entity}</locationid></get_trialbalance>"
        )
        assert sum(amount(row, "endbalance") for row in answer.rows) == 0
        assert sum(amount(row, "debits") - amount(row, "credits") for row in answer.rows) == 0
        for row in answer.rows:
            end = amount(row, "startbalance") + amount(row, "debits") - amount(row, "credits")
            assert amount(row, "endbalance") == end
        receivables = [amount(row, "endbalance") for row in answer.rows if row["glaccountno"] == "12000"]
        assert receivables == [globex.balance("12000", entity, TODAY)]


def test_gldetail_explains_a_balance(globex: Intacct) -> None:
    given = f"<and>{condition('equalto', 'ACCOUNTNO', '12100')}{condition('equalto', 'LOCATIONID', 'N-100')}</and>"
    rows = globex.rows("GLDETAIL", "ENTRY_DATE TR_TYPE AMOUNT DEBITAMOUNT CREDITAMOUNT", given)
    signed = [amount(row, "AMOUNT") * int(row["TR_TYPE"] or 0) for row in rows]
    assert sum(signed) == globex.balance("12100", "N-100", date(2027, 12, 31))
    assert sum(amount(row, "DEBITAMOUNT") - amount(row, "CREDITAMOUNT") for row in rows) == sum(signed)
    assert len(rows) > 10


def test_a_sum_may_be_named_like_its_field(start: Start) -> None:
    company = start("--world", "intacct-example").companies["intacct-example"]
    company.sign_in()
    sums = query("ARINVOICE", "sum:TRX_TOTALDUE")
    assert company.call(sums).rows == [{"SUM.TRX_TOTALDUE": "950"}]
    company.control("forms", {"prefixed_sums": False})
    assert company.call(sums).rows == [{"TRX_TOTALDUE": "950"}]
