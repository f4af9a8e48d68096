r"""Records as lines of PostgreSQL's COPY text format, with the digest of each line.

One join and one look for characters to escape per page: rows without any are the rule. Values are the text
that adapters checked; None is \N, a bool t or f.
Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import xxhash

NULL = "\\N"
SPECIAL = re.compile(r"[\\\t\n\r]")
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def lines(records: Sequence[msgspec.Struct]) -> list[str]:
    """One line per record of one type, without line ends: its fields in their order, escaped where needed."""
    found: list[str] = []
    nulls = 0
    for record in records:
        values = msgspec.structs.astuple(record)
        missing = values.count(None)
        nulls += missing
        try:
            found.append("\t".join([NULL if v is None else v for v in values] if missing else values))
        except TypeError:
            found.append("\t".join(map(_plain, values)))
    if _clean(found, nulls, len(records[0].__struct_fields__) if records else 0):
        return found
    return [escaped(msgspec.structs.astuple(record)) for record in records]


def escaped(values: Iterable[Any]) -> str:
    """One line of these values, with backslash, tab and line ends escaped."""
    return "\t".join(
        NULL if value is None else SPECIAL.sub(lambda found: ESCAPES[found[0]], _plain(value))
        for value in values
    )


def with_digests(first: str, start: int, content: Sequence[str], seed: int) -> bytes:
    """The lines behind `first`, a running number from `start` and the line's digest (xxh3-128, seeded)."""
    digest = xxhash.xxh3_128_hexdigest
    text = "\n".join(
        [
            f"{first}\t{place}\tx{digest(line.encode(), seed)}\t{line}"
            for place, line in enumerate(content, start)
        ]
    )
    return (text + "\n").encode()


def _clean(found: Sequence[str], nulls: int, columns: int) -> bool:
    r"""Whether the only special characters are the separators and the backslashes of \N."""
    text = "\n".join(found)
    return (
        text.count("\\") == nulls
        and text.count("\t") == len(found) * (columns - 1)
        and text.count("\n") == max(0, len(found) - 1)
        and "\r" not in text
    )


def _plain(value: Any) -> str:
    if value is None:
        return NULL
    if value is True:
        return "t"
    if value is False:
        return "f"
    return str(value)
