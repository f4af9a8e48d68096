"""Clients that sign in by certificate (RFC 8705, 2.1), and https."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.sandbox.idp_client import Provider

if TYPE_CHECKING:
    from tests.sandbox.conftest import Idps

OWN = {"grant_type": "client_credentials", "client_id": "by-certificate"}


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
        self.certificate = folder / "authority.pem"
        self._write(self.certificate, self._issue(self.name, self.key.public_key(), authority=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Give certificate and key of a subject CN=name,O=Acme."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._write(certificate, self._issue(x509.Name(attributes), key.public_key(), authority=False))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def _issue(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


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
