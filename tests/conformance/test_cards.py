"""The kept cards and the kept table of planted faults are those of the code as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cards import REGENERATE, cards
from tests.conformance.mutants import MUTANTS, SHORT, TABLE, Mutant, passing, table, tried

pytestmark = pytest.mark.long


@pytest.mark.parametrize("path", cards(), ids=lambda path: path.stem)
def test_the_kept_card_is_current(path: Path) -> None:
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    assert kept == cards()[path], f"{path.name} is not current. Write it anew: {REGENERATE}"


def test_the_kept_table_of_faults_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), (
        "It is not current. Plant the faults and write it anew: python -m tests.conformance.mutants --write"
    )


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.fault in SHORT], ids=lambda mutant: mutant.proof)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    """Two of them; `make mutants` plants all."""
    outcome = tried(mutant)
    assert mutant.proof in outcome.failed, "the fault was not noticed"


def test_the_cases_that_notice_pass_without_a_fault() -> None:
    passing([mutant.proof for mutant in MUTANTS if mutant.fault in SHORT])
