"""Customers of the simulated company: most belong to the top level, some to one entity, a few have a parent.

The same seed gives the same customers. Forms of numbers are those of recorded tables (`C-000095` [F]). It
refuses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from random import Random

from faker import Faker

from sandbox.intacct.books import RECEIVABLES_OTHER, Books, Customer, Entity, Term

LOCALES = {"US": "en_US", "FR": "fr_FR", "DE": "de_DE", "GB": "en_GB", "JP": "ja_JP"}
WEIGHTS = (45, 20, 15, 12, 8)
CURRENCY_OF = {"US": "USD", "FR": "EUR", "DE": "EUR", "GB": "GBP", "JP": "JPY"}

TERMS = (
    Term(1, "Due on receipt", 0),
    Term(2, "Net 15", 15),
    Term(3, "Net 30", 30),
    Term(4, "2% 10 Net 30", 30, 10, Decimal(2)),
    Term(5, "Net 60", 60),
)


def add_customers(books: Books, count: int, seed: int) -> None:
    """Create `count` customers before the first day of the history."""
    rng = Random(f"intacct parties {seed}")
    fakes = {country: Faker(locale) for country, locale in LOCALES.items()}
    for fake in fakes.values():
        fake.seed_instance(seed)
    entities = [entity for entity in books.entities.values() if not entity.private]
    private = [entity for entity in books.entities.values() if entity.private]
    for _ in range(count):
        position = books.number("customer")
        country = rng.choices(list(LOCALES), WEIGHTS)[0]
        customer = _customer(position, country, fakes[country], rng, books.today)
        if private and position % 40 == 0:
            customer.entity = private[0].code
        elif position % 7 == 3:
            customer.entity = rng.choice(entities).code
        books.customers[customer.number] = customer
    _relate(list(books.customers.values()))
    books.version += 1


def _customer(position: int, country: str, fake: Faker, rng: Random, today: date) -> Customer:
    created = datetime.combine(
        today - timedelta(days=rng.randint(800, 2400)), time_of_day(rng.randint(6, 19), rng.randint(0, 59))
    )
    changed = created + timedelta(days=rng.randint(1, 700)) if position % 4 == 0 else created
    return Customer(
        key=100 + position,
        number=f"C-{position:06d}",
        name=fake.company()[:100],
        entity="",
        country=country,
        currency="" if position % 5 == 1 else CURRENCY_OF[country],
        term=rng.choice(TERMS[1:]).name,
        street=fake.street_address()[:80] if country != "JP" else fake.town()[:80],
        city=fake.city()[:80],
        postal_code=fake.postcode()[:20],
        email="" if position % 9 == 4 else f"ap{position}@{country.lower()}.example",
        created=created,
        modified=None if position % 53 == 7 else changed,
        kind=rng.choice(("", "Wholesale", "Retail")),
        tax_id="" if country != "FR" else f"FR{rng.randint(10, 99)}{rng.randint(100000000, 999999999)}",
        credit_limit=None if position % 3 else Decimal(rng.randint(5, 200) * 1000),
        on_hold=position % 67 == 5,
        account=RECEIVABLES_OTHER if position % 31 == 6 else "",
    )


def _relate(customers: Sequence[Customer]) -> None:
    """Give every 25th customer a parent at the top level."""
    heads = [customer for customer in customers if not customer.entity]
    for position, customer in enumerate(customers):
        if position % 25 == 12 and heads[position % 10] is not customer:
            customer.parent = heads[position % 10]


def add_customer(books: Books, entity: Entity, moment: datetime) -> Customer:
    """Create one customer now."""
    position = books.number("customer")
    customer = Customer(
        key=100 + position, number=f"C-{position:06d}", name=f"New Customer {position} Ltd",
        entity="" if not entity.private else entity.code, country=entity.country, currency=entity.currency,
        term="Net 30", street="1 Main Street", city="Springfield", postal_code="12345",
        email=f"ap{position}@new.example", created=moment, modified=moment,
    )  # fmt: skip
    books.customers[customer.number] = customer
    books.version += 1
    return customer
