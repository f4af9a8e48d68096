"""A plain client of the simulated Intacct: writes the envelope as recorded requests have it, reads rows as texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

import requests
from lxml import etree

Row = dict[str, str | None]


@dataclass
class Answer:
    """An HTTP answer and its XML."""

    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes

    @property
    def tree(self) -> etree._Element:
        return etree.fromstring(self.body, etree.XMLParser(huge_tree=True))

    def text(self, path: str) -> str | None:
        return self.tree.findtext(path)

    @property
    def data(self) -> etree._Element:
        found = self.tree.find("operation/result/data")
        assert found is not None, self.body
        return found

    @property
    def rows(self) -> list[Row]:
        return [{str(cell.tag): cell.text for cell in row} for row in self.data]

    @property
    def errors(self) -> list[tuple[str | None, str | None]]:
        """Number and second description of every error, wherever it stands."""
        return [(e.findtext("errorno"), e.findtext("description2")) for e in self.tree.iter("error")]

    def figure(self, name: str) -> int:
        return int(self.data.get(name, "-1"))


@dataclass
class Intacct:
    """One simulated company of a running sandbox."""

    system: str
    url: str
    endpoint: str
    control_url: str
    sender_id: str
    sender_password: str
    company_id: str
    user: str
    password: str
    entities: list[str]
    session: requests.Session = field(default_factory=requests.Session)
    session_id: str = ""

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def login(self, *, password: str | None = None, location: str = "") -> str:
        given = f"<password>{escape(password or self.password)}</password>"
        place = f"<locationid>{location}</locationid>" if location else ""
        return f"<login><userid>{self.user}</userid><companyid>{self.company_id}</companyid>{given}{place}</login>"

    def envelope(
        self,
        functions: Sequence[str],
        authentication: str,
        *,
        control_id: str = "test",
        unique: str = "<uniqueid>false</uniqueid>",
        sender_password: str | None = None,
        transaction: str = "false",
    ) -> bytes:
        content = "".join(
            f'<function controlid="f{number}">{function}</function>'
            for number, function in enumerate(functions, start=1)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><request><control>'
            f"<senderid>{self.sender_id}</senderid>"
            f"<password>{sender_password or self.sender_password}</password>"
            f"<controlid>{control_id}</controlid>{unique}<dtdversion>3.0</dtdversion>"
            f'<includewhitespace>false</includewhitespace></control><operation transaction="{transaction}">'
            f"<authentication>{authentication}</authentication><content>{content}</content></operation></request>"
        ).encode()

    def send(self, body: bytes, url: str = "", media: str = "application/xml") -> Answer:
        answer = self.session.post(
            url or self.endpoint, data=body, headers={"Content-Type": media}, timeout=60
        )
        return Answer(answer.status_code, answer.headers, answer.content)

    def sign_in(self, location: str = "") -> str:
        """Open a session and keep it."""
        asked = f"<getAPISession><locationid>{location}</locationid></getAPISession>"
        function = asked if location else "<getAPISession/>"
        answer = self.send(self.envelope([function], self.login()), self.url)
        self.session_id = answer.data.findtext("api/sessionid") or ""
        assert self.session_id, answer.body
        return self.session_id

    def call(self, *functions: str, url: str = "", **envelope: Any) -> Answer:
        """Call functions in the session that is kept."""
        authentication = f"<sessionid>{self.session_id}</sessionid>"
        return self.send(self.envelope(functions, authentication, **envelope), url)

    def page(self, name: str, fields: str, **parts: Any) -> Answer:
        """One `query`; `fields` are names, `sum:NAME` and the like are aggregates."""
        return self.call(query(name, fields, **parts))

    def rows(self, name: str, fields: str, filter: str = "", *, private: bool = True) -> list[Row]:  # noqa: A002
        """Every row of an object, page after page by RECORDNO."""
        found: list[Row] = []
        last = "0"
        while True:
            beyond = f"<greaterthan><field>RECORDNO</field><value>{last}</value></greaterthan>"
            answer = self.page(
                name, f"RECORDNO {fields}", filter=f"<and>{beyond}{filter}</and>" if filter else beyond,
                order="RECORDNO", size=2000, private=private,
            )  # fmt: skip
            found += answer.rows
            if answer.figure("numremaining") == 0:
                return found
            last = str(found[-1]["RECORDNO"])

    def balance(self, account: str, entity: str, day: date, customer: str = "") -> Decimal:
        """The end balance of an account of an entity on a day."""
        answer = self.call(balances(account, entity, day, customer))
        return sum((Decimal(row["endbalance"] or "0") for row in answer.rows), Decimal(0))

    def control(self, address: str, wish: dict[str, Any] | None = None, **params: Any) -> Any:
        url = f"{self.control_url}/_sandbox/{address}"
        if wish is None:
            answer = self.session.get(url, params=params, timeout=60)
        else:
            answer = self.session.post(url, json=wish, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, **wish: Any) -> list[dict[str, Any]]:
        """Post business; the records written or touched."""
        found: list[dict[str, Any]] = self.control("post", wish)["posted"]
        return found


def query(
    name: str,
    fields: str,
    *,
    filter: str = "",  # noqa: A002
    order: str = "",
    size: int = 0,
    offset: int = 0,
    private: bool = False,
    ignore_case: bool = False,
) -> str:
    """A `query` function; `order` is names, a leading minus descends."""
    select = ""
    for field_name in fields.split():
        kind, _, rest = field_name.rpartition(":")
        select += f"<{kind or 'field'}>{rest}</{kind or 'field'}>"
    parts = f"<select>{select}</select><object>{name}</object>"
    if filter:
        parts += f"<filter>{filter}</filter>"
    if order:
        parts += "<orderby>"
        for each in order.split():
            way = "descending" if each.startswith("-") else "ascending"
            parts += f"<order><field>{each.lstrip('-')}</field><{way}/></order>"
        parts += "</orderby>"
    options = "<caseinsensitive>true</caseinsensitive>" if ignore_case else ""
    options += "<showprivate>true</showprivate>" if private else ""
    parts += f"<options>{options}</options>" if options else ""
    parts += f"<pagesize>{size}</pagesize>" if size else ""
    parts += f"<offset>{offset}</offset>" if offset else ""
    return f"<query>{parts}</query>"


def condition(operator: str, field_name: str, *values: object) -> str:
    """One comparison of a filter."""
    given = "".join(f"<value>{escape(str(value))}</value>" for value in values)
    return f"<{operator}><field>{field_name}</field>{given}</{operator}>"


def day_parts(name: str, day: date) -> str:
    return f"<{name}><year>{day:%Y}</year><month>{day:%m}</month><day>{day:%d}</day></{name}>"


def balances(account: str, entity: str, day: date, customer: str = "") -> str:
    place = f"<locationid>{entity}</locationid>" if entity else ""
    who = f"<customerid>{customer}</customerid>" if customer else ""
    return (
        f"<get_accountbalances>{day_parts('startdate', day)}{day_parts('enddate', day)}"
        f"<glaccountno>{account}</glaccountno>{place}<showzerobalances>true</showzerobalances>"
        f"<reportingbook>ACCRUAL</reportingbook><statistical>exclude</statistical>{who}</get_accountbalances>"
    )
