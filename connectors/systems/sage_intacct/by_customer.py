"""Control totals of each customer: the ledger's entries summed by the customer that they name.

One list for all entities and accounts, with one row for each customer and sign, so that two errors which
cancel in an account do not pass. Entries may be of other books as well, or name no customers: they are told
only for an entity where they sum to the balance of each account and name customers (grade ledger). For
another, the sums of its documents stand in (grade aggregate): they see what is lost on the way to us, and
know no accounts, so only where its documents stand on one. Interface sheet, section 7.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access
from connectors.kit.xml_answer import Failed
from connectors.kit.xml_request import Query, all_of, compared
from connectors.systems.sage_intacct.asking import exact, offered, sums
from connectors.systems.sage_intacct.days import printed_day
from connectors.systems.sage_intacct.fields import LEDGER_DETAIL
from connectors.systems.sage_intacct.settings import TOP
from receivables.errors import Misconfigured

SIGNS: Final[Mapping[str, int]] = {"1": 1, "-1": -1}  # TR_TYPE: debit, credit; amounts have no sign
GROUP: Final = ("LOCATIONID", "ACCOUNTNO", "CUSTOMERID", "TR_TYPE")

Parts = Mapping[
    tuple[str, str], Mapping[str, Decimal]
]  # by entity and account, of each customer ('': of none)


def entries(access: Access, accounts: Sequence[str], day: date, *, stream: str) -> Parts:
    """What the entries up to this day sum to; nothing where they may not be read, or not be summed."""
    if not accounts or not set(GROUP) <= ledger_fields(access, stream=stream):
        return {}
    where = all_of(
        compared("in", "ACCOUNTNO", *accounts),
        compared("lessthanorequalto", "ENTRY_DATE", printed_day(day)),
    )
    query = Query(LEDGER_DETAIL.name, GROUP, where, GROUP, sums=("AMOUNT",))
    try:
        rows = sums(access, query, stream=stream)
    except (NotOffered, Failed):
        return {}
    found: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        place = (row.get("LOCATIONID") or TOP, row.get("ACCOUNTNO", ""))
        amount = exact(access, row.get("SUM.AMOUNT"), "AMOUNT", stream=stream)
        found[place][row.get("CUSTOMERID", "")] += amount * sign(row)
    return found


def told(parts: Parts, closings: Mapping[str, Decimal], entity: str) -> bool:
    """Whether entries name customers of an entity, and sum to the closing of each of its accounts."""
    of_accounts = {account: parts.get((entity, account), {}) for account in closings}
    return any(customer for part in of_accounts.values() for customer in part) and all(
        sum(part.values(), Decimal(0)) == closings[account] for account, part in of_accounts.items()
    )


def ledger_fields(access: Access, *, stream: str) -> frozenset[str]:
    """The fields of the ledger's entries that the user may read; none where there are no entries to read."""
    try:
        return offered(access, LEDGER_DETAIL, stream=stream)
    except (Misconfigured, Failed):
        return frozenset()


def sign(entry: Mapping[str, str]) -> int:
    """How an entry, or a sum of entries of one kind, counts: debits add to what is owed."""
    return SIGNS.get(entry.get("TR_TYPE", ""), 1)
