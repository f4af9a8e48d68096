"""Reading an ERP for one run: pass after pass over the slices of the system's plan, between control totals.

Stages page by page what is new, drops what is known already and sets aside what cannot be read. Whether what
was read may be published is not decided here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import xxhash

from connectors.kit.stream import Access, Adapter, Page, Slice, System
from encours import replay as replaying
from receivables.crash import passing
from receivables.errors import Moved
from receivables.records import ControlTotal
from receivables.run import Run


@dataclass(frozen=True)
class Step:
    """How far a sync is: what is read now, slices done of how many, rows so far."""

    what: str
    done: int
    of: int
    rows: int


Report = Callable[[Step], None]
Value = TypeVar("Value")
# The digest kept of a row that was set aside: no row has it, so it is read until it is well.
FAULTY = bytes(16)
LOOKS = 5  # for a calm moment: to begin a further pass in, or to read a list in that became shorter meanwhile
PAUSE = 1.0  # seconds between two of them


class Reading:
    """Reads slices page by page: drops what is known already, adapts the rest and stages it.

    After each pass `totals` are the ERP's, `still` says whether they are those of before the pass, and
    `quiet` whether moreover it found no row that was not known before.
    """

    def __init__(
        self,
        run: Run,
        system: System,
        access: Access,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        report: Report,
    ) -> None:
        self.rows = 0
        self.staged = 0
        self.rejects = 0
        self.warnings: dict[str, None] = {}  # in the order given, each once
        self.access = access
        self.before: Sequence[Slice] = ()  # what the first pass reads before the plan, and after it
        self.after: Sequence[Slice] = ()
        self.totals: Sequence[ControlTotal] = ()
        self.still = False
        self.quiet = False
        self._run = run
        self._system = system
        self._clock = clock
        self._sleep = sleep
        self._report = report
        self._seed = meaning(system, access.settings)
        self._adapters: dict[str, Adapter] = {}
        self._found = 0  # rows of this pass that were not known and can be read
        self._pass = ""  # what the names of a further pass's slices end with

    def everything(self) -> None:
        """Reads the totals, all slices of the run's mode and the totals again."""
        self._report(Step("control totals", 0, 1, 0))
        self.totals = self._run.totals_before(self._asked_totals())
        plan = self._system.plan(self.access, self._run.bookmarks, sweep=self._run.sweep)
        self._between_totals([*self.before, *plan, *self.after])

    def again(self, number: int) -> None:
        """Reads what changed since the passes before, up to now, and the totals.

        After a pass in which the books moved, to catch up in a calm moment; else as the next run would read.
        """
        passing("again")
        catching_up = not self.still
        if catching_up:
            self._wait_for_calm()
        self.access = replace(self.access, now=self._clock(), catching_up=catching_up)
        self._adapters.clear()
        self._pass = f"/again-{number}"
        self._between_totals(self._system.plan(self.access, self._run.read_so_far(), sweep=False))

    def _wait_for_calm(self) -> None:
        """Asks for totals until two in a row are equal, or in vain; the last are those of before the pass."""
        for _ in range(LOOKS):
            before = self.totals
            self._sleep(PAUSE)
            self.access = replace(self.access, now=self._clock())
            self.totals = self._asked_totals()
            if _closings(before) == _closings(self.totals):
                return

    def _between_totals(self, slices: Sequence[Slice]) -> None:
        """One pass over these slices and what they lead to, and the totals after it."""
        before, self._found = self.totals, 0
        whole = self._read(slices)
        if self._pass and self._found and not self._run.news():
            self._found = 0
        found = self._found
        self._read_documents(self._run.to_read_again())
        self._read_customers(self._run.unknown_customers())
        self._read_billing()
        self._report(Step("control totals", 1, 1, self.rows))
        if self._pass:
            self._found = found  # what is read by key is asked for in every pass
        self.totals = self._asked_totals()
        self.still = _closings(before) == _closings(self.totals)
        self.quiet = self.still and whole and not (self._found or self.access.catching_up)

    def _read(self, slices: Sequence[Slice]) -> bool:
        """Reads every slice that this run has not staged to its end yet; whether that was all of them."""
        wanted = [replace(slice_, name=slice_.name + self._pass) for slice_ in slices]
        fresh = [slice_ for slice_ in wanted if slice_.name not in self._run.done_slices]
        for number, slice_ in enumerate(fresh, start=len(wanted) - len(fresh)):
            what = slice_.stream.replace("_", " ")
            self._report(Step(what, number, len(wanted), self.rows))
            passing("before_page")
            self._tried(partial(self._read_slice, slice_, Step(what, number, len(wanted), self.rows)))
        return len(fresh) == len(wanted)

    def _read_slice(self, slice_: Slice, step: Step) -> None:
        for page in slice_.pages(self.access):
            self._stage(slice_, page)
            self._report(replace(step, rows=self.rows))

    def _asked_totals(self) -> Sequence[ControlTotal]:
        return self._tried(lambda: self._system.totals(self.access, self._run.accounts()))

    def _tried(self, ask: Callable[[], Value]) -> Value:
        """What is asked for, from its beginning again while the ERP posts into it; at last raises Moved."""
        for _ in range(LOOKS - 1):
            try:
                return ask()
            except Moved:
                self._run.begin_again()
                self._sleep(PAUSE)
        return ask()

    def _read_documents(self, keys: Sequence[tuple[str, str, str]]) -> None:
        """Reads by key what the sweep shows otherwise than we hold it, and what seems to be gone."""
        if keys:
            self._read([self._system.documents(self.access, keys)])

    def _read_customers(self, keys: Sequence[tuple[str, str]]) -> None:
        """Reads by key the customers that items name and nobody knows yet."""
        if keys:
            self._read([self._system.customers(self.access, keys)])

    def _read_billing(self) -> None:
        """Reads by key the billing documents that documents name and nobody has read yet."""
        if self._system.billing is None:
            return
        keys = self._run.unknown_billing()
        while keys:
            rows = self.rows
            self._read([self._system.billing(self.access, keys)])
            if self.rows == rows:
                return  # of many none is shown, so that the rest would be asked for in vain
            keys = self._run.unknown_billing(keys[-1])

    def _stage(self, slice_: Slice, page: Page) -> None:
        passing("received")
        self.warnings.update(dict.fromkeys(f"{slice_.stream}: {warning}" for warning in page.warnings))
        seed, of_row = self._seed, xxhash.xxh3_128_digest
        digests = [of_row(row, seed) for row in page.rows]
        rows: Sequence[bytes] = page.rows
        if slice_.skip_unchanged:
            fresh = self._run.known(slice_.stream).missing(digests)
            if len(fresh) < len(rows):
                rows, digests = [rows[place] for place in fresh], [digests[place] for place in fresh]
        adapted = self._adapter(slice_.adapter)(rows)
        kept = [(key, digests[place]) for place, key in adapted.keys]
        # Else a row that is mended to what it was before its fault would pass for unchanged.
        kept += [(error.key.encode(), FAULTY) for _, error in adapted.unreadable if error.key]
        rejects = [replaying.set_aside(slice_.stream, slice_.adapter, *one) for one in adapted.unreadable]
        passing("parsed")
        self._run.stage(slice_, page, adapted, kept, rejects)
        self.rows += len(page.rows)
        self.staged += len(rows)
        self.rejects += len(rejects)
        self._found += len(adapted.keys)

    def _adapter(self, name: str) -> Adapter:
        if name not in self._adapters:
            self._adapters[name] = self._system.adapters[name](self.access)
        return self._adapters[name]


def meaning(system: System, settings: Any) -> int:
    """A number that changes with the adapter's version and with every setting that changes what rows mean."""
    return _digest([system.name, system.version, settings.meaning()])


def settings_digest(settings: Any) -> int:
    """A number that changes with every setting that changes what rows mean, and with nothing else."""
    return _digest(settings.meaning())


def _digest(content: Any) -> int:
    text = json.dumps(content, sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _closings(totals: Sequence[ControlTotal]) -> dict[tuple[str | None, ...], tuple[Decimal, int | None]]:
    """What must stand still: amounts and counts by place and day; totals of nothing say nothing."""
    return {
        (t.entity, t.account, t.basis, t.currency, t.customer, t.as_of): (Decimal(t.closing), t.items)
        for t in totals
        if Decimal(t.closing) or t.items
    }
