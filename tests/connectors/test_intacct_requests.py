"""Every request of a whole run, beside the vendor's recorded ones: elements stand in their order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from lxml import etree

from connectors.kit.stream import Difference
from tests.connectors.conftest import read
from tests.connectors.intacct_books import SYSTEM, access_to, worked_example
from tests.connectors.test_intacct_example import PUBLISHED, foreign, with_terms
from tests.connectors.test_intacct_gateway import DATA, EXPECTED, needs_files, recorded

pytestmark = needs_files

FILTERS = {"and", "or"}


@pytest.fixture(scope="module")
def sent() -> list[etree._Element]:
    """What a first load, a delta, a sweep, reads by key, totals, an explanation and a test send."""
    books = with_terms(foreign(worked_example()))
    books.rows["GLDETAIL"] = [
        {
            "RECORDNO": "1", "ACCOUNTNO": "12000", "LOCATIONID": "N-407", "CUSTOMERID": "C-100", "TR_TYPE": "1",
            "AMOUNT": "830", "ENTRY_DATE": "02/20/2026", "RECORDID": "IN-77",
        }
    ]  # fmt: skip
    place = Difference("N-407", "12000", "company", "USD", None, "900", "830")
    with access_to(books, entities="N-407,TOP") as access:
        for bookmarks in ({}, PUBLISHED):
            read(access, SYSTEM.plan(access, bookmarks, sweep=bool(bookmarks)), SYSTEM)
        read(access, [SYSTEM.customers(access, [("N-407", "C-100")])], SYSTEM)
        read(access, [SYSTEM.documents(access, [("N-407", "", "502")])], SYSTEM)
        SYSTEM.totals(access, [("N-407", "12000")])
        SYSTEM.explain(access, [place], lambda *_: [])
        assert all(check.ok for check in SYSTEM.test(access))
    return [etree.fromstring(body) for body in books.asked]


def functions(sent: list[etree._Element], name: str) -> list[etree._Element]:
    found = [one for whole in sent for one in whole.findall(f"operation/content/function/{name}")]
    assert found, f"no request calls {name}"
    return found


def tags(parent: etree._Element) -> list[str]:
    return [str(child.tag) for child in parent]


def recorded_queries() -> Iterator[etree._Element]:
    for name in EXPECTED:
        if name.startswith("xml-requests/NewQuery_Query"):
            yield etree.fromstring(recorded(name))[0]


def test_all_requests_have_the_recorded_envelope(sent: list[etree._Element]) -> None:
    theirs = etree.fromstring(recorded("xml-requests/Xml_RequestBlock__WriteXml_0.xml"))
    (their_operation,) = theirs.findall("operation")
    assert len(sent) > 30
    for ours in sent:
        assert tags(ours) == tags(theirs)
        assert tags(ours[0]) == tags(theirs[0])
        (operation,) = ours.findall("operation")
        assert (tags(operation), operation.attrib) == (tags(their_operation), their_operation.attrib)
        (function,) = operation.findall("content/*")
        assert (function.tag, len(function), list(function.attrib)) == ("function", 1, ["controlid"])


def test_only_functions_that_read_are_called(sent: list[etree._Element]) -> None:
    called = {str(one.tag) for whole in sent for one in whole.findall("operation/content/function/*")}
    assert called == {"query", "lookup", "get_accountbalances"}


def test_all_queries_have_the_recorded_order(sent: list[etree._Element]) -> None:
    order = {pair for theirs in recorded_queries() for pair in combinations(tags(theirs), 2)}
    # The page "Queries" has it between the filter and the options; no recorded query is ordered.
    order |= {("filter", "orderby"), ("orderby", "options")}
    assert ("object", "filter") in order
    for ours in functions(sent, "query"):
        for pair in combinations(tags(ours), 2):
            assert pair in order or pair[::-1] not in order, pair
        assert len(set(tags(ours))) == len(ours)


def test_all_conditions_have_the_recorded_form(sent: list[etree._Element]) -> None:
    theirs = {
        str(one.tag): tags(one)
        for query in recorded_queries()
        for one in query.iter()
        if one.find("value") is not None
    }
    assert theirs["equalto"] == ["field", "value"]
    for ours in functions(sent, "query"):
        for one in ours.iterfind("filter//*"):
            if one.tag in FILTERS:
                assert len(one) > 1, "one condition alone is not joined"
            elif one.tag not in ("field", "value"):
                assert tags(one)[:1] == ["field"]
                assert set(tags(one)[1:]) <= {"value"}
        assert all(len(found) == 1 for found in ours.findall("filter"))


def test_days_and_objects_have_the_recorded_form(sent: list[etree._Element]) -> None:
    day = etree.fromstring(recorded("xml-requests/Xml_XMLWriter__DateSplitElements_6.xml"))
    inspect = etree.fromstring(recorded("xml-requests/Common_Inspect__DefaultParams_0.xml"))[0]
    for balance in functions(sent, "get_accountbalances"):
        assert {tuple(tags(one)) for one in balance if len(one)} == {tuple(tags(day))}
    for lookup in functions(sent, "lookup"):
        assert tags(lookup) == tags(inspect)


def test_every_recorded_answer_is_one_of_the_tests() -> None:
    files = {f"xml-responses/{path.name}" for path in Path(DATA / "xml-responses").iterdir()}
    assert files == {name for name in EXPECTED if name.startswith("xml-responses/")}
