"""What an administrator says about one SAP S/4HANA: address, company codes, and what document types mean.

Every description is the help text of the form, the command line and the documentation. Lists are read from
text with commas (`1010,1020`), tables from `name=value` pairs (`RV=invoice,DZ=receipt`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import pydantic
from pydantic import Field

from connectors.kit.settings import (
    Address,
    CaBundle,
    ClientCertificate,
    Currency,
    Listed,
    Once,
    Paired,
    Proxy,
    Zone,
    Zones,
)

DocumentKind = Literal["invoice", "credit_note", "debit_note", "advance", "journal", "receipt"]
SpecialKind = Literal["advances", "notes", "doubtful", "special", "noted"]

DOCUMENT_KINDS: Final[Mapping[str, DocumentKind]] = {
    "RV": "invoice",
    "DR": "invoice",
    "DG": "credit_note",
    "DZ": "receipt",
    "DA": "journal",
    "AB": "journal",
    "SA": "journal",
}
SPECIAL_GL_KINDS: Final[Mapping[str, SpecialKind]] = {"A": "advances", "W": "notes", "F": "noted"}


def company_code(value: str) -> str:
    """A company code as SAP prints it: four letters or digits."""
    if not re.fullmatch(r"[A-Z0-9]{1,4}", value):
        raise ValueError(f"{value[:10]!r} is no company code (up to four capital letters or digits)")
    return value


CompanyCode = Annotated[str, pydantic.AfterValidator(company_code)]


class Settings(pydantic.BaseModel):
    """The settings of a connector to SAP S/4HANA."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: Address = Field(
        description="Address of the system, e.g. https://my300000-api.s4hana.ondemand.com (Cloud) or "
        "https://sap.example.com:44300 (on premise)."
    )
    company_codes: Annotated[list[CompanyCode], Listed, Once] = Field(
        description="Company codes to read, with commas: 1010,1020.", min_length=1
    )
    zone: Zone = Field(
        "UTC", description="IANA time zone of the SAP server, in which it enters documents: Europe/Berlin."
    )
    zones: Zones = Field(default_factory=dict)
    sap_client: str = Field(
        "", description="On premise: the client, e.g. 100. Empty on Cloud.", pattern=r"^(\d{3})?$"
    )
    history_months: int = Field(
        24, description="Months of cleared items that the first load reads.", ge=0, le=120
    )
    control_accounts: Annotated[list[str], Listed] = Field(
        default_factory=list,
        description="Further reconciliation accounts to compare, with commas: 1010/12100000 for one company "
        "code, 12100000 for all. Accounts of customers and of items are compared anyway.",
    )
    document_kinds: Annotated[dict[str, DocumentKind], Paired] = Field(
        default_factory=lambda: dict(DOCUMENT_KINDS),
        description="What document types are: invoice (a credit of that type is a credit_note), credit_note, "
        "receipt (no document), journal, advance. Types not named are journal.",
    )
    special_gl_kinds: Annotated[dict[str, SpecialKind], Paired] = Field(
        default_factory=lambda: dict(SPECIAL_GL_KINDS),
        description="What special G/L indicators are: advances, notes, doubtful, special, or noted (not in "
        "the ledger, left out). Indicators not named are special.",
    )
    credit_reference_allocates: bool = Field(
        default=False,
        description="A credit memo that names an invoice is put on it while both are open. Else it stays a "
        "negative item of its own until SAP clears it.",
    )
    billing: bool = Field(
        default=True,
        description="Read billing documents, which say net and tax of what SD has invoiced. Where their "
        "service is not offered a run says so and goes on without.",
    )
    company_currencies: Annotated[dict[CompanyCode, Currency], Paired] = Field(
        default_factory=dict,
        description="Only where API_COMPANYCODE_SRV is not offered: the company codes' currencies, 1010=EUR.",
    )
    ledger: str = Field(
        "0L", description="The leading ledger, whose balances are compared.", pattern=r"^\w{2}$"
    )
    accept_unproven: bool = Field(
        default=False,
        description="Publish, marked as not proven, where neither the trial balance nor the G/L line items "
        "are offered to the user.",
    )
    page_size: int = Field(1000, description="Rows a request asks for.", ge=10, le=5000)
    max_parallel: int = Field(2, description="Runs that may read this SAP host at once.", ge=1, le=10)
    language: str = Field("EN", description="Language of texts and messages.", pattern=r"^[A-Z]{2}$")
    ca_bundle: CaBundle = None
    client_certificate: ClientCertificate = None
    proxy: Proxy = None

    @pydantic.field_validator("control_accounts")
    @classmethod
    def _accounts(cls, value: list[str]) -> list[str]:
        for entry in value:
            if not re.fullmatch(r"([A-Z0-9]{1,4}/)?[A-Z0-9]{1,10}", entry):
                raise ValueError(f"{entry[:20]!r}: write 12100000 or 1010/12100000")
        return value

    def meaning(self) -> Mapping[str, Any]:
        """The settings that change what rows mean: a change of one makes the next run read all again."""
        names = {
            "base_url", "sap_client", "company_codes", "zone", "zones", "history_months", "document_kinds",
            "special_gl_kinds", "credit_reference_allocates", "billing", "company_currencies", "language",
        }  # fmt: skip
        return self.model_dump(mode="json", include=names)

    def extra_accounts(self) -> set[tuple[str, str]]:
        """The setting's own control accounts, as (company code, account without leading zeros)."""
        found = set()
        for entry in self.control_accounts:
            code, slash, account = entry.rpartition("/")
            for entity in [code] if slash else self.company_codes:
                found.add((entity, account.lstrip("0") or "0"))
        return found
