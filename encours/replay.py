"""Rows that were set aside, read again: by the adapter that refused them, as what an ERP sent would be.

Whether a row can be read now is seen without asking the ERP anything. Those that can are the first slices of
a run, which publishes them with everything else or not at all. Refuses rows of which nobody knows what read
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from connectors.kit.stream import Access, Page, Slice, System
from receivables.errors import Misconfigured, Unreadable
from receivables.records import Reject
from receivables.rejects import still
from receivables.store import RejectRow, Store


def set_aside(stream: str, adapter: str, raw: bytes, error: Unreadable) -> Reject:
    """The reject of a row that this adapter refused."""
    return Reject(
        stream=stream,
        raw=raw,
        code=error.code,
        field=error.field,
        message=str(error),
        key=error.key,
        adapter=adapter,
    )


def readable(
    store: Store, tenant_id: int, system: System, access: Access, rejects: Sequence[RejectRow]
) -> list[RejectRow]:
    """Those whose rows can be read now; of the others the reason is that of today. Raises Misconfigured."""
    faults = [(reject, _fault(system, access, reject)) for reject in rejects]
    with store.deciding(tenant_id) as cursor:
        for reject, fault in faults:
            if fault is not None:
                still(cursor, reject, fault, access.now)
    return [reject for reject, fault in faults if fault is None]


def _fault(system: System, access: Access, reject: RejectRow) -> Reject | None:
    adapter = reject.adapter
    if adapter is None or adapter not in system.adapters:
        raise Misconfigured(
            f"{reject.connector}: nobody knows what read reject {reject.reject_id}. A sync reads its row at "
            f"the ERP: encours sync {reject.connector} --sweep"
        )
    for raw, error in system.adapters[adapter](access)([reject.raw]).unreadable:
        return set_aside(reject.stream, adapter, raw, error)
    return None


def slices(rejects: Sequence[RejectRow]) -> list[Slice]:
    """The rows as slices, one for each stream and adapter: of two versions of a row the later one counts."""
    rows: dict[tuple[str, str], list[bytes]] = {}
    for reject in sorted(rejects, key=lambda one: (one.last_seen, one.reject_id)):
        rows.setdefault((reject.stream, reject.adapter or ""), []).append(reject.raw)
    return [
        Slice(stream, f"replay/{stream}/{adapter}", partial(_page, rows=raw), adapter, skip_unchanged=False)
        for (stream, adapter), raw in rows.items()
    ]


def _page(_: Access, rows: Sequence[bytes]) -> Iterator[Page]:
    yield Page(1, rows, last=True)
