"""The cards of all systems: `python -m tests.conformance.cards` runs the suite, then prints them.

With `--write` they are kept in docs/systems. Refuses to print or keep a card when a case has failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from connectors.kit.testing.card import card
from connectors.systems import SYSTEMS
from tests.conformance.drivers import DRIVERS

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "docs/systems"
REGENERATE: Final = "python -m tests.conformance.cards --write"
SUITE: Final = "tests/conformance/test_conformance.py"


def cards() -> dict[Path, str]:
    """The card of each system, by the file that it is kept in."""
    return {
        FOLDER / f"{name}.md": card(SYSTEMS[name], driver.profile, REGENERATE)
        for name, driver in DRIVERS.items()
    }


def main() -> int:
    """Runs the suite; prints the cards, and keeps them when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="Keep them in docs/systems.")
    asked = parser.parse_args()
    done = subprocess.run([sys.executable, "-m", "pytest", SUITE, "-q"], cwd=ROOT, check=False)
    if done.returncode:
        return done.returncode
    for path, text in cards().items():
        sys.stdout.write(text)
        if asked.write:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
