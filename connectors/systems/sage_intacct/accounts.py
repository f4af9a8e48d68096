"""The receivables accounts that documents stand on, as the lines tell them; asked for once a session."""

from __future__ import annotations

from collections import Counter
from typing import Final

from lxml import etree

from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access
from connectors.kit.xml_request import Query, element
from connectors.systems.sage_intacct.asking import sums
from connectors.systems.sage_intacct.fields import ADJUSTMENT_LINE, INVOICE_LINE

FIELD: Final = "OFFSETGLACCOUNTNO"


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


def account_of_money(access: Access, *, stream: str) -> bytes:
    """The account of money that is not applied: that of the settings, or the one that most lines stand on.

    It is sure when the settings name it, or when there is no other.
    """
    account, sure = access.settings.advance_account, True
    if not account:
        known = of_lines(access, stream=stream)
        account, sure = (max(known, key=lambda a: (known[a], a)) if known else ""), len(known) == 1
    return etree.tostring(
        element("MONEY", element("ACCOUNTNO", account), element("SURE", "true" if sure else "false"))
    )
