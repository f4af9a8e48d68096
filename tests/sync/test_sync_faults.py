"""Seeded faults of the ERP: held with the right explanation, the last publication untouched, equal once mended."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from receivables.errors import Misconfigured

if TYPE_CHECKING:
    from tests.sync.conftest import Erp, Install, Installation, Sandbox, Start

NO_CUSTOMER = "no customer: posted to the account"
FURTHER_REQUESTS = 20
SENTENCE = re.compile(
    r"Company code (?P<code>\S+), account (?P<account>\S+), (?:customer (?P<customer>\S+)|no customer: posted to "
    r"the account): (?P<rest>.+)"
)
IN_LEDGER = re.compile(r"Document (\S+) \((\S+) (\w+)\) is in the ledger and not in the items read\.")
IN_ITEMS = re.compile(r"Document (\S+) \((\S+) (\w+)\) is in the items read and not open in the ledger\.")
BOTH = re.compile(r"Document (\S+): the ledger says (\S+) (\w+), the items read sum to (\S+) \w+\.")
WHOLE = re.compile(r"The ledger says (\S+) (\w+), the items read sum to (\S+) \w+\.")
Amounts = dict[
    tuple[str, str, str, str], Decimal
]  # company code, account, customer, currency -> rows - ledger


@pytest.fixture(scope="module")
def sandbox(start: Start) -> Sandbox:
    return start("--items", "600")


@pytest.fixture(scope="module")
def installation(install: Install, sandbox: Sandbox) -> Installation:
    """One connector for each ERP, by the ERP's name, published once."""
    installed = install()
    for name, erp in sandbox.tenants.items():
        assert installed.hub.sync(installed.connect(erp, name)).verdict == "equal"
    return installed


@pytest.fixture
def erp(request: pytest.FixtureRequest, sandbox: Sandbox, installation: Installation) -> Iterator[Erp]:
    """An ERP without faults, before and after, whose connector's publication is of this moment."""
    found = sandbox.tenants[request.param]
    assert installation.hub.sync(found.name).verdict == "equal"
    yield found
    found.well()


def told_by(did: list[dict[str, Any]]) -> Amounts:
    """What a fault says that it did."""
    found: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for done in did:
        found[done["company_code"], done["account"], done["customer"], done["currency"]] += Decimal(
            done["amount"]
        )
    return {place: amount for place, amount in found.items() if amount}


def read_from(sentences: list[str]) -> Amounts:
    """What an explanation says, every amount of it; a sentence of another form fails."""
    found: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for sentence in sentences:
        where = SENTENCE.fullmatch(sentence)
        assert where, sentence
        rest = where["rest"]
        if match := IN_LEDGER.fullmatch(rest):
            gap, currency = -Decimal(match[2]), match[3]
        elif match := IN_ITEMS.fullmatch(rest):
            gap, currency = Decimal(match[2]), match[3]
        elif match := BOTH.fullmatch(rest):
            gap, currency = Decimal(match[4]) - Decimal(match[2]), match[3]
        else:
            match = WHOLE.fullmatch(rest)
            assert match, sentence
            gap, currency = Decimal(match[3]) - Decimal(match[1]), match[2]
        found[where["code"], where["account"], where["customer"] or "", currency] += gap
    return {place: amount for place, amount in found.items() if amount}


def further_requests(erp: Erp, since: int) -> int:
    """Requests after the last control total of a run: those that ask for documents or for nothing summed."""
    log = erp.requests_since(since)
    totals = [
        place
        for place, request in enumerate(log)
        if request["service"] in ("C_TRIALBALANCE_CDS", "API_GLACCOUNTLINEITEM")
        and "AccountingDocument" not in request["query"]
    ]
    assert totals, "the totals were read"
    return len(log) - 1 - totals[-1]


def arranged(erp: Erp, name: str) -> list[dict[str, Any]]:
    """Switches the fault on so that a sync can see it; what it did.

    A row that we hold already is not lost by being hidden, so the one that is hidden is new.
    """
    if name != "row_hidden":
        return erp.fault(name)
    (new,) = erp.post(new_customers=1)
    (customer,) = {
        row["Customer"]
        for place, row in erp.items().items()
        if place[:3] == (new["company_code"], new["fiscal_year"], new["document"])
    }
    return erp.fault(name, company_code=new["company_code"], customer=customer)


@pytest.mark.parametrize(
    ("name", "erp"),
    [
        ("row_hidden", "acme"),
        ("row_hidden", "nippon"),
        ("row_doubled", "nippon"),
        ("wrong_sign", "acme"),
        ("cancelling_errors", "nippon"),
        ("manual_journal", "acme"),
        ("manual_journal", "nippon"),
    ],
    indirect=["erp"],
)
def test_a_fault_is_held_explained_and_mended(name: str, erp: Erp, installation: Installation) -> None:
    did = arranged(erp, name)
    before, since = installation.visible(erp.name), erp.last_request()

    result = installation.hub.sync(erp.name, sweep=True)

    assert (result.state, result.publication) == ("held", None)
    assert result.verdict.startswith("held: the books differ by ")
    assert read_from(result.explanation) == told_by(did)
    for done in did:
        assert any(
            sentence.startswith(
                f"Company code {done['company_code']}, account {done['account']}, "
                + (f"customer {done['customer']}: " if done["customer"] else f"{NO_CUSTOMER}: ")
            )
            and f"Document {done['document']}" in sentence
            for sentence in result.explanation
        ), done
    assert 0 < further_requests(erp, since) <= FURTHER_REQUESTS
    assert installation.visible(erp.name) == before

    (status,) = [one for one in installation.hub.overview() if one.key == erp.name]
    assert status.state == "held"
    assert "Readers still see" in status.sentence
    report = installation.hub.tie_out(erp.name)
    assert (report.run, report.state, report.explanation) == (result.run, "held", result.explanation)
    differing = [line for line in report.rows if line.status == "different"]
    assert {(line.entity, line.account) for line in differing} == {
        (done["company_code"], done["account"]) for done in did
    }
    assert {line.customer for line in differing} - {None} == {done["customer"] for done in did}
    company = sum(Decimal(done["company_amount"]) for done in did)
    assert sum(line.difference for line in differing if line.customer and line.basis == "company") == (
        -company if did[0]["customer"] else 0
    )

    erp.control("faults", {"name": name, "on": False})
    mended = installation.hub.sync(erp.name, sweep=True)
    assert (mended.state, mended.verdict) == ("published", "equal")
    (status,) = [one for one in installation.hub.overview() if one.key == erp.name]
    assert (status.state, status.difference) == ("tied_out", [])


@pytest.mark.parametrize("erp", ["acme"], indirect=True)
def test_an_account_group_that_is_hidden_is_held(erp: Erp, installation: Installation) -> None:
    """A second company code is added while the user may not see a group of its customers."""
    hidden = erp.fault("account_group_hidden")
    code = hidden[0]["company_code"]
    (other,) = set(erp.company_codes) - {code}
    did = [done for done in hidden if done["company_code"] == code]
    erp.well()
    key = installation.connect(erp, f"{erp.name}-group", company_codes=[other])
    assert installation.hub.sync(key).verdict == "equal"
    assert erp.fault("account_group_hidden") == hidden
    before, since = installation.visible(key), erp.last_request()
    installation.change(key, company_codes=[code, other])

    result = installation.hub.sync(key)

    assert result.state == "held"
    assert read_from(result.explanation) == told_by(did)
    assert 0 < further_requests(erp, since) <= FURTHER_REQUESTS
    assert installation.visible(key) == before

    erp.control("faults", {"name": "account_group_hidden", "on": False})
    assert installation.hub.sync(key).reason == "settings", "the second company code is to be looked at"
    assert installation.hub.decisions(key).publish().sentence == "equal"
    assert len(installation.of(key, "open_item")) > len(before["open_item"])
    installation.hub.remove(key)


@pytest.mark.parametrize("erp", ["nippon"], indirect=True)
def test_many_differences_are_all_named_with_few_requests(erp: Erp, installation: Installation) -> None:
    """Advances taken for noted items, a setting that is wrong: more customers differ than may be asked about."""
    erp.post(down_payments=40)
    advances = [row for row in erp.items().values() if row["SpecialGLCode"] == "A" and not row["IsCleared"]]
    expected = told_by(
        [
            {
                "company_code": row["CompanyCode"], "account": row["GLAccount"], "customer": row["Customer"],
                "currency": row["TransactionCurrency"], "amount": -Decimal(row["AmountInTransactionCurrency"]),
            }
            for row in advances
        ]
    )  # fmt: skip
    assert len(expected) > FURTHER_REQUESTS
    key = installation.connect(erp, f"{erp.name}-many", special_gl_kinds={"A": "noted", "F": "noted"})
    since = erp.last_request()

    result = installation.hub.sync(key)

    assert result.state == "held"
    assert read_from(result.explanation) == expected
    assert FURTHER_REQUESTS - 3 < further_requests(erp, since) <= FURTHER_REQUESTS
    (status,) = [one for one in installation.hub.overview() if one.key == key]
    assert (status.state, status.publication, status.open_amounts) == ("held", None, [])
    assert "Nothing is published" in status.sentence
    assert installation.of(key, "open_item") == []
    installation.hub.remove(key)


@pytest.mark.parametrize("erp", ["acme"], indirect=True)
def test_a_company_code_without_rights_fails_by_name(erp: Erp, installation: Installation) -> None:
    (did,) = erp.fault("company_code_without_rights")
    before = installation.visible(erp.name)

    for sweep in (False, True):
        with pytest.raises(
            Misconfigured, match=rf"^{erp.name}, .*company code {did['company_code']} "
        ) as raised:
            installation.hub.sync(erp.name, sweep=sweep)
        run = installation.last_run(erp.name)
        assert (run.state, run.message) == ("failed", str(raised.value))
        (status,) = [one for one in installation.hub.overview() if one.key == erp.name]
        assert (status.state, status.sentence) == ("failing", run.message)
    assert installation.visible(erp.name) == before

    erp.control("faults", {"name": "company_code_without_rights", "on": False})
    assert installation.hub.sync(erp.name).verdict == "equal"
