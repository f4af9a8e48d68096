"""Seeded faults and misbehaviours of the simulated company, on command and back again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.intacct.faults import FAULTS
from sandbox.intacct.misbehaviour import HANDLED_BEFORE, KINDS
from tests.sandbox.intacct_client import condition, query
from tests.sandbox.test_intacct_books import CONTROL, open_by_account, total

if TYPE_CHECKING:
    from tests.sandbox.conftest import Sandbox, Start
    from tests.sandbox.intacct_client import Intacct

README = Path(__file__).parents[2] / "sandbox" / "README.md"
FAR = date(2027, 12, 31)
CUSTOMERS = query("CUSTOMER", "RECORDNO CUSTOMERID NAME CREDITLIMIT", size=10)


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--tenant", "globex", "--items", "600", "--today", "2026-11-24")


@pytest.fixture
def company(running: Sandbox) -> Iterator[Intacct]:
    """A company without faults and misbehaviours, before and after."""
    found = running.companies["globex"]
    found.sign_in()
    yield found
    for fault in found.control("faults")["faults"]:
        found.control("faults", {"name": fault["name"], "on": False})
    assert found.session.delete(f"{found.control_url}/_sandbox/misbehave", timeout=30).status_code == 200


def differences(company: Intacct) -> dict[tuple[str, ...], Decimal]:
    """Rows minus ledger per entity and control account, in base currency."""
    sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for key, amount in open_by_account(company).items():
        sums[key] += amount
    for entity in company.entities:
        for account in CONTROL:
            sums[entity, account] -= company.balance(account, entity, FAR)
    return {key: value for key, value in sums.items() if value}


@pytest.mark.parametrize(
    "name",
    [
        "row_hidden", "row_doubled", "wrong_sign", "manual_journal", "entity_hidden", "receipt_hidden",
        "cancelling_errors", "master_hidden", "allocation_hidden",
    ],
)  # fmt: skip
def test_a_fault_does_what_it_says_and_can_be_undone(company: Intacct, name: str) -> None:
    assert differences(company) == {}
    wish = {"name": name, "entity": "E-200"} if name == "entity_hidden" else {"name": name}
    (fault,) = company.control("faults", wish)["faults"]
    assert fault["did"]
    assert differences(company) == total(fault["did"], ("entity", "account"), "company_amount")
    assert company.control("faults", {"name": name, "on": False})["faults"] == []
    assert differences(company) == {}


def test_errors_that_cancel_show_per_customer(company: Intacct) -> None:
    def by_customer() -> dict[tuple[str, ...], Decimal]:
        return total(company.rows("ARINVOICE", "CUSTOMERID TOTALDUE"), ("CUSTOMERID",), "TOTALDUE")

    before = by_customer()
    (fault,) = company.control("faults", {"name": "cancelling_errors"})["faults"]
    after = by_customer()
    changed = {key: after[key] - before[key] for key in before if after[key] != before[key]}
    assert changed == total(fault["did"], ("customer",), "company_amount")
    assert len(changed) == 2


def test_hidden_lines_allocations_and_customers_are_missing(company: Intacct) -> None:
    for name, of, key, told in (
        ("line_hidden", "ARINVOICEITEM", "RECORDNO", "line"),
        ("allocation_hidden", "ARPYMTDETAIL", "RECORDNO", "detail"),
        ("master_hidden", "CUSTOMER", "CUSTOMERID", "customer"),
    ):
        (fault,) = company.control("faults", {"name": name})["faults"]
        hidden = fault["did"][0][told]
        given = condition("equalto", key, hidden)
        assert company.page(of, "RECORDNO", filter=given, private=True).figure("totalcount") == 0
        company.control("faults", {"name": name, "on": False})
        assert company.page(of, "RECORDNO", filter=given, private=True).figure("totalcount") == 1


def test_a_fault_is_switched_on_at_the_start(start: Start) -> None:
    options = (
        "--items",
        "100",
        "--today",
        "2026-11-24",
        "--fault",
        "manual_journal",
        "--fault",
        "entity_hidden:globex",
    )
    sandbox = start(*options)
    company = sandbox.companies["globex"]
    assert {f["name"] for f in company.control("faults")["faults"]} == {"manual_journal", "entity_hidden"}
    assert [f["name"] for f in sandbox.tenants["acme"].control("faults")["faults"]] == ["manual_journal"]


@pytest.mark.parametrize("wish", [{"name": "row_eaten"}, {"name": "row_hidden", "entity": "X-1"}])
def test_an_unknown_fault_is_refused_with_a_sentence(company: Intacct, wish: dict[str, Any]) -> None:
    answer = requests.post(f"{company.control_url}/_sandbox/faults", json=wish, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("kind", "status", "where", "number"),
    [
        ("too_many_requests", 429, "control", "GW-0010"),
        ("invalid_request", 400, "control", "GW-0011"),
        ("malformed", 200, "control", "XL03000003"),
        ("wrong_sender", 200, "control", "XL03000006"),
        ("wrong_login", 200, "operation/authentication", "XL03000006"),
        ("sender_not_authorised", 200, "operation/authentication", "XL03000006"),
        ("result_failure", 200, "operation/result", "Query Failed"),
        ("try_again", 200, "operation/result", "XL03000009"),
        ("row_failure", 200, "operation/result", "Query Failed"),
    ],
)
def test_an_error_stands_at_its_place(
    company: Intacct, kind: str, status: int, where: str, number: str
) -> None:
    company.control("misbehave", {"kind": kind, "function": "query"})
    answer = company.call(CUSTOMERS)
    assert answer.status == status
    assert answer.text(f"{where}/status") == "failure"
    assert answer.errors[0][0] == number
    assert answer.tree.find("operation/result/data") is None
    assert company.call(CUSTOMERS).figure("count") == 10
    assert [entry["outcome"] for entry in company.control("log")["requests"][-2:]][1] == "success"


def test_bodies_that_are_no_answer(company: Intacct) -> None:
    for kind, status, starts, ends in (
        ("login_page", 200, b"<!DOCTYPE html>", b"</html>"),
        ("unavailable", 503, b"Service Unavailable", b"Unavailable"),
        ("bad_gateway", 502, b"Bad Gateway", b"Gateway"),
        ("truncated", 200, b"<?xml", b""),
        ("doctype", 200, b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE response', b"</response>"),
    ):
        company.control("misbehave", {"kind": kind})
        answer = company.call(CUSTOMERS)
        assert answer.status == status
        assert answer.body.startswith(starts)
        assert answer.body.rstrip().endswith(ends)
        assert (b"</response>" in answer.body) == (kind == "doctype")


def test_a_huge_body(company: Intacct) -> None:
    company.control("misbehave", {"kind": "huge"})
    assert len(company.call(CUSTOMERS).body) > 40 * 1024 * 1024


def test_pages_that_lie(company: Intacct) -> None:
    company.control("misbehave", {"kind": "short_page"})
    answer = company.call(CUSTOMERS)
    assert (answer.figure("count"), len(answer.data)) == (10, 5)
    company.control("misbehave", {"kind": "value", "field": "CREDITLIMIT", "value": "NaN"})
    assert "NaN" in {row.get("CREDITLIMIT") for row in company.call(CUSTOMERS).rows}
    company.control("misbehave", {"kind": "doubled_timestamp"})
    block = company.call(CUSTOMERS).tree.find("operation/authentication")
    assert block is not None
    assert len(block.findall("sessiontimestamp")) == 2
    assert block.find("companyid") is None


def test_the_audit_history_fails_on_one_row_only(company: Intacct) -> None:
    company.post(deletes=3)
    rows = company.page("AUDITHISTORY", "ID OBJECTTYPE OBJECTKEY ACCESSMODE ACCESSTIME", size=100).rows
    assert {(row["OBJECTTYPE"], row["ACCESSMODE"]) for row in rows} == {("arinvoice", "D")}
    bad = rows[1]
    company.control("misbehave", {"kind": "row_failure", "object": "AUDITHISTORY", "key": bad["OBJECTKEY"]})
    for row in rows:
        given = condition("equalto", "ID", row["ID"])
        answer = company.page("AUDITHISTORY", "OBJECTKEY", filter=given)
        assert bool(answer.errors) == (row is bad)
        if row is bad:
            assert str(answer.errors[0][1]).startswith("There was an error processing the request")
    assert company.page("AUDITHISTORY", "OBJECTKEY").errors


def test_an_order_is_for_a_function_and_an_object_after_some_calls(company: Intacct) -> None:
    company.control(
        "misbehave", {"kind": "unavailable", "function": "query", "object": "ARTERM", "after": 1, "times": 2}
    )
    statuses = [company.call(CUSTOMERS).status, *(company.page("ARTERM", "NAME").status for _ in range(4))]
    assert statuses == [200, 200, 503, 503, 200]
    answer = requests.post(f"{company.control_url}/_sandbox/misbehave", json={"kind": "miracle"}, timeout=30)
    assert answer.status_code == 400


def test_the_readme_names_every_fault_and_misbehaviour() -> None:
    listed = README.read_text(encoding="utf-8").partition("\nFaults, SAP")[2]
    assert [name for name in (*FAULTS, *KINDS, *HANDLED_BEFORE) if name not in listed] == []
