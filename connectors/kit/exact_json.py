"""JSON read exactly: strict UTF-8, no name twice, no NaN or Infinity, bounded depth and width.

`strict` is the reference and is slow. `Rows` reads many records of one shape at the speed of msgspec and
gives the same verdicts: its decoder is made for exactly the names seen, each required and no other, and as
many colons as names prove that none stands there twice. Whatever it cannot prove that way, it gives to
`strict`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, NoReturn, TypeVar, cast

import msgspec

from receivables.errors import Unreadable

MAX_DEPTH: Final = 64
MAX_MEMBERS: Final = 5000
MAX_DIGITS: Final = 64
BOM: Final = b"\xef\xbb\xbf"
METADATA: Final = "__metadata"  # OData V2 puts it first in each record
_METADATA_FIRST: Final = b'{"__metadata":{'
# A text without an end is taken up to the end of all: looked for from each quote on, it would take hours.
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NAMED: Final = re.compile(r"`\$?\.?([A-Za-z_]\w*)")

Shape = TypeVar("Shape", bound=msgspec.Struct)


class Malformed(ValueError):
    """Not JSON as RFC 8259 and our limits have it: `code` for machines, a sentence without the content."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def strict(data: bytes) -> Any:
    """The value of a JSON text; fractions become Decimal. Raises Malformed."""
    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not_utf8", f"byte {error.start} is not UTF-8") from None
    depth = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed("too_deep", f"more than {MAX_DEPTH} levels")
        elif character in "]}":
            depth -= 1
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_exact, parse_constant=_refuse
        )
    except json.JSONDecodeError as error:
        raise Malformed("not_json", f"no JSON from character {error.pos} on: {error.msg}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise Malformed("too_wide", f"more than {MAX_MEMBERS} names in one object")
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed("name_twice", f"the name {twice[:60]!r} stands there twice")
    return found


def _whole(digits: str) -> int:
    return int(_short(digits))


def _exact(digits: str) -> Decimal:
    try:
        return Decimal(_short(digits))
    except InvalidOperation:
        raise Malformed("number_size", "a number with an exponent beyond any amount") from None


def _short(digits: str) -> str:
    if len(digits) > MAX_DIGITS:
        raise Malformed("number_size", f"a number of {len(digits)} characters")
    return digits


def _refuse(word: str) -> NoReturn:
    raise Malformed("not_a_number", f"{word} is not JSON")


class Rows(Generic[Shape]):
    """Reads JSON records of one struct type; names that the struct does not have are read over.

    Raises Unreadable with the field and the reason. Safe to use for any number of rows, one thread at a time.
    """

    def __init__(self, shape: type[Shape]) -> None:
        self._shape = shape
        self._fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        self._learn((METADATA, *self._fields))

    def read(self, row: bytes) -> Shape:
        """One record."""
        try:
            value = self._decode(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._strictly(row)
        start = row.index(b"}") if row.startswith(_METADATA_FIRST) else 0
        colons = row.count(b":", start)
        if colons == self._names - bool(start) or self._proved(value, row, colons + bool(start)):
            return cast("Shape", value)
        return self._strictly(row)

    def _proved(self, value: msgspec.Struct, row: bytes, colons: int) -> bool:
        """Whether the colons beyond one a name are those inside its text values."""
        if b"\\u003" in row:
            return False
        inside = sum(
            text.count(":")
            for name in value.__struct_fields__
            if isinstance(text := getattr(value, name), str)
        )
        return colons == self._names + inside

    def _strictly(self, row: bytes) -> Shape:
        try:
            value = strict(row)
        except Malformed as error:
            raise Unreadable(error.code, "", f"The row cannot be read: {error}.") from None
        if not isinstance(value, dict):
            raise Unreadable("not_an_object", "", "The row is not a JSON object.")
        try:
            read = msgspec.convert(value, self._shape, strict=True)
        except msgspec.ValidationError as error:
            name = _NAMED.findall(str(error))[-1]
            missing = "missing required field" in str(error)
            code = "field_missing" if missing else "field_type"
            raise Unreadable(code, name, f"{name}: {'it is missing' if missing else error}.") from None
        self._learn(tuple(value))
        return read

    def _learn(self, names: Sequence[str]) -> None:
        """Makes the decoder for rows of exactly these names, which msgspec finds fastest in their order."""
        fields: list[Any] = []
        rename = {}
        for number, name in enumerate(names):
            known = self._fields.get(name)
            attribute = known.name if known else f"unread_{number}"
            rename[attribute] = name
            fields.append((attribute, known.type if known else msgspec.Raw))
        for name, field in self._fields.items():
            if name not in names:
                rename[field.name] = name
                fields.append((field.name, field.type, field.default))
        exact = msgspec.defstruct(
            self._shape.__name__,
            fields,
            bases=(self._shape,),
            rename=rename,
            kw_only=True,
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
        )
        self._decode = msgspec.json.Decoder(exact).decode
        self._names = len(names)
