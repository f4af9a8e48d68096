"""The systems that Encours can read: the visible list. A new one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.kit.stream import System
from connectors.systems import sage_intacct, sap_s4hana

SYSTEMS: Final[Mapping[str, System]] = {
    system.name: system for system in (sap_s4hana.SYSTEM, sage_intacct.SYSTEM)
}
