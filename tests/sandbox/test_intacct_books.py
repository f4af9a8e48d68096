"""The books of the simulated company: the journal agrees with the records, and every kind of business is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.conftest import TODAY
from tests.sandbox.intacct_client import condition

if TYPE_CHECKING:
    from tests.sandbox.intacct_client import Intacct, Row

CONTROL = ("12000", "12100", "24000")
POSTED = condition("notequalto", "STATE", "Draft")

Sums = dict[tuple[str, ...], Decimal]


def total(rows: Iterable[Row] | Iterable[dict[str, Any]], by: tuple[str, ...], amount: str) -> Sums:
    sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[tuple(str(row.get(name) or "") for name in by)] += Decimal(row[amount] or "0")
    return {key: value for key, value in sums.items() if value}


def open_by_account(company: Intacct) -> Sums:
    """What the AR objects leave open, by entity and control account, in base currency."""
    sums: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for head, lines in (("ARINVOICE", "ARINVOICEITEM"), ("ARADJUSTMENT", "ARADJUSTMENTITEM")):
        drafts = {r["RECORDNO"] for r in company.rows(head, "STATE") if r["STATE"] == "Draft"}
        for row in company.rows(lines, "RECORDKEY LOCATIONID OFFSETGLACCOUNTNO AMOUNT TOTALPAID"):
            if row["RECORDKEY"] not in drafts:
                left = Decimal(row["AMOUNT"] or "0") - Decimal(row["TOTALPAID"] or "0")
                sums[str(row["LOCATIONID"]), str(row["OFFSETGLACCOUNTNO"])] += left
    for row in company.rows("ARPYMT", "STATE RECORDTYPE MEGAENTITYID TOTALDUE"):
        if row["STATE"] != "D":
            account = "24000" if row["RECORDTYPE"] == "rr" else "12000"
            sums[str(row["MEGAENTITYID"]), account] -= Decimal(row["TOTALDUE"] or "0")
    return {key: value for key, value in sums.items() if value}


def test_what_is_open_is_the_balance_of_the_control_accounts(globex: Intacct) -> None:
    far = date(2027, 12, 31)
    balances = {
        (entity, account): globex.balance(account, entity, far)
        for entity in globex.entities
        for account in CONTROL
    }
    ours = open_by_account(globex)
    assert {key: value for key, value in balances.items() if value} == ours
    assert len(ours) >= 7


@pytest.mark.parametrize("day", [date(2025, 6, 30), date(2026, 3, 31), date(2026, 11, 23), TODAY])
def test_the_balance_of_any_day_is_what_was_open_in_the_ledger(globex: Intacct, day: date) -> None:
    books = globex.control("journal", as_of=day.isoformat())
    ours = total(books["open_items"], ("entity", "account"), "company_amount")
    assert len(ours) >= 3
    for (entity, account), amount in ours.items():
        assert globex.balance(account, entity, day) == amount, (entity, account)


def test_the_balance_of_a_customer_is_what_it_has_open(globex: Intacct) -> None:
    books = globex.control("journal", as_of=TODAY.isoformat(), entity="N-100")
    ours = total(books["open_items"], ("account", "customer"), "company_amount")
    for account, customer in list(ours)[:6]:
        assert globex.balance(account, "N-100", TODAY, customer) == ours[account, customer]


def test_the_journal_is_double_entry(globex: Intacct) -> None:
    books = globex.control("journal")
    assert total(books["balances"], ("entity",), "company_amount") == {}
    assert total(books["balances"], ("entity", "currency"), "amount") == {}
    assert {row["entity"] for row in books["balances"]} == set(globex.entities)


def test_every_kind_of_business_is_there(globex: Intacct) -> None:
    counts: Counter[str] = Counter()
    for row in globex.rows(
        "ARINVOICE", "STATE RECORDID TRX_TOTALENTERED CURRENCY WHENCREATED WHENPOSTED MODULEKEY"
    ):
        counts[f"invoice {row['STATE']}"] += 1
        counts["negative invoice"] += (
            Decimal(row["TRX_TOTALENTERED"] or "0") < 0 and row["STATE"] != "Reversal"
        )
        counts["instalment"] += str(row["RECORDID"]).endswith("-02")
        counts["posts on another day"] += row["STATE"] != "Draft" and row["WHENCREATED"] != row["WHENPOSTED"]
        counts[f"invoice in {row['CURRENCY']}"] += 1
        counts[f"invoice of {row['MODULEKEY']}"] += 1
    for row in globex.rows("ARADJUSTMENT", "TRX_TOTALENTERED TRX_TOTALDUE"):
        entered = Decimal(row["TRX_TOTALENTERED"] or "0")
        counts["debit memo"] += entered > 0
        counts["credit memo"] += entered < 0
        counts["credit memo open"] += entered < 0 and row["TRX_TOTALDUE"] != "0"
    payments = globex.rows(
        "ARPYMT", "STATE DISPLAYSTATE RECORDTYPE CUSTOMERID PAYERNAME TRX_TOTALENTERED TRX_TOTALDUE"
    )
    for row in payments:
        counts[f"receipt {row['DISPLAYSTATE']}"] += 1
        counts[f"receipt type {row['RECORDTYPE']}"] += 1
        counts["receipt of several"] += not row.get("CUSTOMERID") and bool(row["PAYERNAME"])
        counts["receipt without cash"] += row["TRX_TOTALENTERED"] == "0"
        counts["overpayment left"] += (
            row["RECORDTYPE"] == "rp" and row["TRX_TOTALDUE"] != "0" and row["STATE"] != "D"
        )
        counts["advance left"] += row["RECORDTYPE"] == "rr" and row["TRX_TOTALDUE"] != "0"
    fields = "TRX_PAYMENTAMOUNT TRX_ADJUSTMENTAMOUNT TRX_POSTEDADVANCEAMOUNT TRX_POSTEDOVERPAYMENTAMOUNT"
    fields += " TRX_NEGATIVEINVOICEAMOUNT TRX_DISCOUNTAMOUNT"
    for row in globex.rows("ARPYMTDETAIL", f"{fields} POSADJKEY RECORDKEY"):
        amounts = [name for name in fields.split() if row[name] != "0"]
        counts.update(f"detail {name}" for name in amounts)
        counts["detail of two sources"] += len([n for n in amounts if n != "TRX_DISCOUNTAMOUNT"]) > 1
        counts["detail on a debit memo"] += bool(row.get("POSADJKEY"))
        counts["detail taken back"] += Decimal(row["TRX_PAYMENTAMOUNT"] or "0") < 0
    accounts = defaultdict(set)
    for row in globex.rows("ARINVOICEITEM", "RECORDKEY OFFSETGLACCOUNTNO"):
        accounts[row["RECORDKEY"]].add(row["OFFSETGLACCOUNTNO"])
    counts["two control accounts"] = sum(len(of) > 1 for of in accounts.values())
    counts["deletion"] = globex.page("AUDITHISTORY", "count:ID").figure("count")
    assert [kind for kind, number in counts.items() if number == 0] == []
    assert len(counts) >= 41, sorted(counts)


def test_open_amounts_are_what_allocations_leave(globex: Intacct) -> None:
    """Open = entered - allocations, line by line in the transaction's currency, unless it was reversed."""
    kinds = ("PAYMENT", "ADJUSTMENT", "POSTEDADVANCE", "POSTEDOVERPAYMENT", "NEGATIVEINVOICE", "DISCOUNT")
    amounts = " ".join(f"TRX_{kind}AMOUNT" for kind in kinds)
    taken: defaultdict[str, Decimal] = defaultdict(Decimal)
    given: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in globex.rows("ARPYMTDETAIL", f"RECORDKEY POSADJKEY ADJUSTMENTKEY NEGATIVEINVOICEKEY {amounts}"):
        target = row.get("RECORDKEY") or row.get("POSADJKEY")
        taken[str(target)] += sum((Decimal(row[f"TRX_{kind}AMOUNT"] or "0") for kind in kinds), Decimal(0))
        for kind in ("ADJUSTMENT", "NEGATIVEINVOICE"):
            given[str(row.get(f"{kind}KEY"))] += Decimal(row[f"TRX_{kind}AMOUNT"] or "0")
    checked = 0
    for name in ("ARINVOICE", "ARADJUSTMENT"):
        for row in globex.rows(name, "STATE TRX_TOTALENTERED TRX_TOTALDUE"):
            if row["STATE"] not in ("Reversed", "Reversal"):
                key = str(row["RECORDNO"])
                left = Decimal(row["TRX_TOTALENTERED"] or "0") - taken[key] + given[key]
                assert left == Decimal(row["TRX_TOTALDUE"] or "0"), (name, row)
                checked += 1
    assert checked > 1000
