"""One page ahead: the next request is at work while the page before it is worked on.

One thread, at most one page; a failure is raised where the page is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Value = TypeVar("Value")


def begun(turn: Callable[[], Value]) -> Future[Value]:
    """The turn at work in a thread of its own, which nobody has to wait for when the program is stopped."""
    coming: Future[Value] = Future()

    def work() -> None:
        try:
            coming.set_result(turn())
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            coming.set_exception(error)

    Thread(target=work, name="next page", daemon=True).start()
    return coming
