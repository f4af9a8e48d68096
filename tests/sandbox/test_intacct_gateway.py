"""The gateway: envelope, signing in, sessions on another host, the places of errors, against recorded files."""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.sandbox.intacct_client import Answer, query
from tests.sandbox.test_sandbox_process import certificate

if TYPE_CHECKING:
    from tests.sandbox.conftest import Sandbox, Start
    from tests.sandbox.intacct_client import Intacct

DATA = Path(__file__).parents[3] / "shared" / "data" / "sage-intacct"
needs_files = pytest.mark.skipif(
    not DATA.is_dir(), reason="../shared/data/sage-intacct is absent: recorded requests and answers"
)
CUSTOMERS = query("CUSTOMER", "RECORDNO", size=1)


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Sandbox:
    return shared_start("--tenant", "globex", "--items", "60", "--today", "2026-11-24")


@pytest.fixture
def company(running: Sandbox) -> Intacct:
    """A small company with a session, whose session times are as at the start."""
    found = running.companies["globex"]
    found.control("sessions", {"seconds": 3600})
    found.sign_in()
    return found


def recorded(name: str) -> etree._Element:
    return etree.fromstring((DATA / name).read_bytes())


def shape(element: etree._Element) -> tuple[object, ...]:
    """Names and nesting of elements and names of attributes, without texts and comments."""
    inside = [shape(child) for child in element if isinstance(child.tag, str)]
    return (element.tag, tuple(element.attrib), tuple(dict.fromkeys(inside)))


def same_shape(answer: Answer, name: str) -> bool:
    return shape(answer.tree) == shape(recorded(f"xml-responses/{name}.xml"))


@needs_files
def test_our_requests_have_the_order_of_the_recorded_ones(company: Intacct) -> None:
    ours = etree.fromstring(company.envelope(["<getAPISession/>"], "<sessionid>x</sessionid>"))
    request = recorded("xml-requests/Xml_RequestBlock__WriteXml_0.xml")
    control = recorded("xml-requests/Request_ControlBlock__WriteXmlDefaults_0.xml")
    operation = recorded("xml-requests/Request_OperationBlock__WriteXmlSession_0.xml")
    login = recorded("xml-requests/Request_LoginAuthentication__WriteXmlWithEntity_1.xml")
    assert [c.tag for c in ours] == [c.tag for c in request]
    assert [c.tag for c in ours[0]] == [c.tag for c in control] == [c.tag for c in request[0]]
    assert shape(ours[1]) == shape(operation)
    assert shape(etree.fromstring(company.login(location="E"))) == shape(login[0])


@needs_files
def test_recorded_requests_are_read(company: Intacct) -> None:
    """Every recorded call of a function that is imitated gets a result of its own, not an error of the envelope."""
    read = 0
    for path in sorted((DATA / "xml-requests").glob("*.xml")):
        function = etree.parse(str(path)).getroot()
        if function.tag == "function" and function[0].tag in ("query", "read", "readByQuery", "readMore"):
            answer = company.call(etree.tostring(function[0]).decode())
            assert answer.text("operation/result/function") == function[0].tag
            missing = [
                text for _, text in answer.errors if "not found" in str(text) or "not known" in str(text)
            ]
            assert answer.text("operation/result/status") == "success" or missing, (path.name, answer.body)
            read += 1
    assert read >= 12


@needs_files
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("Intacct_SessionProvider__FromLoginCredentialsWithEntity_1", "<getAPISession/>"),
        ("Response_Result__GetErrors_1", "<readByQuery><object>BADOBJECT</object></readByQuery>"),
    ],
)
def test_answers_have_the_recorded_shape(company: Intacct, name: str, function: str) -> None:
    answer = company.send(company.envelope([function], company.login()), company.url)
    assert same_shape(answer, name), answer.body


@needs_files
def test_a_read_has_the_recorded_shape(company: Intacct) -> None:
    key = company.page("CUSTOMER", "RECORDNO", size=1).rows[0]["RECORDNO"]
    read = (
        f"<read><object>CUSTOMER</object><keys>{key}</keys><fields>RECORDNO,CUSTOMERID,STATUS</fields></read>"
    )
    assert same_shape(company.call(read), "Response_Result__ReadClass_9")
    empty = "<readByQuery><object>CUSTOMER</object><query>CUSTOMERID = 'none'</query></readByQuery>"
    theirs = recorded("xml-responses/Response_Result__element_3.xml").find("operation/result/data")
    assert theirs is not None
    assert shape(company.call(empty).data) == shape(theirs)


@needs_files
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("no_result", "Xml_OnlineResponse__MissingResultBlock_4"),
        ("acknowledged", "Xml_RequestHandler__MockExecuteOfflineWithSessionCreds_5"),
        ("wrong_login", "Xml_OnlineResponse__AuthenticationFailure_2"),
        ("result_failure", "Response_Result__GetErrors_1"),
        ("result_two_errors", "Response_Result__StatusAbort_6"),
    ],
)
def test_wrong_answers_have_the_recorded_shape(company: Intacct, kind: str, name: str) -> None:
    company.control("misbehave", {"kind": kind})
    answer = company.call(CUSTOMERS)
    assert same_shape(answer, name), answer.body
    assert company.call(CUSTOMERS).text("operation/result/status") == "success"


def test_a_session_lives_on_another_host(company: Intacct) -> None:
    assert company.endpoint.rpartition("/ia/")[0] != company.url.rpartition("/ia/")[0]
    answer = company.send(company.envelope(["<getAPISession/>"], company.login()), company.url)
    assert answer.text("operation/result/data/api/endpoint") == company.endpoint
    assert company.call(CUSTOMERS).figure("count") == 1
    refused = company.call(CUSTOMERS, url=company.url)
    assert refused.text("operation/authentication/status") == "failure"
    assert refused.errors[0][0] == "XL03000006"


def test_a_session_slides_and_ends(company: Intacct) -> None:
    company.control("sessions", {"seconds": 1.2})
    company.sign_in()
    for _ in range(3):
        time.sleep(0.6)
        answer = company.call(CUSTOMERS)
        assert answer.text("operation/authentication/status") == "success"
    stamps = [answer.text(f"operation/authentication/session{name}") for name in ("timestamp", "timeout")]
    now, until = (datetime.fromisoformat(str(stamp)) for stamp in stamps)
    assert now.date().isoformat() == "2026-11-24"
    assert until - now == timedelta(seconds=1.2)
    time.sleep(1.4)
    assert company.call(CUSTOMERS).text("operation/authentication/status") == "failure"
    company.sign_in()
    assert company.control("sessions", {"expire": True})["ended"] >= 1
    assert company.call(CUSTOMERS).text("operation/authentication/status") == "failure"


def test_a_session_ends_in_the_middle_of_a_read(company: Intacct) -> None:
    company.control("misbehave", {"kind": "session_expired", "function": "query", "after": 2})
    statuses = [company.call(CUSTOMERS).text("operation/authentication/status") for _ in range(4)]
    assert statuses == ["success", "success", "failure", "failure"]
    company.sign_in()
    assert company.call(CUSTOMERS).text("operation/authentication/status") == "success"


def test_every_request_may_log_in(company: Intacct) -> None:
    answer = company.send(company.envelope([CUSTOMERS], company.login()), company.url)
    assert answer.text("operation/authentication/userid") == company.user
    assert answer.figure("count") == 1


def test_a_session_of_an_entity_sees_that_entity(company: Intacct) -> None:
    company.sign_in("E-200")
    answer = company.page("ARINVOICE", "MEGAENTITYID count:RECORDNO")
    assert [row["MEGAENTITYID"] for row in answer.rows] == ["E-200"]
    assert answer.text("operation/authentication/locationid") == "E-200"


def test_a_control_id_is_good_once_when_unique_is_true_or_missing(company: Intacct) -> None:
    for number, unique in enumerate(("<uniqueid>true</uniqueid>", "")):
        first = company.call(CUSTOMERS, control_id=f"once-{number}", unique=unique)
        again = company.call(CUSTOMERS, control_id=f"once-{number}", unique=unique)
        assert first.text("control/status") == "success"
        assert again.text("control/status") == "failure"
        assert again.tree.find("operation") is None
    for _ in range(2):
        assert company.call(CUSTOMERS, control_id="many").text("control/status") == "success"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b"<dtdversion>3.0</dtdversion>", b""), None),
        ((b"<request>", b"<!DOCTYPE request><request>"), "document type"),
        ((b"</request>", b""), "malformed"),
        ((b"<operation", b"<surprise/><operation"), "surprise"),
        ((b"<userid>", b"<locationid/><userid>"), "order"),
        ((b"<controlid>test</controlid>", b""), "controlid"),
    ],
)
def test_the_envelope_is_checked(company: Intacct, change: tuple[bytes, bytes], words: str | None) -> None:
    body = company.envelope([CUSTOMERS], company.login()).replace(*change)
    answer = company.send(body, company.url)
    assert answer.status == 200
    if words is None:
        assert answer.text("control/status") == "success"
    else:
        assert answer.text("control/status") == "failure"
        ((number, text),) = answer.errors
        assert number == "XL03000003"
        assert words in str(text)


def test_a_wrong_sender_fails_at_the_control_block(company: Intacct) -> None:
    body = company.envelope([CUSTOMERS], company.login(), sender_password="wrong")
    answer = company.send(body, company.url)
    assert answer.text("control/status") == "failure"
    assert answer.errors == [("XL03000006", "Incorrect Intacct XML Partner ID or password.")]


def test_a_wrong_login_fails_at_authentication(company: Intacct) -> None:
    answer = company.send(company.envelope([CUSTOMERS], company.login(password="no")), company.url)
    assert answer.text("control/status") == "success"
    assert answer.text("operation/authentication/status") == "failure"
    assert answer.errors == [("XL03000006", "Sign-in information is incorrect")]


def test_an_unknown_object_or_field_fails_at_the_result(company: Intacct) -> None:
    for function, words in (
        (query("VENDOR2", "RECORDNO"), "Object definition VENDOR2 not found"),
        (query("ARINVOICE", "RECORDNO NOSUCHFIELD"), "NOSUCHFIELD"),
        (query("ARINVOICE", "CUSTOMER.PARENT.PARENT.NAME"), "PARENT"),
        ("<create_invoice/>", "create_invoice"),
    ):
        answer = company.call(function)
        assert answer.text("operation/authentication/status") == "success"
        assert answer.text("operation/result/status") == "failure"
        ((_, text),) = answer.errors
        assert words in str(text)
        assert "[Support ID:" in str(text)


def test_a_transaction_is_rolled_back_as_a_whole(company: Intacct) -> None:
    answer = company.call(CUSTOMERS, query("VENDOR2", "RECORDNO"), transaction="true")
    statuses = [result.findtext("status") for result in answer.tree.findall("operation/result")]
    assert statuses == ["aborted", "failure"]
    assert [number for number, _ in answer.errors].count("XL03000009") == 2
    apart = company.call(CUSTOMERS, query("VENDOR2", "RECORDNO"))
    statuses = [result.findtext("status") for result in apart.tree.findall("operation/result")]
    assert statuses == ["success", "failure"]


def test_get_api_session_goes_alone(company: Intacct) -> None:
    answer = company.send(company.envelope(["<getAPISession/>", CUSTOMERS], company.login()), company.url)
    assert answer.text("operation/result/status") == "failure"


def test_a_request_of_another_type_is_invalid(company: Intacct) -> None:
    answer = company.send(company.envelope([CUSTOMERS], company.login()), company.url, "application/json")
    assert answer.status == 400
    assert answer.errors[0][0] == "GW-0011"


def test_every_call_is_in_the_access_log_without_secrets(running: Sandbox, company: Intacct) -> None:
    since = company.control("log")["last"]
    company.page("ARTERM", "NAME")
    company.call(query("VENDOR2", "NAME"))
    first, second = company.control("log", since=since)["requests"]
    assert (first["function"], first["object"], first["rows"], first["outcome"], first["host"]) == (
        "query", "ARTERM", 5, "success", "session",
    )  # fmt: skip
    assert (second["rows"], second["outcome"]) == (0, "result")
    written = (running.home / "access.jsonl").read_text(encoding="utf-8")
    for secret in (company.password, company.sender_password, company.session_id):
        assert secret not in written


@needs_files
def test_invoices_have_the_columns_of_the_recorded_table(company: Intacct) -> None:
    """All but the contacts and the person who entered it; every word for a state there is one of ours."""
    with (DATA / "dbt-seeds" / "sage_intacct__ar_invoice.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    described = company.call("<lookup><object>ARINVOICE</object></lookup>").data
    names = {str(field.findtext("ID")).lower() for field in described.iter("Field")}
    columns = {
        name for name in rows[0] if not name.startswith(("_", "billto", "shipto")) and name != "createdby"
    }
    assert columns <= names
    states = {str(value.text) for value in described.iter("VALIDVALUE")}
    assert {row["state"] for row in rows} <= states
    assert {row["recordtype"] for row in rows} == {"ri"}


def test_both_hosts_speak_https_when_asked(start: Start, tmp_path: Path) -> None:
    places = certificate(tmp_path, datetime.now(UTC) + timedelta(days=10))
    found = start("--world", "intacct-example", "--tls", *map(str, places)).companies["intacct-example"]
    found.session.verify = str(places[0])
    found.sign_in()
    assert found.endpoint.startswith("https://localhost:")
    assert found.page("ARINVOICE", "RECORDNO").figure("totalcount") == 4
