"""What the connected user sees of the books, with the seeded faults that are on.

Lists are kept until books or faults change. It refuses nothing: faults are made in `sandbox.intacct.faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.intacct.books import Books, Customer, Detail, Entity, Entry, Line, Record

Row = TypeVar("Row")


@dataclass
class Fault:
    """One fault that is on: what it hides, replaces and adds, and what it did in words for machines."""

    name: str
    did: list[dict[str, Any]] = field(default_factory=list)
    hidden: set[Record] = field(default_factory=set)
    hidden_details: set[Detail] = field(default_factory=set)
    hidden_entries: set[Entry] = field(default_factory=set)
    replaced: dict[Record, Record] = field(default_factory=dict)
    added: list[Record] = field(default_factory=list)
    entities: set[str] = field(default_factory=set)
    customers: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)


class View:
    """The books as the objects show them."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.seed = seed
        self.version = 0
        self.faults: dict[str, Fault] = {}
        self._kept: dict[str, tuple[tuple[int, int], Sequence[Any]]] = {}

    @property
    def state(self) -> tuple[int, int]:
        """What changes when anything that is shown changes."""
        return (self.books.version, self.version)

    def records(self, name: str) -> Sequence[Record]:
        """Give the records of an AR object."""
        return self._keep(name, lambda: self._records(name))

    def _records(self, name: str) -> list[Record]:
        faults = list(self.faults.values())
        hidden = {record for fault in faults for record in fault.hidden}
        replaced = {old: new for fault in faults for old, new in fault.replaced.items()}
        entities = {code for fault in faults for code in fault.entities}
        added = [record for fault in faults for record in fault.added if record.object == name]
        return [
            replaced.get(record, record)
            for record in (*self.books.records[name].values(), *added)
            if record not in hidden and record.entity.code not in entities
        ]

    def entries(self, name: str) -> Sequence[Entry]:
        """Give the lines of the records of an AR object."""
        hidden = {entry for fault in self.faults.values() for entry in fault.hidden_entries}
        return self._keep(
            f"{name} lines",
            lambda: [e for record in self.records(name) for e in record.entries if e not in hidden],
        )

    def details(self) -> Sequence[Detail]:
        """Give the payment details."""
        faults = list(self.faults.values())
        hidden = {detail for fault in faults for detail in fault.hidden_details}
        entities = {code for fault in faults for code in fault.entities}
        return self._keep(
            "details",
            lambda: [
                detail
                for detail in self.books.details
                if detail not in hidden and detail.payment.entity.code not in entities
            ],
        )

    def customers(self) -> Sequence[Customer]:
        """Give the customers."""
        hidden = {number for fault in self.faults.values() for number in fault.customers}
        return [c for c in self.books.customers.values() if c.number not in hidden]

    def entities(self) -> Sequence[Entity]:
        """Give the entities; a fault that hides an entity's records does not hide the entity."""
        return list(self.books.entities.values())

    def lines(self) -> Sequence[Line]:
        """Give the lines of the journal."""
        return self._keep("journal", lambda: list(self.books.lines()))

    def _keep(self, name: str, make: Callable[[], list[Row]]) -> Sequence[Row]:
        held = self._kept.get(name)
        if held is None or held[0] != self.state:
            held = self._kept[name] = (self.state, make())
        return held[1]
