"""JSON objects of token providers, read strictly: UTF-8, no name twice, no NaN, at most 64 levels.

Refuses (Malformed) everything else, in a sentence without the content: an answer may hold tokens.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from identity.secret import Body

MAX_DEPTH: Final = 64
MAX_MEMBERS: Final = 5_000
BOM: Final = b"\xef\xbb\xbf"
# A text without an end is taken up to the end of all: looked for from each quote on, it would take hours.
TEXT: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)


class Malformed(ValueError):
    """Not a JSON object as RFC 8259 and our limits have it."""


def strict_object(body: Body) -> dict[str, Any]:
    """The object that a body is; a byte order mark is accepted. Raises Malformed."""
    try:
        text = body.reveal().removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"byte {error.start} is not UTF-8") from None
    _refuse_depth(text)
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Malformed(f"it is no JSON from character {error.pos} on") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("a number has too many digits") from None
    if not isinstance(found, dict):
        raise Malformed("it is no JSON object")
    return found


def _refuse_depth(text: str) -> None:
    """Counts before parsing: the parser's own limit is the stack."""
    depth = 0
    for character in TEXT.sub("", text):
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed(f"it has more than {MAX_DEPTH} levels")
        elif character in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise Malformed(f"an object has more than {MAX_MEMBERS} members")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("a name stands twice in one object")
    return found


def _refuse_constant(_name: str) -> NoReturn:
    raise Malformed("it has a number that is none (NaN, Infinity)")
