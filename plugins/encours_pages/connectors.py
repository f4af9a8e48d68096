"""What the Connectors page shows: which books can I not trust right now, and what does it cost?

Pure: statuses and a moment go in, rows and sentences come out. Refuses an unknown state in the address.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING

from plugins.encours_pages import addresses, figures

if TYPE_CHECKING:
    from encours.overview import ConnectorStatus

WORDS = {
    "held": "Held",
    "failing": "Failing",
    "needs_consent": "Needs consent",
    "stale": "Stale",
    "not_proven": "Not proven",
    "paused": "Paused",
    "tied_out": "Tied out",
}
"""Every state in the order of the chips; the key is also the shape's name and the CSS class."""

UNKNOWN = "-"


@dataclass(frozen=True)
class Moment:
    """A moment as text, with its exact value for machines and for the title."""

    text: str
    machine: str
    title: str


@dataclass(frozen=True)
class Row:
    """One connector, ready to print."""

    key: str
    tenant: str
    system: str
    state: str
    word: str
    since: str
    sentence: str
    differences: Sequence[str]
    open_amounts: Sequence[str]
    published: Moment | None
    publication: str
    age: str
    deadline: str
    late: bool
    rejects: str
    rows: str
    next_run: Moment | None
    runs: str


@dataclass(frozen=True)
class Chip:
    """One filter: a state, how many are in it, and its address; `current` is the one that is shown."""

    state: str
    word: str
    count: str
    address: str
    current: bool


@dataclass(frozen=True)
class ConnectorsPage:
    """The whole page; `rows` are in the order of what a wrong book costs."""

    summary: str
    chips: Sequence[Chip]
    rows: Sequence[Row]
    empty: str | None
    checked: Moment


class UnknownState(ValueError):
    """The address asks for a state that does not exist."""


def connectors_page(
    statuses: Sequence[ConnectorStatus], *, state: str | None, everything: bool, now: datetime, zone: tzinfo
) -> ConnectorsPage:
    """The page for one filter: `state` alone, or `everything`, or what needs a look.

    When nothing needs a look all rows are shown, because an empty page would prove nothing. Raises
    UnknownState.
    """
    if state is not None and state not in WORDS:
        raise UnknownState(f"There is no state {state!r}. Known: {', '.join(WORDS)}.")
    look = [s for s in statuses if s.state != "tied_out"]
    if state is not None:
        shown = [s for s in statuses if s.state == state]
    else:
        shown = list(statuses) if everything or not look else look
    shown.sort(key=lambda status: _rank(status, now))
    return ConnectorsPage(
        summary=_summary(statuses, look, now, zone),
        chips=_chips(statuses, state, everything=state is None and len(shown) == len(statuses)),
        rows=[_row(status, now, zone) for status in shown],
        empty=_empty(statuses, shown, state),
        checked=_moment(now, now, zone),
    )


def _rank(status: ConnectorStatus, now: datetime) -> tuple[object, ...]:
    """Amount times hours past the deadline, highest first; then the amount, the hours, the key.

    Amounts of different currencies are compared as numbers until rates are stored, for the order only.
    """
    difference = max((abs(value) for value, _ in status.difference), default=Decimal(0))
    amount = difference if status.state == "held" else Decimal(0)
    late = (_age(status, now) or timedelta(0)) - timedelta(minutes=status.deadline_minutes)
    hours = max(Decimal(0), Decimal(int(late.total_seconds())) / 3600)
    quiet = status.state in {"tied_out", "paused"}
    return quiet, -amount * hours, -amount, -hours, list(WORDS).index(status.state), status.key


def _age(status: ConnectorStatus, now: datetime) -> timedelta | None:
    return None if status.published_at is None else now - status.published_at


def _row(status: ConnectorStatus, now: datetime, zone: tzinfo) -> Row:
    age = _age(status, now)
    deadline = timedelta(minutes=status.deadline_minutes)
    return Row(
        key=status.key,
        tenant=status.tenant,
        system=status.title,
        state=status.state,
        word=WORDS[status.state],
        since="" if status.since is None else figures.age(now - status.since),
        sentence=status.sentence,
        differences=_differences(status),
        open_amounts=[figures.amount(value, currency) for value, currency in status.open_amounts]
        or [UNKNOWN],
        published=None if status.published_at is None else _moment(status.published_at, now, zone),
        publication="" if status.publication is None else figures.count(status.publication),
        age=UNKNOWN if age is None else figures.age(age),
        deadline=figures.age(deadline),
        late=age is not None and age > deadline,
        rejects=figures.count(status.rejects),
        rows=UNKNOWN if status.rows is None else figures.count(status.rows),
        next_run=_next_run(status, now, zone),
        runs=addresses.runs(status.key),
    )


def _next_run(status: ConnectorStatus, now: datetime, zone: tzinfo) -> Moment | None:
    if status.next_run is None:
        return None
    text = "now" if status.next_run <= now else f"in {figures.age(status.next_run - now)}"
    return dataclasses.replace(_moment(status.next_run, now, zone), text=text)


def _differences(status: ConnectorStatus) -> list[str]:
    """What differs, largest first; equal books differ by 0.00; books that nobody compared are unknown."""
    unequal = sorted((d for d in status.difference if d[0]), key=lambda d: -abs(d[0]))
    if unequal:
        return [figures.amount(value, currency) for value, currency in unequal]
    return ["0.00"] if status.state == "tied_out" else [UNKNOWN]


def _moment(at: datetime, now: datetime, zone: tzinfo) -> Moment:
    return Moment(
        text=figures.moment(at, now, zone),
        machine=at.astimezone(UTC).isoformat(timespec="seconds"),
        title=figures.exact(at, zone),
    )


def _summary(
    statuses: Sequence[ConnectorStatus], look: Sequence[ConnectorStatus], now: datetime, zone: tzinfo
) -> str:
    if not statuses:
        return ""
    if look:
        verb = "needs" if len(look) == 1 else "need"
        return f"{figures.count(len(look))} of {figures.count(len(statuses))} {verb} a look.{_held(look)}"
    oldest = min(status.published_at for status in statuses if status.published_at is not None)
    all_of_them = "The only connector is" if len(statuses) == 1 else f"All {figures.count(len(statuses))} are"
    return f"{all_of_them} tied out. Oldest publication: {figures.moment(oldest, now, zone)}."


def _held(look: Sequence[ConnectorStatus]) -> str:
    """How many are held and the largest difference, unless it would compare two currencies."""
    held = [status for status in look if status.state == "held"]
    differences = [difference for status in held for difference in status.difference]
    if not held:
        return ""
    if len({currency for _, currency in differences}) != 1:
        return f" {figures.count(len(held))} held."
    value, currency = max(differences, key=lambda difference: abs(difference[0]))
    return f" {figures.count(len(held))} held, {figures.amount(abs(value), currency)} the largest."


def _chips(statuses: Sequence[ConnectorStatus], state: str | None, *, everything: bool) -> list[Chip]:
    counts = Counter(status.state for status in statuses)
    chips = [
        Chip(key, word, figures.count(counts[key]), addresses.address(f"/?state={key}"), current=key == state)
        for key, word in WORDS.items()
        if counts[key] or key == state
    ]
    total = figures.count(len(statuses))
    return [*chips, Chip("all", "All", total, addresses.address("/?all=1"), current=everything)]


def _empty(
    statuses: Sequence[ConnectorStatus], shown: Sequence[ConnectorStatus], state: str | None
) -> str | None:
    if not statuses:
        return "No connector yet. Add the first one: encours connectors add."
    if not shown and state is not None:
        return f"No connector is in the state {WORDS[state]}."
    return None
