"""Waivers: rules that let books be published which differ, by no more than an amount, until a moment.

A rule is of one place: entity, control account, basis and currency. Its amount is compared with the
difference of the whole account and with the sum of its customers' differences, whatever their signs: two
errors that cancel are not waived by the nothing that they add up to. At most one rule of a place is in force:
a new one ends that of before. Source: design, the model's "Tie-out".
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from receivables.queries import queries
from receivables.tie_out import TieOut

SQL = queries(__file__)


class Place(NamedTuple):
    """Where books are compared: one control account, in company or document currency."""

    entity: str
    account: str
    basis: str
    currency: str


@dataclass(frozen=True)
class Waiver:
    """One rule; `largest` is in `currency`, moments are aware, `run` numbers the run that differs."""

    waiver_id: int
    connector: str
    run: int
    entity: str
    account: str
    basis: str
    currency: str
    largest: Decimal
    reason: str
    owner: str
    made_at: datetime
    until: datetime
    ended_at: datetime | None
    ended_by: str | None

    @property
    def place(self) -> Place:
        """What it is for."""
        return Place(self.entity, self.account, self.basis, self.currency)

    @property
    def sentence(self) -> str:
        """Who goes on with which difference, until when and why."""
        return (
            f"Waived by {self.owner} up to {self.largest:f} {self.currency} "
            f"until {self.until:%Y-%m-%d %H:%M} UTC: {self.reason}"
        )


def gaps(lines: Iterable[TieOut]) -> dict[Place, Decimal]:
    """By place, what a waiver must cover: the account's difference, or its customers' if that is more."""
    whole: dict[Place, Decimal] = {}
    parts: defaultdict[Place, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.status != "different":
            continue
        place = Place(line.entity, line.account, line.basis, line.currency)
        if line.customer is None:
            whole[place] = abs(line.difference)
        else:
            parts[place] += abs(line.difference)
    places = sorted({*whole, *parts})
    return {place: max(whole.get(place, Decimal(0)), parts.get(place, Decimal(0))) for place in places}


def judged(lines: Sequence[TieOut], waivers: Iterable[Waiver]) -> list[TieOut]:
    """The lines, those waived whose place has a rule that covers all of its difference."""
    rules: Mapping[Place, Waiver] = {waiver.place: waiver for waiver in waivers}
    covered = {place for place, gap in gaps(lines).items() if place in rules and gap <= rules[place].largest}

    def of(line: TieOut) -> TieOut:
        place = Place(line.entity, line.account, line.basis, line.currency)
        if line.status != "different" or place not in covered:
            return line
        told = " ".join(filter(None, (line.explanation, rules[place].sentence)))
        return dataclasses.replace(line, status="waived", explanation=told)

    return [of(line) for line in lines]


def in_force(cursor: psycopg.Cursor[Any], scope: Mapping[str, Any], now: datetime) -> list[Waiver]:
    """The connector's rules that neither ended nor ran out."""
    return _rows(cursor, "in_force", {**scope, "now": now, "connector": ""})


def waivers(cursor: psycopg.Cursor[Any], tenant_id: int, connector_id: int, connector: str) -> list[Waiver]:
    """Every rule of a connector, also those that are over, newest first."""
    return _rows(
        cursor,
        "waivers",
        {"tenant_id": tenant_id, "connector_id": connector_id, "connector": connector},
    )


def add(cursor: psycopg.Cursor[Any], scope: Mapping[str, Any], place: Place, rule: Mapping[str, Any]) -> None:
    """Adds a rule of this place; `rule` has run, largest, reason, owner, now and until."""
    asked = {**scope, **place._asdict(), **rule}
    cursor.execute(SQL["end_others"], asked)
    cursor.execute(SQL["add"], asked)


def end(cursor: psycopg.Cursor[Any], waiver_id: int, by: str, now: datetime) -> bool:
    """Ends a rule; false if it is over already. What was published with it stays."""
    return cursor.execute(SQL["end"], {"waiver_id": waiver_id, "by": by, "now": now}).rowcount == 1


def _rows(cursor: psycopg.Cursor[Any], query: str, asked: Mapping[str, Any]) -> list[Waiver]:
    with cursor.connection.cursor(row_factory=class_row(Waiver)) as typed:
        return typed.execute(SQL[query], asked).fetchall()
