"""Strict CSV (RFC 4180) in a declared dialect: the rows of a file as received, and the cells of a row.

A row with a quote where none belongs, or with bytes of another encoding, is Unreadable and the rest goes on.
Refuses a header that is not the declared one, a quoted cell that does not end, and more than ten million
rows or 1 MiB in one. Guesses neither encoding nor delimiter.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from receivables.errors import Rejected, Unreadable

MAX_ROWS: Final = 10_000_000
MAX_ROW: Final = 1024 * 1024  # bytes
MAX_LINES: Final = 500  # of one row, in its quoted cells
ENCODINGS: Final = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15")  # ASCII's bytes mean ASCII in each
DELIMITERS: Final = (";", ",", "\t", "|")
DECIMALS: Final = (".", ",")
SHOWN: Final = 200  # characters of a header in a message


@dataclass(frozen=True)
class Dialect:
    """How a system writes its CSV files; `day` is a format of strftime. A byte order mark is accepted."""

    encoding: str = "utf-8"
    delimiter: str = ";"
    decimal: str = "."
    day: str = "%Y-%m-%d"

    def __post_init__(self) -> None:
        for chosen, known in (
            (self.encoding, ENCODINGS),
            (self.delimiter, DELIMITERS),
            (self.decimal, DECIMALS),
        ):
            if chosen not in known:
                raise ValueError(f"{self}: {chosen!r} is none of {known}")

    def cells(self, row: bytes) -> list[str]:
        """The cells of a row; raises Unreadable (encoding, csv_quoting)."""
        try:
            text = row.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise Unreadable(
                "encoding", "row", f"Byte {error.start + 1} of the row is not {self.encoding}."
            ) from None
        if '"' not in text and "\r" not in text:
            return text.split(self.delimiter)
        return self._quoted(text)

    def _quoted(self, text: str) -> list[str]:
        found: list[str] = []
        at, more = 0, True
        while more:
            cell = _patterns(self.delimiter).cell.match(text, at)
            if cell is None:
                raise Unreadable(
                    "csv_quoting",
                    "row",
                    f"Cell {len(found) + 1} of the row has a quote or a line end inside.",
                )
            quoted, plain, end = cell.groups()
            found.append(plain if quoted is None else quoted.replace('""', '"'))
            at, more = cell.end(), bool(end)
        return found


def rows(
    lines: Iterable[bytes], dialect: Dialect, header: str, *, place: str, most: int = MAX_ROWS
) -> Iterator[bytes]:
    """The rows below the header, without their line ends; empty lines are no rows.

    `header` is the file's first row as declared, in the dialect. Raises Rejected.
    """
    parts = _joined(lines, dialect, place)
    first = next(parts, b"").removeprefix(codecs.BOM_UTF8 if dialect.encoding == "utf-8" else b"")
    if _header(first, dialect) != header.split(dialect.delimiter):
        said = first[:SHOWN].decode(dialect.encoding, "backslashreplace")
        raise Rejected(f"{place}: the first row is {said!r} and not {header!r}. Nothing was read.")
    for number, row in enumerate(filter(None, parts), start=1):
        if number > most:
            raise Rejected(f"{place}: more than {most} rows.")
        yield row


def _header(first: bytes, dialect: Dialect) -> list[str]:
    try:
        return dialect.cells(first)
    except Unreadable:
        return []  # never what is declared


def _joined(lines: Iterable[bytes], dialect: Dialect, place: str) -> Iterator[bytes]:
    """One row after another: a line, or several where a quoted cell goes on."""
    open_ = _patterns(dialect.delimiter).open
    row, count = b"", 0
    for line in lines:
        row, count = row + line, count + 1
        if b'"' in row and open_.fullmatch(row):
            if count >= MAX_LINES or len(row) > MAX_ROW:
                raise Rejected(f"{place}: a quoted cell does not end within {MAX_LINES} lines and 1 MiB.")
            continue
        yield row.removesuffix(b"\n").removesuffix(b"\r")
        row, count = b"", 0
    if row:
        raise Rejected(f"{place}: the file ends inside a quoted cell. It may be cut off: export it again.")


class _Patterns(NamedTuple):
    cell: re.Pattern[str]  # a cell and the delimiter after it, if it is not the last
    open: re.Pattern[bytes]  # whole cells, and one that is quoted and has not ended


@cache
def _patterns(delimiter: str) -> _Patterns:
    end = re.escape(delimiter)
    quoted, plain = '"[^"]*(?:""[^"]*)*"', rf'[^"{end}\r\n]*'
    cell = rf'(?:"([^"]*(?:""[^"]*)*)"|({plain}))({end}|\Z)'
    return _Patterns(
        re.compile(cell), re.compile(rf'(?:(?:{quoted}|{plain}){end})*"[^"]*(?:""[^"]*)*'.encode())
    )
