"""Exports night after night, by the system of docs/add-a-system.md: what changes, is paid, vanishes or is bad."""

from __future__ import annotations

import json
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from encours.postgres import SUPERUSER
from tests.docs.conftest import written

if TYPE_CHECKING:
    from tests.docs.conftest import Copy


pytestmark = pytest.mark.long


@dataclass
class Export:
    """One company's folder and its connector."""

    copy: Copy
    folder: Path
    key: str

    def change(self, file: str, before: str, after: str) -> None:
        """Writes a file again with one text replaced."""
        text = (self.folder / file).read_text(encoding="utf-8")
        assert before in text
        (self.folder / file).write_text(text.replace(before, after), encoding="utf-8")

    def sync(self, *options: str) -> dict[str, Any]:
        """The result of a sync."""
        told = self.copy.typed(f"encours sync {self.key} --json {' '.join(options)} || test $? = 3")
        (result,) = json.loads(told)
        return dict(result)

    def rejects(self) -> list[dict[str, Any]]:
        """The connector's open rejects."""
        return list(json.loads(self.copy.typed(f"encours rejects list --connector {self.key} --json")))

    def visible(self, query: str) -> list[tuple[Any, ...]]:
        """Published rows, read as the server's owner; the connector's are those of its company."""
        database = self.copy.database
        with psycopg.connect(database.postgres.url(SUPERUSER, database.name)) as connection:
            return connection.execute(query.encode(), {"company": self.key.upper()}).fetchall()


@pytest.fixture
def export(copy: Copy, tmp_path: Path, request: pytest.FixtureRequest) -> Export:
    """The page's folder, read once."""
    key = f"c{zlib.crc32(request.node.name.encode()):x}"
    for name, text in written("csv").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    options = f"--tenant {key} --folder {tmp_path.resolve()} --company {key.upper()}"
    copy.typed(f"encours connectors add comptoir {key} {options}")
    made = Export(copy, tmp_path.resolve(), key)
    first = made.sync()
    assert (first["state"], first["verdict"], first["grade"], first["mode"]) == (
        "published",
        "equal",
        "ledger",
        "snapshot",
    )
    return made


def test_only_what_changed_is_staged_and_a_sweep_stages_all_items_and_payments(export: Export) -> None:
    again = export.sync("--no-sweep")
    assert (again["rows_read"], again["rows_staged"], again["mode"]) == (10, 0, "delta")
    swept = export.sync("--sweep")
    assert (swept["rows_staged"], swept["mode"], swept["verdict"]) == (7, "sweep", "equal")


def test_a_paid_item_is_owed_no_more(export: Export) -> None:
    export.change("open_items.csv", "06/03/2026;;", "06/03/2026;30/01/2026;L-78/2026")
    export.change(
        "payments.csv", "R-3002", "R-3003;101;411000;1200,00;30/01/2026;30/01/2026;L-78/2026\nR-3002"
    )
    export.change("ledger.csv", "2600,00", "1400,00")
    result = export.sync("--no-sweep")
    assert (result["verdict"], result["rows_staged"]) == ("equal", 3)
    assert export.visible(
        "select number, instalment, open::text, cleared_on::text from receivables.open_item "
        "where entity = %(company)s and cleared_on is not null order by 1, 2"
    ) == [("F-0990", "1", "0", "2026-01-18"), ("F-1001", "2", "0", "2026-01-30")]
    assert export.visible(
        "select source, source_number, target_number, target_instalment, amount::text from receivables.allocation "
        "where entity = %(company)s order by 2"
    ) == [("receipt", "R-3001", "F-0990", "1", "99.00"), ("receipt", "R-3003", "F-1001", "2", "1200.00")]
    assert export.visible(
        "select number, amount::text, unapplied::text from receivables.receipt where entity = %(company)s order by 1"
    ) == [("R-3001", "99.00", "0"), ("R-3002", "100.00", "100.00"), ("R-3003", "1200.00", "0")]
    assert export.visible(
        "select number, kind, total_incl::text, status from receivables.document where entity = %(company)s order by 1"
    ) == [
        ("A-2001", "credit_note", "-50.50", "posted"),
        ("F-0990", "invoice", "99.00", "posted"),
        ("F-1001", "invoice", "2400.00", "posted"),
        ("F-1002", "invoice", "350.50", "posted"),
    ]


@pytest.mark.parametrize("option", ["--sweep", "--no-sweep"])
def test_an_item_that_vanished_stays_open_and_is_named(export: Export, option: str) -> None:
    export.change("open_items.csv", "F-1002;1;FA;102;411000;350,50;12/01/2026;11/02/2026;;\n", "")
    export.change("ledger.csv", "2600,00", "2249,50")
    result = export.sync(option)
    assert result["state"] == "held"
    (sentence,) = result["explanation"]
    assert "Document F-1002/2026 alone is the difference" in sentence


def test_an_item_of_an_unknown_customer_is_published_and_completed_later(export: Export) -> None:
    export.change("open_items.csv", "F-1002;1;FA;102", "F-1002;1;FA;103")
    assert export.sync()["verdict"] == "equal"
    found = "select name, incomplete from receivables.customer where entity = %(company)s and number = '103'"
    assert export.visible(found) == [(None, True)]
    export.change("customers.csv", "101;", "103;Cordonnerie;FR;\n101;")
    assert export.sync()["verdict"] == "equal"
    assert export.visible(found) == [("Cordonnerie", False)]


def test_a_customers_text_that_cannot_be_read_is_left_empty_and_stays_a_reject(export: Export) -> None:
    export.change("customers.csv", "Menuiserie Lefèvre", "Menuiserie \u202e")
    assert export.sync("--no-sweep")["state"] == "published"
    (reject,) = export.rejects()
    assert (reject["stream"], reject["key"], reject["field"], reject["code"]) == (
        "customers",
        "101",
        "Name",
        "text_character",
    )
    names = "select name, email from receivables.customer where entity = %(company)s and number = '101'"
    assert export.visible(names) == [(None, "compta@lefevre.example")]
    export.change("customers.csv", "Menuiserie \u202e", "Menuiserie Lefèvre")
    assert export.sync("--no-sweep")["state"] == "published"
    assert export.rejects() == []
    assert export.visible(names) == [("Menuiserie Lefèvre", "compta@lefevre.example")]


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("ledger.csv", "411000;Clients;31/01/2026;2600,00\n", "", "no balance, so nothing can be compared"),
        ("ledger.csv", "2600,00", "2.600,00", "Balance '2.600,00' is no amount"),
        ("ledger.csv", "Account;Label", "Label;Account", "the first row is 'Label;Account;Day;Balance'"),
        (
            "open_items.csv",
            ";Clearing",
            "",
            "and not 'Document;Line;Type;Customer;Account;Amount;Posted;Due;Cleared;Clearing'",
        ),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_in_one_sentence(
    export: Export, file: str, before: str, after: str, words: str
) -> None:
    export.change(file, before, after)
    told = export.copy.typed(f"encours sync {export.key} 2>&1 || echo code $?")
    assert words in told
    assert f"{export.key}, {file.partition('.')[0]}: " in told
    assert told.endswith("code 1\n")


def test_a_file_that_is_not_there_is_tried_again_later(export: Export) -> None:
    (export.folder / "customers.csv").unlink()
    told = export.copy.typed(f"encours sync {export.key} 2>&1 || echo code $?")
    assert "customers.csv is not there. Has the export run?" in told
    assert told.endswith("code 75\n")


def test_a_connector_goes_to_a_file_and_back_unpaused(export: Export, tmp_path: Path) -> None:
    file = tmp_path / "connectors.toml"
    export.copy.typed(f"encours connectors export > {file}")
    export.copy.typed(f"encours connectors remove {export.key} --yes")
    assert "1 changes made." in export.copy.typed(f"encours connectors apply {file}")
    listed = json.loads(export.copy.typed("encours connectors list --json"))
    ((state, credential),) = [(c["state"], c["credential_id"]) for c in listed if c["key"] == export.key]
    assert (state, credential) == ("active", None)
    assert (
        subprocess.run(["grep", "-c", "credential", file], check=False, capture_output=True).stdout == b"0\n"
    )
