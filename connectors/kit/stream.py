"""Streams, slices and pages: how a system declares what it offers, and what the hub reads from it.

A system's file declares data (streams, settings) and pure adapters; the hub owns the store, the session
and the run. A slice ends only when its generator returns after an explicit end: an error is never an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
import pydantic

from receivables.errors import Misconfigured, Unreadable
from receivables.records import ControlTotal, Record

if TYPE_CHECKING:
    from connectors.kit.http import Session


@dataclass(frozen=True)
class Access:
    """What the hub lends for one run: a signing session, the connector's settings and its frozen now."""

    session: Session | None  # None: the system has no origin, so it is not asked over HTTP
    settings: Any  # an instance of the system's own Settings
    now: datetime  # aware, UTC; frozen for the run
    zone: ZoneInfo  # the ERP server's zone, in which its dates without a time are read
    connector: str  # its key, for messages
    catching_up: bool = False  # with what is posted while this run reads: seconds of overlap are enough

    @property
    def http(self) -> Session:
        """The signing session; Misconfigured where the system has no origin to sign for."""
        if self.session is None:
            raise Misconfigured(
                f"{self.connector} is not read over HTTP, so there is no session to ask with."
            )
        return self.session


# The bytes of one JSON object or XML element as received. A Raw is a view into its page: it can be hashed and
# decoded as it is; `bytes(row)` makes a copy that outlives the page.
Row = bytes | msgspec.Raw


@dataclass(frozen=True)
class Page:
    """Raw rows of one answer, each kept as received, in the order received.

    `last` is true only for the page that ends the slice explicitly.
    """

    number: int
    rows: Sequence[Row]
    last: bool
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Slice:
    """One ordered read that can be done again as a whole: the unit of resume.

    `name` is unique in the run's plan and stable between a run and its resumption
    (`open_items/1010/2026-01`). `bookmark` names the bookmark that `reached` moves when the run is
    published (None: no bookmark). `skip_unchanged` lets the hub drop rows whose digest is published.
    """

    stream: str
    name: str
    pages: Callable[[Access], Iterator[Page]]
    adapter: str  # key into System.adapters
    bookmark: str | None = None
    reached: str | None = None  # the bookmark's value once this slice is published
    skip_unchanged: bool = True


Adapter = Callable[[Sequence[Row]], "Adapted"]


@dataclass
class Adapted:
    """What an adapter made of some raw rows: canonical records, and (raw row, Unreadable) pairs.

    `keys` are the (place of the row in what was given, native key) of the rows that could be read: the hub
    keeps their digests, so that they are skipped until they change. A row that was refused is read again.
    """

    records: list[Record] = field(default_factory=list)
    keys: list[tuple[int, bytes]] = field(default_factory=list)
    unreadable: list[tuple[bytes, Unreadable]] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """One step of a connector's test, with what to do when it fails."""

    name: str  # Name, TLS, Sign in, customers, accounting_items 1010, Control totals
    ok: bool
    sentence: str
    milliseconds: int


@dataclass(frozen=True)
class Difference:
    """One place where the ERP's books and ours disagree; input of `explain`."""

    entity: str
    account: str
    basis: str
    currency: str
    customer: str | None  # None: the whole account; '': posted to the account without a customer
    erp: str
    hub: str


@dataclass(frozen=True)
class Explained:
    """One line of an explanation: where, which document or item, how much, and a sentence."""

    entity: str
    account: str
    currency: str
    customer: str | None
    document: str | None
    difference: str  # ERP minus hub
    sentence: str


@dataclass(frozen=True)
class Capabilities:
    """What a system offers, for its card: each field is proven by the conformance suite or is a sentence.

    `modes` are those of its runs (snapshot, delta, sweep), `grade` that of its control totals (ledger,
    aggregate, none). `unseen` are sentences about what it cannot see, whatever is done.
    """

    modes: Sequence[str]
    changes: str  # how a delta finds what changed
    deletes: str  # how what is gone is found, and what closes it
    grade: str
    totals: str  # where the control totals come from
    allocations: str  # whether the ERP states what paid what
    taxes: str = "Not read: documents have no net and no tax."
    unseen: Sequence[str] = ()


class System(Protocol):
    """The code for one kind of ERP: everything the hub needs, declared."""

    name: str  # sap_s4hana
    title: str  # SAP S/4HANA
    version: str  # adapter version: part of every row's digest; a new one reads all again
    capabilities: Capabilities
    absent_is_deleted: bool  # whether a read by key that finds nothing says that the ERP has deleted it
    Settings: type[pydantic.BaseModel]
    adapters: Mapping[str, Callable[[Access], Adapter]]  # name -> factory; an adapter asks for nothing

    @property
    def billing(self) -> Callable[[Access, Sequence[tuple[str, str]]], Slice] | None:
        """Gives a slice that reads these billing documents (entity, number) by key; None: there are none."""

    @property
    def credentials(self) -> Sequence[str]:
        """The kinds of credential that it takes, the usual one first: basic, oauth, intacct; empty: none."""

    def erp(self, settings: Any) -> tuple[str, int]:
        """The key of the ERP's own limit and how many runs may read it at once."""

    def origin(self, settings: Any) -> str | None:
        """Scheme, host and port that requests are signed for. None: it is not asked over HTTP."""

    def plan(self, access: Access, bookmarks: Mapping[str, str], *, sweep: bool) -> Sequence[Slice]:
        """The slices of this run, in order; without bookmarks the first load.

        Asked again in further passes of a run, with the bookmarks that its slices have reached by then.
        """

    def period(self, access: Access, first: date, following: date) -> Sequence[Slice]:
        """Slices that read again all that was posted from `first` to before `following`."""

    def totals(self, access: Access, accounts: Sequence[tuple[str, str]]) -> Sequence[ControlTotal]:
        """The ERP's control totals for these and all further control accounts it knows (entity, account)."""

    def documents(self, access: Access, keys: Sequence[tuple[str, str, str]]) -> Slice:
        """A slice that reads these documents and receipts (entity, fiscal year, number) whole, by key.

        Its rows are read even if they are published already, and each becomes a Swept as well: what is
        asked for and not shown may be gone.
        """

    def customers(self, access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
        """A slice that reads these customers (entity, number) by key."""

    def explain(
        self,
        access: Access,
        differences: Sequence[Difference],
        ours: Callable[[Difference, date], Iterable[tuple[str, str]]],
    ) -> Sequence[Explained]:
        """Names the smallest set of items behind the differences with at most 20 further requests.

        `ours(difference, as_of)` gives our (number/fiscal_year, amount) pairs of that place.
        """

    def test(self, access: Access) -> Iterator[Check]:
        """Checks step by step and writes nothing."""
