"""The SQL of identity: text in a `.sql` file beside the code that runs it.

Refuses a query without a name or a sentence. Identity has its own reader because it imports no other part
of Encours.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import LiteralString, cast

QUERY = re.compile(r"-- name: (\w+)\n-- \S[^\n]*\n(.+?);\n*\Z", re.DOTALL)


def queries(module_file: str) -> dict[str, LiteralString]:
    """The queries beside this module file, by name; raises ValueError for a block that is none."""
    path = Path(module_file).with_suffix(".sql")
    found: dict[str, LiteralString] = {}
    for block in re.split(r"^(?=-- name:)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        match = QUERY.match(block)
        if match:
            found[match[1]] = cast("LiteralString", match[2])
        elif block.strip():
            raise ValueError(f"{path.name}: a query needs a name, a sentence and a semicolon: {block[:60]!r}")
    return found
