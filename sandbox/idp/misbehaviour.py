"""Misbehaviour on command: a right answer is computed, then replaced by a wrong one, a set number of times.

What is commanded here happens after the request was processed: a refresh token is spent although its answer
is wrong or lost. Only REQUESTS happen before. Kinds that change an answer wait for one that is no error. It
refuses kinds that it does not know.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from sandbox.idp.exchange import Answer
from sandbox.idp.keys import Keys

MEGABYTES_10 = 10_000_000
DEEP = 100_000
REQUESTS = ("hold_request", "lose_request")
ANSWERS = ("hold_answer", "lose_answer", "cut_answer", "slow_drip", "slow_head", "die")


class Order(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One command: which kind, at which endpoint, how often; `grant` narrows it.

    `value` is the size, address or text of kinds that have one; `seconds` the pause between two bytes of
    slow_drip (the body) and slow_head (what comes before).
    """

    kind: str
    endpoint: str = ""
    grant: str = ""
    times: int = 1
    after: int = 0
    value: str = ""
    seconds: float = 1.0


class Place(msgspec.Struct, frozen=True):
    """What the kinds may need: the issuer, the address where a wrongly sent secret is noticed, the keys."""

    issuer: str
    trap: str
    keys: Keys


def order(wish: Mapping[str, Any]) -> Order:
    """Read a command.

    Raises:
        ValueError: the kind or a field is unknown.
    """
    try:
        given = msgspec.convert(wish, Order)
    except msgspec.ValidationError as error:
        raise ValueError(f"this is no misbehaviour: {error}") from error
    check(given.kind)
    given.endpoint = given.endpoint or USUAL.get(given.kind, "token")
    return given


def kinds() -> dict[str, str]:
    """Give every kind and the endpoint that is meant where a command names none."""
    return {kind: USUAL.get(kind, "token") for kind in (*REQUESTS, *ANSWERS, *KINDS)}


def check(kind: str) -> None:
    """Make sure that a kind is known.

    Raises:
        ValueError: it is not.
    """
    if kind not in kinds():
        raise ValueError(f"no misbehaviour {kind!r}: choose from {', '.join(kinds())}")


def take(orders: list[Order], endpoint: str, grant: str) -> Order | None:
    """Give the first command that fits a request, and count it."""
    for given in orders:
        if given.endpoint == endpoint and given.grant in ("", grant) and given.times > 0:
            if given.after > 0:
                given.after -= 1
                continue
            given.times -= 1
            return given
    return None


def apply(given: Order, place: Place, answer: Answer) -> Answer:
    """Turn the right answer into the wrong one; kinds of the connection leave it as it is."""
    return KINDS[given.kind](given, place, answer) if given.kind in KINDS else answer


Kind = Callable[[Order, Place, Answer], Answer]


def _payload(answer: Answer) -> dict[str, Any]:
    return json.loads(answer.body)  # type: ignore[no-any-return]


def _body(body: bytes) -> Kind:
    return lambda _given, _place, answer: replace(answer, body=body)


def _status(status: int, body: bytes, media_type: str, **headers: str) -> Kind:
    def kind(_given: Order, _place: Place, answer: Answer) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(answer, status=status, body=body, media_type=media_type, headers=named)

    return kind


def _member(name: str, value: Any) -> Kind:
    """Set one member of the JSON object."""
    return lambda _given, _place, answer: replace(
        answer, body=json.dumps({**_payload(answer), name: value}).encode()
    )


def _without(name: str) -> Kind:
    def kind(_given: Order, _place: Place, answer: Answer) -> Answer:
        payload = _payload(answer)
        payload.pop(name, None)
        return replace(answer, body=json.dumps(payload).encode())

    return kind


def _redirect(status: int) -> Kind:
    def kind(given: Order, place: Place, answer: Answer) -> Answer:
        return replace(answer, status=status, body=b"", headers={"Location": given.value or place.trap})

    return kind


def _huge_body(given: Order, _place: Place, answer: Answer) -> Answer:
    padding = "x" * int(given.value or MEGABYTES_10)
    return replace(answer, body=json.dumps({**_payload(answer), "padding": padding}).encode())


def _packed(encoding: str) -> Kind:
    """Say that the answer is packed in some way; only gzip is done."""

    def kind(_given: Order, _place: Place, answer: Answer) -> Answer:
        body = gzip.compress(answer.body) if encoding == "gzip" else answer.body
        return replace(answer, body=body, headers={**answer.headers, "Content-Encoding": encoding})

    return kind


def _gzip_bomb(given: Order, place: Place, answer: Answer) -> Answer:
    return _packed("gzip")(given, place, _huge_body(given, place, answer))


def _described(given: Order, _place: Place, answer: Answer) -> Answer:
    """Refuse with these words: a test lets them repeat what it sent."""
    payload = {"error": "invalid_request", "error_description": given.value}
    return replace(answer, status=400, body=json.dumps(payload).encode())


def _truncated(_given: Order, _place: Place, answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _media_type(_given: Order, _place: Place, answer: Answer) -> Answer:
    return replace(answer, media_type="text/html")


def _duplicate_keys(_given: Order, _place: Place, answer: Answer) -> Answer:
    """Put every member twice, first with another value."""
    first = json.dumps(dict.fromkeys(_payload(answer), "doubled"))
    return replace(answer, body=first.encode()[:-1] + b", " + answer.body[1:])


def _expires_in(text: bytes) -> Kind:
    """Set expires_in to any text, also to what no JSON library would print."""

    def kind(_given: Order, _place: Place, answer: Answer) -> Answer:
        body = json.dumps({**_payload(answer), "expires_in": "\0"}).encode()
        return replace(answer, body=body.replace(b'"\\u0000"', text))

    return kind


def _encoded(encoding: str) -> Kind:
    return lambda _given, _place, answer: replace(answer, body=answer.body.decode().encode(encoding))


def _downscoped(_given: Order, _place: Place, answer: Answer) -> Answer:
    payload = _payload(answer)
    payload["scope"] = " ".join(str(payload.get("scope", "")).split()[:1])
    return replace(answer, body=json.dumps(payload).encode())


def _scope_list(_given: Order, _place: Place, answer: Answer) -> Answer:
    payload = _payload(answer)
    payload["scope"] = str(payload.get("scope", "")).split()
    return replace(answer, body=json.dumps(payload).encode())


def _with_status(status: int, **members: str) -> Kind:
    """Keep the token and add members to it, under another status."""
    return lambda _given, _place, answer: replace(
        answer, status=status, body=json.dumps({**_payload(answer), **members}).encode()
    )


def _other_issuer(given: Order, _place: Place, answer: Answer) -> Answer:
    payload = {**_payload(answer), "issuer": given.value or "https://elsewhere.example"}
    return replace(answer, body=json.dumps(payload).encode())


def _endpoints(prefix: str) -> Kind:
    """Move every endpoint of the metadata to another origin."""

    def kind(given: Order, place: Place, answer: Answer) -> Answer:
        origin = given.value or prefix
        moved = {
            name: value.replace(place.issuer, origin)
            if name != "issuer" and isinstance(value, str) and value.startswith(place.issuer)
            else value
            for name, value in _payload(answer).items()
        }
        return replace(answer, body=json.dumps(moved).encode())

    return kind


def _huge_jwks(given: Order, _place: Place, answer: Answer) -> Answer:
    """Valid keys without end: the right ones again and again, each under a kid of its own."""
    many = list(_payload(answer)["keys"])
    missing = int(given.value or MEGABYTES_10)
    while missing > 0:
        many.append({**many[0], "kid": f"more-{len(many)}"})
        missing -= len(json.dumps(many[-1]))
    return replace(answer, body=json.dumps({"keys": many}).encode())


UNUSABLE: tuple[dict[str, Any], ...] = (
    {"kty": "XYZ", "kid": "unknown-kty"},
    {"kty": "RSA", "kid": "no-modulus", "use": "sig"},
    {"kty": "RSA", "kid": "small", "n": "AQAB", "e": "AQAB", "use": "sig", "alg": "RS256"},
    {"kty": "EC", "kid": "off-curve", "crv": "P-256", "x": "AAAA", "y": "AAAA", "use": "sig", "alg": "ES256"},
    {"kty": "OKP", "kid": "other-curve", "crv": "X448", "x": "AAAA"},
    {"kty": "oct", "kid": "secret", "k": "AAAA"},
    {"no": "kty"},
)


def _unusable_keys_first(_given: Order, _place: Place, answer: Answer) -> Answer:
    keys = [*UNUSABLE, *_payload(answer)["keys"]]
    return replace(answer, body=json.dumps({"keys": keys}).encode())


def _same_kid(_given: Order, _place: Place, answer: Answer) -> Answer:
    keys = _payload(answer)["keys"]
    return replace(answer, body=json.dumps({"keys": [{**key, "kid": "1"} for key in keys]}).encode())


def _returned(change: Callable[[dict[str, str]], object]) -> Kind:
    """Change the parameters with which the browser is sent back; pages stay as they are."""

    def kind(_given: Order, _place: Place, answer: Answer) -> Answer:
        if "Location" not in answer.headers:
            return answer
        uri, _, query = answer.headers["Location"].partition("?")
        parameters = dict(parse_qsl(query))
        change(parameters)
        return replace(answer, headers={**answer.headers, "Location": f"{uri}?{urlencode(parameters)}"})

    return kind


ERROR = b'{"error": "invalid_grant", "error_description": "The grant is not valid."}'
LOGIN_PAGE = b"<!DOCTYPE html><html><title>Sign in</title><form method=post><input name=user></form></html>"
JSON = "application/json"
KINDS: dict[str, Kind] = {
    "redirect_302": _redirect(302),
    "redirect_307": _redirect(307),
    "redirect_308": _redirect(308),
    "unavailable": _status(503, b"<h1>Service unavailable</h1>", "text/html"),
    "internal_error": _status(500, b'{"error": "server_error"}', JSON),
    "too_many_requests": _status(429, b'{"error": "slow_down"}', JSON, Retry_After="2"),
    "huge_body": _huge_body,
    "gzip": _packed("gzip"),
    "gzip_bomb": _gzip_bomb,
    "packed_unknown": _packed("br"),
    "not_json": _status(200, LOGIN_PAGE, "text/html;charset=UTF-8"),
    "empty": _body(b""),
    "truncated": _truncated,
    "an_array": _body(b"[]"),
    "deep_nesting": _body(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "utf_16": _encoded("utf-16"),
    "byte_order_mark": _encoded("utf-8-sig"),
    "wrong_media_type": _media_type,
    "duplicate_keys": _duplicate_keys,
    "token_type_missing": _without("token_type"),
    "token_type_null": _member("token_type", None),
    "token_type_wrong": _member("token_type", "mac"),
    "token_type_lower_case": _member("token_type", "bearer"),
    "access_token_missing": _without("access_token"),
    "access_token_null": _member("access_token", None),
    "access_token_number": _member("access_token", 42),
    "access_token_empty": _member("access_token", ""),
    "access_token_line_break": _member("access_token", "a\r\nX-Injected: 1"),
    "expires_in_negative": _expires_in(b"-1"),
    "expires_in_zero": _expires_in(b"0"),
    "expires_in_text": _expires_in(b'"3600"'),
    "expires_in_words": _expires_in(b'"soon"'),
    "expires_in_boolean": _expires_in(b"true"),
    "expires_in_null": _expires_in(b"null"),
    "expires_in_fraction": _expires_in(b"3599.5"),
    "expires_in_huge": _expires_in(b"1" + b"0" * 30),
    "expires_in_nan": _expires_in(b"NaN"),
    "expires_in_absent": _without("expires_in"),
    "refresh_token_null": _member("refresh_token", None),
    "refresh_token_empty": _member("refresh_token", ""),
    "refresh_token_number": _member("refresh_token", 42),
    "refresh_token_absent": _without("refresh_token"),
    "ok_with_error": _status(200, ERROR, JSON),
    "ok_with_error_and_token": _with_status(200, error="invalid_grant"),
    "error_with_token": _with_status(400),
    "error_with_error_and_token": _with_status(400, error="invalid_grant"),
    "message_only": _status(400, b'{"message": "Bad request"}', JSON),
    "invalid_grant": _status(400, ERROR, JSON),
    "refused_with_a_page": _status(404, LOGIN_PAGE, "text/html;charset=UTF-8"),
    "temporarily_unavailable": _status(400, b'{"error": "temporarily_unavailable"}', JSON),
    "error_object": _status(400, b'{"error": {"code": 400, "message": "Bad request"}}', JSON),
    "described": _described,
    "downscoped": _downscoped,
    "scope_absent": _without("scope"),
    "scope_list": _scope_list,
    "other_issuer": _other_issuer,
    "no_issuer": _without("issuer"),
    "internal_addresses": _endpoints("http://169.254.169.254"),
    "other_origin": _endpoints("https://elsewhere.example"),
    "no_token_endpoint": _without("token_endpoint"),
    "huge_jwks": _huge_jwks,
    "unusable_keys_first": _unusable_keys_first,
    "same_kid": _same_kid,
    "no_keys": _body(b'{"keys": []}'),
    "returns_no_iss": _returned(lambda given: given.pop("iss")),
    "returns_other_iss": _returned(lambda given: given.update(iss="https://elsewhere.example")),
    "returns_other_state": _returned(lambda given: given.update(state="other")),
    "returns_no_state": _returned(lambda given: given.pop("state", None)),
    "returns_error_beside_code": _returned(lambda given: given.update(error="access_denied")),
}
USUAL = {  # the endpoint of kinds that make sense at one only; all others are of the token endpoint
    **dict.fromkeys(
        ("other_issuer", "no_issuer", "internal_addresses", "other_origin", "no_token_endpoint"), "metadata"
    ),
    **dict.fromkeys(("huge_jwks", "unusable_keys_first", "same_kid", "no_keys"), "jwks"),
    **dict.fromkeys((name for name in KINDS if name.startswith("returns_")), "authorize"),
}
