"""What the suite is lent: an ERP that can be made to do business, and a hub's connector to it.

The Protocols are the suite's own; who runs it implements them, so that the kit knows neither hub nor ERP.
Amounts are exact, signed as ours: positive is owed to us. Days are of the ERP's own calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from receivables.errors import HubError

Key = tuple[str, ...]
Row = Mapping[str, Any]  # a published row, by the names of its table's columns

# -- an ERP's books ----------------------------------------------------------------------------------------


class Owed(NamedTuple):
    """One open item; its key is (entity, fiscal year, number, instalment, account)."""

    customer: str
    currency: str
    original: Decimal
    open: Decimal
    company_currency: str
    company_original: Decimal
    company_open: Decimal
    due_on: date | None


class Unapplied(NamedTuple):
    """What of one receipt is not applied; its key is (entity, fiscal year, number, account, customer)."""

    currency: str
    amount: Decimal
    company_currency: str
    company_amount: Decimal


# Base and tax of a document by category and rate in percent.
Taxes = Mapping[tuple[str, Decimal], tuple[Decimal, Decimal]]


@dataclass(frozen=True)
class Evening:
    """The ERP's own books as they stand: what is open and what is not applied; nothing with zero left."""

    items: Mapping[Key, Owed]
    receipts: Mapping[Key, Unapplied]


class Document(NamedTuple):
    """A document that business has posted or touched."""

    entity: str
    fiscal_year: str
    number: str


# -- what an ERP does --------------------------------------------------------------------------------------


class Request(NamedTuple):
    """One answered request of the access log: the list it asked for, and how many rows it got."""

    number: int
    list: str
    rows: int


@dataclass(frozen=True)
class Misbehaviour:
    """Something that an ERP may send instead of the right answer, and what a sync must make of it.

    `means` is one of our errors, `set aside` (the run is held by a reject) or `endured` (nothing happens).
    """

    name: str
    means: type[HubError] | str


@dataclass(frozen=True)
class Profile:
    """What an ERP is like, and by the names of cases what of the suite it cannot have."""

    zone: str  # of the calendar that it enters documents by
    items: str  # the list that open items are read from
    small_page: int  # rows; a list of its items is several such pages long
    short_history: Mapping[str, Any]  # settings by which a first load is short, and reads all that is open
    pagings: Sequence[str]  # the forms in which it hands out a list that is longer than a page
    misbehaviours: Sequence[Misbehaviour]
    lacks: Mapping[str, str]  # why a case cannot be had
    swept: Mapping[str, str]  # why no delta can see it before the next sweep
    unstated: Mapping[str, str]  # what of it the ERP does not say
    missing: Mapping[str, str]  # what the connector cannot do yet: the case must fail until it can


class Erp(Protocol):
    """One system's own ERP, as its accountants and its operators work with it."""

    @property
    def system(self) -> str:
        """Its name in the visible list."""

    @property
    def profile(self) -> Profile:
        """What it is like."""

    def settings(self, **changes: Any) -> Mapping[str, Any]:
        """A connector's settings; `page_size` and the system's own may be changed."""

    def now(self) -> datetime:
        """The ERP's moment, aware."""

    def begin(self, day: date) -> None:
        """Ends its day and goes to a later one."""

    def post(
        self,
        business: str,
        times: int = 1,
        *,
        on: date | None = None,
        late: bool = False,
        currency: str | None = None,
    ) -> Sequence[Document]:
        """Does business of a kind (`credit_note`, `partial_payment` ...), posted today or `on` a day.

        `late`: entered before the last read and committed only now, as far back as this ERP can do that.
        `currency`: of the documents, where they are new ones.
        """

    def hide(self) -> Sequence[Key]:
        """Shows the open items of a document to nobody who reads, while they are still owed; their keys."""

    def evening(self) -> Evening:
        """Its books as they stand, whatever it shows to those who read."""

    def taxes(self, document: Document) -> Taxes:
        """What the invoice of a document says of its taxes, signed as the debt; nothing without one."""

    def requests(self, since: int = 0) -> Sequence[Request]:
        """The access log after this number."""

    def page(self, form: str, limit: int) -> None:
        """Hands out lists in one of its forms, at most `limit` rows an answer where the form has a limit."""

    def misbehave(self, name: str) -> None:
        """Misbehaves in this way until told to be well."""

    def misprint(self, amount: str, currency: str) -> None:
        """Prints this amount in one row of this currency until told to be well."""

    def interrupt(self, after: int) -> None:
        """Cannot be reached once it has answered so many requests for items, until told to be well."""

    def end_sign_ins(self, after: int) -> None:
        """Forgets everybody who is signed in once it has answered so many requests for items."""

    def well(self) -> None:
        """Ends faults, misbehaviour and unusual pages."""


# -- a hub's connector -------------------------------------------------------------------------------------


class Total(Protocol):
    """One line of a comparison with the ERP's control totals."""

    @property
    def entity(self) -> str:
        """The legal entity."""

    @property
    def account(self) -> str:
        """The control account."""

    @property
    def basis(self) -> str:
        """`company` or `document` currency."""


class Result(Protocol):
    """What one sync did."""

    @property
    def state(self) -> str:
        """`published` or `held`."""

    @property
    def verdict(self) -> str:
        """`equal`, or why not."""

    @property
    def grade(self) -> str:
        """Of the control totals: `ledger`, `aggregate` or `none`."""

    @property
    def mode(self) -> str:
        """`snapshot`, `delta` or `sweep`."""

    @property
    def rows_staged(self) -> int:
        """Rows that were new or had changed."""

    @property
    def rejects(self) -> int:
        """Rows that were set aside."""

    @property
    def totals(self) -> Sequence[Total]:
        """What was compared, whole accounts."""

    @property
    def explanation(self) -> Sequence[str]:
        """What differs, in sentences."""


class Connector(Protocol):
    """A hub's connector to an ERP, with the ERP's clock; it takes no pauses between tries."""

    @property
    def key(self) -> str:
        """Its name in messages."""

    def sync(self, *, sweep: bool | None = None) -> Result:
        """Reads and publishes what agrees; raises the hub's errors."""

    def rows(self, table: str) -> Sequence[Row]:
        """The published rows of a table: open_item, receipt, allocation, document, control_account ..."""

    def content(self) -> str:
        """The content hash of the latest publication; empty before the first."""

    def suspects(self) -> int:
        """How many open items the latest run did not find."""

    def reasons(self) -> Sequence[tuple[str, str]]:
        """(code, field) of every open reject."""


class Setup(Protocol):
    """Makes ERPs and connectors; they end with the tests."""

    def erp(self, system: str, today: date | None = None) -> Erp:
        """An ERP with a history of its own; `today` None: a day that the tests have chosen."""

    def connect(self, erp: Erp, clock: Callable[[], datetime] | None = None, **settings: Any) -> Connector:
        """A new connector to an ERP, in a hub whose clock is the ERP's or the one given."""
