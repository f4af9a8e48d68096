"""What an administrator says about one company at Sage Intacct: its id, its entities, its accounts.

Every description is the help text of the form, the command line and the documentation. Lists are read from
text with commas (`N-407,N-408`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import pydantic
from pydantic import AfterValidator, Field

from connectors.kit.settings import (
    Address,
    CaBundle,
    ClientCertificate,
    Listed,
    Once,
    Proxy,
    Zone,
    Zones,
    iso_4217,
)

GATEWAY: Final = "https://api.intacct.com/ia/xml/xmlgw.phtml"
PATH: Final = "/ia/xml/xmlgw.phtml"
TOP: Final = "TOP"  # the code of the company itself, where a document belongs to no entity


def _gateway(value: str) -> str:
    """The address of the gateway; of a host alone, where the gateway is there."""
    return value if urlsplit(value).path else value + PATH


def _currency_or_none(value: str) -> str:
    return iso_4217(value) if value else value


class Settings(pydantic.BaseModel):
    """The settings of a connector to Sage Intacct."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    company_id: str = Field(
        description="Company id, as users type it to sign in.", min_length=1, max_length=80
    )
    entities: Annotated[list[str], Listed, Once] = Field(
        default_factory=list,
        description="Entities to read, with commas; TOP is the top level. Empty: all of them.",
    )
    zone: Zone = Field("UTC", description="IANA time zone of the moments that Intacct prints.")
    zones: Zones = Field(default_factory=dict)
    base_currency: Annotated[str, AfterValidator(_currency_or_none)] = Field(
        "", description="Only where documents name no currency (single-currency companies): USD."
    )
    advance_account: str = Field(
        "", description="Account of advances. Empty: the one that their ledger entries credit."
    )
    control_accounts: Annotated[list[str], Listed] = Field(
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
    base_url: Annotated[Address, AfterValidator(_gateway)] = Field(
        GATEWAY, description="Address of the XML gateway that sign-ins go to."
    )
    endpoint_host: str = Field(
        "",
        description="Only for tests: a host that a sign-in may name as its endpoint besides intacct.com.",
        max_length=255,
    )
    ca_bundle: CaBundle = None
    client_certificate: ClientCertificate = None
    proxy: Proxy = None

    def meaning(self) -> Mapping[str, Any]:
        """The settings that change what rows mean: a change of one makes the next run read all again."""
        names = {"base_url", "company_id", "entities", "zone", "zones", "base_currency", "advance_account"}
        return self.model_dump(mode="json", include=names)

    def extra_accounts(self, entities: list[str]) -> set[tuple[str, str]]:
        """The setting's own control accounts, as (entity, account)."""
        found = set()
        for entry in (*self.control_accounts, *([self.advance_account] if self.advance_account else [])):
            entity, slash, account = entry.rpartition("/")
            found |= {(code, account) for code in ([entity] if slash else entities)}
        return found
