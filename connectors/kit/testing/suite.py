"""The visible list of cases, and which of them are tests of which system.

Every case is a test of every system, or has a reason why it is not: a reason for an unknown case is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from connectors.kit.stream import System
from connectors.kit.testing import accounting, clocks, protocol
from connectors.kit.testing.bench import Bench
from connectors.kit.testing.ports import Profile


@dataclass(frozen=True)
class Case:
    """One case: a function whose docstring says what must hold, done once or for each part of a kind."""

    name: str
    do: Callable[..., None]
    parts: str = ""  # the profile's list of them: pagings, misbehaviours

    @property
    def sentence(self) -> str:
        """What must hold."""
        return (self.do.__doc__ or "").strip()


PROTOCOL: Final = (
    Case("paging", protocol.paging, "pagings"),
    Case("same moment", protocol.same_moment),
    Case("misbehaviour", protocol.misbehaviour, "misbehaviours"),
    Case("resume", protocol.resume),
    Case("expiry", protocol.expiry),
)
ACCOUNTING: Final = (
    Case("credit note", accounting.credit_note),
    Case("partial payment", accounting.partial_payment),
    Case("payment", accounting.payment),
    Case("unapplied", accounting.unapplied),
    Case("instalments", accounting.instalments),
    Case("no decimals", accounting.no_decimals),
    Case("two decimals", accounting.two_decimals),
    Case("three decimals", accounting.three_decimals),
    Case("tax", accounting.tax),
    Case("discount", accounting.discount),
    Case("exchange difference", accounting.exchange_difference),
    Case("reversal", accounting.reversal),
    Case("reissue", accounting.reissue),
    Case("late entry", accounting.late_entry),
    Case("undated", accounting.undated),
    Case("earlier period", accounting.earlier_period),
    Case("clock changes", clocks.clock_changes),
    Case("same again", accounting.same_again),
    Case("moved date", accounting.moved_date),
    Case("vanished", accounting.vanished),
    Case("deleted", accounting.deleted),
)
CASES: Final = (*PROTOCOL, *ACCOUNTING)


@dataclass(frozen=True)
class Proof:
    """One case of one system, or one part of it: a paging form, a misbehaviour."""

    system: str
    case: Case
    part: str = ""

    def __str__(self) -> str:
        return "-".join(part.replace(" ", "_") for part in (self.system, self.case.name, self.part) if part)

    def run(self, bench: Bench) -> None:
        """Does the case from well published books; AssertionError when something does not hold."""
        bench.begin(self.case.name)
        arguments: tuple[Any, ...] = (self.part,) if self.case.parts else ()
        self.case.do(bench, *arguments)


def proofs(system: System, profile: Profile) -> Iterator[Proof]:
    """Every proof that a system owes; ValueError for a reason that names no case."""
    reasons = {*profile.lacks, *profile.swept, *profile.unstated, *profile.missing}
    unknown = reasons - {case.name for case in CASES}
    if unknown:
        raise ValueError(f"{system.name}: there is no case {', '.join(sorted(unknown))}")
    for case in CASES:
        if case.name in profile.lacks:
            continue
        if case.parts == "pagings":
            yield from (Proof(system.name, case, form) for form in profile.pagings)
        elif case.parts == "misbehaviours":
            yield from (Proof(system.name, case, each.name) for each in profile.misbehaviours)
        else:
            yield Proof(system.name, case)
