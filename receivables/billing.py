"""What billing documents say of the documents that name them: net, tax and gross, and what was cancelled.

Billing documents and the ledger's documents are read apart, each when it changes, so both are joined here for
those that a run touched. Amounts are added up at publishing (receivables.publish), beside the items' sums.
Invents nothing: a document without a billing document has no net and no tax.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from receivables.kinds import DOCUMENT, columns
from receivables.queries import queries
from receivables.records import Document
from receivables.staging import WORKED_OUT, copy_rows, set_tenant

SQL = queries(__file__)
MANY: Final = 50_000
SIGN: Final = sql.SQL(SQL["sign"])
TOUCHED: Final = sql.SQL(SQL["touched"])


def to_read(
    connection: psycopg.Connection[Any], scope: Mapping[str, Any], after: tuple[str, str], *, everything: bool
) -> list[tuple[str, str]]:
    """The next (entity, number) of billing documents that documents name and that were never read, in order.

    Of the documents of this run; with `everything` of all that are published as well. At most MANY: there may
    be millions.
    """
    entity, number = after
    asked = {"everything": everything, "entity": entity, "number": number, "many": MANY}
    with connection.transaction(), connection.cursor() as cursor:
        set_tenant(cursor, scope["tenant_id"])
        return cursor.execute(SQL["to_read"], {**scope, **asked}).fetchall()


def complete_documents(connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> None:
    """Marks what billing documents cancelled, and names what was taken back by those that did.

    SAP posts a cancellation as an ordinary opposite document: no ledger says what it takes back.
    """
    with connection.transaction(), connection.cursor() as cursor:
        set_tenant(cursor, scope["tenant_id"])
        rows = cursor.execute(_cancelled(), scope).fetchall()
        completed = [
            msgspec.structs.replace(Document(*values), status=status, reversal_of=reversal_of, kind=kind)
            for *values, status, reversal_of, kind in rows
        ]
        if completed:
            keys = {
                "numbers": [document.number for document in completed],
                "entities": [document.entity for document in completed],
                "years": [document.fiscal_year for document in completed],
                "types": [document.type for document in completed],
            }
            cursor.execute(SQL["forget_documents"], {**scope, **keys})
            copy_rows(cursor, DOCUMENT, scope["run_id"], WORKED_OUT, completed)


def stage_taxes(connection: psycopg.Connection[Any], scope: Mapping[str, Any]) -> None:
    """Stages the taxes of every document that the run touched, and takes away those not stated any more."""
    with connection.transaction(), connection.cursor() as cursor:
        set_tenant(cursor, scope["tenant_id"])
        cursor.execute(SQL["forget_taxes"], scope)
        cursor.execute(sql.SQL(SQL["taxes"]).format(sign=SIGN, touched=TOUCHED), scope)
        cursor.execute(SQL["withdraw_taxes"], scope)


def _cancelled() -> sql.Composed:
    return sql.SQL(SQL["cancelled"]).format(
        staged_columns=columns(DOCUMENT.fields, "s"),
        current_columns=columns(DOCUMENT.fields, "c"),
        columns=sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) for name in DOCUMENT.fields
        ),
    )
