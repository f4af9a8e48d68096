"""A static HTTP server of the pages: the addresses of one case, answered from files, nothing computed.

`python -m benchmarks.server FOLDER CASE PORT` prints its address when it listens. Cases: `first`, `same`
(nothing changed) and `changed` (1 %). A list's page is chosen by `$skip`; of `$filter` it looks only at
which list is meant. Its processor time is nobody's: it runs in a process of its own and is not counted.
"""

from __future__ import annotations

import gzip
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from benchmarks import items
from benchmarks.books import SERVICES
from benchmarks.pages import CHANGED, FIRST, PAGE, page_file

CASES = ("first", "same", "changed")
EMPTY = gzip.compress(b'{"d":{"__count":"0","results":[]}}')


class Answers:
    """Which file answers which address in one case."""

    def __init__(self, folder: Path, case: str) -> None:
        self.folder = folder / (CHANGED if case == "changed" else FIRST)
        self.case = case
        self.month = month_of(self.folder)

    def answer(self, path: str, query: dict[str, str]) -> tuple[str, bytes]:
        """Content type and gzip body; raises LookupError for an address that no case has."""
        service, _, rest = path.removeprefix("/sap/opu/odata/sap/").partition("/")
        sets = SERVICES[service]
        if rest == "$metadata":
            return "application/xml", gzip.compress(metadata(service, self.folder).encode())
        listed = sets[rest.partition("(")[0].partition("/")[0]]
        asked = query.get("$filter", "")
        if listed == "items":
            listed = list_of_items(asked, self.case, self.month)
        elif "ge datetime" in asked and listed in ("partners", "customers"):
            listed = "none"  # no master data changes in any case
        if listed == "ledger" and "Customer" in query.get("$select", "").split(","):
            listed = "ledger_by_customer"
        return "application/json", self.page(listed, query)

    def page(self, listed: str, query: dict[str, str]) -> bytes:
        """One page of a list as gzip; beyond its end an empty one."""
        number, odd = divmod(int(query.get("$skip", "0")), PAGE)
        file = page_file(self.folder / listed, number)
        if odd or not file.is_file():
            return EMPTY
        return file.read_bytes()


def list_of_items(asked: str, case: str, month: str) -> str:
    """The list of items that a filter means.

    Nothing is new when the first load asks at its end. Later the server says of all items that they were
    created since: this is how the second and the third case have all of them read again.
    """
    if "AccountingDocumentCreationDate" in asked:
        return "none" if case == "first" else "items"
    if "LastChangeDate" in asked:
        return "changes"
    if "ClearingCreationDate" in asked:
        return "cleared"
    elsewhere = "PostingDate" in asked and f"PostingDate ge datetime'{month}" not in asked
    return "none" if elsewhere or "ClearingDate" in asked else "items"


def month_of(folder: Path) -> str:
    """The first day of the month that all items are posted in."""
    row = first_row(folder / "items")
    posted = datetime.fromtimestamp(int(str(row["PostingDate"])[6:-2]) / 1000, tz=UTC)
    return posted.date().replace(day=1).isoformat()


def first_row(folder: Path) -> items.Row:
    """The first row of the list in a folder."""
    row: items.Row = msgspec.json.decode(gzip.decompress(page_file(folder, 0).read_bytes()))["d"]["results"][
        0
    ]
    return row


def metadata(service: str, folder: Path) -> str:
    """The EDMX of a service, made from the first row of each list."""
    types = []
    for name, listed in SERVICES[service].items():
        row = first_row(folder / listed)
        properties = "".join(declared(key, value) for key, value in row.items() if key != "__metadata")
        types.append(f'<EntityType Name="{name}Type">{properties}</EntityType>')
    sets = "".join(f'<EntitySet Name="{n}" EntityType="{service}.{n}Type"/>' for n in SERVICES[service])
    return (
        '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="1.0"'
        ' xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"'
        ' xmlns:sap="http://www.sap.com/Protocols/SAPData"><edmx:DataServices'
        ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
        ' m:DataServiceVersion="2.0">'
        f'<Schema Namespace="{service}" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">{"".join(types)}'
        f'<EntityContainer Name="Container" m:IsDefaultEntityContainer="true">{sets}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )


def declared(name: str, value: object) -> str:
    """One property as a gateway declares it: an amount names the property that holds its currency."""
    kind = items.edm_type(name, value)
    unit = ""
    if kind == "Edm.Decimal" and not name.endswith("Percent"):
        of = "CompanyCodeCurrency" if "CoCode" in name or "CompanyCode" in name else "TransactionCurrency"
        unit = f' sap:unit="{of}"'
    return f'<Property Name="{name}" Type="{kind}"{unit}/>'


class Handler(BaseHTTPRequestHandler):
    """GET only, kept alive, gzip always."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    answers: Answers

    def do_GET(self) -> None:
        """Sends the file of an address; 404 in words for what no case has."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            kind, body = self.answers.answer(unquote(url.path), query)
        except LookupError:
            self.send_error(404, explain=f"no case has {self.path}")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the client's errors name the address."""


def main() -> None:
    """Serves one case until it is stopped."""
    folder, case, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    handler = type("Case", (Handler,), {"answers": Answers(folder, case)})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
