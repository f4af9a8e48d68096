"""The benchmark measures what it says: real pages, real servers, real costs, and budgets that can be missed."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest
import requests

from benchmarks import __main__ as benchmark
from benchmarks import audit, items, pages, signing
from benchmarks.contenders import postmaster
from benchmarks.measure import Cost, measured, server_seconds
from encours.postgres import Postgres

if TYPE_CHECKING:
    from tests.conftest import Database

ROWS = 2_500
TODAY = date(2026, 11, 24)
CUBE = f"sap/opu/odata/sap/{items.SERVICE}/{items.ITEM_SET}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a small sub-ledger."""
    written = tmp_path_factory.mktemp("bench") / "pages"
    pages.write(written, ROWS, TODAY)
    return written


@pytest.fixture
def changed(folder: Path) -> Iterator[str]:
    """The address of a static server of the third case."""
    port = benchmark.free_port()
    with benchmark.served(folder, "changed", port):
        yield f"http://127.0.0.1:{port}"


def listed(folder: Path, name: str) -> list[items.Row]:
    """All rows of a list."""
    bodies = [gzip.decompress(file.read_bytes()) for file in sorted((folder / name).iterdir())]
    return [row for body in bodies for row in msgspec.json.decode(body)["d"]["results"]]


@pytest.mark.parametrize("state", [pages.FIRST, pages.CHANGED])
def test_the_ledger_is_the_sum_of_the_open_items(folder: Path, state: str) -> None:
    sums: dict[object, Decimal] = defaultdict(Decimal)
    for row in listed(folder, f"{state}/items"):
        if not row["IsCleared"]:
            sums[row["GLAccount"]] += Decimal(str(row["AmountInCompanyCodeCurrency"]))
    books = listed(folder, f"{state}/trial_balance")
    assert {row["GLAccount"]: Decimal(str(row["EndingBalanceAmtInCoCodeCrcy"])) for row in books} == sums
    assert len(sums) == len(items.ACCOUNTS)


def test_one_percent_changes(folder: Path) -> None:
    before, after = (listed(folder, f"{state}/items") for state in (pages.FIRST, pages.CHANGED))
    differ = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(before) == ROWS
    assert len(differ) == ROWS // 100
    assert differ == listed(folder, f"{pages.CHANGED}/changes")


def test_rows_have_the_size_and_the_fields_of_a_gateway(folder: Path) -> None:
    rows = listed(folder, f"{pages.FIRST}/items")
    assert 2_300 <= len(msgspec.json.encode(rows)) / ROWS <= 2_600
    keys = {(row["FiscalYear"], row["AccountingDocument"], row["AccountingDocumentItem"]) for row in rows}
    assert len(keys) == ROWS


def test_the_server_answers_by_page_and_ends(changed: str) -> None:
    sizes = []
    for skip in (0, 1000, 2000, 3000):
        answer = requests.get(f"{changed}/{CUBE}", params={"$skip": str(skip)}, timeout=10)
        sizes.append(len(answer.json()["d"]["results"]))
    assert answer.headers["Content-Encoding"] == "gzip"
    assert sizes == [1000, 1000, 500, 0]


def test_the_server_refuses_what_no_case_has(changed: str) -> None:
    assert requests.get(f"{changed}/sap/opu/odata/sap/API_OTHER_SRV/A_Other", timeout=10).status_code == 404


def test_a_cost_counts_the_backend_that_ended(postgres: Postgres) -> None:
    work = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute('select count(*) from generate_series(1, 4000000)')"
    said = """; print('{"rows": 1, "peak_mib": 1.0}')"""
    command = [sys.executable, "-c", work + said, postgres.url("encours_owner", "encours")]
    cost = measured(command, postmaster(postgres), os.environ)
    assert cost.server > 0.15
    assert cost.client > 0.02
    assert cost.wall > cost.server


def test_a_cost_counts_the_backend_that_lives(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url("encours_owner", "encours")) as connection:
        before = server_seconds(postmaster(postgres))
        connection.execute("select count(*) from generate_series(1, 4000000)")
        assert server_seconds(postmaster(postgres)) - before > 0.15


def test_a_client_that_fails_is_no_measurement(postgres: Postgres) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measured([sys.executable, "-c", "raise SystemExit(3)"], postmaster(postgres), os.environ)


def test_a_missed_budget_is_named() -> None:
    dear, cheap = Cost(3.0, 1.0, 4.0, 301.0, ROWS), Cost(5.0, 5.0, 9.0, 900.0, ROWS)
    costs = {("ours", "first"): [dear], ("dlt", "first"): [cheap]}
    assert list(benchmark.misses(costs)) == [
        "first load: 0.400 of dlt's processor time, the budget is 0.30.",
        "first load: 301 MiB at the peak, the budget is 300.",
    ]
    assert list(benchmark.misses({**costs, ("ours", "first"): [Cost(2.0, 1.0, 4.0, 299.0, ROWS)]})) == []


def test_each_way_to_sign_is_measured_beside_the_floor() -> None:
    found = signing.measured(2, count=50)
    assert list(found) == [signing.FLOOR, "authority, password", "authority, token held"]
    assert all(len(several) == 2 and min(several) > 0 for several in found.values())
    for sign in signing.signers().values():
        request = requests.Request("GET", f"{signing.ORIGIN}/").prepare()
        assert len(sign(request).headers["Authorization"]) > 40
    assert signing.table(found).row_count == 3


def test_the_audit_that_is_measured_is_proven_whole(database: Database, tmp_path: Path) -> None:
    connect = partial(psycopg.connect, database.url("encours_identity"))
    assert audit.seconds(connect, tmp_path, entries=1_500) > 0
