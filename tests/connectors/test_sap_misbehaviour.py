"""What SAP, or something in front of it, sends instead of the right answer: a clear error, or a row set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.auth import HTTPBasicAuth

from connectors.kit.failures import NotOffered
from connectors.kit.stream import Access
from receivables.errors import HubError, Misconfigured, RateLimited, Rejected, Transient
from receivables.records import OpenItem
from tests.connectors.conftest import SYSTEM, TODAY, Erp, Start, access_to, read, session

ITEMS = "A_OperationalAcctgDocItemCube"


@pytest.fixture(scope="module")
def acme(shared_start: Start) -> Erp:
    """An SAP system whose books stand still."""
    return shared_start("--items", "60", "--today", TODAY.isoformat(), "--tenant", "acme")["acme"]


@pytest.fixture
def erp(acme: Erp) -> Iterator[Erp]:
    """The same, whose misbehaviour ends with the test."""
    yield acme
    requests.delete(f"{acme.url}/_sandbox/misbehave", timeout=30).raise_for_status()


def load(access: Access) -> Any:
    return read(access, SYSTEM.plan(access, {}, sweep=False))


@pytest.mark.parametrize(
    ("kind", "target", "error", "words"),
    [
        ("login_page", ITEMS, Misconfigured, "communication (technical) user"),
        ("login_page", "A_Customer", Misconfigured, "communication (technical) user"),
        ("truncated_page", ITEMS, Transient, "ends in the middle"),
        ("short_page", "A_CustomerCompany", Rejected, "links to no other"),
        ("foreign_next", "A_CustomerCompany", Rejected, "https://elsewhere.example"),
        ("same_page", "A_CustomerCompany", Rejected, "already read"),
        ("endless_pages", "A_CustomerCompany", Rejected, "repeats itself"),
        ("nan_literal", ITEMS, Rejected, "is not an OData V2 list"),
        ("forbidden_atom", ITEMS, NotOffered, "No authorization to access Service"),
        ("data_not_found", ITEMS, Rejected, "Data not found"),
        ("internal_error", ITEMS, Transient, "Time limit exceeded"),
        ("unavailable", ITEMS, Transient, "Service cannot be reached"),
        ("too_many_requests", "A_Customer", RateLimited, "asks to wait 2 s"),
    ],
)
def test_each_misbehaviour_is_a_clear_error(
    erp: Erp, kind: str, target: str, error: type[HubError], words: str
) -> None:
    erp.control("misbehave", {"kind": kind, "set": target, "times": 999})
    stream = "customers" if target.startswith("A_Cust") else "accounting_items"
    with access_to(erp) as access, pytest.raises(error) as raised:
        load(access)
    assert str(raised.value).startswith(f"acme-s4, {stream}: ")
    assert words in str(raised.value)
    assert erp.password not in str(raised.value)


@pytest.mark.parametrize(
    ("order", "code", "field"),
    [
        ({"kind": "nan_amount"}, "amount_form", "AmountInTransactionCurrency"),
        ({"kind": "thirtieth_of_february"}, "day_form", "NetDueDate"),
        ({"kind": "value", "property": "AmountInCompanyCodeCurrency", "value": "1.2345"}, "amount_scale", "AmountInCompanyCodeCurrency"),
        ({"kind": "value", "property": "TransactionCurrency", "value": "XXQ"}, "currency_unknown", "TransactionCurrency"),
        ({"kind": "value", "property": "Customer", "value": ""}, "key_missing", "Customer"),
        ({"kind": "value", "property": "PostingDate", "value": "/Date(253402214400000)/"}, "day_range", "PostingDate"),
        ({"kind": "value", "property": "DebitCreditCode", "value": "X"}, "debit_credit_code", "DebitCreditCode"),
        ({"kind": "value", "property": "DocumentItemText", "value": "a\u202eb"}, "text_character", "DocumentItemText"),
    ],
)  # fmt: skip
def test_one_bad_row_is_set_aside_and_the_rest_goes_on(
    erp: Erp, order: dict[str, str], code: str, field: str
) -> None:
    documents = [("1010", str(TODAY.year), str(1800000000 + n)) for n in range(40)]
    with access_to(erp) as access:
        whole = read(access, [SYSTEM.documents(access, documents)])
        erp.control("misbehave", {**order, "set": ITEMS})
        found = read(access, [SYSTEM.documents(access, documents)])
    assert not whole.unreadable
    ((raw, error),) = found.unreadable
    assert (error.code, error.field) == (code, field)
    assert field.encode() in raw
    assert error.key is not None
    assert error.key.startswith("1010/2026/18")
    assert len(found.of(OpenItem)) == len(whole.of(OpenItem)) - 1


def test_amounts_without_a_currency_are_refused(erp: Erp) -> None:
    erp.control("misbehave", {"kind": "no_unit", "set": "API_OPLACCTGDOCITEMCUBE_SRV"})
    with access_to(erp) as access, pytest.raises(Misconfigured, match=r"name no currency \(sap:unit\)"):
        load(access)


def test_a_wrong_password_is_misconfigured_and_not_shown(erp: Erp) -> None:
    with access_to(erp, password="not-the-passw0rd") as access:
        with pytest.raises(Misconfigured, match=r"refused the connector's credential \(401\)") as raised:
            SYSTEM.totals(access, [])
        checks = list(SYSTEM.test(access))
    assert "not-the-passw0rd" not in str(raised.value) + repr(checks)
    assert [(check.name, check.ok) for check in checks] == [("Name", True), ("Sign in", False)]


def test_an_unknown_host_fails_the_first_check() -> None:
    nowhere = Erp("https://no-such-host.invalid", "u", "p", ["1010"])
    with access_to(nowhere) as access:
        (check,) = SYSTEM.test(access)
    assert (check.name, check.ok) == ("Name", False)
    assert "no-such-host.invalid is not known" in check.sentence


def test_without_ledger_services_nothing_is_published_unless_asked_for(erp: Erp) -> None:
    for service in ("C_TRIALBALANCE_CDS", "API_GLACCOUNTLINEITEM"):
        erp.control("misbehave", {"kind": "forbidden_atom", "set": service, "times": 999})
    with access_to(erp) as access, pytest.raises(Misconfigured, match="neither C_TRIALBALANCE_CDS nor"):
        SYSTEM.totals(access, [])
    with access_to(erp, accept_unproven=True) as access:
        assert SYSTEM.totals(access, [("1010", "12100000")]) == []


def test_one_ledger_service_is_enough(erp: Erp) -> None:
    with access_to(erp) as access:
        both = SYSTEM.totals(access, [])
    erp.control("misbehave", {"kind": "forbidden_atom", "set": "C_TRIALBALANCE_CDS", "times": 999})
    with access_to(erp) as access:
        lines_only = SYSTEM.totals(access, [])
    not_zero = [{repr(t) for t in found if t.closing.strip("0.")} for found in (both, lines_only)]
    assert not_zero[0] == not_zero[1] != set()


Certificate = Callable[[timedelta, str], tuple[Path, Path]]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Makes a self-signed certificate that ends after this time, for this name."""

    def make(ends: timedelta, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        paths = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pkcs8, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
        paths[1].write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return paths

    return make


def test_certificates(start: Start, certificate: Certificate) -> None:
    outcomes = {}
    for ends, name in (
        (timedelta(days=-1), "localhost"),
        (timedelta(days=300), "elsewhere"),
        (timedelta(days=10), "localhost"),
    ):
        cert, key = certificate(ends, name)
        (erp,) = start("--world", "example", "--tls", str(cert), str(key)).values()
        url = erp.url.replace("127.0.0.1", "localhost")
        with (
            session(url, HTTPBasicAuth(erp.user, erp.password)) as http,
            pytest.raises(Misconfigured, match="signed by nobody"),
        ):
            http.get(f"{url}/x", stream="s")
        trusting = Erp(url, erp.user, erp.password, erp.company_codes)
        with access_to(trusting, day=datetime.now(UTC).date(), ca_bundle=str(cert)) as access:
            trusted = session(url, HTTPBasicAuth(erp.user, erp.password), ca_bundle=str(cert))
            with trusted:
                checks = list(SYSTEM.test(replace(access, session=trusted)))
        outcomes[ends, name] = checks[1]
    expired, other, good = outcomes.values()
    assert (expired.name, expired.ok) == ("TLS", False)
    assert "its certificate has expired" in expired.sentence
    assert not other.ok
    assert "certificate is for another name" in other.sentence
    assert good.ok
    assert "have it renewed" in good.sentence
