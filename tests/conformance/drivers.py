"""The drivers of the simulated ERPs, one for each system of the visible list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Final, Protocol

from connectors.kit.testing.ports import Erp, Profile
from tests.conformance.intacct import Intacct
from tests.conformance.sap import Sap


class Driver(Erp, Protocol):
    """An ERP that these tests start and end themselves."""

    profile: ClassVar[Profile]

    @classmethod
    def start(cls, *, items: int, today: date) -> Driver:
        """Starts it, with so many open items or a few more, on this day."""

    @property
    def credential(self) -> tuple[str, ...]:
        """What a connector signs in with: user and password, then the sender's pair; empty for nothing."""

    def misbehaviours(self) -> set[str]:
        """Every kind of misbehaviour that it offers."""

    def stop(self) -> None:
        """Ends it."""


DRIVERS: Final[Mapping[str, type[Driver]]] = {
    "sap_s4hana": Sap,
    "sage_intacct": Intacct,
}
