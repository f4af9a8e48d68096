"""Values that show themselves only when asked to by name: secret texts and keys.

Refuse to be pickled and to be turned into JSON; their repr, str and format show nothing. Code that handles
one keeps it wrapped in its variables, so that a traceback with local variables shows nothing either.
"""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, TypeVar

V = TypeVar("V", bound=str | bytes)


class _Hidden(Generic[V]):
    __slots__ = ("__value",)

    def __init__(self, value: V) -> None:
        self.__value: V = value

    def reveal(self) -> V:
        """The value itself: for signing and sealing only."""
        return self.__value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__value), _bytes(other.__value))

    # A hash that is shown somewhere would be something to test guesses against.
    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> _Hidden[V]:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _Hidden[V]:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled: hand over the credential's id instead")


class Secret(_Hidden[str]):
    """A secret text: a password, an API key."""

    __slots__ = ()


class Key(_Hidden[bytes]):
    """A key of 32 bytes, for AES-256-GCM or HMAC-SHA256."""

    __slots__ = ()


class Body(_Hidden[bytes]):
    """A whole request or answer that holds secrets."""

    __slots__ = ()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
