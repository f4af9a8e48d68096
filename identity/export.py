"""Audit entries as security teams collect them: OCSF events, and CEF lines made of those.

Logins, tokens and what is refused are OCSF class 3002 (Authentication), all else is 6003 (API Activity). The
entry's own facts stand under `unmapped`, unchanged. Sources: schema.ocsf.io 1.3.0; ArcSight, "Implementing
CEF", 25 (header and extension escapes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from identity.audit import Entry

VERSION: Final = "1.3.0"  # of OCSF
AUTHENTICATION: Final = 3002
API_ACTIVITY: Final = 6003
INFORMATIONAL, MEDIUM = 1, 3
SUCCESS, FAILURE = 1, 2
OTHER: Final = 99


class Kind(NamedTuple):
    """What an event is in OCSF: its class, its activity's number and name, and a title."""

    class_uid: int
    activity_id: int
    activity: str
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "connected": Kind(API_ACTIVITY, 1, "Create", "Credential connected"),
    "replaced": Kind(API_ACTIVITY, 3, "Update", "Credential replaced"),
    "assigned": Kind(API_ACTIVITY, 3, "Update", "Owner or purpose of a credential said"),
    "removed": Kind(API_ACTIVITY, 4, "Delete", "Credential removed"),
    "used": Kind(API_ACTIVITY, 2, "Read", "Credential used by a run"),
    "rotated": Kind(API_ACTIVITY, 3, "Update", "Sealed under another key"),
    "exported": Kind(API_ACTIVITY, 2, "Read", "Audit exported"),
    "viewed": Kind(API_ACTIVITY, 2, "Read", "Viewed"),
    "asked": Kind(AUTHENTICATION, OTHER, "Token Request", "Token asked for"),
    "issued": Kind(AUTHENTICATION, 1, "Logon", "Token issued"),
    "refreshed": Kind(AUTHENTICATION, OTHER, "Token Refresh", "Token refreshed"),
    "unanswered": Kind(
        AUTHENTICATION, OTHER, "Token Request", "No answer of the provider that could be used"
    ),
    "refused": Kind(AUTHENTICATION, 1, "Logon", "Refused by the provider"),
    "revoked": Kind(AUTHENTICATION, 2, "Logoff", "Token revoked"),
}


def ocsf(entry: Entry, tenant: str, version: str) -> dict[str, Any]:
    """The entry as one OCSF event; `tenant` is the tenant's key, `version` that of Encours."""
    kind = KINDS[entry.event]
    refused = entry.event in ("refused", "unanswered")
    event: dict[str, Any] = {
        "class_uid": kind.class_uid,
        "category_uid": kind.class_uid // 1000,
        "activity_id": kind.activity_id,
        "activity_name": kind.activity,
        "type_uid": kind.class_uid * 100 + kind.activity_id,
        "time": int(entry.at.timestamp() * 1000),
        "severity_id": MEDIUM if refused else INFORMATIONAL,
        "status_id": FAILURE if refused else SUCCESS,
        "message": kind.title,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Encours", "vendor_name": "Encours", "version": version},
            "uid": f"{entry.tenant_id}-{entry.sequence}",
            "sequence": entry.sequence,
            "tenant_uid": tenant,
            "event_code": entry.event,
            "original_time": entry.at.isoformat(),
        },
        "actor": {"user": {"name": entry.by}},
        "unmapped": dict(entry.facts),
    }
    subject = {"type": "credential", "uid": str(entry.credential_id or "")}
    if kind.class_uid == AUTHENTICATION:
        return event | {
            "user": {"name": str(entry.facts.get("subject") or entry.by), "uid": subject["uid"]},
            "service": {"name": str(entry.facts.get("service") or "Encours")},
        }
    return event | {
        "api": {"operation": entry.event, "service": {"name": "Encours"}},
        "src_endpoint": {"svc_name": "Encours"},
        "resources": [subject] if entry.credential_id else [],
    }


def cef(event: Mapping[str, Any]) -> str:
    """An OCSF event as one CEF line."""
    meta = event["metadata"]
    resource: Mapping[str, Any] = event.get("user") or next(iter(event.get("resources", ())), {})
    header = [
        "CEF:0", "Encours", "Encours", meta["product"]["version"], meta["event_code"], event["message"],
        str({INFORMATIONAL: 3, MEDIUM: 6}[event["severity_id"]]),
    ]  # fmt: skip
    extension = {
        "rt": event["time"],
        "externalId": meta["uid"],
        "suser": event["actor"]["user"]["name"],
        "outcome": "failure" if event["status_id"] == FAILURE else "success",
        "cs1Label": "tenant",
        "cs1": meta["tenant_uid"],
        "cs2Label": "credential",
        "cs2": resource.get("uid", ""),
        "msg": ", ".join(f"{name} {value}" for name, value in sorted(event["unmapped"].items())),
    }
    told = " ".join(f"{name}={_extension(str(value))}" for name, value in extension.items() if value != "")
    return "|".join([header[0], *map(_header, header[1:])]) + "|" + told


def _header(text: str) -> str:
    return _one_line(text.replace("\\", "\\\\").replace("|", "\\|"), " ")


def _extension(text: str) -> str:
    return _one_line(text.replace("\\", "\\\\").replace("=", "\\="), "\\n")


def _one_line(text: str, end: str) -> str:
    return end.join(text.splitlines())
