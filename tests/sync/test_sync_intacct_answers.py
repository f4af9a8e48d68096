"""Whole syncs of a simulated Sage Intacct that answers wrongly, refuses or hides: what is said, and what stays."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from encours import simulation
from encours.credential import NewCredential
from identity.secret import Secret
from receivables.errors import Misconfigured, RateLimited, Rejected, Transient
from tests.sync.conftest import Install, Installation
from tests.sync.intacct import KEY, Intacct, closed, journal, owed, started

pytestmark = pytest.mark.long


def next_days(globex: Intacct, many: int) -> list[str]:
    """The days after the company's last one: business done on them is entered at moments apart."""
    today = date.fromisoformat(globex.control("journal")["today"])
    return [(today + timedelta(days=ahead)).isoformat() for ahead in range(1, many + 1)]


def test_an_entry_that_the_history_cannot_show_costs_the_others_nothing(
    install: Install, tmp_path: Path
) -> None:
    """In a company of its own: its days run ahead of ours."""
    with started(tmp_path, "--items", "300") as globex:
        connected = install()
        simulation.connect(connected.hub, {"globex": globex.told})
        assert connected.hub.sync(KEY).verdict == "equal"
        hidden, *others = [
            globex.control("post", on=day, deletes=1)["posted"][0]["key"] for day in next_days(globex, 3)
        ]
        globex.control("misbehave", kind="row_failure", object="AUDITHISTORY", key=hidden, times=1000)
        before = connected.visible(KEY)

        result = connected.hub.sync(KEY, sweep=False)

        assert result.state == "held", "one invoice is still open here, and the ledger does not hold it"
        assert len({line.customer for line in result.differences} - {None}) == 1
        (reject,) = connected.hub.rejects(KEY)
        assert (reject.stream, reject.code, reject.field) == ("deletions", "not_shown", "ACCESSTIME")
        assert connected.visible(KEY) == before

        result = connected.hub.sync(KEY, sweep=True)

        assert (result.state, result.verdict) == ("published", "equal"), result.explanation
        assert owed(connected) == journal(globex)
        proofs = closed(connected)
        assert [proofs[number][1] for number in others] == ["A read by key does not find it."] * 2
        assert proofs[hidden] == (
            f"The sweep of run {result.run} does not show it.",
            "A read by key does not find it, and the ledger agrees without it and differs with it.",
        )
        globex.well()
        assert connected.hub.sync(KEY, sweep=False).verdict == "equal"
        assert connected.hub.rejects(KEY) == [], "the moment was shown again"


def test_an_entity_of_which_the_sweep_shows_nothing_closes_nothing(
    connected: Installation, globex: Intacct
) -> None:
    before = closed(connected)
    (hidden, *_) = [
        fault["did"] for fault in globex.control("faults", name="entity_hidden")["faults"] if fault["did"]
    ]
    result = connected.hub.sync(KEY, sweep=True)
    assert result.state == "published", result.explanation
    entity = hidden[0]["entity"]
    (note,) = [note for note in result.notes if "The sweep shows" in note]
    assert re.search(rf"shows 0 of [1-9]\d* open lines of {entity}: too few to tell what is gone", note)
    assert (connected.last_run(KEY).suspects, closed(connected)) == (0, before)
    assert owed(connected) == journal(globex)
    globex.well()
    assert connected.hub.sync(KEY, sweep=True).notes == []


def test_a_session_that_ends_in_the_middle_is_renewed_once(connected: Installation, globex: Intacct) -> None:
    connected.change(KEY, page_size=50)
    globex.control(
        "misbehave", kind="session_expired", function="query", object="ARINVOICE", after=2, times=1
    )
    result = connected.hub.sync(KEY)
    connected.change(KEY, page_size=2000)
    globex.well()
    assert (result.state, result.verdict) == ("published", "equal")
    functions = [request["function"] for request in globex.control("log")["requests"]]
    last = len(functions) - functions[::-1].index("getAPISession") - 1
    assert functions[last - 1] == functions[last + 1] == "query", "the same call, after one sign-in"


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("wrong_login", Misconfigured, "the user's pair is wrong"),
        ("wrong_sender", Misconfigured, "the sender's pair is wrong"),
        ("sender_not_authorised", Misconfigured, "has not authorised the sender id"),
    ],
)
def test_a_refused_sign_in_names_the_pair(
    connected: Installation, globex: Intacct, kind: str, error: type[Exception], says: str
) -> None:
    globex.control("misbehave", kind=kind, function="getAPISession", times=5)
    with pytest.raises(error, match=says):
        connected.hub.sync(KEY)
    globex.well()
    assert connected.last_run(KEY).state == "failed"
    assert connected.hub.sync(KEY).verdict == "equal"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("acknowledged", Misconfigured),
        ("login_page", Misconfigured),
        ("too_many_requests", RateLimited),
        ("unavailable", Transient),
        ("bad_gateway", Transient),
        ("try_again", Transient),
        ("no_result", Transient),
        ("malformed", Rejected),
        ("truncated", Transient),
        ("doctype", Rejected),
        ("short_page", Rejected),
        ("result_failure", Rejected),
        ("result_two_errors", Rejected),
    ],
)
def test_an_answer_that_is_none_publishes_nothing(
    connected: Installation, globex: Intacct, kind: str, error: type[Exception]
) -> None:
    before = connected.visible(KEY)
    globex.control("misbehave", kind=kind, function="query", object="ARINVOICE", times=9)
    with pytest.raises(error) as raised:
        connected.hub.sync(KEY)
    globex.well()
    assert KEY in str(raised.value)
    assert connected.visible(KEY) == before
    assert connected.hub.sync(KEY).verdict == "equal"


@pytest.mark.parametrize(
    "name", ["row_hidden", "entity_hidden", "receipt_hidden", "line_hidden", "master_hidden"]
)
def test_rows_that_are_hidden_take_nothing_away(connected: Installation, globex: Intacct, name: str) -> None:
    globex.control("faults", name=name)
    result = connected.hub.sync(KEY, sweep=True)
    globex.well()
    assert result.state == "published"
    assert connected.hub.sync(KEY, sweep=True).verdict == "equal"
    assert owed(connected) == journal(globex)


def test_the_command_line_adds_tests_and_shows_it_without_a_secret(
    connected: Installation, globex: Intacct
) -> None:
    told = globex.told
    command = [
        *("connectors", "add", "sage_intacct", "by-hand", "--tenant", "globex", "--user", told["user"]),
        *("--sender-id", told["sender_id"], "--company-id", told["company_id"], "--base-url", told["url"]),
        *("--endpoint-host", "127.0.0.1", "--entities", "N-100,E-200", "--password-stdin"),
    ]
    process = connected.started(*command, stdin=subprocess.PIPE)
    _, complaint = process.communicate(f"{told['password']}\n{told['sender_password']}\n", timeout=60)
    assert process.returncode == 0, complaint
    code, out, _ = connected.command("connectors", "test", "by-hand")
    assert code == 0, out
    assert "2 entities are shown" in out
    code, out, _ = connected.command("connectors", "show", "by-hand", "--json")
    assert json.loads(out)["credential"]["sender"] == told["sender_id"]
    assert told["password"] not in out
    assert told["sender_password"] not in out
    code, _, err = connected.command("connectors", "credential", "by-hand", "--user", "x", "--password-stdin")
    assert (code != 0, "sender" in err) == (True, True)
    assert connected.command("connectors", "remove", "by-hand", "--yes")[0] == 0


def test_another_company_needs_another_credential(connected: Installation, globex: Intacct) -> None:
    connected.change(KEY, company_id="other")
    with pytest.raises(Misconfigured, match="company other"):
        connected.hub.sync(KEY)
    connected.change(KEY, company_id=globex.told["company_id"])


def test_secrets_are_in_no_log_and_no_error(
    connected: Installation,
    globex: Intacct,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = globex.told
    shown: list[str] = []

    def fails(act: Callable[[], object]) -> None:
        with pytest.raises((Misconfigured, Transient, Rejected)) as raised:
            act()
        shown.append(str(raised.getrepr(showlocals=False)))

    connected.hub.sync(KEY)
    for kind in ("wrong_login", "wrong_sender"):
        globex.control("misbehave", kind=kind, function="getAPISession", times=5)
        fails(lambda: connected.hub.sync(KEY))
        globex.well()
    for kind in ("malformed", "session_expired"):
        globex.control("misbehave", kind=kind, function="query", times=9)
        fails(lambda: connected.hub.sync(KEY))
        globex.well()
    pair = NewCredential(told["user"], Secret("canary-4711"), told["sender_id"], Secret("canary-4712"))
    connected.hub.replace_credential(KEY, pair)
    fails(lambda: connected.hub.sync(KEY))
    right = NewCredential(
        told["user"], Secret(told["password"]), told["sender_id"], Secret(told["sender_password"])
    )
    connected.hub.replace_credential(KEY, right)
    assert connected.hub.sync(KEY).verdict == "equal"
    text = "\n".join([*shown, caplog.text, *capfd.readouterr()])
    assert len(shown) == 5
    for secret in (told["password"], told["sender_password"], "canary-4711", "canary-4712", "<sessionid>"):
        assert secret not in text
