"""Rows on their way into PostgreSQL: whatever the text holds comes out again, and equal rows have equal digests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receivables import copy_text
from receivables.digests import Digests
from receivables.queries import queries


class Row(msgspec.Struct, frozen=True, gc=False):
    key: str
    text: str | None
    flag: bool = False
    other: str | None = None


TEXT = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]) | st.sampled_from("\\\t\n\r.N")
)
ROWS = st.lists(st.builds(Row, TEXT, TEXT | st.none(), st.booleans(), TEXT | st.none()), max_size=8)


@pytest.fixture(scope="module")
def connection(new_database: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(new_database().url("encours_owner"), autocommit=True) as connection:
        connection.execute(
            "create table row (run bigint, seq bigint, digest bit(128), key text, text text, flag boolean, other text)"
        )
        yield connection


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_rows_come_out_as_they_went_in(connection: psycopg.Connection[Any], rows: list[Row]) -> None:
    connection.execute("truncate row")
    if rows:
        with connection.cursor().copy("copy row from stdin") as copy:
            copy.write(copy_text.with_digests("7", 100, copy_text.lines(rows), 5))
    found = connection.execute("select run, seq, key, text, flag, other from row order by seq").fetchall()
    assert found == [(7, 100 + at, *msgspec.structs.astuple(row)) for at, row in enumerate(rows)]


@given(ROWS, TEXT)
def test_a_row_has_one_digest_whatever_its_page(rows: list[Row], text: str) -> None:
    row = Row(key="k", text=text)
    alone, among = copy_text.lines([row]), copy_text.lines([*rows, row])
    assert alone[0] == among[-1]
    shifted = copy_text.lines([Row(key="k\t", text=text), Row(key="k", text=f"\t{text}")])
    assert len(set(shifted)) == 2


@given(st.lists(st.binary(max_size=9), max_size=300), st.binary(max_size=9))
def test_digests_answer_like_a_set(given_: list[bytes], asked: bytes) -> None:
    all_of = [xxhash.xxh3_128_digest(one) for one in given_]
    half = len(all_of) // 2
    page = [asked, *given_, asked]
    unknown = [] if asked in given_ else [0, len(page) - 1]
    for few in (1000, -1):  # as a set, and packed
        digests = Digests([b"".join(all_of[:half]), b"".join(all_of[half:])], few)
        assert digests.missing([xxhash.xxh3_128_digest(one) for one in page]) == unknown


def test_cut_digests_are_refused() -> None:
    with pytest.raises(ValueError, match="17 bytes"):
        Digests([b"x" * 17])


@pytest.mark.parametrize(
    "text",
    [
        "-- name: a\nselect 1;",
        "-- name: \n-- A sentence.\nselect 1;",
        "-- name: a\n-- A.\nselect 1;\n-- name: a\n-- B.\nselect 2;",
    ],
)
def test_a_query_without_name_or_sentence_is_refused(tmp_path: Any, text: str) -> None:
    (tmp_path / "part.sql").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"part\.sql"):
        queries(str(tmp_path / "part.py"))
