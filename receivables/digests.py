"""Which raw rows are published already: their 128-bit digests, held in 16 bytes each instead of a set's 100.

Ten million rows fit in 200 MB, so no page needs a look-up in the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

SIZE = 16
PREFIX = 2  # bytes that choose the bucket


class Digests:
    """An unordered collection of 16-byte digests."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """`pieces` are digests joined without separators; raises ValueError if one is cut."""
        buckets: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        for piece in pieces:
            if len(piece) % SIZE:
                raise ValueError(f"{len(piece)} bytes are no whole number of digests")
            for at in range(0, len(piece), SIZE):
                buckets[piece[at : at + PREFIX]] += piece[at + PREFIX : at + SIZE]
        self._buckets: dict[bytes, bytearray] = dict(buckets)

    def missing(self, digests: Sequence[bytes]) -> list[int]:
        """The places of those of these 16-byte digests that were not given; one call a page, not one a row.

        A match across two neighbours in a bucket needs 112 equal bits by chance.
        """
        of = self._buckets.get
        return [
            place for place, digest in enumerate(digests) if digest[PREFIX:] not in of(digest[:PREFIX], b"")
        ]
