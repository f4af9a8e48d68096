"""The worlds: two tenants with two years of history each, and the worked example of one invoice's life.

A world is determined by tenant, number of open items, seed and today: the same four give the same books.
It refuses tenants it does not know.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sandbox.books import Account, Books, Company, Customer
from sandbox.business import TRADE, When, credit_memo, invoice, reversal
from sandbox.history import write_history
from sandbox.parties import Mix, add_customers
from sandbox.receipts import partial_payment

CUSTOMERS = 640
COMPANIES = {
    "acme": (
        Company("1010", "Acme Werke DE", "Walldorf", "DE", "EUR", "DE", "DE129274202", 19),
        Company("1020", "Acme France SAS", "Lyon", "FR", "EUR", "FR", "FR40303265045", 20),
    ),
    "nippon": (
        Company("2010", "日本アクメ株式会社", "東京", "JP", "JPY", "JA", "", 10),
        Company("2020", "Nippon Gulf WLL", "Kuwait", "KW", "KWD", "EN", "", 0),
    ),
}
MIXES = {
    "acme": Mix(10100001, ("DE", "FR", "JP", "US"), (45, 40, 5, 10)),
    "nippon": Mix(20100001, ("JP", "KW", "US", "FR", "DE"), (50, 30, 10, 5, 5)),
}
EXAMPLE = "example"
EXAMPLE_TODAY = date(2026, 3, 1)


def build(tenant: str, *, today: date, open_items: int, seed: int) -> Books:
    """Build a tenant's books.

    Raises:
        ValueError: the tenant is not one of acme, nippon, example.
    """
    if tenant == EXAMPLE:
        return example(today)
    if tenant not in COMPANIES:
        raise ValueError(f"no tenant {tenant!r}: choose from {', '.join([*COMPANIES, EXAMPLE])}")
    books = Books(COMPANIES[tenant], today)
    add_customers(books, MIXES[tenant], CUSTOMERS, seed)
    write_history(books, f"{tenant} {seed}", open_items)
    return books


def example(today: date) -> Books:
    """Build the worked example: company code 1010, customer 10100001, six customer items, 830.00 EUR open."""
    company = Company("1010", "Acme Werke DE", "Walldorf", "DE", "EUR", "DE", "DE129274202", 20)
    books = Books([company], today)
    customer = Customer(
        number="10100001",
        partner="10100001",
        group="CUST",
        name="Inlandskunde DE 1",
        country="DE",
        language="DE",
        street="Dietmar-Hopp-Allee",
        house_number="16",
        postal_code="69190",
        city="Walldorf",
        region="08",
        email="kreditoren@inlandskunde.example",
        address="20001",
        uuid="5a1f1c1e-0d0c-4e64-9e0f-0f4d1a2b3c4d",
        created=date(2024, 1, 8),
        created_time="PT08H00M00S",
        changed=None,
        changed_time="PT00H00M00S",
        vat="DE123456788",
        tax_numbers=(("DE0", "DE123456788"),),
    )
    account = Account(customer, company, TRADE, "0003", "T")
    customer.accounts[company.code] = account
    books.customers[customer.number] = customer
    first = invoice(
        books, account, _on(2026, 1, 15), Decimal("1200.00"), "EUR", instalments=2,
        billing_document="90000123", number="1800000012",
    )  # fmt: skip
    partial_payment(books, first.items[0], _on(2026, 2, 20), Decimal("250.00"), number="1400000031")
    credit_memo(
        books, account, _on(2026, 2, 25), Decimal("120.00"), "EUR", kind="RV", billing_document="90000150",
        number="1800000019",
    )  # fmt: skip
    wrong = invoice(
        books, account, _on(2026, 2, 26), Decimal("360.00"), "EUR", kind="DR", number="1800000025"
    )
    wrong.items[0].due_date = date(2026, 3, 28)
    reversal(books, wrong, _on(2026, 2, 27), number="1800000026")
    return books


def _on(year: int, month: int, day: int) -> When:
    return When(date(year, month, day), date(year, month, day))
