"""The sweep: everything that is open, read in full, and shown to the hub as being there.

Amounts of a receipt are negative here: it takes down what an item adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.kit.stream import Adapted, Adapter, Row
from connectors.systems.sage_intacct.amounts import minus
from receivables.records import OpenItem, Receipt, Record, Swept


class Sweep:
    """Adapts the sweep's rows as its adapter does, and adds that what is open was seen."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """As the adapter, and one Swept for each item and receipt that is open."""
        found = self._adapter(rows)
        found.records += [swept for record in found.records if (swept := _swept(record)) is not None]
        return found


def _swept(record: Record) -> Swept | None:
    if isinstance(record, OpenItem) and record.cleared_on is None:
        part, amounts, due_on = record.instalment, (record.original, record.company_original), record.due_on
    elif isinstance(record, Receipt) and record.cleared_on is None:
        part, amounts, due_on = record.line, (minus(record.amount), minus(record.company_amount)), None
    else:
        return None
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
    )
