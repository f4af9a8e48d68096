"""A store on a fresh database, and the rows, pages and totals that its tests put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import xxhash

from receivables.records import ControlTotal, Document, OpenItem, Record, Reject
from receivables.store import Run, Store

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Slice:
    stream: str = "open_items"
    name: str = "open_items/1010/2026-01"
    bookmark: str | None = None
    reached: str | None = None


@dataclass(frozen=True)
class Page:
    number: int
    rows: Sequence[bytes]
    last: bool


@dataclass(frozen=True)
class Adapted:
    records: Sequence[Record]


@dataclass
class Clock:
    """A clock that moves a minute with every look."""

    now: datetime = START

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Office:
    """One installation's store, and short ways to fill it; `sql` asks as a role with a tenant."""

    url: Callable[[Any], str]
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = Store(lambda: psycopg.connect(self.url("encours_app")), self.clock)

    def run(self, **wanted: Any) -> AbstractContextManager[Run]:
        asked: dict[str, Any] = {
            "tenant_id": 1,
            "connector_id": 1,
            "connector": "acme-s4",
            "adapter_version": "1",
            "settings_digest": "s",
            "now": START,
            "day": date(2026, 11, 24),
            "sweep": None,
            "erp": "sap.example",
            "places": 2,
            "wait": 0.0,
        }
        return self.store.open_run(**asked | wanted)

    def sql(self, query: str, *values: Any, role: str = "encours_app", tenant: int = 1) -> list[Any]:
        with psycopg.connect(self.url(role)) as connection:
            connection.execute("select set_config('app.tenant', %s, true)", [str(tenant)])
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def load(self, *records: Record, number: str | None = None, **wanted: Any) -> Run:
        """A whole run of one page that is published because the totals are the sums of `records` and before."""
        with self.run(**wanted) as run:
            stage(run, *records, bookmark="open_items/1010/created", reached=number or "2026-11-24")
            run.tie_out(self.totals(run), {})
            run.publish()
        return run

    def totals(self, run: Run) -> list[ControlTotal]:
        """What an honest ledger would say of the run's books: asked from the store itself."""
        lines = run.tie_out([], {})
        return [total(line.entity, line.account, str(line.hub), currency=line.currency) for line in lines]


@pytest.fixture
def office(database: Any) -> Office:
    """A store on a database of its own."""
    return Office(database.url)


def item(number: str = "1800000012", **fields: Any) -> OpenItem:
    """An open item of 600.00 EUR; `original` also sets what is open and both company amounts."""
    amount = fields.get("original", "600.00")
    given: dict[str, Any] = {
        "entity": "1010",
        "fiscal_year": "2026",
        "instalment": "1",
        "account": "12100000",
        "customer": "10100001",
        "currency": "EUR",
        "original": amount,
        "open": "0.00" if fields.get("cleared_on") else amount,
        "company_currency": "EUR",
        "company_original": amount,
        "company_open": "0.00" if fields.get("cleared_on") else amount,
        "posted_on": "2026-01-15",
        "due_on": "2026-02-14",
        "cleared_on": None,
    }
    return OpenItem(number=number, **given | fields)


def document(number: str = "1800000012", **fields: Any) -> Document:
    given: dict[str, Any] = {
        "entity": "1010",
        "fiscal_year": "2026",
        "type": "RV",
        "kind": "invoice",
        "printed": number,
        "customer": "10100001",
        "status": "posted",
        "currency": "EUR",
        "issued_on": "2026-01-15",
        "posted_on": "2026-01-15",
    }
    return Document(number=number, **given | fields)


def total(entity: str, account: str, closing: str, **fields: Any) -> ControlTotal:
    given = {"basis": "company", "currency": "EUR", "as_of": "2026-11-30", "grade": "ledger"}
    return ControlTotal(entity=entity, account=account, closing=closing, **given | fields)


def stage(
    run: Run,
    *records: Record,
    slice_: str = "open_items/1010/2026-01",
    stream: str = "open_items",
    number: int = 0,
    last: bool = True,
    rows: Sequence[bytes] | None = None,
    keys: Sequence[tuple[bytes, bytes]] = (),
    faulty: Sequence[bytes] = (),
    rejects: Sequence[Reject] = (),
    bookmark: str | None = None,
    reached: str | None = None,
) -> None:
    """Stages one page of these records; `keys` are (native key, raw row), `faulty` keys of rows set aside."""
    received = [f"row {number}".encode()] * len(records) if rows is None else rows
    digests = [(key, xxhash.xxh3_128_digest(raw)) for key, raw in keys]
    digests += [(key, bytes(16)) for key in faulty]
    page = Page(number, received, last)
    run.stage(Slice(stream, slice_, bookmark, reached), page, Adapted(records), digests, rejects)


def reject(stream: str = "open_items", raw: bytes = b'{"NetDueDate":"30 February"}', **fields: Any) -> Reject:
    given = {
        "code": "day_form",
        "field": "NetDueDate",
        "message": "30 February is no day.",
        "key": "1010/2026/12/1",
    }
    return Reject(stream=stream, raw=raw, **given | fields)


@pytest.fixture
def make() -> SimpleNamespace:
    """The builders, for tests that cannot import this file."""
    return SimpleNamespace(item=item, document=document, total=total, stage=stage, reject=reject)
