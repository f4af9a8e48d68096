"""The bench that a case works on: one ERP, and one connector that has published its books.

Publishing on the bench is proving: what does not agree with the books is an AssertionError.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.kit.stream import System
from connectors.kit.testing.comparison import agree, document_key, item_key
from connectors.kit.testing.ports import Connector, Document, Erp, Key, Result, Row, Setup


@dataclass
class Bench:
    """One system at work for one case: `case` is its name."""

    system: System
    setup: Setup
    erp: Erp
    connector: Connector
    case: str = ""

    # -- what cases do -------------------------------------------------------------------------------------

    def begin(self, case: str) -> None:
        """Publishes the ERP's books as they are."""
        self.case = case
        self.publish(sweep=False)

    def after(self, business: str, times: int = 1, **how: Any) -> list[Document]:
        """Does business and publishes it.

        Where no delta can see it (the ERP says in which case), the sweep must, and until then the last
        publication may only be followed by one that agrees with the ledger.
        """
        documents = list(self.erp.post(business, times, **how))
        if self.case in self.erp.profile.swept:
            result = self.connector.sync(sweep=False)
            assert (result.state, result.verdict) in (("published", "equal"), ("held", result.verdict))
            self.publish(sweep=True)
        else:
            self.publish(sweep=False)
        return documents

    def publish(self, *, sweep: bool) -> Result:
        """Syncs; what is published must agree with the ledger, by the grade declared, and with the books."""
        result = self.connector.sync(sweep=sweep)
        assert (result.state, result.verdict) == ("published", "equal"), "; ".join(
            [result.verdict, *result.explanation]
        )
        assert result.grade == self.system.capabilities.grade
        assert result.mode in self.system.capabilities.modes
        agree(self.erp, self.connector, result)
        return result

    # -- what is published ---------------------------------------------------------------------------------

    def items(self) -> dict[Key, Row]:
        """The published open items, open or not, by key."""
        return {item_key(row): row for row in self.connector.rows("open_item")}

    def document(self, of: Document) -> Row:
        """The one published document of this number."""
        (found,) = [row for row in self.connector.rows("document") if document_key(row) == of]
        return found

    def balance(self) -> dict[str, Decimal]:
        """What is owed less what is not applied, in company currency by entity, as published."""
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row in self.connector.rows("open_item"):
            sums[row["entity"]] += row["company_open"]
        for row in self.connector.rows("receipt"):
            sums[row["entity"]] -= row["company_unapplied"]
        return dict(sums)

    def new_allocations(self, before: set[Key]) -> list[Row]:
        """The published allocations that were not among those."""
        return [row for row in self.connector.rows("allocation") if _allocation_key(row) not in before]

    def allocations(self) -> set[Key]:
        """The keys of all published allocations."""
        return {_allocation_key(row) for row in self.connector.rows("allocation")}


def _allocation_key(row: Row) -> Key:
    return row["entity"], row["number"], row["sequence"]
