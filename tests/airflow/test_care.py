"""The care of an installation, as Airflow's tasks call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from encours.airflow import care
from encours.hub import Hub
from encours.settings import Settings
from identity.kinds import Basic
from identity.secret import Secret

if TYPE_CHECKING:
    from tests.conftest import Database


def test_what_was_added_to_the_audit_is_signed_outside_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (database.environment() | {"ENCOURS_HOME": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    with Hub(Settings()) as hub:
        tenant = hub.registry.add_tenant("acme", "Acme", "UTC").tenant_id
        hub.authority.credentials.create(tenant, Basic("anna", Secret("s3cret")), label="acme", by="olga")
    care.checkpoint()
    care.checkpoint()
    (file,) = (tmp_path / "checkpoints").iterdir()
    assert len(file.read_text().splitlines()) == 1, "nothing was added between the two"
    with Hub(Settings()) as hub:
        (proof,) = hub.security.verify("acme")
    assert (proof.verification.intact, proof.verification.checkpoint) == (True, 1)
