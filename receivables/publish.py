"""Makes a run's staged rows the published ones: merge, history, digests, bookmarks, one publication.

Works inside the transaction it is given, so that all of it becomes visible at once or not at all. Whether a
run may be published is the gate's business (receivables.run); refused is an ageing that is not the balance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from receivables.ageing import BUCKET, BUCKETS
from receivables.billing import SIGN
from receivables.crash import passing
from receivables.errors import Conflict
from receivables.kinds import DOCUMENT, PUBLISHED, WITHDRAWN, Kind, columns, same
from receivables.queries import queries

SQL = queries(__file__)
BIG = 10_000  # rows written in one publication, from which fresh statistics are worth their time
HASH_BITS = 128


@dataclass(frozen=True)
class Publication:
    """What became visible at once. `counts` are rows per kind, `changes` rows written or taken away.

    `totals` are, per control account and currency, what is open of items and unapplied of receipts, exact
    text; the balance is open less unapplied, and the sum of its `buckets`, aged at the run's day.
    `content_hash` (32 hex digits) depends on the published rows alone, not on their order or history: it
    tells whether two installations show the same, and is no protection against forgery.
    """

    number: int
    published_at: datetime
    grade: str
    counts: Mapping[str, int]
    changes: Mapping[str, int]
    totals: list[Mapping[str, Any]]
    content_hash: str


def publish(
    connection: psycopg.Connection[Any],
    scope: Mapping[str, Any],
    grade: str,
    *,
    recount: bool,
    tell: Callable[[str], None],
) -> Publication:
    """Publishes inside the open transaction; `scope` has the run's ids, `adapter`, `day` and `now`.

    With `recount` the content hash is that of the rows, and `tell` is called if the last publication said
    another. Raises Conflict if the ageing of an account is not its balance.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        last = cursor.execute(SQL["last_publication"], scope).fetchone()
        counts = dict(last["counts"]) if last else {}
        content = int(last["content_hash"], 2) if last else 0
        if last and recount and (counted := _content(cursor, scope)) != content:
            content = counted
            tell(f"Rows were changed since publication {last['number']} by something that is no run.")
        changes = {kind.name: 0 for kind in PUBLISHED}
        for kind in WITHDRAWN if last else ():
            gone = cursor.execute(_withdrawal(kind), scope).fetchone() or {}
            counts[kind.name] = counts.get(kind.name, 0) - gone["gone"]
            changes[kind.name] = gone["gone"]
            content ^= int(gone["old"] or "0", 2)
        for kind in PUBLISHED:
            done = cursor.execute(_statement(kind, first=last is None), scope).fetchone() or {}
            counts[kind.name] = counts.get(kind.name, 0) + done["written"] - done["changed"]
            changes[kind.name] += done["written"]
            content ^= int(done["old"] or "0", 2) ^ int(done["new"] or "0", 2)
            passing("merging")
        cursor.execute(SQL["raw_digests" if last else "first_raw_digests"], scope)
        written = cursor.rowcount + sum(changes.values())
        cursor.execute(SQL["bookmarks"], scope)
        publication = Publication(
            number=last["number"] + 1 if last else 1,
            published_at=scope["now"],
            grade=grade,
            counts=counts,
            changes=changes,
            totals=_totals(cursor.execute(sql.SQL(SQL["totals"]).format(bucket=BUCKET), scope)),
            content_hash=f"{content:032x}",
        )
        cursor.execute(
            SQL["publication"],
            {
                **scope,
                "number": publication.number,
                "previous": last and last["number"],
                "grade": grade,
                "counts": Jsonb(counts),
                "changes": Jsonb(changes),
                "totals": Jsonb(publication.totals),
                "content_hash": f"{content:0{HASH_BITS}b}",
            },
        )
        if written >= BIG:
            cursor.execute(SQL["analyze"])
    return publication


def _totals(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One total per account and currency with its buckets; Conflict if these are not the whole of it."""
    totals: list[dict[str, Any]] = []
    for row in rows:
        if row["whole"]:
            totals.append({**{n: v for n, v in row.items() if n not in ("bucket", "whole")}, "buckets": {}})
        else:
            amount = Decimal(row["open"]) - Decimal(row["unapplied"])
            totals[-1]["buckets"][row["bucket"]] = f"{amount:f}"
    for total in totals:
        balance = Decimal(total["open"]) - Decimal(total["unapplied"])
        buckets = total["buckets"]
        if not set(buckets) <= set(BUCKETS) or sum(map(Decimal, buckets.values())) != balance:
            raise Conflict(
                f"Account {total['account']} of {total['entity']}: the ageing {buckets} is not the balance "
                f"{balance:f} {total['currency']}. Nothing was published. This is a defect: please report it."
            )
    return list(totals)


def _content(cursor: psycopg.Cursor[Any], scope: Mapping[str, Any]) -> int:
    """The content hash of the rows as they are."""
    content = 0
    for kind in PUBLISHED:
        row = cursor.execute(sql.SQL(SQL["content"]).format(current=kind.current), scope).fetchone() or {}
        content ^= int(row["content"] or "0", 2)
    return content


def _withdrawal(kind: Kind) -> sql.Composed:
    """The move of the run's withdrawals of one kind into its history."""
    return sql.SQL(SQL["withdraw"]).format(
        current=kind.current,
        history=kind.history,
        kind=sql.Literal(kind.name),
        columns=columns(kind.columns),
        current_columns=columns(kind.columns, "c"),
        same_key=sql.SQL(" and ").join(
            sql.SQL("{}::text = w.key[{}]").format(sql.Identifier("c", name), sql.Literal(place))
            for place, name in enumerate(kind.key, start=1)
        ),
    )


def _statement(kind: Kind, *, first: bool) -> sql.Composed:
    """The insert or the merge of one kind; a document also carries totals that follow from other kinds."""
    fields = kind.columns
    fresh = sql.SQL(SQL["staged"]).format(staged=kind.staged)
    if kind is DOCUMENT:
        fresh = sql.SQL(SQL["first_documents" if first else "documents"]).format(
            columns=columns(kind.fields),
            current_columns=columns(kind.fields, "c"),
            sign=SIGN,
        )
    changing = tuple(name for name in fields if name not in kind.key)

    def either(incoming: str) -> sql.Composed:
        return sql.SQL(" or ").join(
            sql.SQL("{} is distinct from {}").format(
                sql.Identifier("c", name), sql.Identifier(incoming, name)
            )
            for name in ("digest", *kind.derived)
        )

    return sql.SQL(SQL["insert" if first else "merge"]).format(
        current=kind.current,
        history=kind.history,
        fresh=fresh,
        columns=columns(fields),
        fresh_columns=columns(fields, "f"),
        current_columns=columns(fields, "c"),
        key=columns(kind.key),
        same_key=same(kind.key, "c", "f"),
        differs=either("f"),
        conflict_differs=either("excluded"),
        assignments=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(n), sql.Identifier("excluded", n)) for n in changing
        ),
    )
