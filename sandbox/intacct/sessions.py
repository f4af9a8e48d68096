"""Sessions of the gateway: opened by `getAPISession`, valid on one host, sliding with each call.

That the timeout slides and that later calls go to the answered endpoint is documented [D]; the code and the
words of a failure are not verified [K]. It refuses unknown and expired sessions and those of another host.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field


@dataclass
class Session:
    """One session: its entity (empty: top level) and when it ends, on the process's own clock."""

    token: str
    location: str
    ends: float


@dataclass
class Sessions:
    """The sessions of one company; `seconds` is how long one lives without a call."""

    seconds: float = 3600.0
    _held: dict[str, Session] = field(default_factory=dict)

    def open(self, location: str) -> Session:
        """Open a session."""
        session = Session(f"{secrets.token_urlsafe(24)}..", location, time.monotonic() + self.seconds)
        self._held[session.token] = session
        return session

    def use(self, token: str) -> Session | None:
        """Give a session that is still valid and let it live on."""
        session = self._held.get(token)
        if session is None or session.ends <= time.monotonic():
            self._held.pop(token, None)
            return None
        session.ends = time.monotonic() + self.seconds
        return session

    def end_all(self) -> int:
        """End every session and say how many there were."""
        count = len(self._held)
        self._held.clear()
        return count
