"""Lists are read to an explicit end or not at all; metadata and errors are read whatever their form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kit import exact_xml
from connectors.kit.odata_days import PrintedDays, day_of
from connectors.kit.odata_v2 import (
    Query,
    Service,
    all_of,
    any_of,
    day,
    error_text,
    read_metadata,
    split,
    text,
)
from connectors.kit.stream import Page
from receivables.errors import HubError, Misconfigured, Moved, Rejected, Transient, Unreadable
from tests.connectors.conftest import Reply, serving, session

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sap-odata"
QUERY = Query("Things", ("Key",), "Key ge 'a'", ("Key",))
ROWS: list[dict[str, object]] = [{"__metadata": {"uri": f"u{n}"}, "Key": str(n)} for n in range(10)]


def listed(rows: list[dict[str, object]], count: object = None, following: str | None = None) -> Reply:
    data: dict[str, object] = {"results": rows}
    if count is not None:
        data["__count"] = str(count)
    if following:
        data["__next"] = following
    return Reply(json.dumps({"d": data}).encode())


Ask = Callable[[dict[str, str], str], Reply]


def read_all(answers: Ask, size: int = 4) -> tuple[list[Page], list[dict[str, str]]]:
    asked: list[dict[str, str]] = []
    root: list[str] = []

    def answer(path: str, _headers: dict[str, str]) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        asked.append(query)
        return answers(query, root[0])

    with serving(answer) as server, session(server.url) as http:
        root.append(f"{server.url}/sap/SRV")
        service = Service(http, root[0], {"sap-client": "100"})
        return list(service.pages(QUERY, stream="things", size=size)), asked


def keys(pages: list[Page]) -> list[str]:
    return [json.loads(bytes(row))["Key"] for page in pages for row in page.rows]


def refused(kind: type[HubError], answers: Ask) -> str:
    with pytest.raises(kind) as error:
        read_all(answers)
    assert str(error.value).startswith("acme-s4, things: ")
    return str(error.value)


def by_skip(query: dict[str, str], _root: str) -> Reply:
    start = int(query.get("$skip", "0"))
    return listed(ROWS[start : start + int(query["$top"])], len(ROWS))


def test_a_list_is_read_by_skip_until_its_count() -> None:
    pages, asked = read_all(by_skip)
    assert keys(pages) == [str(n) for n in range(10)]
    assert [page.last for page in pages] == [False, False, True]
    assert [page.number for page in pages] == [1, 2, 3]
    assert [query.get("$skip") for query in asked] == [None, "4", "8"]
    assert asked[0] == {
        "$select": "Key", "$filter": "Key ge 'a'", "$orderby": "Key", "$top": "4", "$inlinecount": "allpages",
        "$format": "json", "sap-client": "100",
    }  # fmt: skip


def test_links_are_followed_and_then_skip_goes_on() -> None:
    def answers(query: dict[str, str], root: str) -> Reply:
        start = int(query.get("$skip", "0")) + int(query.get("$skiptoken", "0"))
        rows = ROWS[start : start + 2]
        first_half = "$skiptoken" not in query
        link = f"{root}/Things?{'$skip=' + query['$skip'] + '&' if '$skip' in query else ''}$skiptoken=2"
        return listed(rows, len(ROWS), link if first_half and start + 2 < len(ROWS) else None)

    pages, asked = read_all(answers)
    assert keys(pages) == [str(n) for n in range(10)]
    assert [(query.get("$skip"), query.get("$skiptoken")) for query in asked] == [
        (None, None), (None, "2"), ("4", None), ("4", "2"), ("8", None),
    ]  # fmt: skip


def test_an_empty_list_ends() -> None:
    pages, _ = read_all(lambda _q, _r: listed([], 0))
    assert [(len(page.rows), page.last) for page in pages] == [(0, True)]


def test_without_a_count_a_full_page_is_a_warning_and_asked_after() -> None:
    pages, asked = read_all(lambda q, _: listed(ROWS[:8][int(q.get("$skip", "0")) :][:4]))
    assert keys(pages) == [str(n) for n in range(8)]
    assert [bool(page.warnings) for page in pages] == [True, True, False]
    assert len(asked) == 3


def test_a_short_page_is_no_end() -> None:
    message = refused(Rejected, lambda *_: listed(ROWS[:2], 10))
    assert "ends at row 2 of 10" in message
    assert "page_size" in message


def test_a_list_that_becomes_shorter_is_read_again_later() -> None:
    def answers(query: dict[str, str], _root: str) -> Reply:
        start = int(query.get("$skip", "0"))
        return listed(ROWS[start : start + 4], 9 if start else 10)

    assert "became shorter" in refused(Moved, answers)


def test_a_list_that_becomes_longer_is_read_to_its_new_end() -> None:
    def answers(query: dict[str, str], _root: str) -> Reply:
        start = int(query.get("$skip", "0"))
        return listed(ROWS[start : start + 4], 10 if start else 6)

    assert len(keys(read_all(answers)[0])) == 10


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("https://elsewhere.example/sap/SRV/Things?$skiptoken=1", "not below"),
        ("http://127.0.0.1:1/sap/SRV/Things", "not below"),
        ("{origin}/sap/OTHER/Things?$skiptoken=1", "not below"),
        ("{origin}/sap/SRV/Things?" + "x" * 9000, "9"),
    ],
)
def test_links_that_lead_elsewhere_are_not_followed(link: str, words: str) -> None:
    def answers(_query: dict[str, str], root: str) -> Reply:
        return listed(ROWS[:2], 10, link.replace("{origin}", root.removesuffix("/sap/SRV")))

    message = refused(Rejected, answers)
    assert words in message
    assert "skiptoken" not in message


def test_the_same_page_for_ever_is_refused() -> None:
    assert "already read" in refused(Rejected, lambda _, r: listed(ROWS[:2], 10, f"{r}/Things?$skiptoken=1"))
    number = iter(range(1000))
    message = refused(Rejected, lambda _, r: listed(ROWS[:4], 10, f"{r}/Things?$skiptoken={next(number)}"))
    assert "repeats itself" in message
    assert "links to another" in refused(
        Rejected, lambda _, r: listed([], 10, f"{r}/Things?$skiptoken={next(number)}")
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"d":{"results":[{"Key":"1"},{"Ke', Transient),
        (b'{"d":{"results":[{"Key":NaN}]}}', Rejected),
        (b'{"d":{"results":[{"Key":1}],"results":[]}}', Rejected),
        (b'{"d":{"results":[]},"d":{"results":[]}}', Rejected),
        (b'{"d":{"results":{}}}', Rejected),
        (b'{"error":{"code":"1"}}', Rejected),
        (b'{"d":{"results":[],"__count":"-1"}}', Rejected),
        (b'{"d":{"results":[' + b"[" * 90_000 + b"]" * 90_000 + b"]}}", Rejected),
        (b'{"d":{"results":[],"x":"\xff"}}', Rejected),
        (b'{"value":[]}', Rejected),
        (b"", Transient),
    ],
)
def test_an_answer_that_is_no_list_is_refused(body: bytes, kind: type[HubError]) -> None:
    with pytest.raises(kind, match=r"^acme-s4, things: "):
        split(body, "acme-s4, things")


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=3), max_size=4),
    st.sampled_from([None, 1]),
)
def test_split_keeps_each_record_as_received(rows: list[dict[str, str]], indent: int | None) -> None:
    body = json.dumps({"d": {"results": rows, "__count": "7"}}, indent=indent, ensure_ascii=False)
    found = split(body.encode("utf-8", "surrogatepass"), "x")
    assert [json.loads(bytes(row)) for row in found.rows] == rows
    assert found.count == 7


def test_a_count_is_asked_for_without_rows() -> None:
    with serving(lambda _p, _h: Reply(b"\xef\xbb\xbf42", headers={"Content-Type": "text/plain"})) as server:
        with session(server.url) as http:
            assert Service(http, f"{server.url}/S").count(Query("T", (), "A eq 'b c'"), stream="s") == 42
        assert server.asked[0][0] == "/S/T/$count?$filter=A%20eq%20%27b%20c%27"
    with (
        serving(lambda _p, _h: Reply(b"many")) as server,
        session(server.url) as http,
        pytest.raises(Rejected, match="not a number"),
    ):
        Service(http, f"{server.url}/S").count(Query("T", ()), stream="s")


LITERAL = re.compile(r"'((?:[^']|'')*)'")


@given(st.text())
def test_a_text_literal_is_one_literal_of_its_value(value: str) -> None:
    whole = LITERAL.fullmatch(text(value))
    assert whole is not None
    assert whole[1].replace("''", "'") == value


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_any_of_compares_with_each_value_and_nothing_else(values: list[str]) -> None:
    condition = all_of("", any_of("Name", values))
    assert [found.replace("''", "'") for found in LITERAL.findall(condition)] == values
    assert LITERAL.sub("?", condition) == "(" + " or ".join(["Name eq ?"] * len(values)) + ")"


@given(st.dates(date(1990, 1, 1), date(2036, 11, 24)))
def test_days_come_back_as_they_were_printed(value: date) -> None:
    milliseconds = (value - date(1970, 1, 1)).days * 86_400_000
    assert day_of(f"/Date({milliseconds})/", "D") == value.isoformat()
    assert day_of(f"/Date({milliseconds + 3_600_000}+0000)/", "D") == value.isoformat()
    assert PrintedDays(date(2026, 11, 24))(f"/Date({milliseconds})/", "D") == value.isoformat()
    assert day(value) == f"datetime'{value.isoformat()}T00:00:00'"


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("2026-02-30T00:00:00", "day_form"),
        ("/Date(1768435200001)/", "day_form"),
        ("/Date(253402214400000)/", "day_range"),  # 9999-12-31
        ("/Date(253402300800000)/", "day_range"),  # beyond year 9999
        ("/Date(-86400000000000000)/", "day_range"),
        ("/Date(-86400000)/", "day_range"),  # 1969-12-31
        ("/Date()/", "day_form"),
        ("00000000", "day_form"),
        ("", "day_missing"),
        (None, "day_missing"),
    ],
)
def test_days_that_are_none(printed: str | None, code: str) -> None:
    with pytest.raises(Unreadable) as refused_day:
        PrintedDays(date(2026, 11, 24))(printed, "NetDueDate")
    assert (refused_day.value.code, refused_day.value.field) == (code, "NetDueDate")


def test_errors_are_read_in_every_form() -> None:
    v2 = b'{"error":{"code":"/IWFND/CM_MGW/004","message":{"lang":"en","value":"No authorization"}}}'
    v4 = b'{"error":{"code":"SY/530","message":"Time limit"}}'
    atom = (
        b'<?xml version="1.0"?><error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        b'<code>/IWFND/MED/170</code><message xml:lang="en">No service</message></error>'
    )
    assert error_text(v2) == "/IWFND/CM_MGW/004: No authorization"
    assert error_text(v4) == "SY/530: Time limit"
    assert error_text(atom) == "/IWFND/MED/170: No service"
    for other in (
        b"<html><body>x</body></html>",
        b"",
        b"{",
        b'{"error":1}',
        b'{"error":{}}',
        b"[]",
        b"plain",
    ):
        assert error_text(other) == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "DOCTYPE"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "DOCTYPE"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><x/>'.encode("utf-16"), "DOCTYPE"),
        (b"<a>" * 65 + b"</a>" * 65, "64 levels"),
        (b"<a " + b" ".join(b'b%d="1"' % n for n in range(1001)) + b"/>", "1000 attributes"),
        (b"<a>", "well-formed"),
        (b"", "well-formed"),
    ],
)
def test_xml_beyond_the_limits_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(exact_xml.Malformed, match=words):
        exact_xml.parse(body)


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data/sap-odata with the recorded metadata is absent"
)
def test_recorded_metadata_is_read() -> None:
    metadata = read_metadata((SHARED / "edmx-bp-s4" / "API_BUSINESS_PARTNER.edmx").read_bytes())
    company = metadata.sets["A_CustomerCompany"]
    assert (company["Customer"].type, company["Customer"].max_length) == ("Edm.String", 10)
    orders = read_metadata(
        (SHARED / "s4-salesorder-v2-raw" / "API_SALES_ORDER_SRV___metadata.xml").read_bytes()
    )
    assert orders.sets["A_SalesOrder"]["TotalNetAmount"].unit == "TransactionCurrency"


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data/sap-odata with the recorded answers is absent"
)
@pytest.mark.parametrize(
    "name", ["API_SALES_ORDER_SRV__A_SalesOrders_two_results_IT.json", "__files__ODataEmptyResult.json"]
)
def test_recorded_answers_are_split(name: str) -> None:
    recorded = json.loads((SHARED / "s4-salesorder-v2-raw" / name).read_text())
    body = recorded["response"]["jsonBody"] if "response" in recorded else recorded
    found = split(json.dumps(body).encode(), "x")
    assert [json.loads(bytes(row)) for row in found.rows] == body["d"]["results"]


def test_what_is_selected_is_offered_and_needed() -> None:
    metadata = read_metadata(
        b'<Edmx xmlns:sap="http://www.sap.com/Protocols/SAPData"><Schema Namespace="N"><EntityType Name="T">'
        b'<Property Name="Key" Type="Edm.String" MaxLength="4"/>'
        b'<Property Name="Amount" Type="Edm.Decimal" sap:unit="Currency"/>'
        b'<Property Name="BareAmount" Type="Edm.Decimal"/></EntityType>'
        b'<EntityContainer><EntitySet Name="Things" EntityType="N.T"/></EntityContainer></Schema></Edmx>'
    )
    assert metadata.selected("Things", ["Key", "New"], ["Key"], ["Amount"], "p") == ("Key",)
    with pytest.raises(Misconfigured, match="Things has no Currency"):
        metadata.selected("Things", ["Key"], ["Key", "Currency"], [], "p")
    with pytest.raises(Misconfigured, match="BareAmount of Things name no currency"):
        metadata.selected("Things", ["Key"], ["Key"], ["Amount", "BareAmount"], "p")
    with pytest.raises(Misconfigured, match="has no Others"):
        metadata.selected("Others", ["Key"], ["Key"], [], "p")
