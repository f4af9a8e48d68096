"""The comparison of what is published with the ERP's own books: key by key, to the last unit.

Never with what the ERP shows to those who read: that may be wrong. A difference is an AssertionError.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.kit.testing.explanation import explained
from connectors.kit.testing.ports import Connector, Document, Erp, Evening, Key, Owed, Result, Row, Unapplied

ZERO: Final = Decimal(0)


def agree(erp: Erp, connector: Connector, result: Result) -> Evening:
    """Proves that what is published is the ERP's books, is explained, and was compared; gives the books."""
    books = owes(erp, connector)
    items, receipts = connector.rows("open_item"), connector.rows("receipt")
    explained(items, receipts, connector.rows("allocation"))
    _sums_of_documents(items, connector.rows("document"))
    _accounts_compared(items, connector, result)
    return books


def owes(erp: Erp, connector: Connector) -> Evening:
    """Proves that what is open and what is not applied are the ERP's books; gives them."""
    books = erp.evening()
    assert differences(_owed(connector.rows("open_item")), books.items) == {}
    assert differences(_unapplied(connector.rows("receipt")), books.receipts) == {}
    return books


def differences(ours: Mapping[Key, Any], theirs: Mapping[Key, Any]) -> dict[Key, tuple[Any, Any]]:
    """Where both differ: ours and theirs by key, None where one has nothing."""
    return {
        key: (ours.get(key), theirs.get(key)) for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)
    }


def item_key(row: Row) -> Key:
    """Entity, fiscal year, number, instalment and account of an open item."""
    return row["entity"], row["fiscal_year"], row["number"], row["instalment"], row["account"]


def document_key(row: Row) -> Document:
    """Entity, fiscal year and number of an item's or a document's row."""
    return Document(row["entity"], row["fiscal_year"], row["number"])


def _owed(rows: Sequence[Row]) -> dict[Key, Owed]:
    return {
        item_key(row): Owed(
            row["customer"], row["currency"], row["original"], row["open"], row["company_currency"],
            row["company_original"], row["company_open"], row["due_on"],
        )
        for row in rows if row["open"] or row["company_open"]
    }  # fmt: skip


def _unapplied(rows: Sequence[Row]) -> dict[Key, Unapplied]:
    sums: dict[Key, Unapplied] = {}
    for row in rows:
        key: Key = row["entity"], row["fiscal_year"], row["number"], row["account"], row["customer"]
        before = sums.get(key, Unapplied(row["currency"], ZERO, row["company_currency"], ZERO))
        sums[key] = before._replace(
            amount=before.amount + row["unapplied"],
            company_amount=before.company_amount + row["company_unapplied"],
        )
    return {key: rest for key, rest in sums.items() if rest.amount or rest.company_amount}


def _sums_of_documents(items: Sequence[Row], documents: Sequence[Row]) -> None:
    """The instalments of a document sum to it."""
    sums: defaultdict[Document, Decimal] = defaultdict(Decimal)
    for row in items:
        sums[document_key(row)] += row["original"]
    assert sums == {document_key(row): row["total_incl"] for row in documents}


def _accounts_compared(items: Sequence[Row], connector: Connector, result: Result) -> None:
    """Every account that something is open on is a control account by name, and was compared."""
    used = {(row["entity"], row["account"]) for row in items}
    named = {(row["entity"], row["account"]) for row in connector.rows("control_account")}
    compared = {(total.entity, total.account) for total in result.totals if total.basis == "company"}
    assert used <= named
    open_ = {(row["entity"], row["account"]) for row in items if row["company_open"]}
    assert open_ <= compared
