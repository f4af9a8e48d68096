"""Writes the answers of the three cases once, as gzip files that a static server sends.

A folder holds one folder a list, a list one file a page of 1,000 rows. Run as a command, so that the one
who measures stays small: `python -m benchmarks.pages FOLDER ROWS DAY`.
"""

from __future__ import annotations

import gzip
import math
import shutil
import sys
from collections.abc import Iterable
from datetime import date
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks import books, items

PAGE = 1000
FIRST, CHANGED = "first", "changed"  # the state of the sub-ledger before and after the third case


def page_file(folder: Path, number: int) -> Path:
    """Where the page of this number (from 0) of the list in a folder is."""
    return folder / f"{number:05d}.json.gz"


def write(folder: Path, rows: int, today: date) -> None:
    """Writes all lists of all cases; a folder that is there was written whole."""
    if folder.exists():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for state, after in ((FIRST, False), (CHANGED, True)):
        every = (items.item(number, rows, today, after=after) for number in range(rows))
        write_pages(unfinished / state / "items", rows, every)
        for listed, entries in books.lists(rows, today, after=after):
            write_pages(unfinished / state / listed, len(entries), entries)
    for listed, chosen in (("changes", items.changed), ("cleared", items.cleared)):
        numbers = [number for number in range(rows) if chosen(number)]
        touched = (items.item(number, rows, today, after=True) for number in numbers)
        write_pages(unfinished / CHANGED / listed, len(numbers), touched)
    unfinished.rename(folder)


def write_pages(folder: Path, count: int, rows: Iterable[items.Row]) -> None:
    """Writes one list: every page says how many rows the list has, as `$inlinecount=allpages` asks."""
    folder.mkdir(parents=True)
    left = iter(rows)
    for number in range(math.ceil(count / PAGE)):
        body = msgspec.json.encode({"d": {"__count": str(count), "results": list(islice(left, PAGE))}})
        page_file(folder, number).write_bytes(gzip.compress(body, 6, mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), date.fromisoformat(sys.argv[3]))
