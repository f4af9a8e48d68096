"""Planted faults: each is put into a copy of the packages, and the suite must notice it.

A suite that passes whatever the code does proves nothing. `python -m tests.conformance.mutants` plants all of
them, one at a time, prints which case caught which, and with `--write` keeps the table in docs/systems.
Nothing is changed in the repository: the copy is made in a temporary folder. Refuses a fault whose place is
not found exactly once, and a case that fails without a fault.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = ROOT / "docs/systems/mutants.md"
COPIED: Final = ("receivables", "connectors", "identity", "encours", "sandbox", "tests")
SECONDS: Final = 300
CAUGHT: Final = re.compile(
    r"^FAILED tests/conformance/test_conformance\.py::test_the_system_conforms\[(\S+)\]", re.MULTILINE
)


@dataclass(frozen=True)
class Mutant:
    """One fault: `old`, which stands once in the file, becomes `new`; the proof that should notice."""

    fault: str
    file: str
    old: str
    new: str
    proof: str


SAP: Final = "connectors/systems/sap_s4hana"
INTACCT: Final = "connectors/systems/sage_intacct"
MUTANTS: Final = (
    Mutant(
        "The sign of a credit is lost",
        f"{SAP}/items.py",
        "-> OpenItem:\n        original, company = self._amounts(item)",
        '-> OpenItem:\n        original, company = (part.lstrip("-") for part in self._amounts(item))',
        "sap_s4hana-credit_note",
    ),
    Mutant(
        "A delta asks for days after its bookmark, not from it on",
        f"{SAP}/plan.py",
        'f"{DELTAS[delta]} ge {day(since)}"',
        'f"{DELTAS[delta]} gt {day(since)}"',
        "sap_s4hana-late_entry",
    ),
    Mutant(
        "The overlap of a delta is dropped",
        f"{SAP}/plan.py",
        "OVERLAP: Final = timedelta(days=1)",
        "OVERLAP: Final = timedelta(days=0)",
        "sap_s4hana-late_entry",
    ),
    Mutant(
        "The ERP's days are read as days of Greenwich",
        f"{SAP}/plan.py",
        "    today = access.now.astimezone(access.zone).date()\n    codes",
        "    today = date(*access.now.utctimetuple()[:3])\n    codes",
        "sap_s4hana-clock_changes",
    ),
    Mutant(
        "The last page of a list is dropped",
        "connectors/kit/odata_v2.py",
        "if self._count is not None and self._received == self._count:",
        "if self._count is not None and self._received + self._size > self._count:",
        "sap_s4hana-same_moment",
    ),
    Mutant(
        "A page that is too short is taken for the last one",
        "connectors/kit/odata_v2.py",
        "if self._count is not None and not full:",
        "if self._count is not None and not full and self._count < 0:",
        "sap_s4hana-misbehaviour-short_page",
    ),
    Mutant(
        "The decimals of a currency are ignored",
        "receivables/values.py",
        "    decimals = exponent(known_currency(currency, field))",
        "    decimals = max(4, exponent(known_currency(currency, field)))",
        "sap_s4hana-no_decimals",
    ),
    Mutant(
        "A reversed document is published as posted",
        f"{SAP}/items.py",
        '            "reversed" if item.is_reversed else "posted",',
        '            "posted",',
        "sap_s4hana-reversal",
    ),
    Mutant(
        "The instalments of a document are merged",
        f"{SAP}/items.py",
        '            canonical(item.accounting_document_item, "AccountingDocumentItem"),\n'
        '            self._number(item.gl_account, "GLAccount"),\n'
        '            self._number(item.customer, "Customer"),\n'
        "            item.transaction_currency,\n"
        "            original,\n"
        '            "0" if',
        '            "1",\n'
        '            self._number(item.gl_account, "GLAccount"),\n'
        '            self._number(item.customer, "Customer"),\n'
        "            item.transaction_currency,\n"
        "            original,\n"
        '            "0" if',
        "sap_s4hana-instalments",
    ),
    Mutant(
        "A row that cannot be read is swallowed",
        f"{SAP}/items.py",
        "                adapted.unreadable.append((row, error))",
        "                continue",
        "sap_s4hana-misbehaviour-nan_amount",
    ),
    Mutant(
        "A partial payment is taken off its item twice",
        "receivables/clearing.py",
        "        debit.left -= amount\n        debit.company -= company\n        paid",
        "        debit.left -= 2 * amount\n        debit.company -= company\n        paid",
        "sap_s4hana-partial_payment",
    ),
    Mutant(
        "A discount is forgotten",
        "receivables/clearing.py",
        "            granted = debit.line.discount\n",
        "            granted = None\n",
        "sap_s4hana-discount",
    ),
    Mutant(
        "A discount is taken for money",
        "receivables/applying.py",
        "Decimal(one.amount) - Decimal(one.discount)",
        "Decimal(one.amount)",
        "sap_s4hana-discount",
    ),
    Mutant(
        "A tax condition that is statistical is counted",
        f"{SAP}/billing.py",
        "condition.condition_inactive_reason or condition.condition_is_for_statistics",
        "condition.condition_inactive_reason",
        "sap_s4hana-tax",
    ),
    Mutant(
        "The tax of a credit has the sign that it is printed with",
        "receivables/billing.sql",
        "(d.reversal_of is null)) then 1 else -1 end",
        "(d.reversal_of is null)) then 1 else 1 end",
        "sap_s4hana-tax",
    ),
    Mutant(
        "The digest of a record leaves its days out",
        "receivables/copy_text.py",
        "digest(line.encode(), seed)",
        "digest(re.sub('[0-9]+-[0-9]+-[0-9]+', '', line).encode(), seed)",
        "sap_s4hana-moved_date",
    ),
    Mutant(
        "A row that has no moment of change is never asked for",
        f"{INTACCT}/plan.py",
        'return any_of(compared("greaterthanorequalto", MOMENT, in_zone), compared("isnull", MOMENT))',
        'return any_of(compared("greaterthanorequalto", MOMENT, in_zone))',
        "sage_intacct-undated",
    ),
    Mutant(
        "What a reversed payment had paid is not read again",
        f"{INTACCT}/plan.py",
        '    if "allocations" in bookmarks:',
        '    if "nothing" in bookmarks:',
        "sage_intacct-payment",
    ),
    Mutant(
        "The overlap of ten minutes is dropped",
        f"{INTACCT}/plan.py",
        "OVERLAP: Final = timedelta(minutes=10)",
        "OVERLAP: Final = timedelta(0)",
        "sage_intacct-late_entry",
    ),
    Mutant(
        "The last row of a page is asked for again",
        "connectors/kit/xml_gateway.py",
        'compared("greaterthan", self._key, str(self._last))',
        'compared("greaterthanorequalto", self._key, str(self._last))',
        "sage_intacct-same_moment",
    ),
    Mutant(
        "A session that ended is not renewed",
        "encours/access.py",
        "        return self._auth.renew(request)",
        "        return False",
        "sage_intacct-expiry",
    ),
    Mutant(
        "An advance is published as applied",
        f"{INTACCT}/payments.py",
        "            unapplied=amounts.size(rest[0]),",
        '            unapplied="0",',
        "sage_intacct-unapplied",
    ),
    Mutant(
        "The audit history is asked for what was changed, not deleted",
        f"{INTACCT}/deletions.py",
        'MODE: Final = "D"',
        'MODE: Final = "M"',
        "sage_intacct-deleted",
    ),
    Mutant(
        "An item closes although the ledger still holds it",
        "receivables/vanished.py",
        "                yield WITH, lines",
        "                yield WITHOUT, lines",
        "sage_intacct-vanished",
    ),
)
SHORT: Final = (  # planted by the ordinary tests: one for each system
    "A delta asks for days after its bookmark, not from it on",
    "An advance is published as applied",
)


@dataclass(frozen=True)
class Outcome:
    """What the suite made of a fault: the proofs that failed, and the first words of why."""

    mutant: Mutant
    failed: Sequence[str]
    why: str


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the packages and the tests in a folder that vanishes."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        for package in COPIED:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield folder


def plant(mutant: Mutant, folder: Path) -> None:
    """Puts the fault into the copy; ValueError when its place is not there exactly once."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.fault}: {text.count(mutant.old)} places in {mutant.file}, not one")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def proven(folder: Path, proofs: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """These proofs of the suite, run on the copy by a process of its own."""
    base = "tests/conformance/test_conformance.py::test_the_system_conforms"
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(f"{base}[{proof}]" for proof in proofs)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS * len(proofs),
        check=False,
    )


def tried(mutant: Mutant) -> Outcome:
    """Plants one fault and runs the proof that should notice it; what does not run is a RuntimeError."""
    with copied() as folder:
        plant(mutant, folder)
        done = proven(folder, [mutant.proof])
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{mutant.fault}: the suite did not run.\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
        )
    why = re.search(r"^E\s+(\S.*)$", done.stdout, re.MULTILINE)
    return Outcome(mutant, CAUGHT.findall(done.stdout), why[1] if why else "")


def passing(proofs: Sequence[str]) -> None:
    """Proves that these proofs pass on a copy without a fault; RuntimeError otherwise."""
    with copied() as folder:
        done = proven(folder, proofs)
    if done.returncode:
        raise RuntimeError(f"The suite fails without a fault.\n{done.stdout[-3000:]}")


def table() -> str:
    """Fault and case, as kept beside the cards of the systems."""
    lines = [
        "# Planted faults",
        "",
        "Each of these faults was put into a copy of the packages, and the conformance suite noticed it by the",
        "case named. `make mutants` plants them again; a fault that is not noticed fails.",
        "",
        "| fault | place | caught by |",
        "|---|---|---|",
    ]
    for mutant in MUTANTS:
        system, _, case = mutant.proof.partition("-")
        lines.append(
            f"| {mutant.fault} | `{mutant.file}` | {system}: {case.replace('_', ' ').replace('-', ', ')} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Plants what is asked for; 1 when a fault was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Faults whose sentence or proof has these words.")
    parser.add_argument("--write", action="store_true", help=f"Keep the table in {TABLE.relative_to(ROOT)}.")
    asked = parser.parse_args()
    chosen = [m for m in MUTANTS if asked.only in m.fault or asked.only in m.proof]
    passing(sorted({mutant.proof for mutant in chosen}))
    unnoticed = 0
    for mutant in chosen:
        outcome = tried(mutant)
        unnoticed += mutant.proof not in outcome.failed
        verdict = f"caught by {outcome.failed[0]}: {outcome.why[:140]}" if outcome.failed else "NOT NOTICED"
        sys.stdout.write(f"{mutant.fault}: {verdict}\n")
        sys.stdout.flush()
    if asked.write and not unnoticed and chosen == list(MUTANTS):
        TABLE.write_text(table(), encoding="utf-8")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
