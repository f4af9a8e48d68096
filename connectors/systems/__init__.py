"""The systems that Encours can read: the visible list. A new one is a file here and two lines below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from connectors.kit.stream import System
from connectors.systems import (
    sage_intacct,
    sap_s4hana,
)

LISTED: Final[Sequence[System]] = [
    sap_s4hana.SYSTEM,
    sage_intacct.SYSTEM,
]
SYSTEMS: Final[Mapping[str, System]] = {system.name: system for system in LISTED}
