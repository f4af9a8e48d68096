"""The cards of systems: `python -m tests.conformance.cards` runs the suite, then prints those named, or all.

With `--write` they are kept in docs/systems. Refuses to print or keep a card when a case has failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from connectors.kit.testing.card import card
from connectors.systems import SYSTEMS
from tests.conformance.drivers import DRIVERS

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs/systems"
REGENERATE: Final = "python -m tests.conformance.cards --write"
SUITE: Final = "tests/conformance/test_conformance.py"


def cards(systems: Iterable[str] = tuple(DRIVERS)) -> dict[Path, str]:
    """The card of each of these systems, by the file that it is kept in."""
    return {FOLDER / f"{name}.md": card(SYSTEMS[name], DRIVERS[name].profile, REGENERATE) for name in systems}


def main() -> int:
    """Runs the suite; prints the cards, and keeps them when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="system", help="Default: all.")
    parser.add_argument("--write", action="store_true", help="Keep them in docs/systems.")
    asked = parser.parse_args()
    systems = asked.systems or list(DRIVERS)
    if unknown := set(systems) - set(DRIVERS):
        parser.error(f"no driver for {', '.join(sorted(unknown))}: choose from {', '.join(DRIVERS)}")
    chosen = ["-k", " or ".join(systems)] if asked.systems else []
    done = subprocess.run([sys.executable, "-m", "pytest", SUITE, "-q", *chosen], cwd=ROOT, check=False)
    if done.returncode:
        return done.returncode
    for path, text in cards(systems).items():
        sys.stdout.write(text)
        if asked.write:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
