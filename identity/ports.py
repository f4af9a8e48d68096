"""What identity needs from others, as small protocols; whoever wires the program hands them in.

Refuses to know who implements them: no other part of Encours is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

import psycopg
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from identity.secret import Key

if TYPE_CHECKING:
    from identity.checkpoints import Checkpoint

Sign = Callable[[PreparedRequest], PreparedRequest]


class Connector(Protocol):
    """A tenant's link to a service: `origin` is scheme://host[:port], the only place its secret may go."""

    @property
    def tenant_id(self) -> int:
        """The tenant whose link it is."""

    @property
    def key(self) -> str:
        """Its name in this installation, for messages and the audit."""

    @property
    def credential_id(self) -> UUID | None:
        """The credential it signs with; None while it has none."""

    @property
    def origin(self) -> str:
        """Where its requests go."""


class Database(Protocol):
    """Gives a connection of the role encours_identity; leaving it in order commits, else rolls back."""

    def __call__(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        """A connection nobody else uses meanwhile; raises psycopg.OperationalError while there is none."""


class Exchange(Protocol):
    """Sends one request by POST and gives the complete answer, within the limits of the one who lends it."""

    def __call__(self, url: str, body: bytes, sign: Sign) -> bytes:
        """The answer's body; `sign` puts the secrets into the request just before it is sent.

        Follows no redirect. Its errors pass through.
        """


class Transport(Protocol):
    """Makes transports for requests to token providers, each used for one request and then closed."""

    def __call__(self) -> HTTPAdapter:
        """A fresh transport that connects to addresses which may be reached, and to no other.

        Its `send` raises Denied with the code address_refused for another one, before anything is sent, and
        for plain http outside of the private networks.
        """


class Clock(Protocol):
    """The time now, with a time zone."""

    def __call__(self) -> datetime:
        """Now."""


class Sleep(Protocol):
    """Pauses the thread."""

    def __call__(self, seconds: float, /) -> None:
        """For so many seconds."""


class Passing(Protocol):
    """Is told when a renewal passes a named point, at which a test may kill the process."""

    def __call__(self, point: str, /) -> None:
        """This point is reached."""


class Checkpoints(Protocol):
    """A second place, outside of the database, that remembers where each tenant's audit chain ended."""

    def add(self, checkpoint: Checkpoint) -> None:
        """Keeps it, beside those of before."""

    def last(self, tenant_id: int) -> Checkpoint | None:
        """The last one kept of this tenant; raises Denied if what is kept cannot be read."""


class Wrapped(NamedTuple):
    """A data key that only the key service can open: by which of its key versions, and the ciphertext."""

    version: str
    ciphertext: bytes


class Kms(Protocol):
    """A key service: it holds the keys that wrap data keys, and never gives them out.

    A local file, Vault Transit or a cloud's: tests/identity/test_kms_contract.py says what each must do.
    """

    def wrap(self, data_key: Key, context: bytes, known: Collection[str]) -> Wrapped:
        """Wraps a data key for this context with the current key version.

        `known` are the versions that this installation has sealed with: a service that lacks one of them
        is not the right one and refuses (Denied); only where there are none may it make its first key.
        """

    def current(self) -> str:
        """The version that wraps from now on; raises Denied where there is no key yet."""

    def rotate(self, known: Collection[str]) -> str:
        """Makes a new key the current one and gives its version; what older ones wrapped still opens.

        `known` as in `wrap`: a service that lacks one of them makes no other.
        """

    def unwrap(self, wrapped: Wrapped, context: bytes) -> Key:
        """The data key; raises Denied if the version is unknown or the context or a byte differs."""
