"""Who may import whom: the contracts of pyproject.toml hold, and each catches a planted violation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import connectors
import identity

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = CONFIGURATION["tool"]["importlinter"]["root_packages"]
CONTRACTS = {contract["id"] for contract in CONFIGURATION["tool"]["importlinter"]["contracts"]}

# contract -> the module that breaks it, and how
VIOLATIONS = {
    "layers": ("receivables/money.py", "import connectors.kit"),
    "identity-known-to-encours-only": ("connectors/kit/stream.py", "import identity.vault"),
    "identity-imports-none": ("identity/vault.py", "import receivables.errors"),
    "sandbox-apart": ("sandbox/books.py", "import receivables.money"),
    "nobody-imports-sandbox": ("encours/hub.py", "import sandbox.books"),
    "airflow-only-there": ("receivables/store.py", "import airflow"),
    "encours-without-airflow": ("encours/hub.py", "import airflow"),
    "suite-for-tests-only": ("connectors/systems/__init__.py", "import connectors.kit.testing.suite"),
    "pytest-only-in-the-suite": ("connectors/kit/stream.py", "import pytest"),
    "systems-apart": ("connectors/systems/planted.py", "import connectors.systems.sap_s4hana"),
}


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--contract", contract, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_has_a_planted_violation() -> None:
    assert set(VIOLATIONS) == CONTRACTS


@pytest.mark.parametrize("contract", sorted(VIOLATIONS))
def test_contract_holds_and_catches_a_violation(copy: Path, contract: str) -> None:
    module, line = VIOLATIONS[contract]
    before = lint(copy, contract)
    assert before.returncode == 0, before.stdout + before.stderr
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    after = lint(copy, contract)
    assert after.returncode == 1, after.stdout + after.stderr
    assert "BROKEN" in after.stdout


@pytest.mark.parametrize("package", [connectors, identity])
def test_the_package_that_is_imported_is_ours(package: object) -> None:
    """Distributions of the same import names exist."""
    assert Path(str(package.__file__)).resolve().parent.parent == ROOT  # type: ignore[attr-defined]
