"""Every error of Encours, named after what to do next.

HubError
├── Transient        try again later; nothing is wrong with the settings
│   ├── RateLimited  try again after `retry_after` seconds
│   └── Moved        the other system went on posting while we read
├── Fatal            trying again will not help
│   ├── Misconfigured  somebody must change a setting, a right or a password
│   ├── Rejected       the other system sent what cannot be read or trusted
│   └── Conflict       somebody else did it first
└── Unreadable       one row cannot be read: it becomes a Reject, the rest goes on

Messages name the connector, the stream, the field and what the person can do. They never hold a secret.
"""

from __future__ import annotations


class HubError(Exception):
    """The root: nothing raises it itself."""


class Transient(HubError):
    """It may work the next time: a time-out, an answer 503."""


class RateLimited(Transient):
    """The other system, or our own limit for it, asks us to wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Moved(Transient):
    """The other system went on posting while we read: what was read is of different moments."""


class Fatal(HubError):
    """Trying again without a change will fail again."""


class Misconfigured(Fatal):
    """A setting, a right, an address or a password must be changed by a person."""


class Rejected(Fatal):
    """The other system's answer breaks its contract or our limits; nothing of it was used."""


class Conflict(Fatal):
    """Somebody else holds or changed what this call needed."""


class Unreadable(HubError):
    """One row cannot be read: `code` for machines, `field` as the other system names it, a sentence.

    `key` is the row's own key, set by the adapter where it could be read.
    """

    def __init__(self, code: str, field: str, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.key = key
