"""The worlds: `globex` with two years of history, and the worked example of one invoice's life.

A world is determined by tenant, number of open items, seed and today: the same four give the same books.
Nothing is entered on the first day itself. It refuses tenants it does not know.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from sandbox.intacct.books import RECEIVABLES, Books, Customer, Entity
from sandbox.intacct.business import Account, Part, When, adjustment, invoice, reverse
from sandbox.intacct.history import write_history
from sandbox.intacct.parties import TERMS, add_customers
from sandbox.intacct.receipts import Application, pay, waterfall

GLOBEX = "globex"
EXAMPLE = "intacct-example"
EXAMPLE_TODAY = date(2026, 3, 1)
TENANTS = (GLOBEX, EXAMPLE)
CUSTOMERS = 600
ENTITIES = (
    Entity(11, "N-100", "Globex Corporation", "US", "USD"),
    Entity(12, "E-200", "Globex Europe SAS", "FR", "EUR"),
    Entity(19, "P-900", "Globex Holding", "US", "USD", private=True),
)


def build(tenant: str, *, today: date, open_items: int, seed: int) -> Books:
    """Build a tenant's books."""
    if tenant == EXAMPLE:
        return example(today)
    books = Books(ENTITIES, TERMS, today)
    add_customers(books, CUSTOMERS, seed)
    write_history(books, f"{tenant} {seed}", open_items, today - timedelta(days=1))
    return books


def example(today: date) -> Books:
    """Build the worked example: entity N-407, customer C-100, 830.00 USD open on account 12000."""
    entity = Entity(407, "N-407", "N-407 Inc.", "US", "USD")
    books = Books([entity], TERMS, today)
    since = datetime(2024, 1, 8, 8)  # noqa: DTZ001 - moments of the books have no zone
    customer = Customer(
        key=100, number="C-100", name="Customer of the example", entity="", country="US", currency="USD",
        term="Net 30", street="1 Main Street", city="San Jose", postal_code="95110",
        email="ap@example.example", created=since, modified=since,
    )  # fmt: skip
    books.customers[customer.number] = customer
    account = Account(entity, customer, "USD")
    lines = [Part(Decimal(200), RECEIVABLES, key=2001), Part(Decimal(400), RECEIVABLES, key=2002)]
    first = invoice(
        books, account, _on(1, 15), lines,
        number="IN-77-01", key=501, due=date(2026, 2, 14),
    )  # fmt: skip
    invoice(
        books, account, _on(1, 15), [Part(Decimal(600), RECEIVABLES, key=2003)],
        number="IN-77-02", key=502, due=date(2026, 3, 16),
    )  # fmt: skip
    spread = waterfall(first, Decimal(250))
    numbered = [Application(each.target, each.sources, key=9001 + n) for n, each in enumerate(spread)]
    pay(books, customer, _on(2, 20, "16:02:11"), numbered, key=701, reference="WIRE-5")
    adjustment(
        books, account, _on(2, 25), [Part(Decimal(-120), RECEIVABLES, key=2004)],
        number="CM-9", key=610,
    )  # fmt: skip
    wrong = invoice(
        books, account, _on(2, 26), [Part(Decimal(360), RECEIVABLES, key=2005)],
        number="IN-78", key=503, due=date(2026, 3, 28),
    )  # fmt: skip
    reverse(books, wrong, _on(2, 27), key=504)
    return books


def _on(month: int, day: int, time: str = "09:30:00") -> When:
    return When.at(date(2026, month, day), datetime.fromisoformat(f"2026-{month:02d}-{day:02d}T{time}"))
