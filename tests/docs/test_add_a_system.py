"""docs/add-a-system.md, done as it says: its files written, its two lines added, its commands run.

The system is added to a copy of the packages; database, files and processes are real.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import BLOCKS, FOLDER, written

if TYPE_CHECKING:
    from tests.docs.conftest import Copy

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SYSTEM = "connectors/systems/comptoir.py"
DRIVER = "tests/conformance/comptoir.py"
LINES = 60
PASSING = [
    (r"\d+ ms", "N ms"),
    (r"\d+\.\d s", "N s"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM"),
    (r" +\[100%\]", " [100%]"),  # as wide as the terminal
    (r"\d+ deselected in \d+\.\d+s.*", "N deselected in N s"),  # the cases of other systems
]


def transcripts() -> list[tuple[str, str]]:
    """Every command of the page and what it prints, in order."""
    found = []
    for kind, _, text in BLOCKS:
        if kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, answer = part.partition("\n")
                found.append((command, answer))
    return found


def lasting(text: str) -> str:
    """A text without what is another each time: durations, moments, other systems' cases, blanks at line ends."""
    for pattern, name in PASSING:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_the_commands_of_the_page_answer_what_it_shows(copy: Copy) -> None:
    for command, answer in transcripts():
        assert (command, lasting(copy.typed(command))) == (command, lasting(answer))
    told = "\n".join(answer for _, answer in transcripts())
    for word in ("equal (run 1, published)", "1 rows were set aside (run 2, held)", "F-1002/2026 alone"):
        assert word in told
    assert transcripts()[-1][0] == "python -m tests.conformance.cards comptoir"
    for word in (" passed", "# Comptoir", "| vanished | ", "| payment | "):
        assert word in transcripts()[-1][1]


def test_the_system_is_one_file_of_at_most_60_lines_and_two_lines_elsewhere() -> None:
    assert set(written("python")) == {SYSTEM, DRIVER}
    assert len(written("python")[SYSTEM].splitlines()) <= LINES
    assert set(written("diff")) == {"connectors/systems/__init__.py", "tests/conformance/drivers.py"}
    assert added("connectors/systems/__init__.py") == ["    comptoir,", "    comptoir.SYSTEM,"]


def test_the_suite_asks_for_a_driver_and_two_lines_in_the_tests() -> None:
    assert added("tests/conformance/drivers.py") == [
        "from tests.conformance.comptoir import Comptoir",
        '    "comptoir": Comptoir,',
    ]
    for shared in ("connectors.systems", "connectors.kit.csv", "connectors.kit.columns"):
        assert shared not in written("python")[DRIVER]


def added(name: str) -> list[str]:
    """The lines that the page adds to a file; it takes none away."""
    lines = written("diff")[name].splitlines()
    assert not [line for line in lines if line[0] not in "+ "]
    return [line[1:] for line in lines if line[0] == "+"]


def test_the_file_keeps_the_rules_of_the_repository(copy: Copy) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for rule in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *rule, "connectors/systems", DRIVER],
            cwd=copy.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_settings_are_options_and_nothing_asks_for_a_password(copy: Copy) -> None:
    told = copy.typed("encours connectors add comptoir --help")
    for word in (
        "--folder",
        "--company",
        "--currency",
        "an ISO 4217 code",
        "[default: (EUR)]",
        "e.g. DUPONT",
    ):
        assert word in told
    for word in ("--user", "--password-stdin"):
        assert word not in told
    copy.typed(f"encours connectors add comptoir second --tenant second --folder {FOLDER} --company SECOND")
    assert "none is asked for" in copy.typed("encours connectors show second")
    wrong = "encours connectors add comptoir third --tenant second --folder srv --company dup 2>&1 || true"
    told = copy.typed(wrong)
    assert "third: " in told
    assert "company: String should match pattern" in told
    assert "folder: Value error, 'srv' is no absolute path" in told
    refused = copy.typed(
        "echo pw | encours connectors credential second --user u --password-stdin 2>&1 || true"
    )
    assert refused == "second: Comptoir is asked for no credential. Leave it out.\n"
