"""Where SAP's services are, and how a list of one of their sets is asked for.

Path and parameters: interface sheet, sections 1 and 8. `sap-client` and `sap-language` go with every request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from connectors.kit.exact_json import Rows
from connectors.kit.odata_v2 import Query, Service
from connectors.kit.stream import Access, Page, Row
from connectors.systems.sap_s4hana import fields
from receivables.errors import Rejected, Unreadable

ITEMS: Final = "API_OPLACCTGDOCITEMCUBE_SRV"
BILLING: Final = "API_BILLING_DOCUMENT_SRV"
PARTNERS: Final = "API_BUSINESS_PARTNER"
COMPANY_CODES: Final = "API_COMPANYCODE_SRV"
TRIAL_BALANCE: Final = "C_TRIALBALANCE_CDS"
LEDGER: Final = "API_GLACCOUNTLINEITEM"

Shape = TypeVar("Shape", bound=msgspec.Struct)


def service(access: Access, name: str) -> Service:
    """The service of this name at the connector's SAP."""
    settings = access.settings
    options = {"sap-client": settings.sap_client, "sap-language": settings.language}
    root = f"{settings.base_url}/sap/opu/odata/sap/{name}"
    return Service(access.http, root, options, settings.language.lower())


@dataclass(frozen=True)
class Source(Generic[Shape]):
    """One entity set: its service, its name, the struct of what is read, the order of its keys."""

    service: str
    entity_set: str
    shape: type[Shape]
    order: Sequence[str] = ()
    path: str = ""  # where its rows are, if not at its name

    def query(self, access: Access, filter_: str = "", *, stream: str) -> Query:
        """What the struct reads and the service offers; Misconfigured if something needed is missing."""
        metadata = service(access, self.service).metadata(stream=stream)
        shape = self.shape
        select = metadata.selected(
            self.entity_set,
            fields.wanted(shape),
            fields.required(shape),
            fields.amounts(shape),
            f"{access.http.connector}, {stream}",
        )
        return Query(self.path or self.entity_set, select, filter_, self.order)

    def pages(self, access: Access, filter_: str = "", *, stream: str) -> Iterator[Page]:
        """The set's records as received, page by page to the explicit end."""
        query = self.query(access, filter_, stream=stream)
        size = access.settings.page_size
        return service(access, self.service).pages(query, stream=stream, size=size)

    def read(self, access: Access, filter_: str = "", *, stream: str) -> Iterator[Shape]:
        """The set's records, read; see `decoded`."""
        for page in self.pages(access, filter_, stream=stream):
            yield from self.decoded(access, page.rows, stream=stream)

    def decoded(self, access: Access, rows: Sequence[Row], *, stream: str) -> Iterator[Shape]:
        """Records, read; one that cannot be read is Rejected, because sums and joins need all of them."""
        reader = Rows(self.shape)
        for row in rows:
            try:
                yield reader.read(bytes(row))
            except Unreadable as error:
                raise Rejected(f"{access.http.connector}, {stream}: {self.entity_set}: {error}") from error


ITEM: Final = Source(
    ITEMS,
    "A_OperationalAcctgDocItemCube",
    fields.Item,
    ("CompanyCode", "FiscalYear", "AccountingDocument", "AccountingDocumentItem"),
)
SHORT_ITEM: Final = Source(ITEMS, ITEM.entity_set, fields.ItemKey, ITEM.order)
BILLING_DOCUMENT: Final = Source(BILLING, "A_BillingDocument", fields.BillingDocument, ("BillingDocument",))
TAX_CONDITION: Final = Source(
    BILLING,
    "A_BillingDocumentItemPrcgElmnt",
    fields.TaxCondition,
    ("BillingDocument", "BillingDocumentItem", "PricingProcedureStep", "PricingProcedureCounter"),
)
COMPANY_CODE: Final = Source(COMPANY_CODES, "A_CompanyCode", fields.CompanyCode, ("CompanyCode",))
CUSTOMER_COMPANY: Final = Source(
    PARTNERS, "A_CustomerCompany", fields.CustomerCompany, ("Customer", "CompanyCode")
)
CUSTOMER: Final = Source(PARTNERS, "A_Customer", fields.Customer, ("Customer",))
BUSINESS_PARTNER: Final = Source(PARTNERS, "A_BusinessPartner", fields.BusinessPartner, ("BusinessPartner",))
ADDRESS: Final = Source(
    PARTNERS, "A_BusinessPartnerAddress", fields.Address, ("BusinessPartner", "AddressID")
)
EMAIL: Final = Source(
    PARTNERS, "A_AddressEmailAddress", fields.Email, ("AddressID", "Person", "OrdinalNumber")
)
TAX_NUMBER: Final = Source(
    PARTNERS, "A_BusinessPartnerTaxNumber", fields.TaxNumber, ("BusinessPartner", "BPTaxType")
)
DUNNING: Final = Source(
    PARTNERS, "A_CustomerDunning", fields.Dunning, ("Customer", "CompanyCode", "DunningArea")
)
