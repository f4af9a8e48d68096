"""A real database with the identity schema, a key file of its own and a clock that moves a second a look."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from identity.authority import Authority
from identity.kms import LocalKms
from tests.sandbox.idps import Idps

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Database(Protocol):
    def url(self, role: str) -> str: ...


AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]


@pytest.fixture
def as_role(database: Database) -> AsRole:
    """A transaction of this role, with the tenant set as the hub sets it, or none."""

    @contextmanager
    def connect(role: str, tenant_id: int | None) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(database.url(role)) as connection:
            if tenant_id is not None:
                connection.execute("select set_config('app.tenant', %s, true)", [str(tenant_id)])
            yield connection

    return connect


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "key"


@pytest.fixture
def kms(key_file: Path) -> LocalKms:
    return LocalKms(key_file)


@pytest.fixture
def authority(database: Database, kms: LocalKms) -> Authority:
    seconds = itertools.count()
    return Authority(
        lambda: psycopg.connect(database.url("encours_identity")),
        kms,
        lambda: NOON + timedelta(seconds=next(seconds)),
    )


@pytest.fixture(scope="module")
def shared_idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idps]:
    """Start identity providers that end with the module."""
    started = Idps(tmp_path_factory.mktemp("idp"))
    yield started
    started.stop()
