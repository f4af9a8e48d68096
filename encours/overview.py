"""Where every connector stands, in the console's words: what needs a look first.

States in the order of their weight: needs consent, failing, held, stale, not proven, tied out; paused
replaces all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from connectors.systems import SYSTEMS
from encours.registry import Connector
from receivables.errors import Misconfigured
from receivables.store import Publication, Status, Store, TieOut

Amount = tuple[Decimal, str]


@dataclass(frozen=True)
class ConnectorStatus:
    """One connector for people: amounts are exact, per currency, never added; moments are aware, UTC."""

    key: str
    tenant: str
    system: str
    title: str
    state: str
    sentence: str
    since: datetime | None
    difference: list[Amount]
    open_amounts: list[Amount]
    published_at: datetime | None
    publication: int | None
    deadline_minutes: int
    rejects: int
    rows: int | None
    next_run: datetime | None


@dataclass(frozen=True)
class TieOutReport:
    """The comparison of one run; `explanation` are sentences, the first rejects that hold it first.

    `reason` says why it is held, `notes` what does not fit and does not hold it.
    """

    connector: str
    run: int
    state: str
    sentence: str
    rows: list[TieOut]
    explanation: list[str]
    reason: str | None = None
    notes: list[str] = field(default_factory=list)


def overview(
    connectors: Sequence[Connector], store: Store, ended: Mapping[UUID, str], now: datetime
) -> list[ConnectorStatus]:
    """Every connector, what needs a look first, then by key.

    `ended` names the service of each credential for which somebody must consent again.
    """
    found = []
    for c in connectors:
        service = ended.get(c.credential_id) if c.credential_id else None
        found.append(_status(c, store.status(c.tenant_id, c.connector_id), service, now))
    return sorted(found, key=lambda one: (WEIGHT.index(one.state), one.key))


WEIGHT = ("needs_consent", "failing", "held", "stale", "not_proven", "paused", "tied_out")


def tie_out(connector: Connector, store: Store, run: int | None) -> TieOutReport:
    """The comparison of this run or of the latest compared one; raises Misconfigured if there is none."""
    found = store.tie_outs(connector.tenant_id, connector.connector_id, run)
    if found is None:
        which = "no run was compared yet" if run is None else f"run {run} was not compared"
        raise Misconfigured(f"{connector.key}: {which}. Start one: encours sync {connector.key}")
    return TieOutReport(
        connector=connector.key,
        run=found.run.number,
        state=found.run.state,
        sentence=found.run.message or "Equal to the ERP's books.",
        rows=found.rows,
        explanation=list(found.run.explanation),
        reason=found.run.reason,
        notes=list(found.run.notes),
    )


def _status(connector: Connector, status: Status, ended: str | None, now: datetime) -> ConnectorStatus:
    state, sentence, since = _state(connector, status, ended, now)
    publication = status.publication
    return ConnectorStatus(
        key=connector.key,
        tenant=connector.tenant_name,
        system=connector.system,
        title=SYSTEMS[connector.system].title if connector.system in SYSTEMS else connector.system,
        state=state,
        sentence=sentence,
        since=since,
        difference=_differences(status.differences),
        open_amounts=status.open_amounts,
        published_at=publication.published_at if publication else None,
        publication=publication.number if publication else None,
        deadline_minutes=connector.deadline_minutes,
        rejects=status.rejects,
        rows=status.run.rows_read if status.run else None,
        next_run=None if connector.state == "paused" else connector.next_run(now),
    )


def _state(
    connector: Connector, status: Status, ended: str | None, now: datetime
) -> tuple[str, str, datetime | None]:
    """The state's word, its sentence, and since when; `ended` is the service that ended our access."""
    run, publication = status.run, status.publication
    if connector.state == "paused":
        return (
            "paused",
            f'Paused by {connector.changed_by}: "{connector.paused_reason}".',
            connector.changed_at,
        )
    if ended is not None:
        sentence = f"Our access at {ended} has ended. Someone must connect again."
        return "needs_consent", sentence, status.unpublished_since
    if run is not None and run.state == "failed":
        return "failing", run.message or "The last run failed.", status.unpublished_since
    if run is not None and run.state == "held":
        why = (run.message or "the books differ").removeprefix("held: ")
        seen = (
            f"Readers still see {_day(publication.published_at)}" if publication else "Nothing is published"
        )
        return "held", f"{why[0].upper()}{why[1:]}. {seen}.", status.unpublished_since
    due = timedelta(minutes=connector.deadline_minutes)
    last = publication.published_at if publication else connector.activated_at
    if now - last > due:
        return "stale", f"Due every {_span(due)}, {_span(now - last - due)} late.", last + due
    return _proven(publication, status.waived, connector, moved=run is not None and run.state == "moving")


def _proven(
    publication: Publication | None, waived: str | None, connector: Connector, *, moved: bool
) -> tuple[str, str, datetime | None]:
    if publication is None:
        return "stale", "No run has ended yet.", connector.activated_at
    if publication.grade == "none":
        return "not_proven", "This system offers no control totals.", publication.published_at
    equal = "Equal to the ERP" if publication.grade == "ledger" else "Equal to the rows' own sum"
    if waived:
        equal = f"{waived[0].upper()}{waived[1:]}"
    second = " The books moved while we read." if moved else ""
    return "tied_out", f"{equal}, {_day(publication.published_at)}.{second}", publication.published_at


def _differences(lines: Sequence[TieOut]) -> list[Amount]:
    """What differs on whole accounts in company currency; where those cancel, of the customers."""
    whole = [line for line in lines if line.customer is None and line.basis == "company"]
    shown = whole or [line for line in lines if line.basis == "company"] or list(lines)
    sums: dict[str, Decimal] = {}
    for line in shown:
        amount = line.difference if whole else abs(line.difference)
        sums[line.currency] = sums.get(line.currency, Decimal(0)) + amount
    return [(amount, currency) for currency, amount in sorted(sums.items())]


def _day(moment: datetime | date) -> str:
    return f"{moment:%d %b %Y, %H:%M} UTC".lstrip("0")


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"
