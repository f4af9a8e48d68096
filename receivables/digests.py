"""Which raw rows are published already: their 128-bit digests, held in 16 bytes each instead of a set's 100.

Ten million rows fit in 200 MB, so no page needs a look-up in the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

SIZE = 16
PREFIX = 2  # bytes that choose the bucket


class Digests:
    """An unordered collection of 16-byte digests that answers `in`."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """`pieces` are digests joined without separators; raises ValueError if one is cut."""
        buckets: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        for piece in pieces:
            if len(piece) % SIZE:
                raise ValueError(f"{len(piece)} bytes are no whole number of digests")
            for at in range(0, len(piece), SIZE):
                buckets[piece[at : at + PREFIX]] += piece[at + PREFIX : at + SIZE]
        self._buckets: dict[bytes, bytearray] = dict(buckets)

    def __contains__(self, digest: object) -> bool:
        """Whether this digest was given; a match across two neighbours needs 112 equal bits by chance."""
        return (
            isinstance(digest, bytes)
            and digest[PREFIX:] in self._buckets.get(digest[:PREFIX], b"")
            and len(digest) == SIZE
        )
