"""Customers with French, German, Japanese and other names, addresses, tax numbers and company data.

The same seed gives the same customers. Numbers carry no leading zeros, as the vendor prints them [F]; some
business partners have another number than their customer, so that a join on equal numbers fails. It refuses
nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from uuid import UUID

from faker import Faker

from sandbox.books import Account, Books, Company, Customer
from sandbox.business import TRADE, TRADE_FOREIGN

LOCALES = {"FR": "fr_FR", "DE": "de_DE", "JP": "ja_JP", "US": "en_US", "KW": "en_GB"}
LANGUAGES = {"FR": "FR", "DE": "DE", "JP": "JA", "US": "EN", "KW": "EN"}
KEY_ACCOUNTS = "KEYA"  # the account group that the fault `account_group_hidden` hides
GROUPS = ("CUST", "KUNA", "CPDA")


@dataclass(frozen=True, slots=True)
class Mix:
    """Where a tenant's customers come from, most of them first."""

    first_number: int
    countries: Sequence[str]
    weights: Sequence[int]


def luhn_siren(rng: Random) -> str:
    """Give a SIREN of nine digits whose Luhn check digit is right."""
    digits = [rng.randint(1, 9), *(rng.randint(0, 9) for _ in range(7))]
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return "".join(map(str, digits)) + str(-total % 10)


def _tax(customer: Customer, rng: Random) -> None:
    """Give French customers SIRET and SIREN as tax numbers 1 and 2 [D], others their VAT registration."""
    if customer.country == "FR":
        siren = luhn_siren(rng)
        siret = siren + f"{rng.randint(1, 99):05d}"
        customer.tax_number_1, customer.tax_number_2 = siret, siren
        customer.vat = f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
        customer.tax_numbers = (("FR0", customer.vat), ("FR1", siret), ("FR2", siren))
    elif customer.country == "DE":
        customer.vat = f"DE{rng.randint(100000000, 999999999)}"
        customer.tax_numbers = (("DE0", customer.vat),)
    elif customer.country == "JP":
        customer.tax_number_1 = f"T{rng.randint(10**12, 10**13 - 1)}"
        customer.tax_numbers = (("JP1", customer.tax_number_1),)


def _customer(number: str, position: int, country: str, *, fake: Faker, rng: Random, today: date) -> Customer:
    created = today - timedelta(days=rng.randint(800, 3000))
    partner = str(900000 + position) if position % 50 == 7 else number
    customer = Customer(
        number=number,
        partner=partner,
        group=KEY_ACCOUNTS if position % 120 == 11 else rng.choice(GROUPS),
        name=fake.company()[:80],
        country=country,
        language=LANGUAGES[country],
        street=fake.street_name()[:60] if country != "JP" else fake.town()[:60],
        house_number=str(rng.randint(1, 240)),
        postal_code=fake.postcode()[:10],
        city=fake.city()[:40],
        region="",
        email="" if position % 9 == 4 else f"compta{position}@{country.lower()}.example",
        address=str(20000 + position),
        uuid=str(UUID(int=rng.getrandbits(128), version=4)),
        created=created,
        created_time=f"PT{rng.randint(6, 19):02d}H{rng.randint(0, 59):02d}M{rng.randint(0, 59):02d}S",
        # a partner that was never changed has no change date
        changed=None if position % 4 else created + timedelta(days=rng.randint(1, 700)),
        changed_time="PT00H00M00S" if position % 4 else "PT11H20M00S",
        posting_blocked=position % 211 == 13,
    )
    _tax(customer, rng)
    return customer


def _open_accounts(customer: Customer, position: int, companies: Sequence[Company], rng: Random) -> None:
    home = companies[position % len(companies)]
    extended = list(companies) if position % 5 == 0 else [home]
    for company in extended:
        customer.accounts[company.code] = Account(
            customer=customer,
            company=company,
            reconciliation_account=TRADE if customer.country == company.country else TRADE_FOREIGN,
            terms=rng.choice(("0001", "0002", "0002", "0003", "0004")),
            methods=rng.choice(("T", "TU", "")),
            block="A" if position % 97 == 5 else "",
            clerk=rng.choice(("01", "02", "03")),
            user_at_customer=f"Dossier {position}"[:15],
            dunning_procedure=rng.choice(("0001", "0002", "")),
        )


def _relate(customers: Sequence[Customer]) -> None:
    """Make every 40th customer a head office and every 60th a payer, for others of its company code."""
    for position, customer in enumerate(customers[:-4]):
        for code, account in customer.accounts.items():
            if position % 40 == 3:
                for branch in customers[position + 2 : position + 5 : 2]:
                    if code in branch.accounts and not account.head_office:
                        branch.accounts[code].head_office = customer.number
            payee = customers[position + 2].accounts.get(code)
            if position % 60 == 17 and payee is not None:
                payee.alternative_payer = customer.number


def add_customer_like(books: Books, like: Customer, day: date) -> Customer:
    """Create one customer on a day: data and accounts of another, a number and an address of its own."""
    count = len(books.customers)
    customer = copy.copy(like)
    customer.number = customer.partner = str(30100001 + count)
    customer.address = str(60000 + count)
    customer.name = f"{like.name} {count}"[:80]
    customer.created, customer.changed, customer.changed_time = day, None, "PT00H00M00S"
    customer.accounts = {}
    for code, account in like.accounts.items():
        customer.accounts[code] = replace(account, customer=customer, head_office="")
    books.customers[customer.number] = customer
    books.version += 1
    return customer


def replace_partner(books: Books, customer: Customer, number: str, day: date) -> None:
    """Give a customer another business partner; the one it had is archived and not shown [K]."""
    customer.partner, customer.address = number, str(70000 + books.version % 20000)
    customer.created, customer.changed, customer.changed_time = day, None, "PT00H00M00S"
    books.version += 1


def set_head_office(books: Books, account: Account, head: Customer, day: date) -> None:
    """Make a customer the branch of a head office in one company code; open items stay where they are [K]."""
    account.head_office = head.number
    account.customer.changed = day
    books.version += 1


def retire(books: Books, account: Account, into: Account, day: date) -> None:
    """Mark a customer for deletion and block it for posting; its branches get another head office [K]."""
    customer, code = account.customer, account.company.code
    customer.deleted = customer.posting_blocked = True
    customer.changed = day
    for other in books.customers.values():
        if code in other.accounts and other.accounts[code].head_office == customer.number:
            other.accounts[code].head_office = into.customer.number
    books.version += 1


def add_customers(books: Books, mix: Mix, count: int, seed: int) -> None:
    """Create `count` customers with their company data in the company codes of the books."""
    rng = Random(f"parties {mix.first_number} {seed}")
    fakes = {country: Faker(LOCALES[country]) for country in mix.countries}
    for fake in fakes.values():
        fake.seed_instance(seed)
    companies = list(books.companies.values())
    created = []
    for position in range(count):
        country = rng.choices(mix.countries, mix.weights)[0]
        number = f"C-{country}{position:04d}" if position % 71 == 9 else str(mix.first_number + position)
        customer = _customer(number, position, country, fake=fakes[country], rng=rng, today=books.today)
        _open_accounts(customer, position, companies, rng)
        created.append(customer)
    _relate(created)
    created[-1].blocked = True  # a blocked partner that never had a posting: nothing is hidden by it
    books.customers.update((customer.number, customer) for customer in created)
    books.version += 1
