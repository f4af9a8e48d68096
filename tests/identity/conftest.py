"""A real database with the identity schema, a key file of its own and a clock that moves a second a look."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from encours.postgres import Role
from identity.authority import Authority
from identity.kms import LocalKms
from tests.conftest import Database
from tests.identity.token_scene import AsRole, Play, Scene
from tests.sandbox.idps import Idps

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def as_role(database: Database) -> AsRole:
    """A transaction of this role, with the tenant set as the hub sets it, or none."""

    @contextmanager
    def connect(role: Role, tenant_id: int | None) -> Iterator[psycopg.Connection[Any]]:
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


@pytest.fixture
def play(idps: Idps, database: Database, key_file: Path) -> Iterator[Play]:
    """Scenes at providers that are started with these arguments; each provider is well again afterwards."""
    scenes: list[Scene] = []

    def made(*arguments: str) -> Scene:
        scenes.append(Scene(database, key_file, idps.like(*arguments)))
        return scenes[-1]

    yield made
    for scene in scenes:
        scene.idp.well()
