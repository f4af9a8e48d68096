"""Exports: OCSF events of the two classes, and CEF lines in which nothing breaks out of its field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from identity.audit import Entry
from identity.export import KINDS, cef, ocsf
from tests.conftest import Database

CREDENTIAL = UUID("00000000-0000-0000-0000-000000000007")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
# What schema.ocsf.io 1.3.0 requires of every event, and of each class.
ALWAYS = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
REQUIRED = {3002: {"user"}, 6003: {"actor", "api", "src_endpoint"}}


def entry(event: str, **facts: str | int | None) -> Entry:
    return Entry(3, 12, NOON, event, CREDENTIAL, "alice", facts)


def test_every_event_that_the_audit_takes_is_exported(database: Database) -> None:
    with psycopg.connect(database.url("encours_owner")) as connection:
        ((written,),) = connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = 'event_is_known'"
        ).fetchall()
    assert set(re.findall(r"'(\w+)'", written)) == set(KINDS)


@pytest.mark.parametrize("event", KINDS)
def test_every_event_has_what_its_class_requires(event: str) -> None:
    made = ocsf(entry(event, run=7), "acme", "0.2.0")
    assert ALWAYS | REQUIRED[made["class_uid"]] <= made.keys()
    assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
    assert made["category_uid"] == {3002: 3, 6003: 6}[made["class_uid"]]
    assert made["time"] == 1_795_521_600_000
    assert made["metadata"]["uid"] == "3-12"
    assert made["metadata"]["tenant_uid"] == "acme"
    assert made["unmapped"] == {"run": 7}


def test_a_refusal_is_a_failure_and_more_severe() -> None:
    made = ocsf(entry("refused", subject="ENCOURS", service="login.example"), "acme", "0.2.0")
    assert (made["status_id"], made["severity_id"], made["class_uid"]) == (2, 3, 3002)
    assert made["user"] == {"name": "ENCOURS", "uid": str(CREDENTIAL)}
    assert made["service"] == {"name": "login.example"}
    assert ocsf(entry("issued"), "acme", "0.2.0")["status_id"] == 1


def test_cef_is_made_of_the_event() -> None:
    line = cef(ocsf(entry("used", run=7, uses=3), "acme", "0.2.0"))
    assert line == (
        "CEF:0|Encours|Encours|0.2.0|used|Credential used by a run|3|rt=1795521600000 externalId=3-12 "
        f"suser=alice outcome=success cs1Label=tenant cs1=acme cs2Label=credential cs2={CREDENTIAL} "
        "msg=run 7, uses 3"
    )


def test_nothing_breaks_out_of_a_cef_field() -> None:
    line = cef(ocsf(entry("used", note="a=b\\c\nCEF:0|forged|"), "ac|me", "0|2"))
    assert "\n" not in line
    assert line.startswith("CEF:0|Encours|Encours|0\\|2|used|")
    assert line.endswith("msg=note a\\=b\\\\c\\nCEF:0|forged|")
    assert "cs1=ac|me" in line, "a bar is no end in the extension"
