"""Days of business played in a row, and what happens to customers in them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.month import play
from tests.sandbox.conftest import CUBE, TODAY
from tests.sandbox.intacct_client import condition
from tests.sandbox.test_evenings import books, evening, ledger, left, tenant
from tests.sandbox.test_posting import address

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Sandbox, Start
    from tests.sandbox.intacct_client import Intacct

pytestmark = pytest.mark.long
NAMES = ["acme", "nippon", "globex"]
BILLING = "API_BILLING_DOCUMENT_SRV/A_BillingDocument"
PARTNERS = "API_BUSINESS_PARTNER/A_BusinessPartner"


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--items", "300", "--today", TODAY.isoformat())


def debts(of: Erp | Intacct) -> dict[str, Decimal]:
    """What the journal says that each customer owes, in the currencies of company code or entity."""
    sums: Counter[str] = Counter()
    for row in of.control("journal")["open_items"]:
        sums[row["customer"]] += Decimal(row["company_amount"])  # type: ignore[assignment]
    return {customer: Decimal(amount) for customer, amount in sums.items() if amount}


@pytest.mark.parametrize("name", NAMES)
def test_every_evening_of_a_month_is_what_the_ledger_says_and_stays(running: Sandbox, name: str) -> None:
    of = tenant(running, name)
    known: dict[date, Any] = {}
    for told in play(address(of), days=12, seed=3, documents=30):
        day = date.fromisoformat(told["day"])
        assert left(evening(of, day)) == ledger(of)
        known[day] = books(of, day)
        assert sum(told["posted"].values()) + sum(told["refused"].values()) == 30
        assert sum(told["posted"].values()) > 24
    assert list(known) == [min(known) + timedelta(days=n) for n in range(12)]
    assert {day: books(of, day) for day in known} == known


def test_the_command_prints_a_line_for_each_day(start: Start) -> None:
    of = start("--tenant", "globex", "--items", "100", "--today", TODAY.isoformat()).companies["globex"]
    arguments = ["month", "--url", of.control_url, "--days", "3", "--documents", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    days = [line.split()[0] for line in done.stdout.splitlines()]
    assert days == [(TODAY + timedelta(days=n)).isoformat() for n in range(3)]
    assert of.control("journal")["today"] == (TODAY + timedelta(days=3)).isoformat()


def test_the_same_seed_plays_the_same_month(start: Start) -> None:
    arguments = ("--tenant", "acme", "--items", "100", "--today", TODAY.isoformat())
    played = []
    for seed in (1, 1, 2):
        acme = start(*arguments).tenants["acme"]
        days = list(play(acme.url, days=2, seed=seed, documents=15))
        played.append((days, acme.control("journal")["balances"]))
    assert played[0] == played[1] != played[2]


def test_what_a_merged_sap_customer_owed_is_owed_by_another(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    before = debts(acme)
    opened = acme.control("journal")["open_items"]
    (posted,) = acme.control("post", {"merged_customers": 1})["posted"]
    after = debts(acme)
    rows = acme.rows(
        CUBE, filter=f"AccountingDocument eq '{posted['document']}' and AccountingDocumentType eq 'AB'"
    )
    old, new = ({r["Customer"] for r in rows if r["IsCleared"] is cleared} for cleared in (True, False))
    (merged,), (into,) = old, new
    code = posted["company_code"]
    left_elsewhere = sum(
        (
            Decimal(i["company_amount"])
            for i in opened
            if i["customer"] == merged and i["company_code"] != code
        ),
        Decimal(0),
    )
    assert after.get(merged, Decimal(0)) == left_elsewhere
    assert after[into] == before.get(into, Decimal(0)) + before[merged] - left_elsewhere
    (customer,) = acme.rows("API_BUSINESS_PARTNER/A_Customer", filter=f"Customer eq '{merged}'")
    assert (customer["DeletionIndicator"], customer["PostingIsBlocked"]) == (True, True)
    dues = {i["due_date"] for i in opened if i["customer"] == merged and i["company_code"] == code}
    assert {
        i["due_date"] for i in acme.control("journal")["open_items"] if i["document"] == posted["document"]
    } <= dues


def test_a_blocked_partner_disappears_and_comes_back(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    before, in_books = acme.rows(CUBE), debts(acme)
    acme.control("post", {"blocked_partners": 1})
    assert len(acme.rows(CUBE)) < len(before)
    assert debts(acme) == in_books
    acme.control("post", {"unblocked_partners": 1})
    assert acme.rows(CUBE) == before


def test_what_is_archived_is_no_longer_shown_and_owed_by_nobody(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    before, owed = acme.rows(CUBE), debts(acme)
    (posted,) = acme.control("post", {"archivings": 1})["posted"]
    place = (posted["company_code"], posted["document"])
    gone = [row for row in before if (row["CompanyCode"], row["AccountingDocument"]) == place]
    assert [row for row in before if row not in gone] == acme.rows(CUBE), "nor is the receipt shown"
    (customer,) = {row["Customer"] for row in gone if row["FinancialAccountType"] == "D"}
    paid = sum(Decimal(r["AmountInCompanyCodeCurrency"]) for r in gone if r["FinancialAccountType"] == "D")
    assert debts(acme).get(customer, Decimal(0)) == owed[customer] - paid < owed[customer]


def test_nothing_is_posted_on_a_branch_of_a_blocked_head_office(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    acme.control("post", {"moved_head_offices": 20, "blocked_partners": 20})
    hidden = {row["customer"] for row in acme.control("journal")["open_items"]}
    hidden -= {row["Customer"] for row in acme.rows(CUBE)}
    assert hidden
    for posted in acme.control("post", {"invoices": 100})["posted"]:
        assert acme.rows(CUBE, filter=f"AccountingDocument eq '{posted['document']}'"), posted


def test_a_replaced_partner_leaves_its_customer_and_items(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    before = {row["Customer"]: row["BusinessPartner"] for row in acme.rows(PARTNERS)}
    items = acme.rows(CUBE)
    acme.control("post", {"replaced_partners": 1})
    after = {row["Customer"]: row["BusinessPartner"] for row in acme.rows(PARTNERS)}
    assert before.keys() == after.keys()
    (changed,) = [customer for customer in before if before[customer] != after[customer]]
    assert after[changed] not in before.values()
    assert acme.rows(CUBE) == items
    addresses = acme.rows("API_BUSINESS_PARTNER/A_BusinessPartnerAddress")
    assert after[changed] in {row["BusinessPartner"] for row in addresses}


def test_a_new_head_office_owes_what_is_posted_from_then_on(start: Start) -> None:
    acme = start("--tenant", "acme", "--items", "200", "--today", TODAY.isoformat()).tenants["acme"]
    path = "API_BUSINESS_PARTNER/A_CustomerCompany"
    before, items = acme.rows(path), acme.rows(CUBE)
    billed = acme.rows(BILLING)
    acme.control("post", {"moved_head_offices": 1})
    (changed,) = [row for row in acme.rows(path) if row not in before]
    assert (acme.rows(CUBE), acme.rows(BILLING)) == (items, billed)
    known = {(r["CompanyCode"], r["AccountingDocument"]) for r in items}
    while True:
        acme.control("post", {"invoices": 20, "company_code": changed["CompanyCode"]})
        new = [r for r in acme.rows(CUBE) if r["BranchAccount"] == changed["Customer"]]
        new = [r for r in new if (r["CompanyCode"], r["AccountingDocument"]) not in known]
        if new:
            break
    assert {r["Customer"] for r in new} == {changed["CustomerHeadOffice"]}


@pytest.fixture
def globex(running: Sandbox) -> Intacct:
    company = running.companies["globex"]
    company.sign_in()
    return company


def audited(company: Intacct) -> set[str | None]:
    """The customers whose deletion the audit history tells."""
    about = condition("equalto", "OBJECTTYPE", "customer")
    return {row["OBJECTKEY"] for row in company.page("AUDITHISTORY", "OBJECTKEY", filter=about).rows}


@pytest.mark.parametrize("kind", ["renumbered_customers", "merged_customers"])
def test_records_move_with_their_customer(globex: Intacct, kind: str) -> None:
    day = date.fromisoformat(globex.control("journal")["today"])
    globex.control("day", {"day": (day + timedelta(days=1)).isoformat()})
    globex.sign_in()
    merged = kind == "merged_customers"
    owed, evening_before, gone = debts(globex), books(globex, day), audited(globex)
    keys = {row["CUSTOMERID"]: row["RECORDNO"] for row in globex.rows("CUSTOMER", "CUSTOMERID")}
    invoices = {row["RECORDNO"]: row["CUSTOMERID"] for row in globex.rows("ARINVOICE", "CUSTOMERID")}
    (posted,) = globex.post(**{kind: 1})
    new = posted["customer"]
    shown = {row["CUSTOMERID"]: row["RECORDNO"] for row in globex.rows("CUSTOMER", "CUSTOMERID")}
    (old,) = keys.keys() - shown.keys()
    assert shown.keys() - keys.keys() == (set() if merged else {new})
    assert (shown[new] == keys[old]) != merged
    assert audited(globex) - gone == ({keys[old]} if merged else set())
    assert debts(globex)[new] == owed[str(old)] + owed.get(new, Decimal(0))
    rows = globex.rows("ARINVOICE", "CUSTOMERID WHENMODIFIED")
    moved = [row for row in rows if invoices[row["RECORDNO"]] == old]
    assert {row["CUSTOMERID"] for row in moved} == {new}
    today = f"{day + timedelta(days=1):%m/%d/%Y}"
    assert {(row["WHENMODIFIED"] or "").startswith(today) for row in moved} == {merged}
    assert books(globex, day) == evening_before
    assert left(evening(globex, day + timedelta(days=1))) == ledger(globex)
