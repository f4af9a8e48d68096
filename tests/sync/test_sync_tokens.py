"""Whole syncs signed with tokens: at a simulated SAP that takes those of a simulated provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.kit.http import Answer
from connectors.kit.stream import Access
from encours.hub import Hub
from identity.audit import Entry
from identity.oauth import OAuthClient
from identity.secret import Secret
from identity.token_rows import Holder
from receivables.errors import Misconfigured, Transient
from tests.sandbox.idps import Idps

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider
    from tests.sync.conftest import Erp, Install, Installation, Start

SERVICES = (
    *("API_OPLACCTGDOCITEMCUBE_SRV", "API_BUSINESS_PARTNER", "API_COMPANYCODE_SRV"),
    *("API_GLACCOUNTLINEITEM", "C_TRIALBALANCE_CDS", "API_BILLING_DOCUMENT_SRV"),
)
SCOPES = tuple(f"{service}_0001" for service in SERVICES)
SMALL = {"history_months": 1}


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps("--profile", "sap-like")


@pytest.fixture(scope="module")
def erp(start: Start, idp: Provider) -> Erp:
    return start("--items", "400", "--tenant", "acme", "--idp", idp.control_url).tenants["acme"]


@pytest.fixture
def installation(install: Install) -> Installation:
    return install()


def client(idp: Provider, **changes: str) -> OAuthClient:
    secret = changes.get("secret", idp.clients["encours-basic"]["secret"])
    return OAuthClient(
        "encours-basic",
        Secret(secret),
        "client_credentials",
        scopes=SCOPES,
        token_endpoint=changes.get("token_endpoint", idp.endpoints["token"]),
    )


def connected(installation: Installation, erp: Erp, content: OAuthClient, key: str = "acme-s4") -> str:
    settings = {"base_url": erp.url, "company_codes": erp.company_codes, **SMALL}
    installation.hub.add_connector(
        system="sap_s4hana", key=key, tenant=erp.name, settings=settings, credential=content
    )
    return key


def told(installation: Installation, key: str, event: str) -> list[Entry]:
    hub = installation.hub
    return list(hub.authority.audit.entries(hub.registry.connector(key).tenant_id, event=event))


def customers(access: Access) -> Answer:
    return access.http.get(
        f"{access.settings.base_url}/sap/opu/odata/sap/API_BUSINESS_PARTNER/A_Customer", stream="customers"
    )


def tokens_issued(idp: Provider) -> int:
    return sum(entry["outcome"] == "issued" for entry in idp.log())


def test_a_sync_is_signed_with_one_token_and_says_so(
    idp: Provider, erp: Erp, installation: Installation
) -> None:
    key, before = connected(installation, erp, client(idp)), tokens_issued(idp)
    assert installation.hub.sync(key).verdict == "equal"
    assert installation.hub.sync(key).verdict == "equal"
    assert tokens_issued(idp) == before + 1
    (issued,) = told(installation, key, "issued")
    assert {entry.facts["token"] for entry in told(installation, key, "used")} == {issued.facts["token"]}
    assert {request["user"] for request in erp.requests_since(0) if request["user"]} == {"encours-basic"}


def test_a_token_that_is_revoked_in_the_middle_is_renewed_once(
    idp: Provider, erp: Erp, installation: Installation
) -> None:
    hub, before = installation.hub, tokens_issued(idp)
    connector = hub.registry.connector(connected(installation, erp, client(idp)))
    with hub.access(connector) as (_, access, auth):
        first = customers(access).body
        idp.control("end", {})
        assert customers(access).body == first
        assert customers(access).body == first
    assert tokens_issued(idp) == before + 2
    assert auth is not None
    assert (auth.uses, len(auth.tokens)) == (4, 2)


def test_what_is_refused_with_a_new_token_as_well_is_not_renewed_again(
    idps: Idps, erp: Erp, installation: Installation
) -> None:
    stranger, hub = idps("--profile", "sap-like"), installation.hub
    connector = hub.registry.connector(connected(installation, erp, client(stranger)))
    with hub.access(connector) as (_, access, auth), pytest.raises(Misconfigured, match="401"):
        customers(access)
    assert tokens_issued(stranger) == 2
    assert auth is not None
    assert auth.uses == 2


def test_two_connectors_with_one_credential_share_one_token(
    idp: Provider, erp: Erp, installation: Installation
) -> None:
    hub, before = installation.hub, tokens_issued(idp)
    first = hub.registry.connector(connected(installation, erp, client(idp)))
    settings = {"base_url": erp.url, "company_codes": erp.company_codes, **SMALL}
    second = hub.add_connector(
        system="sap_s4hana", key="two", tenant=erp.name, settings=settings, credential=first.credential_id
    )
    for connector in (first, second):
        with hub.access(connector) as (_, access, _):
            customers(access)
    assert tokens_issued(idp) == before + 1


def test_what_the_provider_says_is_the_hubs_own_error(
    idp: Provider, erp: Erp, installation: Installation
) -> None:
    hub = installation.hub
    wrong = connected(installation, erp, client(idp, secret="wrong"))
    with pytest.raises(Misconfigured, match=r"^acme-s4: .*invalid_client"):
        hub.sync(wrong)
    consent = OAuthClient(
        "encours-basic", Secret("s"), "refresh_token", token_endpoint=idp.endpoints["token"]
    )
    hub.replace_credential(wrong, consent)
    with pytest.raises(Misconfigured, match="acme-s4: Nobody has consented yet"):
        hub.sync(wrong)
    hub.replace_credential(wrong, client(idp))
    idp.control("outage", {"kind": "refused"})
    with pytest.raises(Transient, match="acme-s4: "):
        hub.sync(wrong)
    idp.control("outage", {})
    hub.replace_credential(wrong, client(idp, token_endpoint="http://169.254.169.254/token"))
    with pytest.raises(Misconfigured, match="an address that no connector may reach"):
        hub.sync(wrong)
    hub.replace_credential(wrong, client(idp))
    assert hub.sync(wrong).verdict == "equal"


def test_grants_that_lie_idle_are_kept_alive(idps: Idps, installation: Installation) -> None:
    strict, hub = idps("--profile", "strict"), installation.hub
    for key, user in (("one", "anna"), ("two", "bruno")):
        content = replace(client(strict), grant="refresh_token", provider="okta", scopes=())
        settings = {"base_url": "https://sap.example", "company_codes": "1010"}
        made = hub.add_connector(
            system="sap_s4hana", key=key, tenant="acme", settings=settings, credential=content
        )
        assert made.credential_id is not None
        refresh = Secret(strict.consent(user=user)["refresh_token"])
        hub.authority.tokens.adopt(Holder(made.tenant_id, made.credential_id), refresh, by="test")
    assert sorted(hub.keep_alive()) == [("one", None), ("two", None)], "never used, as far as we know"
    assert hub.keep_alive() == []
    (connector, *_) = hub.registry.connectors()
    broken = hub.registry.change(connector, settings={}, changed_by="test")
    later = Hub(hub.settings, clock=lambda: hub.clock() + timedelta(days=4))
    one, two = sorted(later.keep_alive())
    assert one[0] == connector.key == "one"
    assert "base_url: Field required" in str(one[1])
    assert two == ("two", None), "settings that are wrong hinder nobody else"
    hub.registry.change(broken, settings=connector.settings, changed_by="test")
    strict.control("end", {"subject": "bruno"})
    later = Hub(hub.settings, clock=lambda: hub.clock() + timedelta(days=8))
    one, two = sorted(later.keep_alive())
    assert one == ("one", None)
    assert two[0] == "two"
    assert "must connect the service again" in str(two[1])
