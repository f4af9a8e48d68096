"""JSON is read exactly, and the fast reader gives the verdicts of the strict one."""

from __future__ import annotations

import json
import string
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kit.exact_json import MAX_DEPTH, MAX_MEMBERS, Malformed, Rows, strict
from receivables.errors import Unreadable


class Shape(msgspec.Struct, rename="pascal", kw_only=True, frozen=True):
    key: str
    text: str | None = None
    flag: bool | None = None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":1,"a":2}', "name_twice"),
        (b'{"a":{"b":1,"b":1}}', "name_twice"),
        (b'{"a":NaN}', "not_a_number"),
        (b'{"a":-Infinity}', "not_a_number"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep"),
        (b"[" * 200_000, "too_deep"),
        (b"{" + b",".join(b'"%d":1' % n for n in range(MAX_MEMBERS + 1)) + b"}", "too_wide"),
        (b'{"a":1', "not_json"),
        (b"1" * 5000, "number_size"),
        (b"1e99999999999999999999", "number_size"),
        (b"", "not_json"),
        pytest.param(b'"' + b'\\"' * 1_000_000, "not_json", id="a text of a million quotes that never ends"),
    ],
)
def test_strict_refuses_what_is_not_exact(body: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        strict(body)
    assert refused.value.code == code


def test_strict_reads_fractions_as_decimals_and_accepts_a_bom() -> None:
    assert strict(b'\xef\xbb\xbf{"a":0.10}') == {"a": Decimal("0.10")}
    assert strict(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


names = st.text(string.ascii_letters, min_size=1, max_size=4)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=12),
    st.sampled_from(["a:b", ':"', "\\u003a", "}", '","Key":"x']),
)


layouts = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (", ", " : ")])}
)
first = st.sampled_from([{}, {"__metadata": {"uri": "https://a:1/X('1:}')"}}])


@given(first, st.dictionaries(names, values, max_size=4), st.text(max_size=8), values, layouts)
def test_rows_reads_what_strict_reads(
    metadata: dict[str, Any], others: dict[str, Any], key: str, text: Any, layout: dict[str, Any]
) -> None:
    record: dict[str, Any] = {**metadata, **others, "Key": key, "Text": text}
    row = json.dumps(record, **layout).encode()
    assert strict(row) == record
    flag = others.get("Flag")
    fits = (flag is None or isinstance(flag, bool)) and not isinstance(text, bool)
    reader = Rows(Shape)
    for _ in range(2):  # the second time with the decoder learnt from the first
        if fits:
            found = reader.read(row)
            assert (found.key, found.text, found.flag) == (key, text, flag)
        else:
            with pytest.raises(Unreadable):
                reader.read(row)


@given(
    st.sampled_from(["Key", "Text", "Other"]),
    st.sampled_from([(",", ":"), (" , ", " : ")]),
    st.sampled_from([[], ["__metadata"]]),
)
def test_rows_refuses_every_name_that_stands_there_twice(
    name: str, separators: tuple[str, str], metadata: list[str]
) -> None:
    comma, colon = separators
    pairs = [f'"{n}"{colon}"{v}"' for n, v in {"Key": "1", "Text": "a:b", "Other": "c"}.items()]
    before = [f'"{m}"{colon}{{"uri"{colon}"x"}}' for m in metadata]
    again = f'"{name}"{colon}"2"'
    reader = Rows(Shape)
    assert reader.read(f"{{{comma.join([*before, *pairs])}}}".encode()).key == "1"
    for bad in ([*before, *pairs, again], [again, *before, *pairs], [*before, again, *pairs]):
        with pytest.raises(Unreadable) as refused:
            reader.read(f"{{{comma.join(bad)}}}".encode())
        assert refused.value.code == "name_twice"


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        (b'{"Text":"a"}', "field_missing", "Key"),
        (b'{"Key":1}', "field_type", "Key"),
        (b'{"Key":null}', "field_type", "Key"),
        (b'{"Key":"\xff"}', "not_utf8", ""),
        (b'{"Key":"a","Flag":NaN}', "not_a_number", ""),
        (b"[1]", "not_an_object", ""),
        (b'{"Key":"a"', "not_json", ""),
        (b'{"Key":' + b"[" * 5000 + b"]" * 5000 + b"}", "too_deep", ""),
    ],
)
def test_rows_names_what_is_wrong(row: bytes, code: str, field: str) -> None:
    with pytest.raises(Unreadable) as refused:
        Rows(Shape).read(row)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_rows_of_one_page_may_have_different_names() -> None:
    reader = Rows(Shape)
    rows = [
        b'{"Key":"1","Text":"x"}',
        b'{"Key":"2"}',
        b'{"Key":"3","More":{"a":[1]}}',
        b'{"Key":"4","Text":null}',
    ]
    assert [reader.read(row).key for row in rows] == ["1", "2", "3", "4"]
    assert [isinstance(reader.read(row), Shape) for row in rows] == [True] * 4
