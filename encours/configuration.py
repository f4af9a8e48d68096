"""Connectors as one TOML file, for people who keep their configuration in git.

`export` writes it, `apply` makes the registry equal to it and tells each change. No secret is ever in it:
a connector names its credential by id. What the file does not name is left alone, never removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import tomlkit
import tomlkit.exceptions

from connectors.systems import SYSTEMS
from encours.systems import settings_of
from receivables.errors import Misconfigured

if TYPE_CHECKING:
    from encours.hub import Hub
    from encours.registry import Connector

FIELDS = (
    "system", "tenant", "schedule", "blackout", "deadline_minutes", "tolerance", "settings", "credential",
)  # fmt: skip


def export(hub: Hub) -> str:
    """All tenants and connectors as TOML."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Made by `encours connectors export`; read by `encours connectors apply`."))
    document["tenants"] = {t.key: {"name": t.name, "zone": t.zone} for t in hub.registry.tenants()}
    document["connectors"] = {c.key: _entry(c) for c in hub.registry.connectors()}
    return tomlkit.dumps(document)


def apply(hub: Hub, text: str, *, dry_run: bool) -> list[str]:
    """Makes the registry equal to the file; returns one sentence for each change.

    The whole file is checked before anything is written. Raises Misconfigured naming the place.
    """
    wanted = _parsed(text)
    tenants, connectors = wanted.get("tenants", {}), wanted.get("connectors", {})
    known = {c.key: c for c in hub.registry.connectors()}
    known_tenants = {t.key for t in hub.registry.tenants()}
    changes: list[tuple[str, Any]] = []
    for key, entry in tenants.items():
        if key not in known_tenants:
            changes.append((f"tenant {key}: added", ("tenant", key, entry)))
    for key, entry in connectors.items():
        _check(key, entry, set(tenants) | known_tenants)
        if key not in known:
            changes.append((f"connector {key}: added", ("add", key, entry)))
            continue
        before = _entry(known[key])
        for field in FIELDS:
            if field in entry and entry[field] != before.get(field):
                sentence = f"connector {key}: {field} {_shown(before.get(field))} -> {_shown(entry[field])}"
                changes.append((sentence, ("change", key, {field: entry[field]})))
    if not dry_run:
        for _, (action, key, entry) in changes:
            _carry_out(hub, action, key, entry)
    return [sentence for sentence, _ in changes]


def _entry(connector: Connector) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "system": connector.system,
        "tenant": connector.tenant,
        "schedule": connector.schedule,
        "deadline_minutes": connector.deadline_minutes,
        "settings": {k: v for k, v in connector.settings.items() if v is not None},
    }
    if connector.blackout:
        entry["blackout"] = connector.blackout
    if connector.tolerance:
        entry["tolerance"] = dict(connector.tolerance)
    if connector.credential_id:
        entry["credential"] = str(connector.credential_id)
    return entry


def _parsed(text: str) -> dict[str, Any]:
    try:
        wanted = tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.ParseError as error:
        raise Misconfigured(f"The file is no TOML: {error}.") from None
    unknown = set(wanted) - {"tenants", "connectors"}
    if unknown:
        raise Misconfigured(f"Unknown table {min(unknown)!r}. The file has [tenants.*] and [connectors.*].")
    return wanted


def _check(key: str, entry: Mapping[str, Any], tenants: set[str]) -> None:
    unknown = set(entry) - set(FIELDS)
    if unknown:
        raise Misconfigured(f"connectors.{key}: unknown field {min(unknown)!r}. Known: {', '.join(FIELDS)}.")
    for field in ("system", "tenant", "settings"):
        if field not in entry:
            raise Misconfigured(f"connectors.{key}: {field} is missing.")
    if entry["tenant"] not in tenants:
        raise Misconfigured(f"connectors.{key}: tenant {entry['tenant']!r} is neither known nor in the file.")
    settings_of(entry["system"], entry["settings"], key)


def _carry_out(hub: Hub, action: str, key: str, entry: Mapping[str, Any]) -> None:
    if action == "tenant":
        hub.registry.add_tenant(key, entry.get("name", key), entry.get("zone", "UTC"))
    elif action == "add":
        credential = entry.get("credential")
        hub.add_connector(
            system=entry["system"],
            key=key,
            tenant=entry["tenant"],
            settings=entry["settings"],
            credential=UUID(credential) if credential else None,
            schedule=entry.get("schedule"),
            blackout=entry.get("blackout"),
            deadline_minutes=entry.get("deadline_minutes", 24 * 60),
            tolerance=entry.get("tolerance", {}),
            paused_reason=None
            if credential or not SYSTEMS[entry["system"]].credentials
            else "no credential yet: encours connectors credential",
        )
    else:
        hub.change(key, entry)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
