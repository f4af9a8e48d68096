"""SQL kept as text in a `.sql` file beside the code that runs it: each query has a name and a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString


def queries(module_file: str) -> dict[str, LiteralString]:
    """The queries of the `.sql` file beside this module file, by the name in their `-- name:` line.

    Raises ValueError for a query without a name or a sentence, and for a name used twice.
    """
    found: dict[str, LiteralString] = {}
    path = Path(module_file).with_suffix(".sql")
    for block in path.read_text(encoding="utf-8").split("-- name:")[1:]:
        name, _, text = block.partition("\n")
        sentence, _, query = text.partition("\n")
        if not name.strip() or not sentence.startswith("-- ") or name.strip() in found:
            raise ValueError(
                f"{path.name}: the query {name.strip()!r} needs a name of its own and a sentence"
            )
        found[name.strip()] = query.strip().removesuffix(";")
    return found
