"""Company codes -> legal entities and the control accounts of the settings.

Read from A_CompanyCode where it is offered; else the settings must give each company code's currency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from connectors.kit.exact_json import Rows
from connectors.kit.failures import NotOffered
from connectors.kit.odata_v2 import Query, any_of, text
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.systems.sap_s4hana import fields
from connectors.systems.sap_s4hana.services import COMPANY_CODE, CUSTOMER_COMPANY, ITEM, service
from connectors.systems.sap_s4hana.settings import Settings
from receivables.errors import Misconfigured, Unreadable
from receivables.money import currency
from receivables.records import ControlAccount, LegalEntity
from receivables.values import key, text_or_none

STREAM: Final = "legal_entities"


def slice_() -> Slice:
    """All configured company codes, in one slice."""
    return Slice(STREAM, STREAM, pages, "legal_entities")


def pages(access: Access) -> Iterator[Page]:
    """One page: the rows of A_CompanyCode, and those that the settings describe instead."""
    codes: Sequence[str] = access.settings.company_codes
    found: dict[str, bytes] = {}
    try:
        for row in COMPANY_CODE.pages(access, any_of("CompanyCode", codes), stream=STREAM):
            for raw in map(bytes, row.rows):
                found[Rows(fields.CompanyCode).read(raw).company_code] = raw
    except NotOffered:
        found = {code: described(access, code) for code in codes}
    for code in codes:
        if code not in found:
            require_shown(access, code, stream=STREAM)
            found[code] = described(access, code)
    yield Page(1, [found[code] for code in codes], last=True)


def described(access: Access, code: str) -> bytes:
    """A company code as the settings describe it, in the form of a row."""
    of = access.settings.company_currencies.get(code)
    if of is None:
        raise Misconfigured(
            f"{access.http.connector}, {STREAM}: A_CompanyCode does not show {code} to the user. Activate "
            f"API_COMPANYCODE_SRV and give the right to read it, or set `company_currencies` ({code}=EUR)."
        )
    return msgspec.json.encode({"CompanyCode": code, "Currency": of})


def require_shown(access: Access, code: str, *, stream: str) -> None:
    """Raises Misconfigured for a company code of which the user sees no company data and no items."""
    of = f"CompanyCode eq {text(code)}"
    data = Query(CUSTOMER_COMPANY.entity_set, (), of)
    items = Query(ITEM.entity_set, (), f"FinancialAccountType eq 'D' and {of}")
    if service(access, CUSTOMER_COMPANY.service).count(data, stream=stream):
        return
    if service(access, ITEM.service).count(items, stream=stream):
        return
    raise Misconfigured(
        f"{access.http.connector}, {stream}: company code {code} shows no company data and no items to this "
        "user. SAP answers so when the company code does not exist or the user has no authorisation for it "
        "(F_BKPF_BUK, F_KNA1_BUK). Correct `company_codes`, or give the user the right."
    )


class CompanyCodes:
    """Adapts company codes; with each come the control accounts that the settings add."""

    def __init__(self, settings: Settings) -> None:
        self._extra = sorted(settings.extra_accounts())
        self._zones = settings.zones
        self._reader = Rows(fields.CompanyCode)

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One LegalEntity a row."""
        adapted = Adapted()
        for place, raw in enumerate(rows):
            try:
                row = self._reader.read(bytes(raw))
                code = key(row.company_code, "CompanyCode")
                entity = LegalEntity(
                    code=code,
                    name=text_or_none(row.company_code_name, "CompanyCodeName") or code,
                    country=text_or_none(row.country, "Country"),
                    currency=currency(row.currency, "Currency"),
                    vat_id=text_or_none(row.vat_registration, "VATRegistration"),
                    zone=self._zones.get(code),
                )
            except Unreadable as error:
                adapted.unreadable.append((bytes(raw), error))
                continue
            adapted.records.append(entity)
            adapted.records += [ControlAccount(e, a, "trade") for e, a in self._extra if e == code]
            adapted.keys.append((place, code.encode()))
        return adapted
