"""Places at which a sync can be made to kill itself, to prove that nothing is lost and nothing doubled there.

ENCOURS_CRASH_AT=<point>[:n] sends SIGKILL to the process when it passes the point for the n-th time; without
it a passage does nothing. Source: design, reliability's crash matrix.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

POINTS: Final = {
    "before_page": "before a slice's first page is asked for",
    "received": "a page is received and not parsed",
    "parsed": "a page is parsed and not staged",
    "last_page": "before a slice's last page and its bookmark are staged",
    "copying": "inside the COPY of staged rows",
    "rejecting": "inside the COPY of what was set aside",
    "staged": "rows are staged, before the COMMIT",
    "commit_sent": "the COMMIT of staged rows is sent, its reply lost",
    "committed": "after the COMMIT of staged rows",
    "again": "before a further pass",
    "compared": "the books agree, before publishing",
    "merging": "inside the merge",
    "merged": "everything is merged, before the COMMIT",
    "published": "after the COMMIT of a publication, before anybody hears of it",
}
_POINT, _, _NUMBER = os.environ.get("ENCOURS_CRASH_AT", "").partition(":")
_left = int(_NUMBER or 1)


def passing(point: str, last: Callable[[], object] | None = None) -> None:
    """Kills the process here if the environment says so, after one `last` act."""
    global _left  # noqa: PLW0603  the passages of one process are counted
    if point != _POINT:
        return
    _left -= 1
    if _left == 0:
        if last is not None:
            last()
        os.kill(os.getpid(), signal.SIGKILL)
