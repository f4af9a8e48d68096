"""The systems by the name that a connector gives, and what they make of its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from connectors.kit.stream import System
from connectors.systems import SYSTEMS
from receivables.errors import Misconfigured


def system_named(name: str) -> System:
    """The system of this name; Misconfigured names those that there are."""
    if name not in SYSTEMS:
        raise Misconfigured(f"There is no system {name!r}. Known: {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]


def settings_of(system: str, settings: Mapping[str, Any], key: str) -> pydantic.BaseModel:
    """The checked settings of a system; raises Misconfigured naming each field that is wrong."""
    try:
        return system_named(system).Settings.model_validate(dict(settings))
    except pydantic.ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise Misconfigured(f"{key}: {faults}.") from None
