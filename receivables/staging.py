"""What a run has read but not published: rows, rejects and the page log, in unlogged tables keyed by run.

Pages are staged in transactions of a thousand new rows, and at the end of a slice. Refuses nothing by itself:
what may be staged is the run's business. All of it vanishes together when the database server crashes; a
resume decides on what is here, never on memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import psycopg
import xxhash
from psycopg import sql
from psycopg.rows import dict_row

from receivables import copy_text
from receivables.crash import passing
from receivables.digests import Digests
from receivables.kinds import KIND_OF, PUBLISHED, Kind, columns, same
from receivables.queries import queries
from receivables.records import ControlTotal, Customer, Record, Reject

SQL = queries(__file__)
BATCH = 1_000  # new rows that are staged together
PAGE_BITS = 20  # seq = page ordinal x 2^20 + line
WORKED_OUT = -(1 << 40)  # the first seq of rows that are worked out from those read
TABLES = (
    *(kind.staged for kind in KIND_OF.values()),
    sql.Identifier("receivables", "staged_raw_digest"),
    sql.Identifier("receivables", "staged_reject"),
)
COPY: Mapping[str, sql.Composed] = {
    **{
        kind.name: sql.SQL(SQL["copy"]).format(table=kind.staged, columns=columns(kind.fields))
        for kind in KIND_OF.values()
    },
    **{name: sql.Composed([sql.SQL(SQL[f"copy_{name}s"])]) for name in ("raw_digest", "reject", "page")},
}
DERIVED = tuple(
    sql.Identifier("receivables", name)
    for name in ("staged_withdrawal", "staged_suspect", "staged_closing", "staged_alias")
)
MARKS = tuple(sql.Identifier("receivables", name) for name in ("staged_control_total", "page", "staged_run"))


class Slice(Protocol):
    """What staging needs to know of a slice (see connectors.kit.stream)."""

    @property
    def stream(self) -> str:
        """The list that is read."""

    @property
    def name(self) -> str:
        """Unique in the run, the same when the run is resumed."""

    @property
    def bookmark(self) -> str | None:
        """The bookmark that moves when the run is published."""

    @property
    def reached(self) -> str | None:
        """Where it moves to."""


class Page(Protocol):
    """What staging needs to know of a page."""

    @property
    def number(self) -> int:
        """Its place in the slice."""

    @property
    def rows(self) -> Sequence[bytes]:
        """The raw rows received."""

    @property
    def last(self) -> bool:
        """Whether the slice ended with it, explicitly."""


class Adapted(Protocol):
    """What an adapter made of a page's new rows."""

    @property
    def records(self) -> Sequence[Record]:
        """Canonical records, in the order read."""


class Staging:
    """The staged rows of one run, on the run's own connection; every method is one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> None:
        self._connection = connection
        self._scope = scope  # tenant_id, connector_id, run_id
        self._run = str(scope["run_id"])
        self._known: dict[str, Digests] = {}
        self._settled = False
        self._unknown: list[tuple[str, str]] | None = None  # None: not asked since the last page
        self._waiting: defaultdict[str, bytearray] = defaultdict(bytearray)  # by name in COPY
        self._rows = 0
        self.done, self._ordinal = self._resume()
        self._further = bool(self.done)  # whether rows staged before are known rows by now
        self._first = 0  # the first seq of this pass

    def _resume(self) -> tuple[set[str], int]:
        """The slices that ended; what was staged of others is deleted, because a slice is read as a whole."""
        with self._connection.transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
            progress = cursor.execute(SQL["progress"], self._scope).fetchone() or {}
            if progress["unfinished"]:
                lost = {**self._scope, "ordinals": progress["unfinished"]}
                cursor.execute(SQL["forget_pages"], lost)
                for table in TABLES:
                    cursor.execute(sql.SQL(SQL["forget_rows"]).format(table=table), lost)
        return set(progress["done"]), progress["next_ordinal"]

    def begin_again(self) -> None:
        """Deletes what was staged of a slice that did not end: it is read again from its first page."""
        self.flush()
        self.done, self._ordinal = self._resume()
        self._settled, self._unknown = False, None

    def add(
        self,
        slice_: Slice,
        page: Page,
        records: Iterable[Record],
        digests: Sequence[tuple[bytes, bytes]],
        rejects: Sequence[Reject],
    ) -> None:
        """Takes one page; `digests` are (native key, 16-byte digest) of the raw rows that became records.

        Pages wait until together they bring BATCH rows, a row is set aside or the slice ends: a slice is read
        again as a whole, so nothing is gained by a transaction for each page of few news.
        """
        first = self._ordinal << PAGE_BITS
        by_type: dict[type, list[Record]] = defaultdict(list)
        for record in records:
            by_type[type(record)].append(record)
        for type_, of_type in by_type.items():
            kind = KIND_OF[type_]
            self._waiting[kind.name] += copy_text.with_digests(
                self._run, first, copy_text.lines(of_type), kind.seed
            )
        self._waiting["raw_digest"] += _digest_lines(self._run, first, slice_.stream, digests)
        self._waiting["reject"] += _reject_lines(self._run, first, rejects)
        counts = (len(page.rows), len(digests), len(rejects))
        self._waiting["page"] += _line(
            self._run, slice_.name, page.number, self._ordinal, slice_.stream, page.last, *counts,
            slice_.bookmark, slice_.reached,
        )  # fmt: skip
        self._rows += len(digests)
        self._ordinal += 1
        self._settled, self._unknown = False, None
        if page.last:
            passing("last_page")
            self.done.add(slice_.name)
        if page.last or rejects or self._rows >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Stages the pages that wait, in one transaction."""
        if not self._waiting:
            return
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for name, text in self._waiting.items():
                if text:
                    with cursor.copy(COPY[name]) as copy:
                        copy.write(text)
                        passing("rejecting" if name == "reject" else "copying")
            passing("staged")
            passing("commit_sent", lambda: self._connection.pgconn.send_query(b"commit"))
        passing("committed")
        self._waiting.clear()
        self._rows = 0

    def reached(self) -> dict[str, str]:
        """How far the slices that ended reach, by bookmark; from here on what they staged is known."""
        self.settle()
        self._known.clear()
        self._further, self._first = True, self._ordinal << PAGE_BITS
        return dict(self._connection.execute(SQL["reached"], self._scope).fetchall())

    def news(self) -> bool:
        """Whether a record staged in this further pass is none that was known; to be asked before `settle`.

        An ERP may give one row in two forms, of which the digests differ and the records do not.
        """
        self.flush()
        with self._connection.transaction(), self._connection.cursor() as cursor:
            set_tenant(cursor, self._scope["tenant_id"])
            for kind in PUBLISHED:
                query = sql.SQL(SQL["news"]).format(
                    staged=kind.staged,
                    current=kind.current,
                    same_staged=same(kind.key, "b", "n"),
                    same_current=same(kind.key, "c", "n"),
                )
                (found,) = cursor.execute(query, {**self._scope, "first": self._first}).fetchone() or (True,)
                if found:
                    return True
        return False

    def known(self, stream: str) -> Digests:
        """The 16-byte digests of this stream's raw rows as published, or as staged before this pass."""
        if stream not in self._known:
            with self._connection.transaction(), self._connection.cursor(binary=True) as cursor:
                set_tenant(cursor, self._scope["tenant_id"])
                query = SQL["known_digests_again" if self._further else "known_digests"]
                rows = cursor.stream(query, {**self._scope, "stream": stream})
                self._known[stream] = Digests(blob for (blob,) in rows)
        return self._known[stream]

    def analyze(self) -> None:
        """Tells the database's planner what is staged by now."""
        self._connection.execute(SQL["analyze"], self._scope)

    def settle(self) -> None:
        """Leaves one row per key, the one read last, and of what was set aside what it still is."""
        if self._settled:
            return
        self.flush()
        self.analyze()
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for kind in KIND_OF.values():
                self._keep_last(cursor, kind.staged, kind.key)
            self._keep_last(cursor, TABLES[-2], ("stream", "key"))
            cursor.execute(SQL["forget_mended"], self._scope)
        self._settled = True

    def unknown_customers(self) -> list[tuple[str, str]]:
        """(entity, number) of the customers that staged items name and of whom no more than that is known."""
        if self._unknown is None:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                set_tenant(cursor, self._scope["tenant_id"])
                self._unknown = cursor.execute(SQL["unknown_customers"], self._scope).fetchall()
        return self._unknown

    def complete_customers(self) -> None:
        """Gives every item a customer, marked incomplete where its number is all that is known.

        To be called in the transaction that publishes: until then the customer may still be read.
        """
        missing = [
            Customer(number=number, entity=entity, printed=number, name=None, incomplete=True)
            for entity, number in self.unknown_customers()
        ]
        if missing:
            with self._connection.cursor() as cursor:
                copy_rows(
                    cursor, KIND_OF[Customer], self._scope["run_id"], self._ordinal << PAGE_BITS, missing
                )

    def keep_totals(self, at: str, totals: Iterable[ControlTotal]) -> None:
        """Keeps the ERP's totals of this end of the run: `before` or `after`."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(SQL["forget_totals"], {**self._scope, "at": at})
            with cursor.copy(SQL["copy_totals"]) as copy:
                for t in totals:
                    copy.write_row(
                        (self._run, at, t.entity, t.account, t.basis, t.currency, t.as_of, t.grade, t.closing,
                         t.customer, t.items)
                    )  # fmt: skip

    def totals(self, at: str) -> list[ControlTotal]:
        """The totals kept of this end of the run, in no particular order."""
        rows = self._connection.execute(SQL["totals_at"], {**self._scope, "at": at})
        return [
            ControlTotal(
                entity=entity, account=account, basis=basis, currency=currency, as_of=as_of, grade=grade,
                closing=closing, customer=customer, items=items,
            )
            for entity, account, basis, currency, as_of, grade, closing, customer, items in rows
        ]  # fmt: skip

    # -- rows ---------------------------------------------------------------------------------------------

    def _keep_last(self, cursor: psycopg.Cursor[Any], table: sql.Identifier, key: tuple[str, ...]) -> None:
        statement = sql.SQL(SQL["keep_last"]).format(
            table=table, key=columns(key), same_key=same(key, "s", "twice")
        )
        cursor.execute(statement, self._scope)


def _line(*values: object) -> bytes:
    return (copy_text.escaped(values) + "\n").encode()


def _digest_lines(run: str, first: int, stream: str, digests: Sequence[tuple[bytes, bytes]]) -> bytes:
    of_key, text = xxhash.xxh3_128_hexdigest, copy_text.escaped([stream])
    lines = [
        f"{run}\t{place}\t{text}\t{of_key(key)}\t{digest.hex()}\n"
        for place, (key, digest) in enumerate(digests, first)
    ]
    return "".join(lines).encode()


def _reject_lines(run: str, first: int, rejects: Sequence[Reject]) -> bytes:
    digest = xxhash.xxh3_128_hexdigest
    return b"".join(
        _line(
            run, place, r.stream, digest(r.raw), r.key, None if r.key is None else digest(r.key.encode()),
            r.code, r.field, r.message, rf"\x{r.raw.hex()}", r.adapter,
        )
        for place, r in enumerate(rejects, first)
    )  # fmt: skip


def copy_rows(
    cursor: psycopg.Cursor[Any], kind: Kind, run_id: int, first: int, records: Sequence[msgspec.Struct]
) -> None:
    """Stages records of one kind, their seq from `first` upwards, each with the digest of its content."""
    with cursor.copy(COPY[kind.name]) as copy:
        copy.write(copy_text.with_digests(str(run_id), first, copy_text.lines(records), kind.seed))


def set_tenant(cursor: psycopg.Cursor[Any], tenant_id: int) -> None:
    """Lets this transaction see and write this tenant's rows."""
    cursor.execute("select set_config('app.tenant', %s, true)", [str(tenant_id)])


def forget(connection: psycopg.Connection[Any], run_id: int) -> None:
    """Deletes all that a run has staged, its mark last, so that a kill in between leaves a rest to find."""
    for table in (*TABLES, *DERIVED, *MARKS):
        connection.execute(sql.SQL(SQL["forget_run"]).format(table=table), {"run_id": run_id})
