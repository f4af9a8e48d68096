"""A client's secret, its keys and its tokens show up nowhere: not after good syncs, not after failing ones.

As in test_sync_secrets, each channel is first leaked into on purpose, with an access token that is good, and
the search must find it.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from joserfc.jwk import ECKey
from requests import Request

from encours.access import Signed
from encours.asking import asking
from encours.systems import settings_of
from identity.bearer import OAuthAuth
from identity.oauth import CLIENT_CREDENTIALS, JWT_BEARER, OAuthClient
from identity.secret import Secret
from plugins.encours_pages.connectors import connectors_page
from tests.sandbox.idps import Idps
from tests.sync.test_sync_secrets import KEY, LEAKS, Scene
from tests.sync.test_sync_tokens import SCOPES

if TYPE_CHECKING:
    from tests.sandbox.idp_client import Provider
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

PARTNER = "https://partner.example"
WRONGLY_ANSWERED = (
    "error_with_error_and_token", "ok_with_error_and_token", "message_only", "not_json", "truncated",
    "access_token_line_break", "downscoped", "redirect_307", "internal_error", "token_type_wrong",
)  # fmt: skip


@dataclass
class ClientScene(Scene):
    """The same of an OAuth client; `wrong` is a secret that the provider refuses, until a token is put there."""

    idp: Provider = field(kw_only=True)
    folder: Path = field(kw_only=True)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}))
    tokens: list[str] = field(default_factory=list)

    @property
    def canaries(self) -> list[str]:
        """Every access token, both secrets, and a line of the private key."""
        return [
            *self.tokens,
            self.idp.clients["encours-basic"]["secret"],
            self.wrong,
            self.pem.splitlines()[1],
        ]

    @property
    def pem(self) -> str:
        return self.key.as_pem(private=True).decode()

    def client(self) -> OAuthClient:
        return OAuthClient(
            "encours-basic",
            Secret(self.idp.clients["encours-basic"]["secret"]),
            CLIENT_CREDENTIALS,
            provider="sap",
            token_endpoint=self.idp.endpoints["token"],
            scopes=SCOPES,
        )

    def sign_in(self, client: OAuthClient) -> None:
        """Puts this client in place; the token before it is forgotten."""
        self.installation.hub.replace_credential(KEY, client)

    def note(self) -> None:
        """Remembers the access token that signs now, as a request shows it."""
        hub = self.installation.hub
        connector = hub.registry.connector(KEY)
        way = asking(settings_of(connector.system, connector.settings, KEY), hub.settings.private_networks)
        signed = Signed(connector.tenant_id, KEY, connector.credential_id, self.erp.url)
        auth = cast("OAuthAuth", hub.authority.auth(signed, asking=way))
        request = auth(Request("GET", self.erp.url).prepare())
        self.tokens.append(str(request.headers["Authorization"]).removeprefix("Bearer "))

    def play(self) -> None:
        """Signs in well and wrongly, and lets every kind of answer come back from the provider."""
        hub = self.installation.hub
        self.shown.append(repr(hub.sync(KEY)))
        self.note()
        self.idp.control("end", {})  # refused in the middle, and renewed
        self.tried()
        self.note()
        for kind in WRONGLY_ANSWERED:
            self.sign_in(self.client())
            self.idp.control("misbehave", {"kind": kind, "endpoint": "token", "times": 1_000})
            self.tried()
            self.idp.control("misbehave", method="DELETE")
        self.sign_in(replace(self.client(), secret=Secret(self.wrong)))
        self.tried()
        self.idp.control("outage", {"kind": "unavailable"})
        self.tried()
        self.idp.control("outage", {})
        self.type_it()
        self.vouched_for()

    def type_it(self) -> None:
        """What people type, the secret in a file, and what they look at afterwards."""
        file = self.folder / "client"
        file.write_text(self.idp.clients["encours-basic"]["secret"])
        place = ["--token-url", self.idp.endpoints["token"], "--scope", " ".join(SCOPES)]
        self.type(
            *("connectors", "credential", KEY, "--client-id", "encours-basic", *place),
            *("--secret-file", str(file)),
        )
        self.type("sync", KEY, "--sweep", "--json")
        self.note()
        for command in (
            ("connectors", "test", KEY, "--json"),
            ("connectors", "show", KEY, "--json"),
            ("connectors", "export"),
            ("tokens", "list", "--json"),
            ("tokens", "uses", KEY, "--json"),
            ("audit", "list", "--json"),
            ("audit", "export"),
        ):
            self.type(*command)
        hub = self.installation.hub
        page = connectors_page(hub.overview(), state=None, everything=True, now=hub.clock(), zone=UTC)
        self.shown += [
            repr(page),
            repr(hub.describe(KEY)),
            repr(hub.security.inventory()),
            repr(hub.security.uses()),
        ]

    def vouched_for(self) -> None:
        """Signs assertions, for a user who is known and for one who is not."""
        keys = {"keys": [self.key.as_dict(private=False)]}
        self.idp.control("issuers", {"issuer": PARTNER, "jwks": keys})
        for user in ("COMM_ACME", "NOBODY"):
            self.sign_in(
                replace(
                    self.client(),
                    grant=JWT_BEARER,
                    assertion_issuer=PARTNER,
                    assertion_subject=user,
                    assertion_key=Secret(self.pem),
                )
            )
            self.tried()
            if user == "COMM_ACME":
                self.note()


@pytest.fixture(scope="module")
def idp(idps: Idps) -> Provider:
    return idps("--profile", "sap-like")


@pytest.fixture(scope="module")
def erp(start: Start, idp: Provider) -> Erp:
    return start("--world", "example", "--idp", idp.control_url).tenants["example"]


@pytest.fixture(scope="module")
def installation(install: Install, erp: Erp) -> Installation:
    installed = install()
    installed.connect(erp, KEY, history_months=1)
    return installed


@pytest.fixture
def scene(
    installation: Installation, erp: Erp, idp: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> ClientScene:
    caplog.set_level(logging.DEBUG)
    made = ClientScene(installation, erp, wrong=f"canary-{secrets.token_hex(12)}", idp=idp, folder=tmp_path)
    made.sign_in(made.client())
    return made


@pytest.mark.parametrize("leak", LEAKS)
def test_a_token_that_leaks_on_purpose_is_found(
    leak: str, scene: ClientScene, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    channels, act = LEAKS[leak]
    scene.note()
    scene.wrong = scene.tokens[-1]
    act(scene)
    scene.printed += capfd.readouterr()
    assert scene.found(caplog.text) == channels


def test_secrets_and_tokens_are_nowhere(
    scene: ClientScene, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.play()
    text = "\n".join(scene.shown)
    for said in ("invalid_client", "Bad request", "equal", "invalid_grant", "tied_out", "encours-basic"):
        assert said in text, "there was something to search"
    scene.printed += capfd.readouterr()
    assert "encours-basic" in "".join(scene.printed)
    assert len(set(scene.tokens)) == 4
    assert scene.found(caplog.text) == set()
