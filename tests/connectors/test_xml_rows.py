"""Rows are cut out of a page and read one by one with the verdicts of a parser; hostile XML is refused."""

from __future__ import annotations

import time
from xml.sax.saxutils import escape

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from connectors.kit import exact_xml, xml_rows
from receivables.errors import Unreadable

PAGE = b'<?xml version="1.0" encoding="UTF-8"?>\n<response><data listtype="A" count="2">%b</data></response>'
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from(" \n\t"),
    max_size=12,
)


def cut(rows: bytes) -> tuple[bytes, list[bytes]]:
    return xml_rows.cut(xml_rows.in_utf_8(PAGE % rows))


def test_rows_are_views_of_the_page_and_the_envelope_stays() -> None:
    envelope, rows = cut(b"\n <A><X>1</X></A>\n<A><X>2</X></A>\n")
    assert rows == [b"<A><X>1</X></A>", b"<A><X>2</X></A>"]
    assert exact_xml.parse(envelope).find("data") is not None
    assert b"<X>" not in envelope


@pytest.mark.parametrize(
    "data", [b"<data/>", b'<data count="0"/>', b'<data count="0"></data>', b"<data> </data>"]
)
def test_no_row_is_no_row(data: bytes) -> None:
    assert xml_rows.cut(b"<response>" + data + b"</response>")[1] == []


@pytest.mark.parametrize(
    "row",
    [
        b"<A><X>1</X><Y>2</Y></A>",
        b"<A><X>1</X><Y>2</Y><Z></Z></A>",
        b"<A><W></W><X>1</X><C.D/><Y>2</Y></A>",
        b"<A><B></B ><X>1</X><W /><Y>2</Y></A>",
        b"<A><!-- c --><W></W><X>1</X><Y>2</Y></A>",
    ],
)
def test_empty_and_missing_elements_make_one_row(row: bytes) -> None:
    assert cut(row)[1] == [b"<A><X>1</X><Y>2</Y></A>"]
    assert cut(row * 3)[1] == [b"<A><X>1</X><Y>2</Y></A>"] * 3


@pytest.mark.parametrize("row", [b"<A></A>", b"<A/>"])
def test_a_row_of_nothing_is_still_a_row(row: bytes) -> None:
    assert cut(row)[1] == [row]
    assert cut(b"<A><X></X></A>")[1] == [b"<A></A>"]


def test_what_is_not_well_formed_is_not_mended() -> None:
    (row,) = cut(b"<A><X></Y><Z></Z></A>")[1]
    assert row == b"<A><X></Y></A>"
    with pytest.raises(Unreadable):
        xml_rows.values(row)


@pytest.mark.parametrize(
    "rows",
    [
        b"<A><!-- c --><X>1</X></A><A><X>2</X></A>",
        b"<A><X><![CDATA[1]]></X></A><A><X>2</X></A>",
        b'<A key="1"><X>1</X></A><A><X>2</X></A>',
        b"<A><?p i?><X>1</X></A><A><X>2</X></A>",
    ],
)
def test_what_tags_do_not_prove_is_parsed(rows: bytes) -> None:
    found = cut(rows)[1]
    assert [xml_rows.values(row) for row in found] == [{"X": "1"}, {"X": "2"}]


def test_nested_rows_stay_whole() -> None:
    _, rows = cut(b"<A><A><X>1</X></A></A>")
    assert len(rows) == 1
    with pytest.raises(Unreadable):
        xml_rows.values(rows[0])


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_.]{0,8}", fullmatch=True), TEXT, max_size=6))
def test_a_row_reads_as_a_parser_reads_it(cells: dict[str, str]) -> None:
    row = "<R>" + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in cells.items()) + "</R>"
    parsed = xmltodict.parse(row, strip_whitespace=False)["R"] or {}
    expected = (
        {name: text for name, text in parsed.items() if text and name != "#text"}
        if isinstance(parsed, dict)
        else {}
    )
    assert xml_rows.values(row.encode()) == expected


def test_empty_and_missing_are_both_nothing_and_names_are_in_upper_case() -> None:
    assert xml_rows.values(b"<R><a/><b></b><C.D>1</C.D><e>x &amp; &#228;</e></R>") == {
        "C.D": "1",
        "E": "x & ä",
    }


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b"<R><A>1</A><A>2</A></R>", "name_twice"),
        (b"<R><A>1</A><a>2</a></R>", "name_twice"),
        (b"<R><A/><A>2</A></R>", "name_twice"),
        (b"<R><A><B>1</B></A></R>", "nested"),
        (b"<R><A>1</B></R>", "not_xml"),
        (b"<R><A>&x;</A></R>", "not_xml"),
        (b"<R><A>\x01</A></R>", "not_xml"),
        (b"<R><A>]]></A></R>", "not_xml"),
        (b"<R>" + b"<A>" * 70 + b"</A>" * 70 + b"</R>", "not_xml"),
    ],
)
def test_a_row_that_cannot_be_read_is_set_aside(row: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as raised:
        xml_rows.values(row)
    assert raised.value.code == code


BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB + b"<response><data><A><X>&b;</X></A></data></response>",
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><response><data/></response>',
        b"<response><data><A><X>1</X></A></data><data><A/></data>",
        b"<response><data><A><X>1</X></A></response>",
        b"<response><data><A>" + b"<X>" * 100 + b"</X>" * 100 + b"</A></data></respons>",
        b"<response " + b" ".join(b'a%d="1"' % n for n in range(1001)) + b"/>",
        b"\xff\xfe<\x00r\x00/\x00>\x00",
        b"",
    ],
)  # fmt: skip
def test_hostile_pages_are_refused(body: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(exact_xml.Malformed):
        exact_xml.parse(xml_rows.cut(xml_rows.in_utf_8(body))[0])
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        (b"iso-8859-1", b"\xe9"), (b"ISO-8859-1", b"\xe9"), (b"UTF-8", "é".encode()), (b"utf-8", "é".encode()),
    ],
)  # fmt: skip
def test_the_declared_encoding_is_obeyed(declared: bytes, body: bytes) -> None:
    text = (
        b'<?xml version="1.0" encoding="'
        + declared
        + b'"?><response><data><A><X>'
        + body
        + b"</X></A></data></response>"
    )
    _, (row,) = xml_rows.cut(xml_rows.in_utf_8(text))
    assert xml_rows.values(row) == {"X": "é"}
    assert xml_rows.in_utf_8(b"\xef\xbb\xbf<a/>") == b"<a/>"


@pytest.mark.parametrize("head", [b'<?xml version="1.0" encoding="utf-7"?>', b'<?xml version="1.0"?>'])
def test_other_encodings_and_other_bytes_are_refused(head: bytes) -> None:
    with pytest.raises(exact_xml.Malformed):
        xml_rows.in_utf_8(head + b"<a>\xe9</a>")


def test_joined_rows_come_apart_again() -> None:
    rows = [b"<A><X>1</X></A>", b"<AB><X>2</X></AB>", xml_rows.joined("C", [b"<A><X>3</X></A>"]), b"<MONEY/>"]
    assert xml_rows.parts(xml_rows.joined("J", rows)) == ("J", rows)
