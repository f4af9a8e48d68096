"""The kinds of records that are staged and published: which table, which key.

A table has the columns of its record, in their order, so that a new field needs one line in the record and
one in a migration. `staged_<name>` holds a run's rows, `<name>` what is published, `<name>_history` what was.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from psycopg import sql

from receivables.records import (
    Allocation,
    BillingDocument,
    ControlAccount,
    Customer,
    Deleted,
    Document,
    DocumentTax,
    LegalEntity,
    OpenItem,
    Receipt,
    Swept,
)


@dataclass(frozen=True)
class Kind:
    """One kind of record; `seed` keeps equal lines of two kinds from having one digest.

    `derived` are columns of what is published that follow from other kinds, and are not in the digest.
    """

    name: str
    record: type[msgspec.Struct]
    key: tuple[str, ...]
    seed: int
    derived: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The record's fields, in the order of the staged table's columns."""
        return self.record.__struct_fields__

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of what is published, and of its history."""
        return (*self.fields, *self.derived)

    @property
    def staged(self) -> sql.Identifier:
        """The table of a run's rows."""
        return sql.Identifier("receivables", f"staged_{self.name}")

    @property
    def current(self) -> sql.Identifier:
        """The table of what is published."""
        return sql.Identifier("receivables", self.name)

    @property
    def history(self) -> sql.Identifier:
        """The table of what was published before."""
        return sql.Identifier("receivables", f"{self.name}_history")


LEGAL_ENTITY = Kind("legal_entity", LegalEntity, ("code",), 1)
CONTROL_ACCOUNT = Kind("control_account", ControlAccount, ("account", "entity"), 2)
CUSTOMER = Kind("customer", Customer, ("number", "entity"), 3)
OPEN_ITEM = Kind("open_item", OpenItem, ("number", "entity", "fiscal_year", "instalment", "account"), 4)
DOCUMENT = Kind(
    "document",
    Document,
    ("number", "entity", "fiscal_year", "type"),
    5,
    derived=("total_incl", "total_excl", "tax_total", "prepaid"),
)
SWEPT = Kind("swept", Swept, OPEN_ITEM.key, 6)
RECEIPT = Kind("receipt", Receipt, ("number", "entity", "fiscal_year", "line", "account"), 7)
ALLOCATION = Kind("allocation", Allocation, ("number", "entity", "sequence"), 8)
DOCUMENT_TAX = Kind("document_tax", DocumentTax, (*DOCUMENT.key, "category", "rate"), 9)
BILLING_DOCUMENT = Kind("billing_document", BillingDocument, ("number", "entity"), 10)
DELETED = Kind("deleted", Deleted, ("number", "entity", "fiscal_year", "kind"), 11)

# In the order of publishing: a document's totals follow from its items and its billing document.
PUBLISHED = (
    LEGAL_ENTITY,
    CONTROL_ACCOUNT,
    CUSTOMER,
    OPEN_ITEM,
    RECEIPT,
    ALLOCATION,
    BILLING_DOCUMENT,
    DOCUMENT,
    DOCUMENT_TAX,
)
WITHDRAWN = (
    CUSTOMER,
    OPEN_ITEM,
    RECEIPT,
    ALLOCATION,
    DOCUMENT,
    DOCUMENT_TAX,
)  # kinds whose published rows a run may take away
KIND_OF = {kind.record: kind for kind in (*PUBLISHED, SWEPT, DELETED)}


def columns(names: tuple[str, ...], prefix: str = "") -> sql.Composed:
    """These columns, separated by commas, each as `prefix.column`."""
    return sql.SQL(", ").join(sql.Identifier(prefix, n) if prefix else sql.Identifier(n) for n in names)


def same(names: tuple[str, ...], left: str, right: str) -> sql.Composed:
    """`left.column = right.column and ...` for these columns."""
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, n), sql.Identifier(right, n)) for n in names
    )
