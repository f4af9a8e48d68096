"""The sweep over full rows: what an adapter makes of them, and that the ERP shows it.

Amounts of a receipt are negative here: it takes down what an item adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.kit.stream import Adapted, Adapter, Row
from receivables.records import OpenItem, Receipt, Record, Swept


class Sweep:
    """Adapts rows as their adapter does, and adds that what is open was seen; with `cleared`, all of it."""

    def __init__(self, adapter: Adapter, *, cleared: bool = False) -> None:
        self._adapter = adapter
        self._cleared = cleared

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """As the adapter, and one Swept for each item and receipt."""
        found = self._adapter(rows)
        found.records += [swept for record in found.records if (swept := self._swept(record)) is not None]
        return found

    def _swept(self, record: Record) -> Swept | None:
        if not isinstance(record, OpenItem | Receipt) or (record.cleared_on and not self._cleared):
            return None
        if isinstance(record, Receipt):
            part, amounts = record.line, (_minus(record.amount), _minus(record.company_amount))
            due_on, level = None, None
        else:
            part, amounts = record.instalment, (record.original, record.company_original)
            due_on, level = record.due_on, record.dunning_level
        return Swept(
            number=record.number,
            entity=record.entity,
            fiscal_year=record.fiscal_year,
            instalment=part,
            account=record.account,
            customer=record.customer,
            currency=record.currency,
            original=amounts[0],
            company_original=amounts[1],
            due_on=due_on,
            dunning_level=level,
        )


def _minus(amount: str) -> str:
    """The negative of a positive amount; zero has no sign."""
    return f"-{amount}" if amount.strip("0.") else amount
