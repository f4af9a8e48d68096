"""The gateway against recorded answers and requests, and against what it must refuse, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.kit import xml_rows
from connectors.kit.failures import NotOffered
from connectors.kit.xml_answer import Failed, read
from connectors.kit.xml_gateway import Gateway
from connectors.kit.xml_request import Query, all_of, any_of, compared, element, request
from receivables.errors import HubError, Misconfigured, RateLimited, Rejected, Transient
from tests.connectors.conftest import session
from tests.connectors.intacct_books import Books, answered, failed, serving

DATA = Path(__file__).parents[3] / "shared" / "data" / "sage-intacct"
EXPECTED: dict[str, dict[str, Any]] = (
    json.loads((DATA / "expected.json").read_text()) if DATA.is_dir() else {}
)
ANSWERS = sorted(name for name in EXPECTED if name.startswith("xml-responses/"))
needs_files = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data/sage-intacct is absent: recorded answers"
)
PLACE = "acme-s4, things: "


@contextmanager
def gateway(*answers: tuple[int, bytes], books: Books | None = None) -> Iterator[tuple[Gateway, Books]]:
    with serving(books or Books(instead=list(answers))) as served, session(served.url) as http:
        yield Gateway(http, f"{served.url}/ia/xml/xmlgw.phtml"), served


def recorded(name: str) -> bytes:
    return (DATA / name).read_bytes()


@needs_files
@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_says_what_is_expected(name: str) -> None:
    expected, found = EXPECTED[name], read(recorded(name))
    assert found.control == expected["control_status"]
    assert found.authentication == expected["auth_status"]
    assert [(r.status, r.function, r.control_id) for r in found.results] == [
        (r["status"], r["function"], r["controlid"]) for r in expected["results"]
    ]
    assert [r.data for r in found.results] == [r["data"] for r in expected["results"]]
    problems = [*found.problems, *(p for r in found.results for p in r.problems)]
    assert [p.code for p in problems] == expected["errornos"]
    assert [p.text for p in problems] == expected["descriptions2"]


VERDICTS: dict[str, tuple[type[HubError], str]] = {
    "Exception_ResponseException__GetAuthErrors_1": (Misconfigured, "ended the session again"),
    "Exception_ResultException__GetErrors_0": (NotOffered, "Object definition VENDOR2 not found"),
    "Intacct_OnlineClient__ExecuteBatchTransactionResultException_2": (Failed, "Something went wrong"),
    "Intacct_OnlineClient__ExecuteResultException_1": (
        Failed,
        "Get API Session Failed: Something went wrong",
    ),
    "Response_Authentication__MissingCompanyIdElement_3": (Transient, "no result"),
    "Response_Control__setUp_0": (Transient, "no result"),
    "Response_Result__GetErrors_1": (NotOffered, "Object definition BADOBJECT not found"),
    "Response_Result__StatusAbort_6": (NotOffered, "rolled back"),
    "Response_Result__StatusFailure_5": (NotOffered, "VENDOR2"),
    "Xml_OnlineResponse__AuthenticationFailure_2": (Misconfigured, "ended the session again"),
    "Xml_OnlineResponse__MissingResultBlock_4": (Transient, "no result"),
    "Xml_RequestHandler__MockExecuteOfflineWithSessionCreds_5": (Misconfigured, "answers later"),
}


@needs_files
@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_gets_its_verdict_over_http(name: str) -> None:
    body = recorded(name)
    with gateway(*[(200, body)] * 3) as (asked, _):
        verdict = VERDICTS.get(Path(name).stem)
        if verdict is None:
            result, _ = asked.call(element("getAPISession"), stream="things")
            assert result.status == "success"
            return
        kind, says = verdict
        with pytest.raises(kind, match=says) as raised:
            asked.call(element("read"), stream="things")
        assert str(raised.value).startswith(PLACE)


@needs_files
def test_every_recorded_answer_has_a_verdict() -> None:
    assert {Path(name).stem for name in ANSWERS} >= set(VERDICTS)
    assert len(ANSWERS) == 20


def tags(tree: etree._Element) -> list[Any]:
    return [[str(child.tag), tags(child)] for child in tree]


@needs_files
def test_control_and_operation_stand_in_the_recorded_order() -> None:
    ours = etree.fromstring(request(element("getAPISession"), "c"))
    theirs = etree.fromstring(recorded("xml-requests/Xml_RequestBlock__WriteXml_0.xml"))
    assert [child.tag for child in ours] == [child.tag for child in theirs]
    assert tags(ours)[0] == tags(theirs)[0]
    assert [child.tag for child in ours.findall("operation/*")] == ["authentication", "content"]
    operation = etree.fromstring(recorded("xml-requests/Request_OperationBlock__WriteXmlSession_0.xml"))
    function = operation.find("content/function")
    assert function is not None
    assert tags(ours)[1][1][1][1][0][1] == tags(function)
    (ours_operation,) = ours.findall("operation")
    assert ours_operation.attrib == operation.attrib
    assert [e.text for e in ours.findall("control/*")] == [None, None, "c", "false", "3.0", "false"]
    for place in ("control/senderid", "control/password", "operation/authentication"):
        (empty,) = ours.findall(place)
        assert len(empty) == 0
        assert not empty.text


@needs_files
@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Fields_2", lambda: Query("ARINVOICE", ["CUSTOMERID", "TOTALDUE", "WHENDUE", "TOTALENTERED", "TOTALDUE", "RECORDNO"])),
        ("Filter_5", lambda: Query("ARINVOICE", ["CUSTOMERID", "RECORDNO"], compared("lessthanorequalto", "RECORDNO", "10"))),
        (
            "FilterOrCondition_7",
            lambda: Query(
                "ARINVOICE",
                ["CUSTOMERID", "RECORDNO"],
                any_of(
                    compared("lessthanorequalto", "RECORDNO", "10"),
                    *(compared("equalto", "RECORDNO", number) for number in ("100", "1000", "10000")),
                ),
            ),
        ),
        (
            "AlternateFilterOrWithAndCondition_9",
            lambda: Query(
                "GLBATCH",
                ["BATCHNO", "RECORDNO", "STATE"],
                any_of(
                    compared("equalto", "JOURNAL", "APJ"),
                    all_of(  # type: ignore[arg-type]
                        compared("greaterthanorequalto", "BATCHNO", "1"), compared("equalto", "STATE", "Posted")
                    ),
                ),
            ),
        ),
    ],
)  # fmt: skip
def test_a_query_is_written_as_recorded(name: str, query: Callable[[], Query]) -> None:
    ours = query().function(10, 5)
    (theirs,) = etree.fromstring(recorded(f"xml-requests/NewQuery_Query__{name}.xml"))
    ended = [["options", [["showprivate", []]]], ["pagesize", []], ["offset", []]]
    assert tags(ours) == tags(theirs) + ended
    assert [e.text for e in ours.iter("field", "value", "object")] == [
        e.text for e in theirs.iter("field", "value", "object")
    ]
    whole = etree.fromstring(recorded("xml-requests/NewQuery_Query__AllParams_1.xml"))[0]
    order = [str(child.tag) for child in whole]
    common = [str(child.tag) for child in ours if child.tag in order]
    assert common == [tag for tag in order if tag in common]


def of_control(code: str, text: str) -> bytes:
    error = f"<error><errorno>{code}</errorno><description2>{text}</description2></error>"
    control = "<control><status>failure</status></control>"
    return f"<response>{control}<errormessage>{error}</errormessage></response>".encode()


def page(count: int, total: int, remaining: int, rows: str) -> tuple[int, bytes]:
    return 200, answered(
        f'<data listtype="A" totalcount="{total}" offset="0" count="{count}" numremaining="{remaining}">{rows}</data>'
    )


def row(number: int) -> str:
    return f"<A><RECORDNO>{number}</RECORDNO></A>"


@pytest.mark.parametrize(
    ("answers", "kind", "says"),
    [
        ([page(2, 2, 0, row(1))], Rejected, "1 rows of A in a page that counts 2"),
        ([page(1, 3, 1, row(1))], Rejected, "3 rows in all"),
        ([page(0, 3, 3, "")], Rejected, "an empty page"),
        ([page(2, 2, 0, row(2) + row(1))], Rejected, "1 after 2"),
        ([page(2, 2, 0, row(1) + row(1))], Rejected, "1 after 1"),
        ([page(1, 2, 1, row(3)), page(1, 1, 0, row(3))], Rejected, "3 after 3"),
        ([page(1, 1, 0, "<A><X>1</X></A>")], Rejected, "has no RECORDNO"),
        ([page(1, 1, 0, "<B><RECORDNO>1</RECORDNO></B>")], Rejected, "a row B"),
        ([(200, answered('<data listtype="A" count="x"/>'))], Rejected, "is not a number"),
        ([(200, answered(""))], Transient, "no list of A"),
        ([(200, b"<response><control>")], Transient, "ends in the middle"),
        ([(200, b"<response><a></response>")], Rejected, "none of an XML gateway"),
        ([(200, b"<other/>")], Rejected, "none of an XML gateway"),
        ([(200, b"<!DOCTYPE a><response></response>")] * 3, Rejected, "DOCTYPE"),
        ([(429, b"<response/>")] * 3, RateLimited, "asks to wait"),
        ([(429, failed("slow down", "GW-0010"))] * 3, RateLimited, "GW-0010: slow down"),
        ([(200, failed("slow down", "GW-0010"))], RateLimited, "GW-0010"),
        ([(400, failed("bad", "GW-0011"))], Failed, "GW-0011: bad"),
        ([(400, b"nonsense")], Rejected, "refused the request"),
        ([(401, b"nonsense")], Misconfigured, "401"),
        ([(502, b"Bad Gateway")] * 3, Transient, "502"),
        ([(200, failed("x", "y", "Please Try Again Later"))], Transient, "try again later"),
        ([(200, failed("You do not have permission to read A"))], NotOffered, "permission"),
        ([(200, b"<html>sign in</html>")], Misconfigured, "web page"),
        ([(200, of_control("XL03000006", "Incorrect Intacct XML Partner ID or password"))], Misconfigured, "sender's pair"),
        ([(400, of_control("XL03000003", "malformed"))], Failed, "the gateway refused the request.*malformed"),
    ],
)  # fmt: skip
def test_what_is_refused(answers: list[tuple[int, bytes]], kind: type[HubError], says: str) -> None:
    with gateway(*answers) as (asked, _), pytest.raises(kind, match=says) as raised:
        list(asked.pages(Query("A", ["RECORDNO"]), "RECORDNO", stream="things", size=10))
    assert str(raised.value).startswith(PLACE)


@pytest.mark.parametrize("size", [1, 3, 10, 11])
def test_a_list_is_read_by_its_key_to_the_end(size: int) -> None:
    books = Books(rows={"A": [{"RECORDNO": str(number)} for number in (30, 2, 11, 100, 9, 1, 22, 7, 5, 3)]})
    with gateway(books=books) as (asked, _):
        pages = list(asked.pages(Query("A", ["RECORDNO"]), "RECORDNO", stream="things", size=size))
    numbers = [int(xml_rows.values(bytes(row))["RECORDNO"]) for page in pages for row in page.rows]
    assert numbers == [1, 2, 3, 5, 7, 9, 11, 22, 30, 100]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert len(books.asked) == -(-10 // size)
    assert all(b"<offset>0</offset>" in body for body in books.asked)


def test_rows_that_come_while_pages_are_read_shift_nothing() -> None:
    books = Books(rows={"A": [{"RECORDNO": str(number)} for number in range(10, 20)]})
    with gateway(books=books) as (asked, _):
        found: list[int] = []
        for read_page in asked.pages(Query("A", ["RECORDNO"]), "RECORDNO", stream="things", size=3):
            books.rows["A"].insert(0, {"RECORDNO": str(len(found))})
            found += [int(xml_rows.values(bytes(row))["RECORDNO"]) for row in read_page.rows]
    assert found == list(range(10, 20))


def test_an_answer_names_no_secret() -> None:
    said = of_control("1", "you sent swordfish")

    def sign(prepared: Any) -> Any:
        prepared.prepare_body(prepared.body.replace(b"<password/>", b"<password>swordfish</password>"), None)
        return prepared

    with (
        serving(Books(instead=[(500, said)] * 3)) as served,
        session(served.url, sign) as http,
        pytest.raises(Transient, match=r"you sent \[hidden\]"),
    ):
        Gateway(http, served.url).call(element("x"), stream="things")
    assert b"swordfish" in served.asked[0]
