"""A small XML gateway for tests, over real HTTP: rows that the test gives, asked for by `query`.

It knows what the vendor's pages say of `query`, `lookup` and `get_accountbalances`, and no books of its own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from lxml import etree

from connectors.kit.stream import Access
from connectors.systems import SYSTEMS
from connectors.systems.sage_intacct.settings import Settings
from tests.connectors.conftest import now_on, session

SYSTEM = SYSTEMS["sage_intacct"]
Record = dict[str, str]


def parsed(text: str) -> tuple[int, Decimal, str]:
    """A value in its order: a number, a day, or the text."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return (0, Decimal(text), "")
    if match := re.fullmatch(r"(\d\d)/(\d\d)/(\d{4})(?: (\d\d:\d\d:\d\d))?", text):
        return (1, Decimal(0), f"{match[3]}{match[1]}{match[2]} {match[4] or '00:00:00'}")
    return (2, Decimal(0), text)


def holds(condition: etree._Element, row: Mapping[str, str]) -> bool:
    """Whether a row fulfils a filter."""
    if condition.tag in ("and", "or"):
        return (all if condition.tag == "and" else any)(holds(part, row) for part in condition)
    value = row.get(condition.findtext("field") or "", "")
    asked = [one.text or "" for one in condition.findall("value")]
    if condition.tag == "isnull":
        return not value
    if condition.tag == "notequalto":
        return parsed(value) != parsed(asked[0])
    if not value:
        return False
    compare: dict[str, Callable[[], bool]] = {
        "in": lambda: value in asked,
        "equalto": lambda: parsed(value) == parsed(asked[0]),
        "greaterthan": lambda: parsed(value) > parsed(asked[0]),
        "greaterthanorequalto": lambda: parsed(value) >= parsed(asked[0]),
        "lessthan": lambda: parsed(value) < parsed(asked[0]),
        "lessthanorequalto": lambda: parsed(value) <= parsed(asked[0]),
        "between": lambda: parsed(asked[0]) <= parsed(value) <= parsed(asked[1]),
    }
    return compare[str(condition.tag)]()


@dataclass
class Books:
    """Rows by object, balances by (account, location), and what is answered instead."""

    rows: dict[str, list[Record]] = field(default_factory=dict)
    balances: dict[tuple[str, str], str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)  # objects and functions that the user may not read
    unknown: set[str] = field(default_factory=set)  # fields that this company does not have
    columns: dict[str, Sequence[str]] = field(default_factory=dict)  # fields of objects that have no row
    no_lookup: bool = False
    instead: list[tuple[int, bytes]] = field(default_factory=list)  # status and body of the next answers
    asked: list[bytes] = field(default_factory=list)
    url: str = ""

    def answer(self, body: bytes) -> tuple[int, bytes]:
        self.asked.append(body)
        if self.instead:
            return self.instead.pop(0)
        (function,) = etree.fromstring(body).findall("operation/content/function/*")
        of = function.findtext("object") or str(function.tag)
        if of in self.hidden:
            return 200, failed(f"You do not have permission for {of}")
        return 200, {"query": self.query, "lookup": self.lookup}.get(str(function.tag), self.balance)(
            function
        )

    def lookup(self, function: etree._Element) -> bytes:
        of = function.findtext("object") or ""
        if self.no_lookup:
            return failed("This function is not allowed here.", "DL01000001")
        names = {name for row in self.rows.get(of, []) for name in row} | set(self.columns.get(of, ()))
        fields = "".join(f"<Field><ID>{name}</ID></Field>" for name in sorted(names - self.unknown))
        return answered(
            f'<data listtype="All"><Type Name="{of}" DocumentType=""><Fields>{fields}</Fields></Type></data>'
        )

    def query(self, function: etree._Element) -> bytes:
        of = function.findtext("object") or ""
        names = [one.text or "" for one in function.findall("select/field")]
        if wrong := self.unknown & set(names):
            return failed(f"{min(wrong)} is not a field of {of}", "DL02000001")
        found = [
            row for row in self.rows.get(of, []) if all(holds(c, row) for c in function.findall("filter/*"))
        ]
        sums = [one.text or "" for one in function.findall("select/sum")]
        counts = [one.text or "" for one in function.findall("select/count")]
        if sums or counts:
            found = grouped(found, names, sums, counts)
            names = [*names, *(f"SUM.{n}" for n in sums), *(f"COUNT.{n}" for n in counts)]
        for order in reversed(function.findall("orderby/order/field")):
            found = sorted(found, key=lambda row, by=order.text: parsed(row.get(by or "", "")))  # type: ignore[misc]
        size, offset = int(function.findtext("pagesize") or 100), int(function.findtext("offset") or 0)
        page = found[offset : offset + size]
        rest = max(0, len(found) - offset - len(page))
        rows = "".join(printed(of, row, names) for row in page)
        return answered(
            f'<data listtype="{of}" totalcount="{len(found)}" offset="{offset}" count="{len(page)}" '
            f'numremaining="{rest}">{rows}</data>'
        )

    def balance(self, function: etree._Element) -> bytes:
        account, location = function.findtext("glaccountno") or "", function.findtext("locationid") or ""
        closing = self.balances.get((account, location), "0")
        return answered(
            f"<data><accountbalance><glaccountno>{account}</glaccountno><startbalance>0</startbalance>"
            f"<periodbalance>0</periodbalance><endbalance>{closing}</endbalance></accountbalance></data>"
        )


def grouped(
    rows: Sequence[Record], names: Sequence[str], sums: Sequence[str], counts: Sequence[str]
) -> list[Record]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, "") for name in names), []).append(row)
    return [
        dict(zip(names, group, strict=True))
        | {f"SUM.{name}": str(sum(Decimal(row.get(name) or "0") for row in some)) for name in sums}
        | {f"COUNT.{name}": str(len(some)) for name in counts}
        for group, some in groups.items()
    ]


def printed(of: str, row: Mapping[str, str], names: Sequence[str]) -> str:
    cells = "".join(f"<{name}>{escape(row.get(name, ''))}</{name}>" for name in names)
    return f"<{of}>{cells}</{of}>"


def answered(data: str) -> bytes:
    return envelope(
        f"<result><status>success</status><function>query</function><controlid>c</controlid>{data}</result>"
    )


def failed(text: str, code: str = "XL03000003", correction: str = "") -> bytes:
    return envelope(
        f"<result><status>failure</status><function>query</function><errormessage><error><errorno>{code}</errorno>"
        f"<description/><description2>{escape(text)}</description2><correction>{correction}</correction></error>"
        "</errormessage></result>"
    )


def envelope(result: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><response><control><status>success</status></control><operation>'
        "<authentication><status>success</status><sessiontimestamp>2026-03-01T09:59:58+00:00</sessiontimestamp>"
        f"</authentication>{result}</operation></response>"
    ).encode()


@contextmanager
def serving(books: Books) -> Iterator[Books]:
    """Answers until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, body = books.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        books.url = f"http://127.0.0.1:{server.server_port}"
        yield books
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def access_to(books: Books, day: date = date(2026, 3, 1), **settings: Any) -> Iterator[Access]:
    """What the hub would lend for a run on this day; nothing is signed."""
    with serving(books):
        made = Settings(**{"company_id": "ACME", "base_url": books.url, **settings})
        with session(made.base_url) as http:
            yield Access(
                session=http, settings=made, now=now_on(day), zone=ZoneInfo("UTC"), connector=http.connector
            )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def worked_example() -> Books:
    """The rows of the interface sheet, section 10."""
    common = {"CUSTOMERID": "C-100", "CURRENCY": "USD", "BASECURR": "USD", "MEGAENTITYID": "N-407"}

    def head(number: int, name: str, state: str, entered: str, due: str, **more: str) -> Record:
        row = {
            "RECORDNO": str(number), "RECORDID": name, "STATE": state, "TRX_TOTALENTERED": entered,
            "TRX_TOTALDUE": due, "TOTALENTERED": entered, "TOTALDUE": due, "WHENMODIFIED": "02/20/2026 16:02:11",
        }  # fmt: skip
        return row | common | more

    invoices = [
        head(501, "IN-77-01", "Partially Paid", "600", "350", WHENCREATED="01/15/2026", WHENDUE="02/14/2026"),
        head(502, "IN-77-02", "Posted", "600", "600", WHENCREATED="01/15/2026", WHENDUE="03/16/2026"),
        head(503, "IN-78", "Reversed", "360", "0", WHENCREATED="02/26/2026", WHENDUE="03/28/2026"),
        head(504, "IN-78", "Reversal", "-360", "0", WHENCREATED="02/27/2026", WHENDUE="02/27/2026"),
    ]
    for row in invoices:
        row |= {"RECORDTYPE": "ri", "WHENPOSTED": row["WHENCREATED"]}
    credit = head(610, "CM-9", "Posted", "-120", "-120", WHENCREATED="02/25/2026", WHENPOSTED="02/25/2026")
    lines = [
        ("2001", "501", "500"),
        ("2002", "501", "100"),
        ("2003", "502", "600"),
        ("2004", "503", "360"),
        ("2005", "504", "-360"),
    ]
    return Books(
        rows={
            "ARINVOICE": invoices,
            "ARINVOICEITEM": [line(*one) for one in lines],
            "ARADJUSTMENT": [credit],
            "ARADJUSTMENTITEM": [line("2101", "610", "-120")],
            "ARPYMT": [
                {
                    **common, "RECORDNO": "701", "STATE": "Complete", "RECORDTYPE": "rp", "DOCNUMBER": "WIRE-5",
                    "PAYMENTMETHOD": "EFT", "RECEIPTDATE": "02/20/2026", "TRX_TOTALENTERED": "250", "TRX_TOTALDUE": "0",
                    "TOTALENTERED": "250", "TOTALDUE": "0", "WHENMODIFIED": "02/20/2026 16:02:11",
                }
            ],
            "ARPYMTDETAIL": [detail("9001", "501", "2001", "200"), detail("9002", "501", "2002", "50")],
            "ARADVANCE": [],
            "LOCATIONENTITY": [{"RECORDNO": "7", "LOCATIONID": "N-407", "NAME": "North"}],
            "CUSTOMER": [
                {"RECORDNO": "1", "CUSTOMERID": "C-100", "NAME": "Burlington & Sons", "WHENMODIFIED": "01/02/2026 08:00:00"}
            ],
        },
        balances={("12000", "N-407"): "830.00"},
        columns={
            "ARADVANCE": [
                "RECORDNO", "STATE", "CUSTOMERID", "RECEIPTDATE", "WHENMODIFIED", "TRX_TOTALENTERED", "TRX_TOTALDUE",
                "TOTALENTERED", "TOTALDUE",
            ],
        },
    )  # fmt: skip


def line(number: str, of: str, amount: str, account: str = "12000", **more: str) -> Record:
    return {
        "RECORDNO": number, "RECORDKEY": of, "OFFSETGLACCOUNTNO": account, "TRX_AMOUNT": amount, "AMOUNT": amount, **more,
    }  # fmt: skip


def detail(number: str, invoice: str, entry: str, cash: str, **more: str) -> Record:
    return {
        "RECORDNO": number, "PAYMENTKEY": "701", "RECORDKEY": invoice, "ENTRYKEY": entry, "TRX_PAYMENTAMOUNT": cash,
        "PAYMENTAMOUNT": cash, "PAYMENTDATE": "02/20/2026", "WHENMODIFIED": "02/20/2026 16:02:11", **more,
    }  # fmt: skip
