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
