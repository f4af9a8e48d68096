"""What people do with held runs and rejects: look at changes, publish, waive, discard, read again; by command."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from encours.hub import Hub
from receivables.errors import Conflict, HubError, Misconfigured

if TYPE_CHECKING:
    from encours.decisions import Decisions
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

KEY = "acme-s4"
ITEMS = "A_OperationalAcctgDocItemCube"
FOR_EVER = 1_000
REASON = "posted by hand, accounting mends it"
ONE_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def erp(start: Start) -> Erp:
    return start("--tenant", "acme", "--items", "200").tenants["acme"]


@pytest.fixture(scope="module")
def installed(install: Install, erp: Erp) -> Installation:
    installation = install()
    installation.connect(erp, KEY, history_months=0)
    assert installation.hub.sync(KEY).verdict == "equal"
    return installation


@pytest.fixture
def installation(installed: Installation, erp: Erp) -> Iterator[Installation]:
    """An installation whose publication is of this moment, and that is well again afterwards."""
    assert installed.hub.sync(KEY).verdict == "equal"
    yield installed
    erp.well()
    for waiver in installed.hub.waivers(KEY):
        if waiver.ended_at is None:
            installed.hub.decisions(KEY).end_waiver(waiver.waiver_id)


def by(installation: Installation, person: str, *controllers: str) -> Decisions:
    """What another person may decide."""
    return dataclasses.replace(installation.hub.decisions(KEY), by=person, controllers=controllers)


def answer(installation: Installation, *command: str, person: str = "anna", code: int = 0) -> Any:
    """What a command prints as JSON, typed by this person."""
    theirs = dataclasses.replace(installation, environment={**installation.environment, "LOGNAME": person})
    ended, out, complaint = theirs.command(*command, "--json")
    assert ended == code, complaint
    return json.loads(out)


def refusal(installation: Installation, *command: str) -> str:
    """What a command that changes nothing complains of."""
    code, out, complaint = installation.command(*command)
    assert (code, out) == (1, "")
    assert "Traceback" not in complaint
    return complaint


# -- looked at before it is published -------------------------------------------------------------------------


def test_a_month_is_read_again_and_published_when_told(installation: Installation, erp: Erp) -> None:
    key = installation.connect(erp, "acme-backfill", history_months=0)
    assert installation.hub.sync(key).verdict == "equal"
    cleared = [row for row in erp.items().values() if row["IsCleared"]]
    month = min(day_of(row["ClearingDate"]) for row in cleared).strftime("%Y-%m")
    of_month = [row for row in cleared if day_of(row["ClearingDate"]).strftime("%Y-%m") == month]
    before = installation.visible(key)

    result = answer(installation, "backfill", key, "--period", month)

    assert (result["state"], result["reason"], result["mode"]) == ("held", "asked", "backfill")
    rows = {one["kind"]: one["added"] for one in result["changes"]["rows"]}
    assert rows.get("open_item", 0) + rows.get("receipt", 0) >= len(of_month) > 0
    assert result["changes"]["balances"] == [], "what is cleared owes nothing"
    assert result["explanation"][-1] == "No balance changes."
    assert installation.visible(key) == before
    assert installation.last_run(key).explanation == result["explanation"]

    done = answer(installation, "publish", key)
    assert (done["run"], done["state"], done["sentence"]) == (result["run"], "published", "equal")
    assert len(installation.of(key, "open_item")) == len(before["open_item"]) + rows.get("open_item", 0)
    run = installation.last_run(key)
    assert (run.state, run.mode, run.decided_by) == ("published", "backfill", "anna")
    assert f"{key}: no run is held" in refusal(installation, "publish", key)

    again = answer(installation, "backfill", key, "--period", month, "--publish")
    assert (again["state"], again["verdict"]) == ("published", "equal")
    assert again["changes"] == {"rows": [], "balances": []}
    assert installation.command("backfill", key, "--period", "March")[0] == 2
    installation.hub.remove(key)


def day_of(printed: str) -> datetime:
    """`/Date(1234567890000)/` as a day."""
    return datetime.fromtimestamp(int(printed[6:-2]) / 1000, tz=UTC)


def test_a_change_of_settings_is_shown_before_it_is_published(installation: Installation, erp: Erp) -> None:
    key = installation.connect(erp, "acme-settings", history_months=0)
    assert installation.hub.sync(key).verdict == "equal", "a first load has nothing to be compared with"
    before = installation.visible(key)
    installation.change(key, history_months=18)

    code, out, _ = installation.command("sync", key)

    assert code == 3
    assert "held: settings changed what rows mean" in out
    assert "- open item: " in out
    run = installation.last_run(key)
    assert (run.state, run.reason, run.mode) == ("held", "settings", "snapshot")
    assert [said for said in run.explanation if said.startswith("open item: ")]
    assert installation.visible(key) == before
    (status,) = [one for one in installation.hub.overview() if one.key == key]
    assert (status.state, status.sentence.split(". ")[0]) == ("held", "Settings changed what rows mean")

    installation.change(key, history_months=19)
    with pytest.raises(Conflict, match=f"run {run.number} was read with settings or a version that are not"):
        installation.hub.decisions(key).publish()
    installation.change(key, history_months=18)
    done = installation.hub.decisions(key).publish()
    assert (done.state, done.sentence, done.grade) == ("published", "equal", "ledger")
    assert len(installation.of(key, "open_item")) > len(before["open_item"])

    kept = installation.hub.registry.connector(key).settings
    installation.change(key, special_gl_kinds={**kept["special_gl_kinds"], "Q": "noted"})
    result = installation.hub.sync(key)
    assert (result.state, result.verdict, result.mode) == ("published", "equal", "snapshot"), (
        "nothing changes"
    )
    installation.hub.remove(key)


def test_what_was_read_in_vain_is_discarded_with_a_name(installation: Installation, erp: Erp) -> None:
    erp.post(invoices=1)
    (held,) = answer(installation, "sync", KEY, "--no-publish")
    assert {one["kind"]: one["added"] for one in held["changes"]["rows"]}["open_item"] >= 1
    (balance,) = held["changes"]["balances"]
    assert Decimal(balance["after"]) > Decimal(balance["before"])
    (listed,) = answer(installation, "runs", "list", KEY, "--state", "held")
    assert (listed["connector"], listed["run"]["number"]) == (KEY, held["run"])

    with pytest.raises(Conflict, match=rf"run {held['run'] - 1} is not held, run {held['run']} is\."):
        installation.hub.decisions(KEY).discard(held["run"] - 1)
    done = answer(installation, "runs", "discard", KEY, str(held["run"]))
    assert (done["state"], done["sentence"], done["by"]) == ("superseded", "Discarded by anna.", "anna")
    shown = answer(installation, "runs", "show", KEY, str(held["run"]))["run"]
    assert (shown["state"], shown["decided_by"], shown["reason"]) == ("superseded", "anna", "asked")
    assert shown["explanation"] == held["explanation"]
    code, out, _ = installation.command("runs", "show", KEY, str(held["run"]))
    assert (code, "decided by anna" in out) == (0, True)
    code, out, _ = installation.command("runs", "list")
    assert (code, "Discarded by anna." in out) == (0, True)
    assert f"{KEY} has no run 99999" in refusal(installation, "runs", "show", KEY, "99999")


# -- waived ---------------------------------------------------------------------------------------------------


def test_a_difference_is_waived_by_somebody_else_up_to_an_amount(
    installation: Installation, erp: Erp
) -> None:
    (did,) = erp.fault("manual_journal", on=True)
    held = installation.hub.sync(KEY)
    assert (held.state, held.reason) == ("held", "difference")
    last_day = installation.hub.clock().date() + 5 * ONE_DAY

    done = answer(installation, "waive", KEY, "--reason", REASON, "--until", str(last_day))

    assert (done["run"]["state"], done["run"]["run"], done["run"]["by"]) == ("published", held.run, "anna")
    assert done["run"]["sentence"].startswith("waived: the books differ by ")
    assert {(one["account"], one["owner"], one["reason"]) for one in done["waivers"]} == {
        (did["account"], "anna", REASON)
    }
    report = installation.hub.tie_out(KEY)
    assert {row.status for row in report.rows} == {"equal", "waived"}
    code, out, _ = installation.command("tie-out", KEY)
    assert (code, "(company currency): Waived by anna up to " in out, REASON in out) == (0, True, True)
    (status,) = installation.hub.overview()
    assert status.state == "tied_out"
    assert status.sentence.startswith("Waived: the books differ by ")

    result = installation.hub.sync(KEY)
    assert (result.state, result.verdict.split(":")[0], result.differences) == ("published", "waived", [])
    (waiver, *_) = answer(installation, "waivers", "list", KEY)
    code, out, _ = installation.command("waivers", "end", str(waiver["waiver_id"]))
    assert (code, out.split(".")[0]) == (0, f"Waiver {waiver['waiver_id']} of {KEY} is over")
    assert "is over already" in refusal(installation, "waivers", "end", str(waiver["waiver_id"]))
    assert "There is no waiver 99999" in refusal(installation, "waivers", "end", "99999")
    assert len(answer(installation, "waivers", "list", "--all")) >= len(done["waivers"])
    assert installation.command("sync", KEY)[0] == 3


@pytest.mark.parametrize("look_first", ["asked", "settings"])
def test_waiving_publishes_nothing_that_somebody_is_to_see_first(
    installation: Installation, erp: Erp, look_first: str
) -> None:
    key = installation.connect(erp, f"acme-{look_first}-first", history_months=0)
    assert installation.hub.sync(key).verdict == "equal"
    before = installation.visible(key)
    erp.fault("manual_journal", on=True)
    if look_first == "settings":
        installation.change(key, history_months=18)
    held = installation.hub.sync(key, publish=look_first == "settings")
    assert (held.state, held.reason) == ("held", "difference")
    anna = dataclasses.replace(installation.hub.decisions(key), by="anna")

    done = anna.waive({}, None, REASON, installation.hub.clock().date())

    assert (done.run.run, done.run.state) == (held.run, "held")
    assert f"To publish it: encours publish {key}" in done.run.sentence
    run = installation.last_run(key)
    assert (run.number, run.state, run.reason, run.decided_by) == (held.run, "held", look_first, None)
    assert run.explanation[-1] in {"No balance changes.", "Nothing that is published would change."}
    assert installation.visible(key) == before

    released = anna.publish()
    assert (released.run, released.state) == (held.run, "published")
    assert released.sentence.startswith("waived: the books differ by ")
    assert len(installation.of(key, "publication")) == 2
    installation.hub.remove(key)


def test_who_may_waive_what_and_for_how_long(installation: Installation, erp: Erp) -> None:
    (did,) = erp.fault("manual_journal", on=True)
    held = installation.hub.sync(KEY)
    before = installation.visible(KEY)
    today = installation.hub.clock().date()
    me = installation.hub.decisions(KEY).by
    anna = by(installation, "anna")
    gap = max(abs(line.difference) for line in held.differences if line.basis == "company")

    def refused(
        who: Decisions,
        *words: str,
        up_to: str | None = None,
        reason: str = REASON,
        days: int = 5,
        **where: str,
    ) -> None:
        with pytest.raises(HubError) as raised:
            who.waive(where, Decimal(up_to) if up_to else None, reason, today + days * ONE_DAY)
        for word in (KEY, *words):
            assert word in str(raised.value)

    refused(installation.hub.decisions(KEY), f"{me} changed its settings within the day")
    refused(by(installation, "boris", "anna", "carla"), "boris may not waive", "ENCOURS_CONTROLLERS")
    refused(anna, "10 to 500 characters", reason="short")
    refused(anna, "within 31 days", days=40)
    refused(anna, "within 31 days", days=-2)
    refused(anna, "no such difference", did["account"], account="nowhere")
    place = {"basis": "company", "account": did["account"]}
    refused(anna, "more than 0.01", f"{gap:f}", up_to="0.01", **place)
    refused(anna, "--up-to is for one place", up_to="100000")
    with pytest.raises(Conflict, match=rf"run {held.run} is held \(difference\)\. The books differ\."):
        anna.publish()
    assert (installation.visible(KEY), installation.last_run(KEY).state) == (before, "held")
    code, _, complaint = installation.command(
        "waive", KEY, "--reason", REASON, "--until", str(today), "--up-to", "much"
    )
    assert (code, "'much' is no amount" in complaint) == (1, True)

    done = anna.waive(place, gap + 1, REASON, today)
    assert done.waivers[0].largest == gap + 1
    assert done.waivers[0].until.astimezone(UTC) > installation.hub.clock()
    assert (done.run.state, done.run.sentence.split(": ")[1].split(".")[0]) == ("held", "the books differ")
    assert installation.visible(KEY) == before, "they differ in document currency as well"
    installation.hub.pause(KEY, "year-end close")
    installation.hub.resume(KEY)
    assert installation.hub.registry.changers(anna.connector, datetime.now(UTC) - ONE_DAY) == {me}
    assert installation.hub.registry.changers(anna.connector, datetime.now(UTC)) == set()


# -- rows that were set aside ---------------------------------------------------------------------------------


def broken(erp: Erp, due: date) -> str:
    """Posts an invoice, and prints its first line with another due date for ever; the document's number."""
    (posted, *_) = erp.post(invoices=1, company_code="1010")
    value = f"/Date({int(datetime.combine(due, time.min, UTC).timestamp()) * 1000})/"
    wish = {"kind": "value", "property": "NetDueDate", "value": value, "times": FOR_EVER}
    erp.control("misbehave", {**wish, "set": ITEMS, "where": f"AccountingDocument={posted['document']}"})
    return str(posted["document"])


def in_ten_years() -> date:
    """A due date that is too far away today, and not tomorrow."""
    today = datetime.now(UTC).date()
    return today.replace(year=today.year + 10) + ONE_DAY


def test_a_row_is_read_again_and_published_with_everything_else(installation: Installation, erp: Erp) -> None:
    number = broken(erp, in_ten_years())
    held = installation.hub.sync(KEY, sweep=False)
    assert held.reason == "reject"
    (reject,) = installation.hub.rejects(KEY)
    assert (reject.code, reject.field, reject.adapter) == ("day_range", "NetDueDate", "items")
    before, since = installation.visible(KEY), erp.last_request()

    found = answer(installation, "rejects", "replay", str(reject.reject_id), code=1)

    assert (found["syncs"], [one["times"] for one in found["unreadable"]]) == ([], [2])
    assert erp.last_request() == since, "the ERP was asked for nothing"
    assert installation.visible(KEY) == before

    tomorrow = Hub(installation.hub.settings, clock=lambda: datetime.now(UTC) + ONE_DAY)
    readable = tomorrow.readable(KEY, tomorrow.rejects(KEY))
    assert [one.reject_id for one in readable] == [reject.reject_id]
    erp.fault("manual_journal", on=True)
    result = tomorrow.sync(KEY, replay=readable)
    assert (result.state, result.reason, installation.visible(KEY)) == ("held", "difference", before)
    assert len(installation.hub.rejects(KEY)) == 1
    assert result.rows_read > held.rows_read, "what a sync reads, and the row; a difference is read again"
    erp.well()

    result = tomorrow.sync(KEY, replay=readable)
    assert (result.state, result.verdict, result.mode) == ("published", "equal", "replay")
    assert (installation.hub.rejects(KEY), installation.hub.reject(reject.reject_id).state) == (
        [],
        "replayed",
    )
    items = [one for one in installation.of(KEY, "open_item") if one["number"] == number]
    assert items
    assert in_ten_years() not in {item["due_on"] for item in items}, "what the ERP says today counts more"
    words = refusal(installation, "rejects", "replay", str(reject.reject_id))
    assert f"Reject {reject.reject_id} of {KEY} was read well since" in words
    assert "Give the ids of rejects, or --all" in refusal(installation, "rejects", "replay")
    assert answer(installation, "rejects", "replay", "--all") == {"syncs": [], "unreadable": []}


def test_a_reject_is_waived_and_what_it_lacks_is_a_difference(installation: Installation, erp: Erp) -> None:
    broken(erp, date(9000, 1, 1))
    assert installation.hub.sync(KEY).reason == "reject"
    (reject,) = installation.hub.rejects(KEY)
    with pytest.raises(Misconfigured, match="boris may not waive"):
        by(installation, "boris", "anna").waive_reject(reject, "a test posting")
    with pytest.raises(Misconfigured, match="10 to 500 characters"):
        by(installation, "anna", "anna").waive_reject(reject, "test")
    theirs = dataclasses.replace(installation, environment={**installation.environment, "LOGNAME": "anna"})
    assert theirs.command("rejects", "waive", str(reject.reject_id), "--reason", "a test posting")[0] == 0
    (row,) = answer(installation, "rejects", "list", "--state", "waived")
    assert (row["waived_by"], row["waived_because"], row["state"]) == ("anna", "a test posting", "waived")
    code, out, _ = installation.command("rejects", "show", str(reject.reject_id))
    assert (code, "waived by anna, " in out) == (0, True)

    result = installation.hub.sync(KEY)
    assert (result.state, result.reason) == ("held", "difference"), "the ledger has what we go on without"
    assert installation.hub.rejects(KEY) == []
    erp.well()
    assert installation.hub.sync(KEY).verdict == "equal"
    assert installation.hub.reject(reject.reject_id).state == "replayed"
