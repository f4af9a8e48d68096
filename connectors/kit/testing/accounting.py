"""The cases of the books: what accountants do, and what must be published after it.

After each, what is published equals the ERP's own books key by key, and ties out with its ledger. A case says
besides what it must find there, so that one in which nothing happened fails.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.kit.testing.bench import Bench
from connectors.kit.testing.clocks import versions
from connectors.kit.testing.comparison import ZERO, agree, document_key, item_key
from connectors.kit.testing.ports import Document, Evening, Key, Row
from receivables.money import exponent

# -- debts and credits -------------------------------------------------------------------------------------


def credit_note(bench: Bench) -> None:
    """A credit note lowers the balance by what it is worth."""
    before, owed = bench.erp.evening(), bench.balance()
    bench.after("credit_note")
    new = _new(before, bench.erp.evening())
    assert new
    for key in new:
        assert bench.items()[key]["open"] < 0
    entity = next(iter(new))[0]
    worth = sum((bench.items()[key]["company_open"] for key in new), ZERO)
    assert bench.balance()[entity] == owed[entity] + worth < owed[entity]


def partial_payment(bench: Bench) -> None:
    """A partial payment lowers its item; taken back, the item is open as before."""
    before, known = bench.erp.evening(), bench.allocations()
    bench.after("partial_payment")
    paid = bench.erp.evening()
    lowered = {k for k, owed in paid.items.items() if k in before.items and owed.open < before.items[k].open}
    assert len(lowered) == 1
    assert all(0 < paid.items[key].open < paid.items[key].original for key in lowered)
    (key,) = lowered
    allocated = [row for row in bench.new_allocations(known) if row["target_number"] == key[2]]
    assert sum(row["amount"] for row in allocated) == before.items[key].open - paid.items[key].open
    bench.after("partial_payment_reversal")
    after = bench.erp.evening()
    restored = {k for k, owed in after.items.items() if k in paid.items and owed.open > paid.items[k].open}
    assert len(restored) == 1


def payment(bench: Bench) -> None:
    """A payment closes its item; taken back, the item is open again and no receipt is left."""
    before = bench.erp.evening()
    bench.after("payment")
    paid = bench.erp.evening()
    assert set(before.items) - set(paid.items)
    bench.after("payment_reversal")
    after = bench.erp.evening()
    opened = set(after.items) - set(paid.items)
    assert opened
    for key in opened:
        row = bench.items()[key]
        assert (row["cleared_on"], row["open"]) == (None, after.items[key].open)


def unapplied(bench: Bench) -> None:
    """Money that names no item stands beside the items, as unapplied."""
    before, owed = bench.erp.evening(), bench.balance()
    bench.after("payment_on_account")
    new = {k: r for k, r in bench.erp.evening().receipts.items() if k not in before.receipts}
    assert new
    ((entity, *_),) = new
    worth = sum((receipt.company_amount for receipt in new.values()), ZERO)
    assert bench.balance()[entity] == owed[entity] - worth


def instalments(bench: Bench) -> None:
    """The instalments of a document are items of their own, each with its day, and sum to it."""
    for document in bench.after("instalments"):
        parts = [row for row in bench.connector.rows("open_item") if item_key(row)[:3] == tuple(document)]
        assert len({row["due_on"] for row in parts}) == len(parts) > 1
        assert sum(row["original"] for row in parts) == bench.document(document)["total_incl"]


def tax(bench: Bench) -> None:
    """Net and tax are a document's gross, by category and rate as its invoice says; credits take back."""
    new = bench.after("invoice", 6)
    taxes: defaultdict[Document, dict[tuple[str, Decimal], tuple[Decimal, Decimal]]] = defaultdict(dict)
    for row in bench.connector.rows("document_tax"):
        taxes[document_key(row)][row["category"], row["rate"]] = row["base"], row["tax"]
    for document in new:
        assert taxes[document] == bench.erp.taxes(document)
    taxed = [row for row in bench.connector.rows("document") if row["total_excl"] is not None]
    assert {row["total_incl"] > 0 for row in taxed} == {True, False}
    for row in taxed:
        parts = taxes[document_key(row)].values()
        assert row["total_excl"] + row["tax_total"] == row["total_incl"]
        assert sum(tax for _, tax in parts) == row["tax_total"]
        assert sum(base for base, _ in parts) == row["total_excl"]
    assert len({place for parts in taxes.values() for place in parts}) > 1


def discount(bench: Bench) -> None:
    """A cash discount closes its item without being money: the allocation says how much of it was granted."""
    known = bench.allocations()
    bench.after("discount")
    granted = [row for row in bench.new_allocations(known) if row["discount"]]
    assert granted
    assert all(0 < row["discount"] < row["amount"] and row["company_discount"] > 0 for row in granted)


def exchange_difference(bench: Bench) -> None:
    """An item of a foreign currency is closed at another rate; the allocation says what the ERP says."""
    known, before = bench.allocations(), bench.erp.evening()
    bench.after("exchange_payment")
    closed = set(before.items) - set(bench.erp.evening().items)
    assert closed
    assert all(bench.items()[key]["company_open"] == 0 for key in closed)
    new = bench.new_allocations(known)
    assert new
    assert all(row["currency"] != row["company_currency"] for row in new)
    stated = bench.case not in bench.erp.profile.unstated
    assert any(row["company_difference"] for row in new) == stated


def reversal(bench: Bench) -> None:
    """A reversed document and its reversal name each other, and nothing of either is open."""
    owed = bench.balance()
    documents = bench.after("reversal")
    found = [row for row in bench.connector.rows("document") if row["reversal_of"]]
    names = {tuple(document) for document in documents}
    pairs = [row for row in found if (row["entity"], row["fiscal_year"], row["number"]) in names]
    assert pairs
    for pair in pairs:
        number, _, year = pair["reversal_of"].rpartition("/")
        both = [(pair["entity"], pair["fiscal_year"], pair["number"]), (pair["entity"], year, number)]
        (original,) = [r for r in bench.connector.rows("document") if document_key(r) == both[1]]
        assert original["status"] == "reversed"
        items = [row for row in bench.connector.rows("open_item") if item_key(row)[:3] in both]
        assert len(items) >= 2
        assert all(row["open"] == row["company_open"] == 0 for row in items)
        assert sum(row["original"] for row in items) == 0
    assert {entity for entity in owed if bench.balance()[entity] != owed[entity]} == {pairs[0]["entity"]}


def reissue(bench: Bench) -> None:
    """An invoice that is written again under another id is owed once."""
    before = bench.erp.evening()
    bench.after("reissue")
    after = bench.erp.evening()
    gone, new = _new(after, before), _new(before, after)
    assert gone
    assert new
    assert not set(gone) & set(new)
    worth = [sum(books.items[key].open for key in keys) for books, keys in ((before, gone), (after, new))]
    assert worth[0] == worth[1]


# -- currencies --------------------------------------------------------------------------------------------


def no_decimals(bench: Bench) -> None:
    """Amounts of a currency without decimals are whole, and one with a fraction is set aside."""
    _currency(bench, 0)


def two_decimals(bench: Bench) -> None:
    """Amounts of a currency with two decimals are exact, and one with three is set aside."""
    _currency(bench, 2)


def three_decimals(bench: Bench) -> None:
    """Amounts of a currency with three decimals are exact, and one with four is set aside."""
    _currency(bench, 3)


def _currency(bench: Bench, places: int) -> None:
    items = bench.erp.evening().items.values()
    currency = next(iter(sorted({i.currency for i in items if exponent(i.currency) == places})), None)
    assert currency, f"the ERP owes nothing in a currency with {places} decimals"
    bench.after("invoice", 2, currency=currency)  # of which one will be misprinted
    published = [row["original"] for row in bench.items().values() if row["currency"] == currency]
    unit = Decimal(1).scaleb(-places)
    assert all(amount == amount.quantize(unit) for amount in published)
    assert places == 0 or any(
        amount != amount.quantize(Decimal(1).scaleb(1 - places)) for amount in published
    )
    bench.erp.misprint(f"{unit * 3 / 2:f}", currency)
    result = bench.connector.sync(sweep=False)
    assert (result.state, result.rejects >= 1) == ("held", True), result.verdict
    assert {code for code, _ in bench.connector.reasons()} == {"amount_scale"}
    bench.erp.well()
    bench.publish(sweep=False)


# -- time --------------------------------------------------------------------------------------------------


def late_entry(bench: Bench) -> None:
    """A document that was entered before the last read and committed after it is read by the next."""
    before = bench.erp.evening()
    documents = bench.after("invoice", late=True)
    assert {key[:3] for key in _new(before, bench.erp.evening())} == {tuple(d) for d in documents}


def undated(bench: Bench) -> None:
    """A row without a moment of change is read by the first load, and later as soon as is declared."""
    before = bench.erp.evening()
    documents = {tuple(document) for document in bench.after("undated")}
    assert documents & {key[:3] for key in _new(before, bench.erp.evening())}
    connector = bench.setup.connect(bench.erp)
    result = connector.sync()
    assert (result.state, result.verdict, result.mode) == ("published", "equal", "snapshot")
    agree(bench.erp, connector, result)
    assert documents <= {item_key(row)[:3] for row in connector.rows("open_item")}


def earlier_period(bench: Bench) -> None:
    """A posting into a period that was read long ago, once that is open again, is read and compared."""
    before, owed = bench.erp.evening(), bench.balance()
    day = (_today(bench).replace(day=1) - timedelta(days=40)).replace(day=9)
    documents = bench.after("invoice", on=day)
    assert {bench.document(document)["posted_on"] for document in documents} == {day}
    new = _new(before, bench.erp.evening())
    assert new
    entity = next(iter(new))[0]
    assert bench.balance()[entity] > owed[entity]


# -- the same again, and what is gone ----------------------------------------------------------------------


def same_again(bench: Bench) -> None:
    """The same input stages nothing, changes nothing and has the same content hash, in any connector."""
    content, before = bench.connector.content(), versions(bench.connector)
    staged = bench.publish(sweep=False).rows_staged
    assert staged == 0 or bench.case in bench.erp.profile.unstated
    bench.publish(sweep=True)
    assert bench.connector.content() == content
    assert versions(bench.connector) == before
    bench.after("invoice")
    assert bench.connector.content() != content
    one, other = bench.setup.connect(bench.erp), bench.setup.connect(bench.erp)
    assert {one.sync().state, other.sync().state} == {"published"}
    assert one.content() == other.content()


def moved_date(bench: Bench) -> None:
    """A due date that is moved, and nothing else, is published."""
    before = bench.erp.evening()
    bench.after("due_date")
    after = bench.erp.evening()
    moved = [key for key, owed in after.items.items() if owed.due_on != before.items[key].due_on]
    assert len(moved) == 1
    assert bench.items()[moved[0]]["due_on"] == after.items[moved[0]].due_on


def vanished(bench: Bench) -> None:
    """An item that a sweep does not show, and that is still owed, is counted as a suspect and stays open."""
    keys = bench.erp.hide()
    result = bench.connector.sync(sweep=True)
    assert (result.state, result.verdict) == ("published", "equal")
    assert bench.connector.suspects() == len(keys) > 0
    assert not {_closing_key(row) for row in bench.connector.rows("closing")} & set(keys)
    agree(bench.erp, bench.connector, result)
    assert all(bench.items()[key]["open"] for key in keys)
    bench.erp.well()
    bench.publish(sweep=True)
    assert bench.connector.suspects() == 0


def deleted(bench: Bench) -> None:
    """A document that the ERP has deleted is closed with two proofs, and owed by nobody."""
    before = bench.erp.evening()
    bench.after("deletion")
    gone = _new(bench.erp.evening(), before)
    assert gone
    closings = {_closing_key(row): row for row in bench.connector.rows("closing")}
    for key in gone:
        assert not bench.items().get(key, {"open": 0})["open"]
        assert closings[key]["first_proof"] != closings[key]["second_proof"]


def _closing_key(row: Row) -> Key:
    return row["entity"], row["fiscal_year"], row["number"], row["line"], row["account"]


def _new(before: Evening, after: Evening) -> list[Key]:
    return sorted(set(after.items) - set(before.items))


def _today(bench: Bench) -> date:
    return bench.erp.now().astimezone(ZoneInfo(bench.erp.profile.zone)).date()
