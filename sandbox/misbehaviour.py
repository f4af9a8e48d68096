"""What an ERP, or something in front of it, may send instead of the right answer, on command.

Each kind turns a right answer into the wrong one. Known from the field: an HTML login page with status 200,
403 as Atom XML for a JSON request, 400 with "data not found" [D]. It refuses kinds that it does not know.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.requests import Request

from sandbox import edmx
from sandbox.gateway import JSON, Answer, error_body

LOGIN_PAGE = b"""<!DOCTYPE html><html><head><title>Logon</title></head><body>
<form method="post" action="/sap/bc/sec/saml2/login"><input name="j_username"/>
<input name="j_password" type="password"/></form>
</body></html>"""


@dataclass
class Order:
    """One command: which kind, for which set or service (empty: every data set), when and how often.

    A value is put into the first row that has `property`; with `where` (`TransactionCurrency=JPY`) into the
    first of those that say so, and answers without one do not count.
    """

    kind: str
    target: str = ""
    times: int = 1
    after: int = 0
    property: str = ""
    value: str = ""
    where: str = ""
    seconds: float = 1.0


@dataclass
class Misbehaviours:
    """The commands that wait for their requests."""

    orders: list[Order] = field(default_factory=list)

    def give(self, order: Order) -> None:
        """Take a command.

        Raises:
            ValueError: the kind is unknown.
        """
        if order.kind not in KINDS and order.kind != "slow_drip":
            raise ValueError(
                f"no misbehaviour {order.kind!r}: choose from {', '.join([*KINDS, 'slow_drip'])}"
            )
        self.orders.append(order)

    def take(self, answer: Answer) -> Order | None:
        """Give the first command that fits an answer, and count it."""
        for order in self.orders:
            names = (answer.set_name, answer.service)
            fits = order.target in names if order.target else _default_target(order, answer)
            if fits and order.times > 0 and (not order.where or _fitting(order.where, answer)):
                if order.after > 0:
                    order.after -= 1
                    continue
                order.times -= 1
                return order
        return None


def _default_target(order: Order, answer: Answer) -> bool:
    return (answer.set_name == "$metadata") == (order.kind == "no_unit")


def apply(order: Order, request: Request, answer: Answer) -> Answer:
    """Turn the right answer into the wrong one; `slow_drip` leaves it right, to be sent slowly."""
    return answer if order.kind == "slow_drip" else KINDS[order.kind](order, request, answer)


def _wrong(
    answer: Answer, status: int, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Answer:
    return replace(answer, status=status, body=body, media_type=media_type, headers=headers or {}, rows=0)


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, *, as_json: bool = True
) -> Kind:
    def kind(_order: Order, _request: Request, answer: Answer) -> Answer:
        body, media_type = error_body(code, message, as_json=as_json)
        return _wrong(answer, status, body, media_type, headers)

    return kind


def _login_page(_order: Order, _request: Request, answer: Answer) -> Answer:
    return _wrong(answer, 200, LOGIN_PAGE, "text/html;charset=utf-8")


def _truncated_page(_order: Order, _request: Request, answer: Answer) -> Answer:
    return _wrong(answer, 200, answer.body[: len(answer.body) // 2], JSON)


def _payload(answer: Answer) -> dict[str, Any]:
    return msgspec.json.decode(answer.body)  # type: ignore[no-any-return]


def _with_link(answer: Answer, link: str) -> Answer:
    payload = _payload(answer)
    payload["d"]["__next"] = link
    return replace(answer, body=msgspec.json.encode(payload))


def _foreign_next(_order: Order, request: Request, answer: Answer) -> Answer:
    return _with_link(answer, f"https://elsewhere.example{request.url.path}?$skiptoken=1")


def _same_page(_order: Order, request: Request, answer: Answer) -> Answer:
    return _with_link(answer, str(request.url))


def _endless_pages(_order: Order, request: Request, answer: Answer) -> Answer:
    """The same rows for ever, each time behind a link that was not seen before."""
    return _with_link(answer, str(request.url.include_query_params(token=secrets.token_hex(8))))


def _short_page(_order: Order, _request: Request, answer: Answer) -> Answer:
    """Half of the rows, no link, and the right count."""
    payload = _payload(answer)
    rows = payload["d"]["results"]
    payload["d"]["results"] = rows[: len(rows) // 2]
    payload["d"].pop("__next", None)
    return replace(answer, body=msgspec.json.encode(payload), rows=len(rows) // 2)


def _fitting(where: str, answer: Answer) -> list[int]:
    """Give the places of the rows in which a property has a value (`name=value`), or of all rows."""
    if answer.media_type != JSON:
        return []
    name, _, value = where.partition("=")
    rows = _payload(answer)["d"].get("results", [])
    return [place for place, row in enumerate(rows) if not where or row.get(name) == value]


def _set_value(answer: Answer, name: str, value: str, where: str = "") -> Answer:
    payload = _payload(answer)
    for place in _fitting(where, answer):
        row = payload["d"]["results"][place]
        if name in row:
            row[name] = value
            break
    return replace(answer, body=msgspec.json.encode(payload))


def _value(order: Order, _request: Request, answer: Answer) -> Answer:
    return _set_value(answer, order.property, order.value, order.where)


def _nan_amount(order: Order, _request: Request, answer: Answer) -> Answer:
    return _set_value(answer, order.property or "AmountInTransactionCurrency", "NaN")


def _nan_literal(order: Order, request: Request, answer: Answer) -> Answer:
    """NaN as a bare word, which is not JSON."""
    wrong = _nan_amount(order, request, answer)
    return replace(wrong, body=wrong.body.replace(b'"NaN"', b"NaN"))


def _thirtieth_of_february(order: Order, _request: Request, answer: Answer) -> Answer:
    return _set_value(answer, order.property or "NetDueDate", "2026-02-30T00:00:00")


def _no_unit(_order: Order, _request: Request, answer: Answer) -> Answer:
    return replace(answer, body=edmx.without_units(answer.body))


Kind = Callable[[Order, Request, Answer], Answer]

KINDS: dict[str, Kind] = {
    "login_page": _login_page,
    "truncated_page": _truncated_page,
    "short_page": _short_page,
    "foreign_next": _foreign_next,
    "same_page": _same_page,
    "endless_pages": _endless_pages,
    "nan_amount": _nan_amount,
    "nan_literal": _nan_literal,
    "thirtieth_of_february": _thirtieth_of_february,
    "value": _value,
    "no_unit": _no_unit,
    "forbidden_atom": _error(403, "/IWFND/CM_MGW/004", "No authorization to access Service", as_json=False),
    "data_not_found": _error(400, "/IWBEP/CM_MGW_RT/022", "Data not found"),
    "internal_error": _error(500, "SY/530", "Time limit exceeded"),
    "unavailable": _error(503, "ICM_HTTP_503", "Service cannot be reached"),
    "too_many_requests": _error(429, "429", "Too many requests", {"Retry-After": "2"}),
}
