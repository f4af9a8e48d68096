"""The drivers of the simulated ERPs, one for each system of the visible list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from tests.conformance.intacct import Intacct
from tests.conformance.sap import Sap

Driver: TypeAlias = Sap | Intacct
DRIVERS: Final[Mapping[str, type[Sap | Intacct]]] = {"sap_s4hana": Sap, "sage_intacct": Intacct}
