"""One bench for each system: its ERP and a connector on a database of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.kit.testing.bench import Bench
from connectors.systems import SYSTEMS
from tests.conformance.lent import Database, Lender

Benches = Callable[..., Bench]


@pytest.fixture(scope="module")
def benches(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Benches]:
    """The bench of a system, made when it is first asked for, or one `alone` whose ERP no other case sees."""
    lender = Lender(new_database(), tmp_path_factory.mktemp("home"))
    made: dict[str, Bench] = {}

    def bench(system: str, *, alone: bool = False) -> Bench:
        if system in made and not alone:
            return made[system]
        erp = lender.erp(system)
        new = Bench(SYSTEMS[system], lender, erp, lender.connect(erp))
        return new if alone else made.setdefault(system, new)

    yield bench
    lender.stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cases of a system share one ERP, whose books grow: they are done in their order, whatever the seed."""
    places = [place for place, item in enumerate(items) if item.path.name == "test_conformance.py"]
    in_order = sorted((items[place] for place in places), key=_written)
    for place, item in zip(places, in_order, strict=True):
        items[place] = item


def _written(item: pytest.Item) -> tuple[int, int]:
    """The line of the test, and the place of the proof in the list."""
    spec = getattr(item, "callspec", None)
    return item.location[1] or 0, spec.indices.get("proof", 0) if spec else 0
