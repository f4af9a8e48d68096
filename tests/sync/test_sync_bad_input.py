"""What an ERP, or a setting, can have wrong: a clear error or a reject, and the last publication stays."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from encours.credential import NewCredential
from identity.secret import Secret
from receivables.errors import HubError, Misconfigured, Rejected, Transient

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

KEY = "example-s4"
ITEMS = "A_OperationalAcctgDocItemCube"
FOR_EVER = 1_000
MONTHS = itertools.cycle([2, 3])  # another history is another meaning: everything is read again


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--world", "example").tenants["example"]


@pytest.fixture(scope="module")
def installed(install: Install, erp: Erp) -> Installation:
    installation = install()
    installation.connect(erp, KEY, history_months=1)
    assert installation.hub.sync(KEY).verdict == "equal"
    return installation


@pytest.fixture
def installation(installed: Installation, erp: Erp) -> Iterator[Installation]:
    """An installation that has published; its next sync reads everything again. Afterwards all is well again."""
    installed.change(KEY, history_months=next(MONTHS))
    yield installed
    erp.well()
    installed.hub.replace_credential(KEY, NewCredential(erp.user, Secret(erp.password)))
    installed.change(KEY, base_url=erp.url, company_codes=erp.company_codes, ca_bundle=None)
    result = installed.hub.sync(KEY)
    assert (result.state, result.verdict, installed.hub.rejects(KEY)) == ("published", "equal", [])


def fails(installation: Installation, error: type[HubError], *words: str) -> None:
    """The sync fails with this error in these words, and readers see what they saw before."""
    before = installation.visible(KEY)
    with pytest.raises(HubError) as raised:
        installation.hub.sync(KEY)
    assert isinstance(raised.value, error)
    for word in (KEY, *words):
        assert word in str(raised.value)
    assert installation.visible(KEY) == before
    run = installation.last_run(KEY)
    if error is Transient:
        assert (run.state, run.message) == ("reading", None), "to be resumed"
    else:
        assert (run.state, run.message) == ("failed", str(raised.value))
        (status,) = installation.hub.overview()
        assert (status.state, status.sentence) == ("failing", run.message)


# -- address, certificate, credentials ------------------------------------------------------------------------


def test_a_wrong_password(installation: Installation, erp: Erp) -> None:
    installation.hub.replace_credential(KEY, NewCredential(erp.user, Secret("not the password")))
    fails(
        installation,
        Misconfigured,
        "control_totals",
        "refused the connector's credential (401)",
        "credential",
    )


def test_an_unknown_host(installation: Installation) -> None:
    installation.change(KEY, base_url="https://erp.nowhere.invalid:44300")
    fails(
        installation,
        Misconfigured,
        "control_totals",
        "https://erp.nowhere.invalid:44300",
        "is not known",
        "DNS",
    )


def test_an_expired_certificate(installation: Installation, start: Start, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for folder, ends in (
        (tmp_path / "old", now - timedelta(days=1)),
        (tmp_path / "new", now + timedelta(days=1)),
    ):
        certified = certificate(folder, ends)
        (erp,) = start("--world", "example", "--tls", *map(str, certified[1:])).tenants.values()
        address = erp.url.replace("localhost", "127.0.0.1")
        installation.change(KEY, base_url=address, ca_bundle=str(certified[0]))
        if ends < now:
            fails(installation, Misconfigured, address, "its certificate has expired", "renew")
        else:
            assert installation.hub.sync(KEY).verdict == "equal"


def certificate(folder: Path, ends: datetime) -> tuple[Path, Path, Path]:
    """A CA's certificate, and a certificate of 127.0.0.1 signed by it, with its key, in files."""
    folder.mkdir()
    began = ends - timedelta(days=30)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test CA", "127.0.0.1")]
    made = []
    for place, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(ends + timedelta(days=0 if place else 90))
            .add_extension(x509.BasicConstraints(ca=place == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
            )
            .add_extension(usage(signs=place == 0), critical=True)
        )
        if place:
            address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(address, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = folder / "ca.pem", folder / "certificate.pem", folder / "key.pem"
    for file, content in zip(files, (*made, private), strict=True):
        file.write_bytes(content)
    return files


def usage(*, signs: bool) -> x509.KeyUsage:
    """What a key may be used for: signing certificates, or signing handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def test_a_company_code_that_does_not_exist(installation: Installation) -> None:
    installation.change(KEY, company_codes=["1010", "9999"])
    fails(installation, Misconfigured, "company code 9999", "company_codes")


# -- answers as a whole ---------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[dict[str, Any], type[HubError], tuple[str, ...]]] = {
    "login page": (
        {"kind": "login_page", "set": ITEMS}, Misconfigured,
        ("accounting_items", "a web page instead of data", "communication (technical) user"),
    ),
    "truncated page": (
        {"kind": "truncated_page", "set": ITEMS}, Transient, ("accounting_items", "ends in the middle"),
    ),
    "page shorter than its count": (
        {"kind": "short_page", "set": ITEMS}, Rejected, ("accounting_items", "ends at row 2 of 4", "page_size"),
    ),
    "next link to another host": (
        {"kind": "foreign_next", "set": ITEMS}, Rejected,
        ("accounting_items", "https://elsewhere.example", "Nothing was sent there"),
    ),
    "same page for ever": (
        {"kind": "same_page", "set": ITEMS}, Rejected, ("accounting_items", "one already read"),
    ),
    "same rows behind ever new links": (
        {"kind": "endless_pages", "set": "A_CustomerCompany"}, Rejected, ("customers", "The server repeats itself"),
    ),
    "NaN that is no JSON": (
        {"kind": "nan_literal", "set": ITEMS}, Rejected, ("accounting_items", "not an OData V2 list"),
    ),
    "NaN in a total": (
        {"kind": "nan_amount", "set": "GLAccountLineItem", "property": "AmountInTransactionCurrency"}, Rejected,
        ("control_totals", "AmountInTransactionCurrency"),
    ),
    "NaN in a balance": (
        {"kind": "nan_amount", "set": "C_TRIALBALANCEResults", "property": "EndingBalanceAmtInCoCodeCrcy"}, Rejected,
        ("control_totals", "EndingBalanceAmtInCoCodeCrcy"),
    ),
    "service not activated": (
        {"kind": "forbidden_atom", "set": ITEMS}, Misconfigured,
        ("accounting_items", "403", "No authorization to access Service"),
    ),
    "amounts without currency": (
        {"kind": "no_unit", "set": "API_OPLACCTGDOCITEMCUBE_SRV"}, Misconfigured,
        ("accounting_items", "AmountInTransactionCurrency", "sap:unit"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_cannot_be_used(name: str, installation: Installation, erp: Erp) -> None:
    wish, error, words = ANSWERS[name]
    erp.control("misbehave", {**wish, "times": FOR_EVER})
    fails(installation, error, *words)


# -- single rows ----------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "NaN amount": ({"kind": "nan_amount"}, "AmountInTransactionCurrency"),
    "30 February": ({"kind": "thirtieth_of_february"}, "NetDueDate"),
    "30 February of posting": ({"kind": "thirtieth_of_february", "property": "PostingDate"}, "PostingDate"),
    "amount with a fraction of a cent": (
        {"kind": "value", "property": "AmountInCompanyCodeCurrency", "value": "600.005"}, "AmountInCompanyCodeCurrency",
    ),
    "no such currency": (
        {"kind": "value", "property": "TransactionCurrency", "value": "EUX"}, "TransactionCurrency",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_be_read_is_set_aside_and_holds_the_run(
    name: str, installation: Installation, erp: Erp
) -> None:
    wish, field = ROWS[name]
    before = installation.visible(KEY)
    erp.control("misbehave", {**wish, "set": ITEMS, "times": FOR_EVER})

    result = installation.hub.sync(KEY)

    assert (result.state, result.publication) == ("held", None)
    assert "rows were set aside" in result.verdict
    rejects = installation.hub.rejects(KEY)
    assert result.rejects == len(rejects) > 0
    for reject in rejects:
        assert (reject.connector, reject.stream, reject.field) == (KEY, "accounting_items", field)
        assert reject.key
        assert field.encode() in reject.raw
        assert f"accounting_items {reject.key}, field {field}: {reject.message}" in result.explanation
    assert installation.visible(KEY) == before
    (status,) = installation.hub.overview()
    assert (status.state, status.rejects) == ("held", len(rejects))


def test_a_name_that_cannot_be_read_holds_nothing_and_is_read_again(
    installation: Installation, erp: Erp
) -> None:
    assert installation.hub.sync(KEY).verdict == "equal"
    wish = {"kind": "value", "property": "CustomerName", "value": "a\u202eb", "times": FOR_EVER}
    erp.control("misbehave", {**wish, "set": "A_Customer"})

    for times in (1, 2):
        result = installation.hub.sync(KEY, sweep=True)
        assert (result.state, result.verdict) == ("published", "equal")
        (reject,) = installation.hub.rejects(KEY)
        assert (reject.connector, reject.stream, reject.field) == (KEY, "customers", "CustomerName")
        assert reject.times == times
        (customer,) = installation.of(KEY, "customer")
        assert customer["name"] is None

    erp.well()
    assert installation.hub.sync(KEY, sweep=True).verdict == "equal"
    (customer,) = installation.of(KEY, "customer")
    assert (customer["name"], installation.hub.rejects(KEY)) == ("Inlandskunde DE 1", [])


# -- what a shell sees ----------------------------------------------------------------------------------------

CODES: dict[str, tuple[int, dict[str, Any] | None, str]] = {
    "published": (0, None, ""),
    "failed": (1, {"kind": "login_page", "set": ITEMS}, "a web page instead of data"),
    "held": (3, {"kind": "nan_amount", "set": ITEMS}, ""),
    "try again later": (75, {"kind": "truncated_page", "set": ITEMS}, "ends in the middle"),
}


@pytest.mark.parametrize("name", CODES)
def test_exit_codes(name: str, installation: Installation, erp: Erp) -> None:
    code, wish, complaint = CODES[name]
    if wish:
        erp.control("misbehave", {**wish, "times": FOR_EVER})
    before = installation.visible(KEY)
    ended, out, err = installation.command("sync", KEY, "--json")
    assert ended == code, err
    assert "Traceback" not in err
    if complaint:
        assert out == ""
        last = err.strip().splitlines()[-1]
        assert last.startswith(f"{KEY}, accounting_items: ")
        assert complaint in last
    else:
        (result,) = json.loads(out)
        assert (result["connector"], result["state"]) == (KEY, name)
    if name != "published":
        assert installation.visible(KEY) == before
