"""Exported files: what strict CSV and folders accept, set aside and refuse."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kit import csv_rows, folder
from connectors.kit.csv_rows import Dialect
from receivables.errors import HubError, Misconfigured, Rejected, Transient, Unreadable

DIALECT = Dialect(encoding="cp1252", delimiter=";", decimal=",", day="%d.%m.%Y")


def rows(text_: bytes, dialect: Dialect = DIALECT, header: str = "a;b") -> list[bytes]:
    return list(csv_rows.rows(text_.splitlines(keepends=True), dialect, header, place="p"))


# -- strict CSV --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (b"1;2", ["1", "2"]),
        (b";", ["", ""]),
        (b'"a;b";c', ["a;b", "c"]),
        (b'"say ""hi""";""', ['say "hi"', ""]),
        (b'"two\r\nlines";x', ["two\r\nlines", "x"]),
        (b"\x80;\xe9", ["€", "é"]),
        (b" 1 ; 2", [" 1 ", " 2"]),
    ],
)
def test_cells(row: bytes, cells: list[str]) -> None:
    assert DIALECT.cells(row) == cells


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'a"b;c', "csv_quoting"),
        (b'"a"b;c', "csv_quoting"),
        (b'"a;c', "csv_quoting"),
        (b'a; "b"', "csv_quoting"),
        (b"a\rb;c", "csv_quoting"),
        (b"a;\x81", "encoding"),
    ],
)
def test_a_row_that_is_not_strict_is_unreadable(row: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as error:
        DIALECT.cells(row)
    assert error.value.code == code


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=8), min_size=1, max_size=5))
def test_quoted_cells_come_back(cells: list[str]) -> None:
    row = ";".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    assert Dialect().cells(row.encode()) == cells


def test_rows_are_kept_as_received() -> None:
    text_ = b'a;b\r\n1;"x\r\ny"\r\n\r\n2; \xe9\n3;last'
    assert rows(text_) == [b'1;"x\r\ny"', b"2; \xe9", b"3;last"]


def test_a_stray_quote_costs_its_own_row_only() -> None:
    assert rows(b'a;b\n1;12" pipe\n2;fine\n') == [b'1;12" pipe', b"2;fine"]


def test_a_byte_order_mark_is_accepted_where_it_belongs() -> None:
    assert rows(b"\xef\xbb\xbfa;b\n1;2\n", Dialect()) == [b"1;2"]
    with pytest.raises(Rejected, match="first row"):
        rows(b"\xef\xbb\xbfa;b\n1;2\n", DIALECT)


@pytest.mark.parametrize(
    ("text_", "words"),
    [
        (b"", "the first row is ''"),
        (b"b;a\n", "the first row is 'b;a' and not 'a;b'"),
        (b"a;b;c\n", "first row"),
        (b'a;"b\n', "cut off"),
        (b'a;b\n1;"cut', "cut off"),
        (b'a;b\n1;"' + b"x\n" * 600, "does not end within"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(text_: bytes, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        rows(text_)


def test_there_is_an_end_to_rows(tmp_path: Path) -> None:
    def read(text_: bytes) -> list[bytes]:
        (tmp_path / "a.csv").write_bytes(text_)
        lines = folder.lines(str(tmp_path.resolve()), "a.csv", place="p")
        return list(csv_rows.rows(lines, DIALECT, "a;b", place="p", most=2))

    assert read(b"a;b\n1;\n2;\n") == [b"1;", b"2;"]
    with pytest.raises(Rejected, match="p: more than 2 rows"):
        read(b"a;b\n1;\n2;\n3;\n")


@pytest.mark.parametrize("wrong", [{"encoding": "utf-16"}, {"delimiter": "ab"}, {"decimal": ""}])
def test_a_dialect_is_one_that_can_be_read(wrong: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        Dialect(**wrong)


# -- folders -----------------------------------------------------------------------------------------------


def read(path: Path) -> list[bytes]:
    return list(folder.lines(str(path), "a.csv", place="dupont, a"))


def link_to_a_file(path: Path) -> None:
    (path / "elsewhere").write_bytes(b"secret\n")
    (path / "a.csv").symlink_to(path / "elsewhere")


def nothing(_: Path) -> None:
    """No file at all."""


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (nothing, Transient, "is not there"),
        (link_to_a_file, Misconfigured, "leads through a link"),
        (lambda path: (path / "a.csv").mkdir(), Misconfigured, "is not a regular file"),
        (lambda path: os.mkfifo(path / "a.csv"), Misconfigured, "is not a regular file"),
        (lambda path: (path / "a.csv").write_bytes(b"x" * (folder.MAX_LINE + 1)), Rejected, "a line of more"),
    ],
)
def test_only_a_regular_file_is_read(
    tmp_path: Path, make: Callable[[Path], object], error: type[HubError], words: str
) -> None:
    make(tmp_path.resolve())
    with pytest.raises(error, match=words):
        read(tmp_path.resolve())


def test_a_folder_behind_a_link_is_refused_with_the_real_path(tmp_path: Path) -> None:
    real = tmp_path.resolve() / "real"
    real.mkdir()
    (real / "a.csv").write_bytes(b"x\n")
    (tmp_path / "link").symlink_to(real)
    assert read(real) == [b"x\n"]
    with pytest.raises(Misconfigured, match=f"to {real}/a.csv. Name the real path"):
        read(tmp_path.resolve() / "link")
    with pytest.raises(Misconfigured, match="is no folder"):
        read(real / "nothing")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"late\n")


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    new.rename(path)


@pytest.mark.parametrize("change", [append, replace, Path.unlink])
def test_a_file_that_changed_while_it_was_read_is_tried_again(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path.resolve() / "a.csv"
    path.write_bytes(b"1\n2\n")
    lines = folder.lines(str(path.parent), "a.csv", place="dupont, a")
    assert next(lines) == b"1\n"
    change(path)
    with pytest.raises(Transient, match=r"dupont, a: .*(changed while it was read|is not there)"):
        list(lines)
