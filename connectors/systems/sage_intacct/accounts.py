"""The accounts that documents and money stand on, as lines and ledger entries tell them; once a session each.

Headers of payments and advances name no account. Money that was paid and not applied stands on the
receivables account; an advance on the account of the settings, else on the one that its ledger entries
credit. A wrong guess cannot be published: the account would not agree with the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from lxml import etree

from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_request import Query, all_of, compared, element
from connectors.systems.sage_intacct.asking import cells, sums
from connectors.systems.sage_intacct.fields import (
    ADJUSTMENT_LINE,
    ADVANCE,
    INVOICE_LINE,
    LEDGER_DETAIL,
    Object,
)

FIELD: Final = "OFFSETGLACCOUNTNO"
EXAMPLES: Final = 50  # advances whose entries are looked at
CREDIT: Final = "-1"


def of_lines(access: Access, *, stream: str) -> Counter[str]:
    """How many lines stand on each receivables account."""

    def ask() -> Counter[str]:
        found: Counter[str] = Counter()
        for of in (INVOICE_LINE, ADJUSTMENT_LINE):
            query = Query(of.name, (FIELD,), order=(FIELD,), counts=("RECORDNO",))
            try:
                rows = sums(access, query, stream=stream)
            except NotOffered:
                continue
            for row in rows:
                if row.get(FIELD):
                    found[row[FIELD]] += int(row["COUNT.RECORDNO"])
        return found

    return access.http.remember("accounts of lines", ask)


def of_money(access: Access, of: Object, rows: Sequence[bytes], *, stream: str) -> bytes:
    """The account that payments or advances stand on, as an element to join; empty where nothing tells."""
    account = ""
    if of is ADVANCE:
        account = access.settings.advance_account or access.http.remember(
            "account of advances", lambda: _credited(access, rows, stream=stream)
        )
    if not account:
        known = of_lines(access, stream=stream)
        account = max(known, key=lambda name: (known[name], name)) if known else ""
    return etree.tostring(element("MONEY", element("ACCOUNTNO", account)))


def _credited(access: Access, rows: Sequence[bytes], *, stream: str) -> str:
    """The account that most ledger entries of these records credit; empty where they are not shown."""
    named = [cells(access, row, stream=stream).get("RECORDID", "") for row in rows[:EXAMPLES]]
    if not any(named):
        return ""
    where = all_of(compared("in", "RECORDID", *filter(None, named)), compared("equalto", "TR_TYPE", CREDIT))
    query = Query(LEDGER_DETAIL.name, ("ACCOUNTNO",), where, ("ACCOUNTNO",), counts=("RECORDNO",))
    try:
        found = {
            row.get("ACCOUNTNO", ""): int(row["COUNT.RECORDNO"]) for row in sums(access, query, stream=stream)
        }
    except (NotOffered, Failed):
        return ""
    return max(found, key=lambda name: (found[name], name)) if found else ""
