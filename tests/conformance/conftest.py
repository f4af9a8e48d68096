"""What is lent to the suite: real connectors, and ERPs that end with the test that asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.lent import Database, Lender


@pytest.fixture(scope="module")
def shared(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory) -> Lender:
    return Lender(new_database(), tmp_path_factory.mktemp("home"))


@pytest.fixture
def lender(shared: Lender) -> Iterator[Lender]:
    yield shared
    shared.stop()
