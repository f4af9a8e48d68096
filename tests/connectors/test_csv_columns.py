"""Columns declared as fields of records, and a folder of CSV files as a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from connectors.kit import columns
from connectors.kit.columns import Columns, Table, amount, day, day_or_none, key, one_of, setting, text
from connectors.kit.csv_folder import ROWS, CsvFolder, FolderSettings
from connectors.kit.csv_rows import Dialect
from connectors.kit.stream import Access, Difference, System
from receivables.errors import Misconfigured, Transient
from receivables.records import Customer, Document, OpenItem, Receipt, Swept

DIALECT = Dialect(encoding="cp1252", delimiter=";", decimal=",", day="%d.%m.%Y")
NOW = datetime(2026, 2, 1, 3, tzinfo=UTC)


class Settings(FolderSettings):
    """The settings of the test's system."""

    company: str = "D"
    currency: str = "EUR"


def access(**settings: Any) -> Access:
    return Access(None, SimpleNamespace(**settings), NOW, ZoneInfo("UTC"), "dupont")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"late\n")


EUR = setting("currency")
ITEMS = Table(
    "items.csv",
    header="No;Kind;Who;Amount;On;Due;Paid",
    key=["No"],
    fields={
        "entity": setting("company"),
        "number": key("No"),
        "fiscal_year": lambda line: line["On"][-4:],
        "instalment": lambda _: "1",
        "type": key("Kind"),
        "kind": one_of("Kind", {"I": "invoice", "C": "credit_note", "J": "journal"}),
        "customer": key("Who"),
        "account": lambda _: "411",
        "currency": EUR,
        "original": amount("Amount", EUR),
        "posted_on": day("On"),
        "due_on": day_or_none("Due"),
        "cleared_on": day_or_none("Paid"),
    },
)
CUSTOMERS = Table(
    "who.csv",
    header="No;Name;Mail",
    key=["No"],
    fields={"entity": setting("company"), "number": key("No"), "name": text("Name"), "email": text("Mail")},
)
LEDGER = Table(
    "gl.csv",
    header="Account;Day;Balance",
    key=["Account"],
    fields={
        "entity": setting("company"),
        "account": key("Account"),
        "currency": EUR,
        "as_of": day("Day"),
        "closing": amount("Balance", EUR),
    },
)
RECEIPTS = Table(
    "money.csv",
    header="No;Who;Amount;On;Paid",
    key=["No"],
    fields={
        "entity": setting("company"),
        "number": key("No"),
        "fiscal_year": lambda line: line["On"][-4:],
        "customer": key("Who"),
        "account": lambda _: "411",
        "currency": EUR,
        "amount": amount("Amount", EUR),
        "booked_on": day("On"),
        "cleared_on": day_or_none("Paid"),
    },
)

MADE: dict[str, list[type[msgspec.Struct]]] = {
    "items.csv": [Document, OpenItem],
    "who.csv": [Customer],
    "money.csv": [Receipt],
}


def adapt(
    table: Table, *raw: bytes, kinds: Sequence[type[msgspec.Struct]] = (), currency: str = "EUR"
) -> Any:
    return Columns(table, DIALECT, access(company="D", currency=currency), kinds or MADE[table.file])(raw)


def test_a_row_becomes_its_records() -> None:
    adapted = adapt(ITEMS, b"7;I;101;12,50;05.01.2026;;", b"8;C;101;-1;05.01.2026;06.01.2026;07.01.2026")
    assert adapted.unreadable == []
    assert adapted.keys == [(0, b"7"), (1, b"8")]
    document, item, _, paid = adapted.records
    assert document == Document(
        number="7", entity="D", fiscal_year="2026", type="I", kind="invoice", printed="7", customer="101",
        status="posted", currency="EUR", issued_on=None, posted_on="2026-01-05",
    )  # fmt: skip
    assert item == OpenItem(
        number="7", entity="D", fiscal_year="2026", instalment="1", account="411", customer="101", currency="EUR",
        original="12.50", open="12.50", company_currency="EUR", company_original="12.50", company_open="12.50",
        posted_on="2026-01-05", due_on=None, cleared_on=None,
    )  # fmt: skip
    assert (paid.original, paid.open, paid.company_open, paid.cleared_on) == ("-1.00", "0", "0", "2026-01-07")


def test_a_sweep_shows_open_items_only() -> None:
    raw = b"7;I;101;12,50;05.01.2026;;", b"8;I;101;1;05.01.2026;06.01.2026;07.01.2026"
    (swept,) = adapt(ITEMS, *raw, kinds=[Swept]).records
    assert (swept.number, swept.original, swept.company_original) == ("7", "12.50", "12.50")


def test_a_sweep_shows_open_receipts_as_the_credits_that_they_are() -> None:
    raw = b"R1;101;12,50;05.01.2026;", b"R2;101;1;05.01.2026;07.01.2026"
    (swept,) = adapt(RECEIPTS, *raw, kinds=[Swept]).records
    assert (swept.number, swept.instalment, swept.original) == ("R1", "1", "-12.50")
    assert (swept.company_original, swept.due_on) == ("-12.50", None)


def test_money_received_is_above_zero() -> None:
    ((row, fault),) = adapt(RECEIPTS, b"R1;101;-12,50;05.01.2026;", b"R2;101;0;05.01.2026;").unreadable
    assert (row, fault.field, fault.code) == (b"R1;101;-12,50;05.01.2026;", "Amount", "sign_contradiction")


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (b"7;I;101;12,50;05.01.2026;", "row", "cell_count"),
        (b"7;I;101;12.50;05.01.2026;;", "Amount", "amount_form"),
        (b"7;I;101;1.200,50;05.01.2026;;", "Amount", "amount_form"),
        (b"7;I;101;12,505;05.01.2026;;", "Amount", "amount_scale"),
        (b"7;I;101;;05.01.2026;;", "Amount", "amount_missing"),
        (b"7;I;101;12,50;5.1.2026;;", "On", "day_form"),
        (b"7;I;101;12,50;30.02.2026;;", "On", "day_form"),
        (b"7;I;101;12,50;;;", "On", "day_missing"),
        (b"7;I;101;12,50;05.01.1926;;", "On", "day_range"),
        (b"7;X;101;12,50;05.01.2026;;", "Kind", "code_unknown"),
        (b"7;I;;12,50;05.01.2026;;", "Who", "key_missing"),
        (b";I;101;12,50;05.01.2026;;", "No", "key_missing"),
        (b"7;I;101;-12,50;05.01.2026;;", "Amount", "sign_contradiction"),
        (b"7;C;101;12,50;05.01.2026;;", "Amount", "sign_contradiction"),
    ],
)
def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(
    row: bytes, field: str, code: str
) -> None:
    good = b"9;J;101;-3e0;05.01.2026;;"
    adapted = adapt(ITEMS, row, good)
    ((raw, error),) = adapted.unreadable
    assert (raw, error.field, error.code) == (row, field, code)
    assert error.key == (None if code == "cell_count" or row.startswith(b";") else "7")
    assert adapted.keys == [(1, b"9")]
    assert [type(record) for record in adapted.records] == [Document, OpenItem]


def test_a_key_is_once_on_a_page() -> None:
    adapted = adapt(CUSTOMERS, b"1;A;", b"1;B;")
    ((raw, error),) = adapted.unreadable
    assert (raw, error.code, error.key) == (b"1;B;", "key_twice", "1")
    assert [customer.name for customer in adapted.records] == ["A"]


def test_a_customer_is_kept_without_the_text_that_cannot_be_read() -> None:
    adapted = adapt(CUSTOMERS, b"1;A\x01;a@b")
    ((_, error),) = adapted.unreadable
    assert (error.field, error.code, error.key) == ("Name", "text_character", "1")
    assert [(c.number, c.name, c.email) for c in adapted.records] == [("1", None, "a@b")]
    assert adapted.keys == []


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert adapt(ITEMS, b"7;I;1;12;05.01.2026;;", currency="JPY").records[1].original == "12"
    assert adapt(ITEMS, b"7;I;1;12,5;05.01.2026;;", currency="KWD").records[1].original == "12.500"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"number": key("No")}, "Customer.entity is not declared"),
        (
            {"number": key("No"), "entity": key("No"), "nam": key("No")},
            "no record made of it has a field nam",
        ),
    ],
)
def test_a_declaration_of_which_nothing_can_be_made_is_refused(
    fields: Mapping[str, columns.Reader], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        Table("who.csv", header="No", key=["No"], fields=fields).check(DIALECT, [Customer])


def test_a_column_that_the_header_has_not_is_refused() -> None:
    table = Table("who.csv", header="No", key=["No"], fields=CUSTOMERS.fields)
    with pytest.raises(TypeError, match=r"who.csv: its header has no column Name"):
        CsvFolder(
            name="t", title="T", version="1", settings=Settings, dialect=DIALECT,
            ledger=LEDGER, customers=table, open_items=ITEMS,
        )  # fmt: skip


def test_an_open_amount_needs_its_twin() -> None:
    items = replace(ITEMS, fields={**ITEMS.fields, "open": key("No")})
    with pytest.raises(TypeError, match="open is declared without company_open"):
        items.check(DIALECT, [Document, OpenItem])


# -- the folder as a system --------------------------------------------------------------------------------


SYSTEM: System = CsvFolder(
    name="t", title="T", version="1", settings=Settings, dialect=DIALECT,
    ledger=LEDGER, customers=CUSTOMERS, open_items=ITEMS,
)  # fmt: skip


@pytest.fixture
def lent(tmp_path: Path) -> Access:
    real = tmp_path.resolve()
    (real / "who.csv").write_bytes(b"No;Name;Mail\n101;A;\n102;B;\n")
    (real / "gl.csv").write_bytes(b"Account;Day;Balance\n411;31.01.2026;30,00\n")
    (real / "items.csv").write_bytes(
        b"No;Kind;Who;Amount;On;Due;Paid\n"
        + b"".join(b"%d;I;101;1,00;05.01.2026;;\n" % number for number in range(ROWS * 2 + 1))
    )
    return Access(None, Settings(folder=str(real)), NOW, ZoneInfo("UTC"), "dupont")


def test_pages_are_bounded_and_the_last_ends_the_slice(lent: Access) -> None:
    ledger, _, items = SYSTEM.plan(lent, {}, sweep=False)
    pages = list(items.pages(lent))
    assert [(page.number, len(page.rows), page.last) for page in pages] == [
        (1, ROWS, False),
        (2, ROWS, False),
        (3, 1, True),
    ]
    (page,) = ledger.pages(lent)
    assert (page.rows, page.last) == ([b"411;31.01.2026;30,00"], True)


def test_a_period_is_every_file_unchanged_rows_as_well(lent: Access) -> None:
    again = SYSTEM.period(lent, date(2026, 1, 1), date(2026, 2, 1))
    assert [one.stream for one in again] == [one.stream for one in SYSTEM.plan(lent, {}, sweep=False)]
    assert not any(one.skip_unchanged for one in again)
    assert {one.name for one in again}.isdisjoint(one.name for one in SYSTEM.plan(lent, {}, sweep=True))
    assert sum(len(page.rows) for page in again[-1].pages(lent)) == ROWS * 2 + 1


def test_a_slice_does_not_end_when_its_file_changes(lent: Access) -> None:
    _, _, items = SYSTEM.plan(lent, {}, sweep=False)
    pages = items.pages(lent)
    assert [page.last for page in islice(pages, 1)] == [False]
    append(Path(lent.settings.folder, "items.csv"))
    found = []
    with pytest.raises(Transient, match=r"dupont, open_items: .* changed while it was read"):
        found += [page.last for page in pages]
    assert True not in found


def test_rows_are_read_by_key(lent: Access) -> None:
    (page,) = SYSTEM.documents(lent, [("D", "2026", "7"), ("D", "2025", "8")]).pages(lent)
    assert page.rows == [b"7;I;101;1,00;05.01.2026;;"]
    (page,) = SYSTEM.customers(lent, [("D", "102"), ("D", "999")]).pages(lent)
    assert (page.rows, page.last) == ([b"102;B;"], True)


def test_a_difference_is_explained_with_our_documents(lent: Access) -> None:
    asked: list[str] = []

    def ours(_: Difference, as_of: Any) -> list[tuple[str, str]]:
        asked.append(as_of.isoformat())
        return [("1/2026", "10.00"), ("2/2026", "25.00")]

    def sentence(erp: str) -> tuple[str | None, str]:
        difference = Difference("D", "411", "company", "EUR", None, erp, "35.00")
        (line,) = SYSTEM.explain(lent, [difference], ours)
        return line.document, line.sentence

    document, told = sentence("25.00")
    assert document == "1/2026"
    assert told == (
        "Entity D, account 411, the whole account: the ledger says 25.00 EUR, the items read sum to 35.00 EUR."
        " Document 1/2026 alone is the difference: the ledger may lack it."
    )
    assert sentence("34.00")[1].endswith("The largest of 2 documents read: 2/2026 25.00, 1/2026 10.00.")
    assert sentence("-15.00")[0] is None
    assert asked == ["2026-01-31"] * 3


def test_the_test_of_a_connector_names_the_file_that_is_wrong(lent: Access) -> None:
    assert [check.ok for check in SYSTEM.test(lent)] == [True] * 4
    Path(lent.settings.folder, "who.csv").write_bytes(b"No,Name,Mail\n")
    assert [(check.name, check.ok) for check in SYSTEM.test(lent)] == [
        ("ledger", True),
        ("customers", False),
        ("open items", True),
        ("Control totals", True),
    ]


def test_there_is_no_session_to_ask_with(lent: Access) -> None:
    assert SYSTEM.origin(lent.settings) is None
    assert SYSTEM.credentials == ()
    with pytest.raises(Misconfigured, match="dupont is not read over HTTP"):
        _ = lent.http
