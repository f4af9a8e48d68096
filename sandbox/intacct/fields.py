"""Objects, their fields and their relationships, as `lookup` describes them and `query` reads them.

A field is found by its own name first (`DISPLAYCONTACT.EMAIL1` is one), then across a relationship with the
dot (`CUSTOMER.NAME`), at most once up a hierarchy ([D] queries page). It refuses names that an object does
not have, with `UnknownField`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.intacct.books import Entity

Get = Callable[[Any], Any]


class UnknownField(ValueError):
    """An object has no field of that name."""


@dataclass(frozen=True)
class Field:
    """A field: its type and how to get it; `codes` maps words to stored codes."""

    name: str
    type: str
    get: Get
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Relation:
    """A many-to-one relationship to another object."""

    path: str
    object: str
    get: Get
    hierarchical: bool = False


@dataclass(frozen=True)
class ObjectType:
    """An object: its fields, its rows, its key, and the entity that owns a row (None: the top level)."""

    name: str
    fields: Mapping[str, Field]
    rows: Callable[[], Sequence[Any]]
    entity: Callable[[Any], Entity | None]
    key: str = "RECORDNO"
    relations: Mapping[str, Relation] = field(default_factory=dict)

    @property
    def key_field(self) -> Field:
        """The field that `read` finds rows by."""
        return self.fields[self.key]


Objects = Mapping[str, ObjectType]


def find(objects: Objects, start: ObjectType, name: str) -> Field:
    """Find a field by its name or its path.

    Raises:
        UnknownField: there is none, or the path goes up a hierarchy twice.
    """
    if name in start.fields:
        return start.fields[name]
    path, _, rest = name.partition(".")
    relation = start.relations.get(path)
    if relation is None or not rest or (relation.hierarchical and rest.partition(".")[0] == path):
        raise UnknownField(f"Field {name} not found in object {start.name}")
    found = find(objects, objects[relation.object], rest)

    def get(row: Any) -> Any:
        related = relation.get(row)
        return None if related is None else found.get(related)

    return Field(name, found.type, get, found.codes)


def fields_of(
    *given: tuple[str, str, Get], codes: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Field]:
    """Make fields from (name, type, getter)."""
    stored = codes or {}
    return {name: Field(name, kind, get, stored.get(name, {})) for name, kind, get in given}
