"""Customers: one a company code, joined from SAP's flat sets of customers and business partners.

The sets have no common key and mostly no change date (interface sheet, sections 2 and 6), so they are read
whole on the first load and once a day; other runs read those whose business partner was changed or created.
A raw row is the join as JSON: under each set's name the properties that are read, as received. Refuses
nothing but what cannot be a key: a text that cannot be read leaves the customer without it, and a reject.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from connectors.kit.odata_days import day_of
from connectors.kit.odata_v2 import any_of, day
from connectors.kit.stream import Access, Adapted, Page, Row, Slice
from connectors.systems.sap_s4hana import fields
from connectors.systems.sap_s4hana.entities import require_shown
from connectors.systems.sap_s4hana.items import canonical
from connectors.systems.sap_s4hana.services import (
    ADDRESS,
    BUSINESS_PARTNER,
    CUSTOMER,
    CUSTOMER_COMPANY,
    DUNNING,
    EMAIL,
    TAX_NUMBER,
    Source,
)
from receivables.errors import Unreadable
from receivables.records import ControlAccount, Customer
from receivables.values import key, text_or_none

STREAM: Final = "customers"
BOOKMARK: Final = "customers"
OVERLAP: Final = timedelta(days=1)
KEYS_OF_ONE_REQUEST: Final = 30
SIREN: Final = 9

Shape = TypeVar("Shape", bound=msgspec.Struct)
Value = TypeVar("Value")


class Joined(msgspec.Struct, kw_only=True, frozen=True):
    """A raw row: what each set says of one customer in one company code."""

    company: fields.CustomerCompany = msgspec.field(name="A_CustomerCompany")
    customer: fields.Customer | None = msgspec.field(name="A_Customer", default=None)
    partner: fields.BusinessPartner | None = msgspec.field(name="A_BusinessPartner", default=None)
    address: fields.Address | None = msgspec.field(name="A_BusinessPartnerAddress", default=None)
    email: fields.Email | None = msgspec.field(name="A_AddressEmailAddress", default=None)
    tax_numbers: tuple[fields.TaxNumber, ...] = msgspec.field(name="A_BusinessPartnerTaxNumber", default=())
    dunning: fields.Dunning | None = msgspec.field(name="A_CustomerDunning", default=None)


# -- reading -----------------------------------------------------------------------------------------------


def slices(bookmarks: Mapping[str, str], today: date, *, everything: bool) -> list[Slice]:
    """All customers, or those whose business partner changed since the bookmark's day minus one."""
    if everything:
        pages: Callable[[Access], Iterator[Page]] = all_pages
    else:
        pages = partial(changed_pages, since=date.fromisoformat(bookmarks[BOOKMARK]) - OVERLAP)
    return [Slice(STREAM, STREAM, pages, "customers", bookmark=BOOKMARK, reached=today.isoformat())]


def by_number(access: Access, keys: Sequence[tuple[str, str]]) -> Slice:
    """These customers (company code, number), by key."""
    numbers = sorted({number for _, number in keys})
    name = f"{STREAM}/by-key/{access.now.isoformat()}"
    return Slice(STREAM, name, partial(pages_of, numbers=numbers), "customers")


def all_pages(access: Access) -> Iterator[Page]:
    """Every customer of the configured company codes; Misconfigured for a company code that shows nothing."""
    general = _General(access)
    general.read()
    codes: Sequence[str] = access.settings.company_codes
    shown: set[str] = set()
    for page in CUSTOMER_COMPANY.pages(access, any_of("CompanyCode", codes), stream=STREAM):
        companies = list(CUSTOMER_COMPANY.decoded(access, page.rows, stream=STREAM))
        shown.update(company.company_code for company in companies)
        yield Page(page.number, general.join(companies), page.last, page.warnings)
    for code in codes:
        if code not in shown:
            require_shown(access, code, stream=STREAM)


def changed_pages(access: Access, since: date) -> Iterator[Page]:
    """Customers whose business partner was changed or created since that day, and new customers."""
    moved = f"LastChangeDate ge {day(since)} or CreationDate ge {day(since)}"
    numbers = {partner.customer for partner in BUSINESS_PARTNER.read(access, moved, stream=STREAM)}
    numbers |= {c.customer for c in CUSTOMER.read(access, f"CreationDate ge {day(since)}", stream=STREAM)}
    return pages_of(access, sorted(numbers - {""}))


def pages_of(access: Access, numbers: Sequence[str]) -> Iterator[Page]:
    """These customers in every configured company code, some at a time."""
    groups = list(_groups(numbers))
    codes = any_of("CompanyCode", access.settings.company_codes)
    for number, group in enumerate(groups, start=1):
        general = _General(access)
        general.read(group)
        of_group = f"{codes} and {any_of('Customer', group)}"
        rows = general.join(CUSTOMER_COMPANY.read(access, of_group, stream=STREAM))
        yield Page(number, rows, last=number == len(groups))
    if not groups:
        yield Page(1, (), last=True)


def _groups(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + KEYS_OF_ONE_REQUEST] for at in range(0, len(values), KEYS_OF_ONE_REQUEST))


@dataclass
class _General:
    """What is said of customers apart from any company code: of all of them, or of those asked for."""

    access: Access
    customers: dict[str, fields.Customer] = field(default_factory=dict)
    partners: dict[str, fields.BusinessPartner] = field(default_factory=dict)  # by customer
    addresses: dict[str, fields.Address] = field(default_factory=dict)  # by business partner
    emails: dict[str, fields.Email] = field(default_factory=dict)  # by address
    tax_numbers: dict[str, list[fields.TaxNumber]] = field(default_factory=dict)  # by business partner
    dunning: dict[tuple[str, str], fields.Dunning] = field(default_factory=dict)

    def read(self, numbers: Sequence[str] | None = None) -> None:
        """Reads all sets, whole or for these customers."""
        for customer in self._rows(CUSTOMER, "Customer", numbers):
            self.customers[customer.customer] = customer
        for partner in self._rows(BUSINESS_PARTNER, "Customer", numbers):
            if partner.customer:
                self.partners[partner.customer] = partner
        partners = None if numbers is None else sorted(p.business_partner for p in self.partners.values())
        for address in self._rows(ADDRESS, "BusinessPartner", partners):
            if self._valid(address):
                self.addresses.setdefault(address.business_partner, address)
        for tax_number in self._rows(TAX_NUMBER, "BusinessPartner", partners):
            self.tax_numbers.setdefault(tax_number.business_partner, []).append(tax_number)
        self._read_emails(None if numbers is None else sorted(a.address_id for a in self.addresses.values()))
        for dunning in self._rows(DUNNING, "Customer", numbers):
            if not dunning.dunning_area:
                self.dunning[dunning.customer, dunning.company_code] = dunning

    def _read_emails(self, of: Sequence[str] | None) -> None:
        for email in self._rows(EMAIL, "AddressID", of):
            if email.is_default_email_address or email.address_id not in self.emails:
                self.emails[email.address_id] = email

    def join(self, companies: Iterable[fields.CustomerCompany]) -> list[bytes]:
        """The raw rows of these customers in company codes."""
        return [msgspec.json.encode(self._joined(company)) for company in companies]

    def _joined(self, company: fields.CustomerCompany) -> Joined:
        partner = self.partners.get(company.customer)
        number = partner.business_partner if partner else ""
        address = self.addresses.get(number)
        return Joined(
            company=company,
            customer=self.customers.get(company.customer),
            partner=partner,
            address=address,
            email=self.emails.get(address.address_id) if address else None,
            tax_numbers=tuple(self.tax_numbers.get(number, ())),
            dunning=self.dunning.get((company.customer, company.company_code)),
        )

    def _rows(self, source: Source[Shape], name: str, values: Sequence[str] | None) -> Iterator[Shape]:
        if values is None:
            yield from source.read(self.access, stream=STREAM)
        else:
            for group in _groups(values):
                yield from source.read(self.access, any_of(name, group), stream=STREAM)

    def _valid(self, address: fields.Address) -> bool:
        """Whether the address is valid on the run's day."""
        today = self.access.now.astimezone(self.access.zone).date().isoformat()
        try:
            start, end = _validity(address)
        except Unreadable:
            return True  # kept, so that the adapter sets it aside
        return start <= today <= end


def _validity(address: fields.Address) -> tuple[str, str]:
    """First and last day of an address; 9999-12-31 means without end."""
    start, end = address.validity_start_date, address.validity_end_date
    return (
        day_of(start, "ValidityStartDate") if start else date.min.isoformat(),
        day_of(end, "ValidityEndDate") if end else date.max.isoformat(),
    )


# -- adapting ----------------------------------------------------------------------------------------------


class Customers:
    """Adapts joined rows: a Customer, and its reconciliation account."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Joined).decode

    def __call__(self, rows: Sequence[Row]) -> Adapted:
        """One Customer a row; what cannot be read of it is None and an open reject."""
        adapted = Adapted()
        accounts: set[tuple[str, str]] = set()
        for place, raw in enumerate(rows):
            row = bytes(raw)
            faults: list[Unreadable] = []
            joined = self._decode(row)
            name = f"{joined.company.company_code}/{joined.company.customer}"
            try:
                made = _customer(joined, faults)
            except Unreadable as error:
                error.key = name
                adapted.unreadable.append((row, error))
                continue
            for fault in faults:
                fault.key = name
                adapted.unreadable.append((row, fault))
            adapted.records.append(made)
            account = made.control_account
            if account and (made.entity, account) not in accounts:
                accounts.add((made.entity, account))
                adapted.records.append(ControlAccount(made.entity, account, "trade"))
            if not faults:
                adapted.keys.append((place, name.encode()))
        return adapted


def _customer(joined: Joined, faults: list[Unreadable]) -> Customer:
    company, general, partner = joined.company, joined.customer, joined.partner

    def text(value: str | None, name: str) -> str | None:
        return _or_none(text_or_none, value, name, faults)

    def number(value: str | None, name: str) -> str | None:
        return _or_none(canonical, value, name, faults) if value else None

    name = (general.customer_full_name or general.customer_name) if general else None
    if general and general.customer_name:
        name = general.customer_name
    address = joined.address
    if address and _or_none(lambda a, _: _validity(a), address, "ValidityEndDate", faults) is None:
        address = None
    country = text(address.country, "Country") if address else None
    vat = text(general.vat_registration, "VATRegistration") if general else None
    return Customer(
        number=canonical(company.customer, "Customer"),
        entity=key(company.company_code, "CompanyCode"),
        printed=company.customer,
        name=text(name or (partner.business_partner_full_name if partner else None), "CustomerName"),
        country=country,
        vat_id=vat,
        registration_id=siren(joined) if country == "FR" else None,
        payer=number(company.alternative_payer_account, "AlternativePayerAccount"),
        head_office=number(company.customer_head_office, "CustomerHeadOffice"),
        control_account=number(company.reconciliation_account, "ReconciliationAccount"),
        payment_terms=text(company.payment_terms, "PaymentTerms"),
        dunning_block=text(joined.dunning.dunning_block, "DunningBlock") if joined.dunning else None,
        language=text(partner.correspondence_language or partner.language, "Language") if partner else None,
        email=text(joined.email.email_address, "EmailAddress") if joined.email else None,
        blocked=bool(general and general.posting_is_blocked)
        or bool(partner and partner.business_partner_is_blocked),
    )


def _or_none(
    check: Callable[[Any, str], Value], value: object, name: str, faults: list[Unreadable]
) -> Value | None:
    """The checked value; a fault is kept and leaves None."""
    try:
        return check(value, name)
    except Unreadable as fault:
        faults.append(fault)
        return None


def siren(joined: Joined) -> str | None:
    """The SIREN of a French customer, if one of the numbers it may be in passes its check digit.

    Tried: tax number 2 (SIREN), tax number 1 (SIRET, first nine digits), the partner's FR2 and FR1, the VAT
    number.
    """
    tax = {
        number.bp_tax_type: number.bp_tax_long_number or number.bp_tax_number for number in joined.tax_numbers
    }
    general = joined.customer
    vat = (general.vat_registration if general else None) or tax.get("FR0") or ""
    candidates = [
        general.tax_number2 if general else None,
        (general.tax_number1 or "")[:SIREN] if general else None,
        tax.get("FR2"),
        (tax.get("FR1") or "")[:SIREN],
        vat[-SIREN:] if vat.startswith("FR") else None,
    ]
    return next((c for c in candidates if c and re.fullmatch(r"[0-9]{9}", c) and luhn(c)), None)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0  # noqa: PLR2004
