"""Where this installation keeps things: the settings that the environment gives (ENCOURS_*).

Connectors are not here (the registry has them), nor are secrets of other systems (the vault has them).
Refuses half-given database addresses and what is no network, naming the variable.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from encours.postgres import DATABASES, Postgres, Role
from receivables.errors import Misconfigured

Network = IPv4Network | IPv6Network

CHECKOUT = Path(__file__).resolve().parents[1]
SANDBOX = "sandbox.env"


def default_home(environment: Mapping[str, str] = os.environ, *, root: bool = os.geteuid() == 0) -> Path:
    """The home folder: ENCOURS_HOME, else /var/lib/encours as root, else ~/.local/share/encours.

    A source checkout has a folder of its own below it, so that two clones do not meet.
    """
    if given := environment.get("ENCOURS_HOME"):
        return Path(given).expanduser().absolute()
    home = Path("/var/lib/encours") if root else Path.home() / ".local" / "share" / "encours"
    if (CHECKOUT / "pyproject.toml").is_file():
        return home / hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]
    return home


class Settings(BaseSettings):
    """The settings; raises Misconfigured naming the variable that cannot be used.

    Besides the environment, `sandbox.env` in the home folder is read: `encours up --sandbox` keeps it there
    while it runs, so that every command reaches the sandbox on this machine.
    """

    model_config = SettingsConfigDict(
        env_prefix="ENCOURS_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(default_factory=default_home)
    owner_url: SecretStr | None = None
    app_url: SecretStr | None = None
    identity_url: SecretStr | None = None
    auditor_url: SecretStr | None = None
    airflow_url: SecretStr | None = None
    private_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    controllers: Annotated[tuple[str, ...], NoDecode] = ()
    key_file: Path = Field(default_factory=lambda values: values["home"] / "key")
    checkpoints: Path = Field(default_factory=lambda values: values["home"] / "checkpoints")

    def __init__(self, **values: Any) -> None:
        home = values.setdefault("home", default_home())
        try:
            super().__init__(_env_file=Path(home) / SANDBOX, **values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False)[0]
            variable = "ENCOURS_" + "_".join(str(part) for part in first["loc"]).upper()
            raise Misconfigured(
                f"{variable.rstrip('_')}: {first['msg'].removeprefix('Value error, ')}"
            ) from None

    @field_validator("private_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(
                f"{error}. Write networks with commas between them, e.g. 10.0.0.0/8,127.0.0.1/32."
            ) from None

    @field_validator("controllers", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        urls = {role: self._given(role) for role in DATABASES}
        missing = [
            f"ENCOURS_{role.removeprefix('encours_').upper()}_URL"
            for role, url in urls.items()
            if url is None
        ]
        if missing and len(missing) < len(urls):
            raise ValueError(
                f"{', '.join(missing)}: not set, though other database addresses are. Give all of them "
                "(postgresql://role:password@host/database), or none for the embedded PostgreSQL."
            )
        for role, url in urls.items():
            if url is not None and not url.startswith("postgresql://"):
                raise ValueError(f"The database address of {role} must start with postgresql://.")
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded PostgreSQL under the home folder."""
        return self.app_url is None

    def database_url(self, role: Role) -> str:
        """The libpq address of the role's database, password included: for connecting, never for showing.

        Raises Misconfigured while the embedded server has never been started.
        """
        return self._given(role) or Postgres(self.home).url(role, DATABASES[role])

    def _given(self, role: str) -> str | None:
        url = cast("SecretStr | None", getattr(self, f"{role.removeprefix('encours_')}_url"))
        return None if url is None else url.get_secret_value()
