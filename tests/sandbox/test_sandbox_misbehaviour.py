"""Misbehaviour on command: what it looks like, for which requests, and that it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from tests.sandbox.conftest import Erp, Start

CUBE = "API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
CUSTOMER = "API_BUSINESS_PARTNER/A_Customer"


@pytest.fixture(scope="module")
def running(shared_start: Start) -> Erp:
    return shared_start("--world", "example").tenants["example"]


@pytest.fixture
def example(running: Erp) -> Iterator[Erp]:
    """The worked example, with nothing commanded before and after."""
    yield running
    requests.delete(f"{running.url}/_sandbox/misbehave", timeout=30)


@pytest.mark.parametrize(
    ("kind", "status", "media_type", "text"),
    [
        ("login_page", 200, "text/html", "<form"),
        ("forbidden_atom", 403, "application/xml", "<code>/IWFND/CM_MGW/004</code>"),
        ("data_not_found", 400, "application/json", "Data not found"),
        ("internal_error", 500, "application/json", "SY/530"),
        ("unavailable", 503, "application/json", "cannot be reached"),
        ("too_many_requests", 429, "application/json", "Too many requests"),
        ("foreign_next", 200, "application/json", "https://elsewhere.example/"),
        ("nan_amount", 200, "application/json", '"AmountInTransactionCurrency":"NaN"'),
        ("nan_literal", 200, "application/json", '"AmountInTransactionCurrency":NaN'),
        ("thirtieth_of_february", 200, "application/json", "2026-02-30"),
    ],
)
def test_an_answer_goes_wrong_once(example: Erp, kind: str, status: int, media_type: str, text: str) -> None:
    right = example.get(CUBE)
    example.control("misbehave", {"kind": kind, "set": "A_OperationalAcctgDocItemCube"})
    assert example.get(CUSTOMER).status_code == 200
    wrong = example.get(CUBE)
    assert wrong.status_code == status
    assert wrong.headers["Content-Type"].startswith(media_type)
    assert text in wrong.text
    assert text not in right.text
    assert example.get(CUBE).content == right.content


def test_retry_after_is_said(example: Erp) -> None:
    example.control("misbehave", {"kind": "too_many_requests", "times": 2})
    assert [example.get(CUBE).headers.get("Retry-After") for _ in range(3)] == ["2", "2", None]


def test_a_page_is_truncated(example: Erp) -> None:
    example.control("misbehave", {"kind": "truncated_page"})
    answer = example.get(CUBE)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_a_short_page_keeps_its_count(example: Erp) -> None:
    example.control("misbehave", {"kind": "short_page"})
    payload = example.get(CUBE, inlinecount="allpages").json()["d"]
    assert len(payload["results"]) < int(payload["__count"])
    assert "__next" not in payload


def test_a_later_page_can_be_the_wrong_one(example: Erp) -> None:
    example.control("misbehave", {"kind": "internal_error", "after": 2})
    assert [example.get(CUBE).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_the_same_page_for_ever(example: Erp) -> None:
    example.control("misbehave", {"kind": "same_page", "times": 3})
    answer = example.get(CUBE, top=2)
    assert answer.json()["d"]["__next"] == answer.url
    example.control("misbehave", {"kind": "endless_pages", "times": 100})
    seen = set()
    link = answer.url
    for _ in range(6):
        payload = example.session.get(link, timeout=30).json()["d"]
        link = payload["__next"]
        seen.add(link)
    assert len(seen) >= 4


def test_a_service_without_units(example: Erp) -> None:
    path = "API_OPLACCTGDOCITEMCUBE_SRV/$metadata"
    example.control("misbehave", {"kind": "no_unit", "set": "API_OPLACCTGDOCITEMCUBE_SRV"})
    assert "sap:unit" not in example.get(path).text
    assert "sap:unit" in example.get(path).text


def test_any_value_can_be_put_into_the_first_row(example: Erp) -> None:
    example.control("misbehave", {"kind": "value", "property": "CustomerName", "value": "a\u202eb"})
    assert example.get(CUSTOMER).json()["d"]["results"][0]["CustomerName"] == "a\u202eb"


def test_a_value_can_wait_for_a_row_that_says_something(example: Erp) -> None:
    where = "AccountingDocument=1800000019"
    example.control("misbehave", {"kind": "value", "property": "Customer", "value": "?", "where": where})
    assert example.get(f"{CUBE}/$count").text.isdecimal()
    others = example.get(CUBE, filter="AccountingDocument eq '1800000012'").json()["d"]["results"]
    assert "?" not in {row["Customer"] for row in others}
    rows = example.get(CUBE).json()["d"]["results"]
    assert {row["AccountingDocument"] for row in rows if row["Customer"] == "?"} == {"1800000019"}


def test_a_slow_answer_is_right_but_late(example: Erp) -> None:
    right = example.get(CUBE).content
    example.control("misbehave", {"kind": "slow_drip", "seconds": 0.2})
    started = time.monotonic()
    assert example.get(CUBE).content == right
    assert time.monotonic() - started > 0.5


def test_waiting_commands_are_listed_and_forgotten(example: Erp) -> None:
    example.control("misbehave", {"kind": "unavailable", "times": 5})
    assert [order["kind"] for order in example.control("misbehave")["waiting"]] == ["unavailable"]
    answer = requests.delete(f"{example.url}/_sandbox/misbehave", timeout=30)
    assert answer.json() == {"waiting": []}
    assert example.get(CUBE).status_code == 200


@pytest.mark.parametrize("wish", [{"kind": "sulk"}, {"kind": "unavailable", "mood": "bad"}, {}])
def test_an_unknown_misbehaviour_is_refused(example: Erp, wish: dict[str, str]) -> None:
    answer = requests.post(f"{example.url}/_sandbox/misbehave", json=wish, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_paging_can_be_changed(start: Start) -> None:
    example = start("--world", "example").tenants["example"]
    name = "A_OperationalAcctgDocItemCube"
    example.control("paging", {"set": name, "limit": 4, "links": True})
    assert len(example.get(CUBE).json()["d"]["results"]) == 4
    linked = example.rows(CUBE)
    example.control("paging", {"set": name, "limit": 4, "links": False})
    payload = example.get(CUBE, inlinecount="allpages").json()["d"]
    assert (len(payload["results"]), payload["__count"], "__next" in payload) == (4, str(len(linked)), False)
