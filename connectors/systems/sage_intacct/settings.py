"""What an administrator says about one company at Sage Intacct: its id, its entities, its accounts.

Every description is the help text of the form, the command line and the documentation. Lists are read from
text with commas (`N-407,N-408`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pydantic
from pydantic import BeforeValidator, Field

from connectors.kit.addresses import origin_of
from receivables.errors import Misconfigured
from receivables.money import exponent

GATEWAY: Final = "https://api.intacct.com/ia/xml/xmlgw.phtml"
PATH: Final = "/ia/xml/xmlgw.phtml"
TOP: Final = "TOP"  # the code of the company itself, where a document belongs to no entity


def listed(value: object) -> object:
    """The parts of a text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(pydantic.BaseModel):
    """The settings of a connector to Sage Intacct."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    company_id: str = Field(
        description="Company id, as users type it to sign in.", min_length=1, max_length=80
    )
    entities: Annotated[list[str], BeforeValidator(listed)] = Field(
        default_factory=list,
        description="Entities to read, with commas; TOP is the top level. Empty: all of them.",
    )
    zone: str = Field("UTC", description="IANA time zone of the moments that Intacct prints.")
    base_currency: str = Field(
        "", description="Only where documents name no currency (single-currency companies): USD."
    )
    advance_account: str = Field(
        "", description="Account of advances. Empty: the one that their ledger entries credit."
    )
    control_accounts: Annotated[list[str], BeforeValidator(listed)] = Field(
        default_factory=list,
        description="Further receivables accounts to compare, with commas: 12000 for all entities, "
        "N-407/12000 for one. Accounts of documents are compared anyway.",
    )
    reporting_book: str = Field("ACCRUAL", description="The book whose balances are compared.", max_length=40)
    accept_unproven: bool = Field(
        default=False,
        description="Publish, marked as not proven, where the user may not read account balances and sums do "
        "not tell accounts apart.",
    )
    page_size: int = Field(2000, description="Rows a request asks for.", ge=10, le=2000)
    max_parallel: int = Field(1, description="Runs that may read this company at once.", ge=1, le=5)
    base_url: str = Field(GATEWAY, description="Address of the XML gateway that sign-ins go to.")
    endpoint_host: str = Field(
        "",
        description="Only for tests: a host that a sign-in may name as its endpoint besides intacct.com.",
        max_length=255,
    )
    ca_bundle: str | None = Field(None, description="File with the certificates of the CA to trust.")
    client_certificate: str | None = Field(None, description="File with a client certificate and its key.")
    proxy: str | None = Field(None, description="Proxy to go through: http://proxy.example.com:3128.")

    @pydantic.field_validator("base_url", "proxy")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            origin_of(value)
        except Misconfigured as error:
            raise ValueError(str(error)) from None
        if urlsplit(value).query or urlsplit(value).fragment:
            raise ValueError("an address has no ? and no #")
        return value.rstrip("/")

    @pydantic.field_validator("base_url")
    @classmethod
    def _gateway(cls, value: str) -> str:
        """The address of the gateway; of a host alone, where the gateway is there."""
        return value if urlsplit(value).path else value + PATH

    @pydantic.field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (LookupError, ValueError, OSError):
            raise ValueError(f"{value[:40]!r} is no IANA time zone, e.g. America/Los_Angeles") from None
        return value

    @pydantic.field_validator("entities")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        twice = sorted({code for code in value if value.count(code) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice")
        return value

    @pydantic.field_validator("base_currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        try:
            if value:
                exponent(value)
        except LookupError:
            raise ValueError(f"{value[:10]!r} is no ISO 4217 currency") from None
        return value

    def meaning(self) -> Mapping[str, Any]:
        """The settings that change what rows mean: a change of one makes the next run read all again."""
        names = {"base_url", "company_id", "entities", "zone", "base_currency", "advance_account"}
        return self.model_dump(mode="json", include=names)

    def extra_accounts(self, entities: list[str]) -> set[tuple[str, str]]:
        """The setting's own control accounts, as (entity, account)."""
        found = set()
        for entry in (*self.control_accounts, *([self.advance_account] if self.advance_account else [])):
            entity, slash, account = entry.rpartition("/")
            found |= {(code, account) for code in ([entity] if slash else entities)}
        return found
