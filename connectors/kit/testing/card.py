"""The card of a system: what it offers, what it cannot see, and what the suite has made of each case.

It says `passed` of every case that the system owes: a card is kept only where the suite has passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from connectors.kit.stream import System
from connectors.kit.testing.ports import Profile
from connectors.kit.testing.suite import ACCOUNTING, PROTOCOL, Case

SIGN_IN: Final = {
    "basic": "a user name and a password",
    "oauth": "an OAuth 2 client",
    "intacct": "a sender's and a user's pair",
}


def card(system: System, profile: Profile, regenerate: str) -> str:
    """The card as Markdown; `regenerate` is the command that writes it anew."""
    offers = system.capabilities
    lines = [
        f"# {system.title}",
        "",
        f"Capability card of `{system.name}`, written by `{regenerate}` once every case has passed.",
        "",
        "| | |",
        "|---|---|",
        f"| signs in with | {' or '.join(SIGN_IN[kind] for kind in system.credentials) or 'nothing'} |",
        f"| runs | {', '.join(offers.modes)} |",
        f"| changes | {offers.changes} |",
        f"| what is gone | {offers.deletes} |",
        f"| control totals | grade `{offers.grade}`. {offers.totals} |",
        f"| allocations | {offers.allocations} |",
        f"| taxes | {offers.taxes} |",
        "",
        "What it cannot see:",
        "",
        *(f"- {sentence}" for sentence in offers.unseen),
        "",
    ]
    for title, cases in (("Conversation", PROTOCOL), ("Books", ACCOUNTING)):
        lines += [f"## {title}", "", "| case | what must hold | result |", "|---|---|---|"]
        lines += [f"| {case.name} | {case.sentence} | {_result(case, profile)} |" for case in cases]
        lines.append("")
    return "\n".join(lines)


def _result(case: Case, profile: Profile) -> str:
    if case.name in profile.lacks:
        return f"**not applicable**: {profile.lacks[case.name]}"
    if case.name in profile.missing:
        return f"**missing**: {profile.missing[case.name]}"
    return ". ".join(_passed(case, profile))


def _passed(case: Case, profile: Profile) -> Iterator[str]:
    if case.parts == "pagings":
        yield f"passed: {', '.join(profile.pagings)}"
    elif case.parts == "misbehaviours":
        yield f"passed: {', '.join(each.name for each in profile.misbehaviours)}"
    else:
        yield "passed"
    if case.name in profile.swept:
        yield f"Seen by the sweep: {profile.swept[case.name]}"
    if case.name in profile.unstated:
        yield f"Not stated: {profile.unstated[case.name]}"
