"""How the command line prints and asks: tables for people, JSON for scripts, errors on standard error."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from receivables.errors import Misconfigured


def stdout() -> Console:
    """The console for results; without a terminal lines are never wrapped."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200, soft_wrap=True)


def stderr() -> Console:
    """The console for progress and complaints."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(error: Exception) -> None:
    """Prints what went wrong and what to do, without a stack."""
    stderr().print(str(error), markup=False, style="red")


def confirm(question: str, key: str, *, yes: bool) -> None:
    """Asks to type the connector's key, unless told not to ask; raises Misconfigured for anything else."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misconfigured("There is no terminal to ask at. To go on without being asked: --yes")
    if input(f"{question} ") != key:
        raise Misconfigured("Nothing was done: what was typed is not the connector's key.")


def print_json(value: Any) -> None:
    """Prints dataclasses, lists and exact amounts as JSON; amounts are strings."""
    json.dump(value, sys.stdout, default=_plain, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Prints a table with these column heads; `right` are aligned to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    stdout().print(table, markup=False)


def moment(value: datetime | None) -> str:
    """A moment in UTC to the minute, or a dash."""
    return "-" if value is None else value.strftime("%Y-%m-%d %H:%M")


def money(amount: Decimal | str, currency: str) -> str:
    """An amount with thousands separated and its ISO code after it."""
    return f"{Decimal(amount):,f} {currency}"


def amounts(found: Iterable[tuple[Decimal, str]]) -> str:
    """Amounts of several currencies, one to a line, or a dash; they are never added."""
    return "\n".join(money(amount, currency) for amount, currency in found) or "-"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
