"""The process: starting, the access log, https, posting from the command line, and a clean end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from tests.sandbox.conftest import Sandbox, Start

pytestmark = pytest.mark.long
CUSTOMER = "API_BUSINESS_PARTNER/A_Customer"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start: Start, number: signal.Signals) -> None:
    sandbox = start("--world", "example")
    erp = sandbox.tenants["example"]
    erp.control("misbehave", {"kind": "slow_drip", "seconds": 5, "times": 1})
    with erp.session.get(
        f"{erp.url}/sap/opu/odata/sap/{CUSTOMER}?$format=json", stream=True, timeout=30
    ) as answer:
        assert answer.status_code == 200
        sandbox.process.send_signal(number)
        started = time.monotonic()
        assert sandbox.process.wait(timeout=10) == 0
        assert time.monotonic() - started < 8
    with pytest.raises(requests.ConnectionError):
        requests.get(erp.url, timeout=5)


def test_every_request_is_in_the_access_log(start: Start) -> None:
    sandbox = start("--items", "100", "--today", "2026-11-24")
    acme, nippon = sandbox.tenants["acme"], sandbox.tenants["nippon"]
    acme.get(CUSTOMER, top=3)
    nippon.get("API_BUSINESS_PARTNER/A_Nothing")
    requests.get(f"{acme.url}/sap/opu/odata/sap/{CUSTOMER}", auth=("a", "b"), timeout=30)
    first, second = acme.control("log")["requests"]
    assert (first["service"], first["set"], first["status"], first["rows"], first["user"]) == (
        "API_BUSINESS_PARTNER", "A_Customer", 200, 3, "COMM_ACME",
    )  # fmt: skip
    assert (second["status"], second["rows"], second["user"]) == (401, 0, "")
    assert first["bytes"] > 100
    assert "top=3" in first["query"]
    assert acme.control("log", since=1)["requests"] == [second]
    lines = (sandbox.home / "access.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["tenant"] for line in lines] == ["acme", "nippon", "acme"]
    assert json.loads(lines[0]) == first


def test_no_password_is_in_the_access_log(start: Start) -> None:
    sandbox = start("--world", "example")
    erp = sandbox.tenants["example"]
    erp.get(CUSTOMER)
    assert erp.password not in (sandbox.home / "access.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tenant", "initech"], "initech"),
        (["--fault", "row_eaten", "--items", "50"], "row_eaten"),
        (["--fault", "row_hidden:initech", "--items", "50"], "initech"),
        (["--world", "flat"], "example"),
    ],
)
def test_a_wrong_argument_is_refused_with_words(tmp_path: Path, arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "sandbox", "start", "--home", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_taken_port_is_refused_with_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox", "start", "--home", str(tmp_path), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert port in ended.stderr


def post(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", "post", "--url", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_business_is_posted_from_the_command_line(start: Start) -> None:
    erp = start("--tenant", "nippon", "--items", "200").tenants["nippon"]
    before = len(erp.control("journal")["open_items"])
    done = post(erp.url, "--invoices", "2", "--partials", "1", "--company-code", "2020")
    assert done.returncode == 0, done.stderr
    assert [p["kind"] for p in json.loads(done.stdout)["posted"]] == ["invoices", "invoices", "partials"]
    assert len(erp.control("journal")["open_items"]) == before + 3
    assert post(erp.url, "--invoices", "1", "--company-code", "1010").returncode == 1


def certificate(folder: Path, ends: datetime) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=30))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    places = folder / "certificate.pem", folder / "key.pem"
    places[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    places[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return places


@pytest.mark.parametrize("days", [10, -2])
def test_https_with_a_good_and_an_expired_certificate(start: Start, tmp_path: Path, days: int) -> None:
    places = certificate(tmp_path, datetime.now(UTC) + timedelta(days=days))
    sandbox = start("--world", "example", "--tls", *map(str, places))
    erp = sandbox.tenants["example"]
    erp.session.verify = str(places[0])
    assert erp.url.startswith("https://localhost:")
    if days > 0:
        assert (
            erp.get(CUSTOMER).json()["d"]["results"][0]["__metadata"]["uri"].startswith("https://localhost:")
        )
    else:
        with pytest.raises(requests.exceptions.SSLError, match="expired"):
            erp.get(CUSTOMER)


def test_control_addresses_are_no_part_of_the_imitated_system(seeded: Sandbox) -> None:
    erp = seeded.tenants["acme"]
    before = erp.control("log")["last"]
    erp.control("journal")
    assert erp.control("log")["last"] == before
    assert erp.session.get(f"{erp.url}/somewhere/else", timeout=30).status_code == 404
