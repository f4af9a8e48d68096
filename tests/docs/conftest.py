"""A copy of the packages with the system of docs/add-a-system.md in it, on a database of its own."""

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
FOLDER = "/srv/comptoir"
SECONDS = 600  # of one command; the suite takes a minute


def written(kind: str) -> dict[str, str]:
    """The files of this kind that the page shows, by name."""
    return {name: text for what, name, text in BLOCKS if what == kind}


@dataclass(frozen=True)
class Copy:
    """The packages with the page's system in them, and a machine on which the page's commands can be typed."""

    root: Path
    export: Path
    environment: dict[str, str]
    database: Database

    def typed(self, command: str) -> str:
        """What a command of the page prints; the page's folder is the copy's own."""
        done = subprocess.run(
            ["bash", "-c", command.replace(FOLDER, str(self.export))],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        complaints = [line for line in done.stderr.splitlines() if "rows so far" not in line]
        assert (done.returncode, complaints) == (0, []), done.stdout + done.stderr
        return done.stdout.replace(str(self.export), FOLDER)


@pytest.fixture(scope="module")
def copy(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("copy").resolve()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in (*packages["tool"]["importlinter"]["root_packages"], "tests"):
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
    database = new_database()
    environment = {
        **os.environ,
        **database.environment(),
        "PATH": f"{encours.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "COLUMNS": "200",
        "ENCOURS_HOME": str(home),
        "ENCOURS_KEY_FILE": str(home / "key"),
    }
    return Copy(root, export, environment, database)


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
