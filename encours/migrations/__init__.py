"""The versions of the tables: brings a database to the newest one, as the role that owns it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

LOCK = 0x656E636F  # "enco": an advisory lock's number, nobody else's in this database


def upgrade(url: str) -> None:
    """Applies what is missing, in one transaction; `url` is the libpq address of encours_owner."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["url"] = url
    command.upgrade(config, "head")
