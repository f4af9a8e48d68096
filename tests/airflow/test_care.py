"""The care of an installation, as Airflow's tasks call it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from encours.airflow import care
from encours.hub import Hub
from encours.settings import Settings
from identity.kinds import Basic
from identity.oauth import OAuthClient
from identity.secret import Secret
from identity.token_rows import Holder
from tests.sandbox.idps import Idps

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture
def hub(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub of the environment, as a task finds it."""
    ours = {"ENCOURS_HOME": str(tmp_path), "ENCOURS_PRIVATE_NETWORKS": "127.0.0.1/32"}
    for name, value in (database.environment() | ours).items():
        monkeypatch.setenv(name, value)
    return Hub(Settings())


def test_what_was_added_to_the_audit_is_signed_outside_the_database(hub: Hub, tmp_path: Path) -> None:
    tenant = hub.registry.add_tenant("acme", "Acme", "UTC").tenant_id
    hub.authority.credentials.create(tenant, Basic("anna", Secret("s3cret")), label="acme", by="olga")
    care.checkpoint()
    care.checkpoint()
    (file,) = (tmp_path / "checkpoints").iterdir()
    assert len(file.read_text().splitlines()) == 1, "nothing was added between the two"
    (proof,) = hub.security.verify("acme")
    assert (proof.verification.intact, proof.verification.checkpoint) == (True, 1)


def test_a_grant_that_cannot_be_kept_alive_is_named_and_the_others_are_kept(
    hub: Hub, idps: Idps, caplog: pytest.LogCaptureFixture
) -> None:
    idp = idps("--profile", "strict")
    for key, user in (("one", "anna"), ("two", "bruno")):
        secret = Secret(idp.clients["encours-basic"]["secret"])
        client = OAuthClient(
            "encours-basic", secret, "refresh_token", provider="okta", token_endpoint=idp.endpoints["token"]
        )
        settings = {"base_url": "https://sap.example", "company_codes": "1010"}
        made = hub.add_connector(
            system="sap_s4hana", key=key, tenant="acme", settings=settings, credential=client
        )
        assert made.credential_id is not None
        refresh = Secret(idp.consent(user=user)["refresh_token"])
        hub.authority.tokens.adopt(Holder(made.tenant_id, made.credential_id), refresh, by="test")
    idp.control("end", {"subject": "bruno"})
    with (
        caplog.at_level(logging.INFO, logger="encours"),
        pytest.raises(AirflowFailException, match=r"^two: .*must connect the service again"),
    ):
        care.keep_alive()
    assert "1 grants that lay idle were renewed." in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="encours"):
        care.keep_alive()
    assert "0 grants that lay idle were renewed." in caplog.text
