"""Planted secrets show up nowhere: not in logs, output, exceptions, reprs, the database's files or ours.

Each channel is first leaked into on purpose, and the search must find it.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import secrets
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID, uuid4

import psycopg
import pytest
import requests

from encours.postgres import SUPERUSER, Postgres
from identity.authority import Authority
from identity.errors import Denied, NeedsConsent, TryLater
from identity.kinds import ApiKey, Basic
from identity.kms import LocalKms
from identity.oauth import OAuthClient
from identity.secret import Key, Secret
from identity.signing import OriginAuth
from identity.token_rows import Holder
from identity.tokens import Wish
from tests.identity.asked import asking
from tests.sandbox.idp_client import Provider
from tests.sandbox.idps import Idps

AsRole = Callable[[str, int | None], AbstractContextManager[psycopg.Connection[Any]]]
pytestmark = pytest.mark.long

ORIGIN = "https://sap.example"
SPOILT = ("", "duplicate_keys", "message_only", "error_with_token", "redirect_307", "described")


class Database(Protocol):
    name: str
    postgres: Postgres


@dataclass(frozen=True)
class Link:
    credential_id: UUID
    tenant_id: int = 1
    key: str = "acme-s4"
    origin: str = ORIGIN


def forms(secret: bytes) -> list[bytes]:
    """The ways a secret could stand in a text: plain, hex, base64 at any place, in an address, as Python shows it."""
    coded = [base64.b64encode(b"x" * shift + secret)[skip:-4] for shift, skip in [(0, 0), (1, 2), (2, 3)]]
    return [secret, secret.hex().encode(), quote(secret).encode(), repr(secret)[2:-1].encode(), *coded]


def holds(text: bytes, secret: bytes) -> bool:
    return any(form in text for form in forms(secret))


def content(path: Path) -> bytes:
    """A file's bytes; none of one that the server has replaced meanwhile, which holds no table."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if path.name != "pg_internal.init":
            raise
        return b""


@dataclass
class Scene:
    """The life of two credentials with every refusal on the way, and all that was shown of it."""

    authority: Authority
    as_role: AsRole
    key_file: Path
    database: Database
    canary: str = field(default_factory=lambda: secrets.token_hex(12))
    shown: list[str] = field(default_factory=list)

    def fails(self, act: Callable[[], object], *kinds: type[Exception]) -> None:
        """Runs what must be refused; keeps the traceback with the variables of every frame but this file's."""
        with pytest.raises(kinds or (Denied, TypeError, psycopg.Error)) as raised:
            act()
        told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
        told.stack = traceback.StackSummary.from_list([one for one in told.stack if one.filename != __file__])
        self.shown += [*told.format(), repr(raised.value), repr(raised.value.args)]

    def play(self) -> None:
        credentials = self.authority.credentials
        basic = credentials.create(1, Basic("ENCOURS", Secret(self.canary)), label="basic", by="test")
        key = credentials.create(1, ApiKey("APIKey", Secret(self.canary)), label="key", by="test")
        credentials.replace(1, key, ApiKey("X-Key", Secret(f"Bearer {self.canary}")), by="test")
        self.shown += [repr(credentials.descriptions(1)), repr(vars(self.authority)), repr(vars(credentials))]
        for one in (basic, key):
            self.sign(self.authority.auth(Link(one)))
            content = credentials.opened(1, one)
            self.shown += [repr(content), f"{content}", json.dumps(vars(content), default=str)]
            self.fails(partial(pickle.dumps, content))
        with self.as_role("encours_app", 1) as connection:
            self.authority.audit.record_used(
                connection, tenant_id=1, credential_id=basic, connector="acme-s4", run=1, uses=1
            )
        self.refuse(basic)
        self.lose_the_key(basic)
        credentials.remove(1, key, by="test")

    def sign(self, auth: OriginAuth) -> None:
        request = requests.Request("GET", f"{ORIGIN}/", auth=auth).prepare()
        assert any(holds(str(value).encode(), self.canary.encode()) for value in request.headers.values())
        self.shown += [repr(auth), f"{auth}", repr(vars(auth)), repr(request), repr(request.hooks)]
        elsewhere = requests.Request("GET", "https://evil.example/").prepare()
        self.fails(lambda: auth(elsewhere))
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 307, f"{ORIGIN}/", request
        answer.headers["Location"] = "https://evil.example/"
        answer.raw = None
        answer._content = b""  # noqa: SLF001  an answer without a connection
        answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        self.fails(lambda: request.hooks["response"][0](answer))

    def refuse(self, basic: UUID) -> None:
        credentials = self.authority.credentials
        for text in (f"{self.canary}\n", self.canary * 2_000, f"{self.canary}\ud800"):
            self.fails(partial(Basic, "ENCOURS", Secret(text)))
            self.fails(partial(ApiKey, "APIKey", Secret(text)))
        content = Basic("ENCOURS", Secret(self.canary))
        self.fails(lambda: credentials.create(1, content, label="\n", by="test"))
        self.fails(lambda: credentials.create(2**40, content, label="a", by="test"))
        self.fails(lambda: credentials.replace(1, uuid4(), content, by="test"))
        self.fails(lambda: credentials.opened(2, basic))
        for old, new in [("label", "label_"), ("label_", "label")]:
            with self.as_role("encours_owner", None) as connection:
                connection.execute(f"alter table identity.credential rename column {old} to {new}".encode())
            if new != "label":
                self.fails(lambda: credentials.create(1, content, label="a", by="test"))

    def renew(self, idp: Provider) -> list[str]:
        """The life of a person's grant with every refusal on the way; gives each secret that it had."""
        secret, given = idp.clients["encours-basic"]["secret"], idp.consent()
        client = OAuthClient(
            "encours-basic", Secret(secret), "refresh_token", token_endpoint=idp.endpoints["token"]
        )
        holder = Holder(1, self.authority.credentials.create(1, client, label="oauth", by="test"))
        self.authority.tokens.adopt(holder, Secret(given["refresh_token"]), by="test")
        auth = self.authority.auth(Link(holder.credential_id), asking=asking())
        held = [secret, given["refresh_token"]]
        for spoilt in SPOILT:
            request = requests.Request("GET", f"{ORIGIN}/", auth=auth).prepare()
            held.append(request.headers["Authorization"].removeprefix("Bearer "))
            self.shown += [repr(auth), repr(vars(auth)), repr(request), repr(self.authority.tokens)]
            if spoilt:
                # Words that repeat what was sent are those of `described`.
                wish = {"kind": spoilt, "grant": "refresh_token", "times": 2, "value": " ".join(held[:2])}
                idp.control("misbehave", wish if spoilt == "described" else wish | {"value": ""})
                self.fails(partial(auth.renew, request), TryLater, Denied)
                idp.control("misbehave", method="DELETE")
            auth.renew(request)
        self.fails(partial(pickle.dumps, self.authority.tokens.current(self.wish(holder))))
        signed = requests.Request("GET", f"{ORIGIN}/", auth=auth).prepare()
        idp.control("end", {})
        self.fails(partial(auth.renew, signed), NeedsConsent)
        self.authority.tokens.adopt(holder, Secret(given["refresh_token"]), by="test")
        with self.as_role("encours_identity", 1) as connection:
            connection.execute("update identity.token set refresh_token = refresh_token || '\\x00'")
        self.fails(partial(auth.renew, signed), Denied)
        self.shown.append(repr(list(self.authority.audit.entries(1))))
        return held

    def wish(self, holder: Holder) -> Wish:
        return Wish(holder, self.authority.asker(asking(), ORIGIN), "test")

    def lose_the_key(self, basic: UUID) -> None:
        content = Basic("ENCOURS", Secret(self.canary))
        kept = self.key_file.read_bytes()
        another = self.key_file.with_name("another")
        LocalKms(another).wrap(Key(bytes(32)), b"", ())
        for put in (b"", kept[:-5], another.read_bytes()):
            self.key_file.write_bytes(put)
            self.fails(lambda: self.authority.credentials.opened(1, basic))
            self.fails(lambda: self.authority.credentials.replace(1, basic, content, by="test"))
        self.key_file.unlink()
        self.fails(lambda: self.authority.credentials.opened(1, basic))
        self.key_file.write_bytes(kept)
        self.key_file.chmod(0o644)
        self.fails(lambda: self.authority.credentials.opened(1, basic))
        self.key_file.chmod(0o600)

    def stored(self) -> bytes:
        """The database's files, the write-ahead log and the server's log."""
        server = self.database.postgres
        with psycopg.connect(server.url(SUPERUSER, self.database.name), autocommit=True) as connection:
            connection.execute("checkpoint")
            row = connection.execute(
                "select oid from pg_database where datname = current_database()"
            ).fetchone()
        assert row is not None
        files = [*(server.data / "base" / str(row[0])).iterdir(), *(server.data / "pg_wal").glob("0*")]
        return b"".join(content(path) for path in [*files, server.log])

    def found(self, secret: bytes, logged: str, printed: str) -> set[str]:
        """The channels that hold the secret."""
        channels = {
            "log": logged.encode(),
            "output": printed.encode(),
            "shown": "\n".join(self.shown).encode("utf-8", "backslashreplace"),
            "database": self.stored(),
            "file": b"".join(path.read_bytes() for path in self.key_file.parent.iterdir() if path.is_file()),
        }
        return {name for name, text in channels.items() if holds(text, secret)}


@pytest.fixture
def scene(
    authority: Authority,
    as_role: AsRole,
    key_file: Path,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> Scene:
    caplog.set_level(logging.DEBUG)
    return Scene(authority, as_role, key_file, database)


def leak_into_log(scene: Scene) -> None:
    logging.getLogger("identity").debug("signing with %s", scene.canary)


def leak_into_output(scene: Scene) -> None:
    sys.stderr.write(base64.b64encode(f"ENCOURS:{scene.canary}".encode()).decode())


def leak_into_an_exception(scene: Scene) -> None:
    def refuse() -> None:
        raise Denied("wrong", f"the password {scene.canary} is wrong")

    scene.fails(refuse)


def leak_into_a_variable(scene: Scene) -> None:
    # b64decode keeps its text in a variable of a frame that is not this file's.
    scene.fails(lambda: base64.b64decode(scene.canary, altchars=7))  # type: ignore[arg-type]


def leak_into_the_database(scene: Scene) -> None:
    scene.authority.credentials.create(1, Basic("U", Secret("p")), label=scene.canary, by="test")


def leak_into_a_file(scene: Scene) -> None:
    (scene.key_file.parent / "notes").write_text(scene.canary)


LEAKS: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "log": ("log", leak_into_log),
    "output": ("output", leak_into_output),
    "exception": ("shown", leak_into_an_exception),
    "variable": ("shown", leak_into_a_variable),
    "database": ("database", leak_into_the_database),
    "file": ("file", leak_into_a_file),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_on_purpose_is_found(
    scene: Scene, leak: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    channel, act = LEAKS[leak]
    act(scene)
    assert scene.found(scene.canary.encode(), caplog.text, "".join(capfd.readouterr())) == {channel}


def test_planted_secrets_are_nowhere(
    scene: Scene, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.play()
    logged, printed = caplog.text, "".join(capfd.readouterr())
    assert len(scene.shown) > 100, "there was something to search"
    assert scene.found(scene.canary.encode(), logged, printed) == set()
    for key in json.loads(scene.key_file.read_text())["keys"].values():
        assert scene.found(base64.b64decode(key), logged, printed) == {"file"}, "the key is in its file alone"


def test_tokens_and_the_secrets_that_get_them_are_nowhere(
    scene: Scene, idps: Idps, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    held = scene.renew(idps.like("--profile", "static"))
    logged, printed = caplog.text, "".join(capfd.readouterr())
    assert len(set(held)) == 8, "a client secret, a refresh token, six access tokens"
    assert len(scene.shown) > 50, "there was something to search"
    for secret in held:
        assert scene.found(secret.encode(), logged, printed) == set()
    scene.shown.append(held[-1])
    assert scene.found(held[-1].encode(), logged, printed) == {"shown"}


@pytest.mark.parametrize("before", ["", "U:", "EN:", "ENC:"])
def test_every_form_is_searched_for(before: str) -> None:
    secret = b"canary-4711 \xc3\xa9"
    for form in (
        secret.hex(),
        quote(secret),
        repr(secret),
        base64.b64encode(before.encode() + secret).decode(),
    ):
        assert holds(f"something {form} else".encode(), secret)
    assert not holds(b"something canary else", secret)
