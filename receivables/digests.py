"""Which raw rows are published already: their 128-bit digests.

A plain set while it is small; beyond, 16 bytes each instead of a set's 100, so that ten million rows fit in
200 MB and no page needs a look-up in the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

SIZE = 16
PREFIX = 2  # bytes that choose the bucket
FEW = 500_000  # digests in a plain set, about 50 MB


class Digests:
    """An unordered collection of 16-byte digests."""

    def __init__(self, pieces: Iterable[bytes], few: int = FEW) -> None:
        """`pieces` are digests joined without separators; raises ValueError if one is cut."""
        whole = b"".join(pieces)
        if len(whole) % SIZE:
            raise ValueError(f"{len(whole)} bytes are no whole number of digests")
        every = range(0, len(whole), SIZE)
        self._few: set[bytes] | None = None
        self._buckets: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        if len(every) <= few:
            self._few = {whole[at : at + SIZE] for at in every}
        else:
            for at in every:
                self._buckets[whole[at : at + PREFIX]] += whole[at + PREFIX : at + SIZE]

    def missing(self, digests: Sequence[bytes]) -> list[int]:
        """The places of those of these 16-byte digests that were not given; one call a page, not one a row.

        A match across two neighbours in a bucket needs 112 equal bits by chance.
        """
        few, of = self._few, self._buckets.get
        if few is not None:
            return [place for place, digest in enumerate(digests) if digest not in few]
        return [
            place for place, digest in enumerate(digests) if digest[PREFIX:] not in of(digest[:PREFIX], b"")
        ]
