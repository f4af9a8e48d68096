"""The command line as people and scripts use it: real processes, exit codes, JSON, errors that say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from encours.postgres import SUPERUSER

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Start


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--tenant", "acme", "--items", "120").tenants["acme"]


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def added(installation: Installation, erp: Erp) -> Iterator[str]:
    """A connector that was added by the command line, its password piped in."""
    command = [
        *("connectors", "add", "sap_s4hana", "acme-s4", "--tenant", "acme", "--user", erp.user),
        *("--base-url", erp.url, "--company-codes", ",".join(erp.company_codes), "--password-stdin"),
    ]
    process = installation.started(*command, stdin=subprocess.PIPE)
    _, complaint = process.communicate(f"{erp.password}\n", timeout=60)
    assert process.returncode == 0, complaint
    yield "acme-s4"
    code, out, _ = installation.command("connectors", "remove", "acme-s4", "--yes")
    assert (code, out) == (0, "acme-s4 is removed.\n")
    assert installation.hub.registry.connectors() == []
    tenant = installation.hub.registry.tenant("acme")
    assert installation.hub.authority.credentials.descriptions(tenant.tenant_id) == []


def test_a_connector_is_tested_synced_and_shown(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    code, out, complaint = installation.command("connectors", "test", added)
    assert code == 0, out + complaint
    assert "FAILED" not in out
    assert "Control totals" in out

    code, out, complaint = installation.command("sync", added)
    assert code == 0, complaint
    assert out.startswith(f"{added}: ")
    assert ", equal (run " in out
    assert "accounting items" in complaint  # progress without a terminal: plain lines

    code, out, _ = installation.command("status", "--json")
    (status,) = json.loads(out)
    assert (code, status["key"], status["state"], status["rejects"]) == (0, added, "tied_out", 0)

    code, out, _ = installation.command("tie-out", added, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["rows"]
    assert {row["status"] for row in report["rows"]} == {"equal"}

    code, out, _ = installation.command("connectors", "show", added)
    assert code == 0
    assert erp.user in out
    assert erp.password not in out


def test_a_held_run_has_an_exit_code_of_its_own(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    (did,) = erp.fault("manual_journal", on=True)
    code, out, _ = installation.command("sync", added)
    assert code == 3
    assert "held: the books differ by" in out
    code, out, _ = installation.command("tie-out", added)
    assert code == 3
    assert "no customer: posted to the account" in out
    assert did["account"] in out
    erp.well()
    assert installation.command("sync", added)[0] == 0


def test_the_audit_is_listed_proven_and_exported(installation: Installation, added: str) -> None:
    code, out, _ = installation.command("audit", "list", "--tenant", "acme", "--event", "connected", "--json")
    (told,) = json.loads(out)
    assert (code, told["tenant"], told["entry"]["sequence"]) == (0, "acme", 1)
    assert installation.command("audit", "list", "--event", "nonsense")[0] == 2

    assert installation.command("audit", "checkpoint") == (0, "1 signed.\n", "")
    assert installation.command("audit", "checkpoint") == (0, "Nothing new to sign.\n", "")
    code, out, _ = installation.command("audit", "verify")
    assert code == 0
    assert "entries are proven, checkpoint at " in out

    code, out, _ = installation.command("audit", "export")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert events[0]["metadata"]["event_code"] == "connected"
    assert events[-1]["metadata"]["event_code"] == "exported"
    code, out, _ = installation.command("audit", "export", "--format", "cef", "--since", "2026-01-01")
    assert code == 0
    assert all(line.startswith("CEF:0|Encours|") for line in out.splitlines())
    assert len(out.splitlines()) == len(events) + 1

    assert installation.command("audit", "checkpoint") == (0, "1 signed.\n", "")
    database = installation.database
    with psycopg.connect(database.postgres.url(SUPERUSER, database.name)) as connection:
        connection.execute("delete from identity.audit_entry where sequence > 1")
    code, out, _ = installation.command("audit", "verify")
    assert code == 3
    assert "entry 2 is cut. Before it 1 entries are proven" in out
    code, _, complaint = installation.command("audit", "checkpoint")
    assert code == 1
    assert "Find out who wrote to the schema identity" in complaint


def test_keys_are_rotated_and_the_next_sync_signs(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    (before,) = json.loads(installation.command("keys", "list", "--json")[1])
    code, out, _ = installation.command("keys", "rotate")
    assert code == 0
    assert out.startswith("2 secrets are sealed by key 2-")
    after = json.loads(installation.command("keys", "list", "--json")[1])
    assert [(one["sealed"], one["current"]) for one in after] == [(2, True)]
    assert after[0]["version"] != before["version"]
    assert installation.command("sync", added)[0] == 0


def test_the_configuration_goes_to_a_file_and_back(
    installation: Installation, added: str, tmp_path: Path
) -> None:
    _, exported, _ = installation.command("connectors", "export")
    assert set(tomllib.loads(exported)["connectors"]) == {added}
    file = tmp_path / "connectors.toml"
    file.write_text(exported.replace("page_size = 1000", "page_size = 500"), encoding="utf-8")

    code, out, _ = installation.command("connectors", "apply", str(file), "--dry-run")
    assert code == 0
    assert "settings" in out
    assert "1 changes would be made." in out
    assert installation.hub.registry.connector(added).settings["page_size"] == 1000

    assert installation.command("connectors", "apply", str(file))[0] == 0
    assert installation.hub.registry.connector(added).settings["page_size"] == 500

    file.write_text(exported.replace("page_size = 1000", 'page_size = "many"'), encoding="utf-8")
    code, _, complaint = installation.command("connectors", "apply", str(file))
    assert code == 1
    assert f"{added}: page_size: " in complaint
    assert installation.hub.registry.connector(added).settings["page_size"] == 500


def test_pause_and_resume(installation: Installation, added: str) -> None:
    assert installation.command("connectors", "pause", added, "--reason", "year-end close")[0] == 0
    _, out, _ = installation.command("status", "--json")
    (status,) = json.loads(out)
    assert status["state"] == "paused"
    assert "year-end close" in status["sentence"]
    assert status["next_run"] is None
    assert installation.command("connectors", "resume", added)[0] == 0
    assert installation.hub.registry.connector(added).state == "active"


def test_rejects_are_listed_and_shown_as_received(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    installation.hub.sync(added)
    erp.post(invoices=3, company_code="1010")
    erp.control("misbehave", {"kind": "nan_amount", "set": "A_OperationalAcctgDocItemCube", "times": 1})
    assert installation.command("sync", added)[0] == 3
    code, out, _ = installation.command("rejects", "list", "--json")
    found = json.loads(out)
    assert code == 0
    assert {reject["connector"] for reject in found} == {added}
    code, out, _ = installation.command("rejects", "show", str(found[0]["reject_id"]))
    assert code == 0
    assert "NaN" in out
    assert found[0]["field"] in out
    erp.well()
    assert installation.command("sync", added)[0] == 0
    assert installation.command("rejects", "list")[1].endswith("No open reject.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sync", "nobody"), "There is no connector 'nobody'. Known: acme-s4."),
        (("tie-out", "nobody"), "There is no connector 'nobody'."),
        (("rejects", "show", "999999"), "There is no reject 999999."),
        (("connectors", "pause", "acme-s4", "--reason", " "), "say why it is paused"),
    ],
)
def test_a_mistake_is_one_sentence(
    installation: Installation, added: str, arguments: tuple[str, ...], words: str
) -> None:
    code, out, complaint = installation.command(*arguments)
    assert (code, out) == (1, "")
    assert words in complaint
    assert "Traceback" not in complaint


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from encours.cli import main; main()", "status"],
        env={"ENCOURS_HOME": str(tmp_path / "nothing"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "encours up" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_setting(installation: Installation) -> None:
    code, out, _ = installation.command("connectors", "add", "sap_s4hana", "--help")
    assert code == 0
    for option in ("--base-url", "--company-codes", "--history-months", "--sap-client"):
        assert option in out


def test_what_is_owed_is_shown_and_adds_up(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    assert installation.command("sync", added)[0] == 0
    sums: dict[str, Decimal] = {}
    for item in erp.control("journal")["open_items"]:
        sums[item["currency"]] = sums.get(item["currency"], Decimal(0)) + Decimal(item["amount"])
    for by in ("customer", "entity", "currency", "bucket"):
        code, out, _ = installation.command("ageing", added, "--by", by, "--json")
        (ageing,) = json.loads(out)
        found: dict[str, Decimal] = {}
        for row in ageing["rows"]:
            assert sum(map(Decimal, row["buckets"].values())) == Decimal(row["balance"])
            found[row["currency"]] = found.get(row["currency"], Decimal(0)) + Decimal(row["balance"])
        assert (code, found) == (0, sums)
    code, out, _ = installation.command("aging", "--by", "customer")
    assert code == 0
    assert out.startswith(f"{added}, as of ")
    assert "BALANCE" in out
    code, out, _ = installation.command("ageing", "--by", "bucket")
    assert (code, "not due" in out) == (0, True)


def test_a_statement_of_a_customer_who_paid_in_part(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    (paid,) = erp.post(partials=1)
    assert installation.command("sync", added)[0] == 0
    (row,) = [
        row
        for place, row in erp.items().items()
        if place[:3] == (paid["company_code"], paid["fiscal_year"], paid["document"])
    ]
    code, out, _ = installation.command("statement", row["Customer"], "--connector", added, "--json")
    (statement,) = json.loads(out)
    assert (code, statement["connector"]) == (0, added)
    (allocation,) = [a for a in statement["allocations"] if a["source_number"] == paid["document"]]
    assert Decimal(allocation["amount"]) == -Decimal(row["AmountInTransactionCurrency"])
    assert allocation["target_number"] == row["InvoiceReference"]
    assert paid["document"] in {receipt["number"] for receipt in statement["receipts"]}
    code, out, _ = installation.command("statement", row["Customer"])
    assert code == 0
    assert paid["document"] in out
    assert row["InvoiceReference"] in out
    taxed = [item for item in statement["items"] if item["total_excl"] is not None]
    assert taxed
    for item in taxed:
        net, tax = Decimal(item["total_excl"]), Decimal(item["tax_total"])
        assert net + tax == Decimal(item["total_incl"])
        assert f"{net:,f} {item['currency']}" in out
    assert "DOCUMENT TAX" in out


def test_days_and_customers_that_nobody_knows(installation: Installation, erp: Erp, added: str) -> None:
    erp.well()
    assert installation.command("sync", added)[0] == 0
    for arguments, code, words in (
        (["ageing", added, "--as-of", "2020-01-01"], 1, "by the end of 2020-01-01 nothing was published"),
        (["ageing", "--as-of", "2999-01-01"], 1, "is still to come"),
        (["ageing", "--as-of", "1 May"], 2, "does not match the format"),
        (["ageing", "--by", "colour"], 2, "'colour' is not one of"),
        (["statement", "nobody"], 1, "No customer nobody was published yet (acme-s4)"),
        (["statement", "nobody", "--as-of", "2020-01-01"], 1, "nothing was published; the first is of"),
    ):
        found, _, complaint = installation.command(*arguments)
        assert found == code, complaint
        assert words in " ".join(complaint.replace("│", " ").split())


def test_a_sync_that_is_not_to_be_published_is_held_as_asked(
    installation: Installation, erp: Erp, added: str
) -> None:
    erp.well()
    assert installation.command("sync", added)[0] == 0
    erp.post(invoices=1)
    before = installation.visible(added)
    code, out, complaint = installation.command("sync", added, "--no-publish")
    assert code == 0, complaint
    assert "held: not to be published, as asked" in out
    assert installation.visible(added) == before
    run = installation.last_run(added)
    assert (run.state, run.reason, run.message) == ("held", "asked", "held: not to be published, as asked")
    (status,) = installation.hub.overview()
    assert status.state == "held"
    assert status.sentence.startswith("Not to be published, as asked. Readers still see ")
    assert installation.command("tie-out", added)[0] == 0
    assert installation.command("sync", added)[0] == 0
    assert installation.last_run(added).state == "published"
