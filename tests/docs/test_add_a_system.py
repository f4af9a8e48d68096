"""docs/add-a-system.md, done as it says: its files written, its two lines added, its commands run.

The system is added to a copy of the packages; database, files and processes are real.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Database

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add-a-system.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: list[tuple[str, str, str]] = FENCE.findall(PAGE)
LINES = 60
FOLDER = "/srv/comptoir"
PASSING = [(r"\d+ ms", "N ms"), (r"\d+\.\d s", "N s"), (r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM")]


def written(kind: str) -> dict[str, str]:
    """The files of this kind that the page shows, by name."""
    return {name: text for what, name, text in BLOCKS if what == kind}


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
    """A text without what is another each time: durations, moments, blanks at line ends."""
    for pattern, name in PASSING:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@dataclass(frozen=True)
class Copy:
    """The packages with the page's system in them, and a machine on which the page's commands can be typed."""

    root: Path
    export: Path
    environment: dict[str, str]

    def typed(self, command: str) -> str:
        """What a command of the page prints; the page's folder is the copy's own."""
        done = subprocess.run(
            ["bash", "-c", command.replace(FOLDER, str(self.export))],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        complaints = [line for line in done.stderr.splitlines() if "rows so far" not in line]
        assert (done.returncode, complaints) == (0, []), done.stdout + done.stderr
        return done.stdout.replace(str(self.export), FOLDER)


@pytest.fixture(scope="module")
def copy(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("copy").resolve()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in packages["tool"]["importlinter"]["root_packages"]:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, text in written("python").items():
        (root / name).write_text(text, encoding="utf-8")
    for name, text in written("diff").items():
        add_lines(root / name, text)
    export = root / "export"
    export.mkdir()
    for name, text in written("csv").items():
        (export / name).write_text(text, encoding="utf-8")
    encours = root / "bin" / "encours"
    encours.parent.mkdir()
    encours.write_text(f"#!{sys.executable}\nfrom encours.cli import main\nmain()\n", encoding="utf-8")
    encours.chmod(0o755)
    home = root / "home"
    home.mkdir()
    environment = {
        **os.environ,
        **new_database().environment(),
        "PATH": f"{encours.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "COLUMNS": "200",
        "ENCOURS_HOME": str(home),
        "ENCOURS_KEY_FILE": str(home / "key"),
    }
    return Copy(root, export, environment)


def add_lines(file: Path, diff: str) -> None:
    """Puts each added line (+) below the line of the file that stands before it in the diff."""
    lines = file.read_text(encoding="utf-8").splitlines()
    at = -1
    for line in diff.splitlines():
        if line.startswith("+"):
            at += 1
            lines.insert(at, line[1:])
        else:
            at = lines.index(line[1:])
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_commands_of_the_page_answer_what_it_shows(copy: Copy) -> None:
    for command, answer in transcripts():
        assert (command, lasting(copy.typed(command))) == (command, lasting(answer))
    told = "\n".join(answer for _, answer in transcripts())
    for word in ("equal (run 1, published)", "1 rows were set aside (run 2, held)", "F-1002/2026 alone"):
        assert word in told


def test_the_system_is_one_file_of_at_most_60_lines_and_two_lines_elsewhere() -> None:
    ((name, text),) = written("python").items()
    assert name == "connectors/systems/comptoir.py"
    assert len(text.splitlines()) <= LINES
    ((listed, diff),) = written("diff").items()
    assert listed == "connectors/systems/__init__.py"
    assert [line for line in diff.splitlines() if line[0] in "+-"] == [
        "+    comptoir,",
        "+    comptoir.SYSTEM,",
    ]


def test_the_file_keeps_the_rules_of_the_repository(copy: Copy) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for rule in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *rule, "connectors/systems"], cwd=copy.root, capture_output=True, text=True, check=False
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
