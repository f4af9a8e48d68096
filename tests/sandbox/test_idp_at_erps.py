"""The simulated ERPs take the provider's bearer tokens, and passwords as before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from joserfc.jwk import ECKey
from lxml import etree

from tests.sandbox.idp_client import JWT_BEARER, Provider

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Start
    from tests.sandbox.idps import Idps
    from tests.sandbox.intacct_client import Intacct

CUSTOMER = "API_BUSINESS_PARTNER/A_Customer"
SCOPE = "API_BUSINESS_PARTNER_0001"


@pytest.fixture(scope="module")
def sap_idp(idps: Idps) -> Provider:
    return idps("--profile", "sap-like")


@pytest.fixture(scope="module")
def sap(shared_start: Start, sap_idp: Provider) -> Erp:
    return shared_start("--world", "example", "--idp", sap_idp.control_url).tenants["example"]


@pytest.fixture
def intacct_idp(idps: Idps) -> Iterator[Provider]:
    idp = idps.like("--profile", "intacct-like", "--set", 'users=["api_reader@intacct-example", "b@c"]')
    yield idp
    idp.control("outage", {})


@pytest.fixture(scope="module")
def company(shared_start: Start, idps: Idps) -> Intacct:
    idp = idps.like("--profile", "intacct-like", "--set", 'users=["api_reader@intacct-example", "b@c"]')
    started = shared_start("--world", "intacct-example", "--idp", idp.control_url)
    return started.companies["intacct-example"]


def read(sap: Erp, token: str, path: str = CUSTOMER) -> requests.Response:
    return requests.get(
        f"{sap.url}/sap/opu/odata/sap/{path}",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        timeout=30,
    )


def own_token(idp: Provider, scope: str = SCOPE) -> str:
    return str(idp.token({"grant_type": "client_credentials", "scope": scope})["access_token"])


def test_sap_takes_a_token_and_logs_whose_it_is(sap: Erp, sap_idp: Provider) -> None:
    answer = read(sap, own_token(sap_idp))
    assert answer.status_code == 200
    assert answer.json()["d"]["results"][0]["Customer"] == "10100001"
    assert sap.control("log")["requests"][-1]["user"] == "encours-basic"


def test_sap_takes_the_password_as_before(sap: Erp) -> None:
    assert sap.get(CUSTOMER).status_code == 200
    wrong = requests.get(f"{sap.url}/sap/opu/odata/sap/{CUSTOMER}", auth=("a", "b"), timeout=30)
    assert wrong.status_code == 401
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_token_without_the_services_scope_is_forbidden(sap: Erp, sap_idp: Provider) -> None:
    answer = read(sap, own_token(sap_idp), "API_COMPANYCODE_SRV/A_CompanyCode")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "/IWFND/CM_MGW/004"
    both = own_token(sap_idp, f"{SCOPE} API_COMPANYCODE_SRV_0001")
    assert read(sap, both, "API_COMPANYCODE_SRV/A_CompanyCode").status_code == 200


def test_sap_like_grants_need_a_scope(sap_idp: Provider) -> None:
    assert sap_idp.error({"grant_type": "client_credentials"}) == "invalid_scope"
    assert sap_idp.error({"grant_type": "refresh_token", "refresh_token": "x"}) == "unsupported_grant_type"


def test_sap_takes_the_token_of_a_user_that_a_partner_vouches_for(sap: Erp, sap_idp: Provider) -> None:
    """RFC 7523, 2.1."""
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    keys = {"keys": [key.as_dict(private=False)]}
    sap_idp.control("issuers", {"issuer": "https://partner.example", "jwks": keys})
    now = int(sap_idp.control("clock", {"forward": 0})["now"])
    claims = {"iss": "https://partner.example", "sub": "COMM_ACME", "aud": sap_idp.endpoints["token"]}
    assertion = jwt.encode(
        claims | {"exp": now + 60}, key.as_pem(private=True), "ES256", headers={"kid": "one"}
    )
    told = sap_idp.token({"grant_type": JWT_BEARER, "assertion": assertion, "scope": SCOPE})
    assert read(sap, told["access_token"]).status_code == 200
    assert sap.control("log")["requests"][-1]["user"] == "COMM_ACME"


@pytest.mark.parametrize("end", ["expired", "revoked", "made up", "of an administrator"])
def test_a_dead_token_is_refused_at_once(sap: Erp, sap_idp: Provider, end: str) -> None:
    """RFC 6750, 3.1."""
    token = own_token(sap_idp)
    assert read(sap, token).status_code == 200
    if end == "expired":
        sap_idp.control("clock", {"forward": 3600})
    elif end == "revoked":
        assert sap_idp.post("revoke", {"token": token}).status_code == 200
    elif end == "made up":
        token = "made-up"
    else:
        sap_idp.control("end", {})
    answer = read(sap, token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert sap.control("log")["requests"][-1]["user"] == ""


def test_a_token_outlives_an_outage_of_the_provider(sap: Erp, sap_idp: Provider) -> None:
    token = own_token(sap_idp)
    sap_idp.control("outage", {"kind": "refused"})
    assert read(sap, token).status_code == 200
    sap_idp.control("outage", {})


def test_an_erp_without_a_provider_knows_no_token(start: Start, sap_idp: Provider) -> None:
    alone = start("--world", "example").tenants["example"]
    assert read(alone, own_token(sap_idp)).status_code == 401


# Intacct


def named_token(idp: Provider, user: str = "api_reader@intacct-example") -> dict[str, Any]:
    client = idp.clients["encours-post"]
    form = {"client_id": "encours-post", "client_secret": client["secret"], "username": user}
    return idp.token({"grant_type": "client_credentials"} | form, client="")


def call(company: Intacct, token: str, authentication: str, function: str) -> requests.Response:
    body = company.envelope([function], authentication)
    headers = {"Content-Type": "application/xml", "Authorization": f"Bearer {token}"}
    return requests.post(company.url, data=body, headers=headers, timeout=30)


ENTITIES = "<query><object>LOCATIONENTITY</object><select><field>LOCATIONID</field></select></query>"


@pytest.mark.parametrize("authentication", ["", "<login/>", "<sessionid/>"])
def test_intacct_takes_a_token_in_place_of_a_login(
    company: Intacct, intacct_idp: Provider, authentication: str
) -> None:
    answer = call(company, named_token(intacct_idp)["access_token"], authentication, ENTITIES)
    assert answer.status_code == 200
    found = etree.fromstring(answer.content)
    assert found.findtext("operation/authentication/status") == "success"
    assert found.findtext("operation/authentication/userid") == "api_reader"
    assert found.findtext("operation/result/status") == "success"


def test_a_token_opens_a_session_of_an_entity(company: Intacct, intacct_idp: Provider) -> None:
    token = named_token(intacct_idp)["access_token"]
    entity = company.entities[0]
    login = f"<login><userid/><companyid/><password/><locationid>{entity}</locationid></login>"
    opened = etree.fromstring(call(company, token, login, "<getAPISession/>").content)
    assert opened.findtext("operation/result/data/api/locationid") == entity


def test_intacct_takes_the_password_as_before(company: Intacct) -> None:
    assert company.sign_in()
    refused = company.send(company.envelope(["<getAPISession/>"], company.login(password="x")), company.url)
    assert refused.text("operation/authentication/status") == "failure"


def test_without_a_token_an_empty_login_is_malformed(company: Intacct) -> None:
    answer = company.send(company.envelope(["<getAPISession/>"], ""), company.url)
    assert "neither login nor sessionid" in answer.errors[0][1]  # type: ignore[operator]


def test_intacct_refuses_a_dead_token_and_another_users(company: Intacct, intacct_idp: Provider) -> None:
    for token in ("made-up", named_token(intacct_idp, "b@c")["access_token"]):
        answer = call(company, token, "", ENTITIES)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_refresh_token_signs_nothing(company: Intacct, intacct_idp: Provider) -> None:
    assert call(company, named_token(intacct_idp)["refresh_token"], "", ENTITIES).status_code == 401


# A provider that starts with an ERP


def test_one_tenant_is_signed_in_to_by_oauth(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "start", "--home", str(tmp_path), "--items", "20"]
    command += ["--tenant", "acme", "--tenant", "nippon", "--oauth", "nippon"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        acme, nippon = told["tenants"]["acme"], told["tenants"]["nippon"]
        assert {"user", "password"} <= acme.keys()
        assert "password" not in nippon
        form = {"grant_type": "client_credentials", "scope": " ".join(nippon["scopes"])}
        client = (nippon["client_id"], nippon["client_secret"])
        given = requests.post(nippon["token_url"], data=form, auth=client, timeout=30).json()
        statuses = [
            requests.get(
                f"{tenant['url']}/sap/opu/odata/sap/{CUSTOMER}",
                headers={"Authorization": f"Bearer {given['access_token']}", "Accept": "application/json"},
                timeout=30,
            ).status_code
            for tenant in (nippon, acme)
        ]
        process.terminate()
    assert given["expires_in"] == 60
    assert statuses == [200, 401]
    assert process.returncode == 0


def test_a_tenant_without_oauth_is_named_in_vain(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "start", "--home", str(tmp_path), "--items", "20"]
    command += ["--tenant", "globex", "--oauth", "globex"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert "there is no SAP tenant globex" in refused.stderr
