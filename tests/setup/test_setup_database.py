from __future__ import annotations

import psycopg
import pytest

from encours.postgres import Role
from tests.conftest import Database


@pytest.mark.parametrize("role", ["encours_owner", "encours_app", "encours_identity", "encours_auditor"])
def test_every_role_connects_to_a_fresh_database(database: Database, role: Role) -> None:
    with psycopg.connect(database.url(role)) as connection:
        assert connection.execute("select current_user").fetchone() == (role,)
