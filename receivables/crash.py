"""Places at which a process can be made to kill itself, to prove that nothing is lost or doubled there.

ENCOURS_CRASH_AT=<point>[:n] sends SIGKILL to the process when it passes the point for the n-th time; without
it a passage does nothing. Source: design, reliability's crash matrix.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

OF_A_SYNC: Final = {
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
OF_A_TOKEN: Final = {
    "token_intended": "that the provider will be asked is committed, and it is not asked",
    "token_answered": "the provider has answered, and nothing of it is stored",
    "token_storing": "the new token and its audit entry are written, before the COMMIT",
    "token_stored": "after the COMMIT, before the lock is released",
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
