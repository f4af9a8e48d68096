"""Steps of a connector's test: how the outcome of one is told.

Writes nothing. A step that fails says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from connectors.kit.stream import Check
from receivables.errors import HubError


def checked(name: str, step: Callable[[], str]) -> Check:
    """The outcome of one step and how long it took."""
    began = time.monotonic()
    try:
        sentence, ok = step(), True
    except HubError as error:
        sentence, ok = str(error), False
    return Check(name, ok, sentence, round((time.monotonic() - began) * 1000))
