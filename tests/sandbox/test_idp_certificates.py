"""Clients that sign in by certificate (RFC 8705, 2.1), and https."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.sandbox.certificates import Authority
from tests.sandbox.idp_client import Provider

if TYPE_CHECKING:
    from tests.sandbox.idps import Idps

OWN = {"grant_type": "client_credentials", "client_id": "by-certificate"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def idp(start_idp: Idps, authority: Authority) -> Provider:
    certificate, key = authority.issue("server")
    given = ("--tls", str(certificate), str(key), "--client-ca", str(authority.certificate))
    provider = start_idp(*given)
    wish = {
        "client_id": "by-certificate",
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=encours,O=Acme",
    }
    provider.control("clients", wish)
    return provider


def ask(idp: Provider, authority: Authority, own: tuple[Path, Path] | None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(authority.certificate)
        session.cert = (str(own[0]), str(own[1])) if own else None
        return session.post(idp.endpoints["token"], data=OWN, timeout=30)


def test_a_client_signs_in_by_its_certificate(idp: Provider, authority: Authority) -> None:
    assert idp.issuer.startswith("https://localhost:")
    answer = ask(idp, authority, authority.issue("encours"))
    assert answer.status_code == 200, answer.text


def test_no_certificate_or_anothers_is_refused(idp: Provider, authority: Authority) -> None:
    for own in (None, authority.issue("elsewhere")):
        answer = ask(idp, authority, own)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_certificate_of_another_authority_gets_no_connection(
    idp: Provider, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(requests.ConnectionError):
        ask(idp, authority, Authority(tmp_path / "other").issue("encours"))
