"""Syncs whose requests are signed by access tokens that live for seconds: nothing is lost, nothing refused.

What is counted is counted at the other side: in the provider's own log and in the ERP's. How many seconds the
long proof takes says ENCOURS_TEST_OAUTH_SECONDS; `make prove` does 600.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from joserfc.jwk import ECKey

from identity.oauth import CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN, OAuthClient
from identity.secret import Secret
from identity.token_rows import Holder
from receivables.errors import Misconfigured, Transient
from tests.sandbox.idps import Idps
from tests.sync.test_sync_equal import balances, balances_of_the_journal

if TYPE_CHECKING:
    from encours.reading import Step
    from encours.sync import SyncResult
    from tests.sandbox.idp_client import Provider
    from tests.sync.conftest import Erp, Install, Installation, Start

pytestmark = pytest.mark.long

SECONDS = int(os.environ.get("ENCOURS_TEST_OAUTH_SECONDS", "90"))
LIFE = 5  # seconds of a token in the long proof
CLIENT = "encours-basic"
USER = "COMM_ACME"
SCOPES = tuple(
    f"{service}_0001"
    for service in (
        "API_OPLACCTGDOCITEMCUBE_SRV",
        "API_BUSINESS_PARTNER",
        "API_COMPANYCODE_SRV",
        "API_GLACCOUNTLINEITEM",
        "C_TRIALBALANCE_CDS",
        "API_BILLING_DOCUMENT_SRV",
    )
)


@dataclass
class Scene:
    """An ERP, the provider whose tokens it takes, and an installation that is connected to both."""

    installation: Installation
    erp: Erp
    idp: Provider
    key: str

    def client(self, **changes: Any) -> OAuthClient:
        usual = OAuthClient(
            CLIENT,
            Secret(self.idp.clients[CLIENT]["secret"]),
            CLIENT_CREDENTIALS,
            provider="sap",
            token_endpoint=self.idp.endpoints["token"],
            scopes=SCOPES,
        )
        return replace(usual, **changes)

    def connect(self, **changes: Any) -> None:
        self.installation.hub.add_connector(
            system="sap_s4hana",
            key=self.key,
            tenant=self.erp.name,
            settings={"base_url": self.erp.url, "company_codes": self.erp.company_codes, "history_months": 1},
            credential=self.client(**changes),
        )

    def issued(self) -> list[dict[str, Any]]:
        """The calls at which the provider says that it has issued a token."""
        return [call for call in self.idp.log() if call["outcome"] == "issued"]

    def signed(self) -> Counter[UUID]:
        """How many requests each of our tokens signed, as it is kept with the runs."""
        found: Counter[UUID] = Counter()
        for row in self.installation.of(self.key, "run_token"):
            found[row["token_id"]] += row["uses"]
        return found

    def answered(self, *, since: int = 0) -> Counter[int]:
        """How many requests the ERP answered with which status."""
        return Counter(request["status"] for request in self.erp.requests_since(since))

    def equal(self, result: SyncResult) -> None:
        """The sync has published what the journal says."""
        assert (result.state, result.verdict) == ("published", "equal")
        ours = balances(lambda table: self.installation.of(self.key, table))
        assert ours == balances_of_the_journal(self.erp)


@pytest.fixture
def scene(start: Start, install: Install, idps: Idps) -> Callable[..., Scene]:
    """Makes scenes whose tokens live so many seconds."""

    def made(life: int, *arguments: str) -> Scene:
        idp = idps("--profile", "sap-like", "--set", f"access_seconds={life}", *arguments)
        erp = start("--tenant", "acme", "--items", "200", "--idp", idp.control_url).tenants["acme"]
        return Scene(install(), erp, idp, "acme-s4")

    return made


class Pause:
    """Waits once, in the middle of a sync: longer than the token that signs is used."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: set[str] = set()

    def __call__(self, step: Step) -> None:
        self._seen.add(step.what)
        if len(self._seen) == 3 and self._seconds:
            time.sleep(self._seconds)
            self._seconds = 0


# -- one sync ----------------------------------------------------------------------------------------------


def test_a_sync_outlives_its_tokens(scene: Callable[..., Scene]) -> None:
    one = scene(4)
    one.connect()
    one.equal(one.installation.hub.sync(one.key, progress=Pause(3)))
    issued, signed = one.issued(), one.signed()
    assert len(issued) >= 2
    assert len(issued) == len(signed) == len(one.idp.log()), "asked for once each, none in vain"
    assert one.answered() == {200: sum(signed.values())}, "no token was refused"
    assert {request["user"] for request in one.erp.requests_since(0)} == {CLIENT}
    (told,) = one.installation.hub.runs(one.key)
    uses = one.installation.hub.security.uses(one.key, number=told[1].number)
    assert Counter({use.token_id: use.uses for use in uses}) == signed


def test_a_sync_is_signed_for_a_user_that_a_partner_vouches_for(scene: Callable[..., Scene]) -> None:
    """RFC 7523, 2.1."""
    one = scene(60)
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    published = {"keys": [key.as_dict(private=False)]}
    one.idp.control("issuers", {"issuer": "https://partner.example", "jwks": published})
    one.connect(
        grant=JWT_BEARER,
        assertion_issuer="https://partner.example",
        assertion_subject=USER,
        assertion_key=Secret(key.as_pem(private=True).decode()),
        assertion_key_id="one",
    )
    one.equal(one.installation.hub.sync(one.key))
    assert [call["grant"] for call in one.issued()] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert {request["user"] for request in one.erp.requests_since(0)} == {USER}


def test_what_a_token_has_read_and_which_token_fetched_an_invoice(scene: Callable[..., Scene]) -> None:
    one = scene(60)
    one.connect()
    hub = one.installation.hub
    hub.sync(one.key)
    (first,) = one.signed()
    hub.replace_credential(one.key, one.client())  # ends the first token
    invoice = next(row["document"] for row in one.erp.post(invoices=1) if row.get("document"))
    hub.sync(one.key)
    (second,) = set(one.signed()) - {first}
    assert [use.run for use in hub.security.uses(token_id=first)] == [1]
    assert [(use.run, use.token_id) for use in hub.security.uses(one.key, document=invoice)] == [(2, second)]
    (held,) = hub.security.inventory(one.erp.name)
    assert (held.token_id, held.connectors, held.last_run) == (second, [one.key], f"{one.key} run 2")
    assert held.condition == "good"
    assert set(held.scopes_granted or ()) == set(SCOPES)


# -- a provider that is away, at the worst moment ------------------------------------------------------------


@pytest.mark.parametrize("outage", ["refused", "unavailable"])
def test_an_outage_of_the_provider_is_for_a_while(scene: Callable[..., Scene], outage: str) -> None:
    one = scene(4)
    one.connect()
    with pytest.raises(Transient, match=one.key):
        one.installation.hub.sync(one.key, progress=Out(one.idp, outage))
    one.idp.control("outage", {})
    one.equal(one.installation.hub.sync(one.key))
    assert one.answered()[401] == 0


class Out(Pause):
    """Lets the provider go out in the middle of a sync, and waits until our token is over."""

    def __init__(self, idp: Provider, kind: str) -> None:
        super().__init__(3)
        self._idp, self._kind = idp, kind

    def __call__(self, step: Step) -> None:
        if self._seconds and len(self._seen) == 2:
            self._idp.control("outage", {"kind": self._kind})
        super().__call__(step)


# -- a consent that has ended ----------------------------------------------------------------------------------


def test_a_consent_that_has_ended_is_what_needs_a_look_first(scene: Callable[..., Scene]) -> None:
    one = scene(60, "--set", 'grants=["refresh_token"]')
    one.connect(grant=REFRESH_TOKEN)
    hub = one.installation.hub
    connector = hub.registry.connector(one.key)
    assert connector.credential_id is not None
    holder = Holder(connector.tenant_id, connector.credential_id)
    hub.authority.tokens.adopt(holder, Secret("a consent that was withdrawn"), by="test")
    for _ in range(2):
        with pytest.raises(Misconfigured, match=f"{one.key}: .*connect the service again"):
            hub.sync(one.key)
    assert [call["outcome"] for call in one.idp.log()] == ["invalid_grant"], "asked once and never again"
    (status,) = hub.overview()
    assert status.state == "needs_consent"
    assert status.sentence == "Our access at SAP S/4HANA (AS ABAP) has ended. Someone must connect again."
    code, out, _ = one.installation.command("status")
    assert (code, "needs consent" in out) == (0, True)


# -- the long proof ------------------------------------------------------------------------------------------


@dataclass
class Trouble:
    """What happens to a provider meanwhile: its keys change, and it is out for a while, in every way."""

    idp: Provider
    happened: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Troubles until the block is left; the provider is well afterwards."""
        thread = threading.Thread(target=self._troubles)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.idp.control("outage", {})

    def _troubles(self) -> None:
        kinds = itertools.cycle(["refused", "unavailable", "silent"])
        while not self._over.wait(LIFE):
            self.idp.control("keys", {"keep_old": False})
            self.happened.append("keys")
            if self._over.wait(LIFE):
                return
            kind = next(kinds)
            self.idp.control("outage", {"kind": kind, "seconds": LIFE + 1})
            self.happened.append(kind)


@pytest.mark.timeout(1800)
def test_syncs_in_a_row_lose_nothing_to_tokens_of_seconds(scene: Callable[..., Scene]) -> None:
    """A sync that ends as Transient is tried again, as Airflow would; nothing fails for good."""
    one = scene(LIFE, "--set", "access_token=jwt")
    one.connect()
    trouble, hub = Trouble(one.idp), one.installation.hub
    done, again, until = 0, 0, time.monotonic() + SECONDS
    with trouble.going_on():
        while time.monotonic() < until:
            one.erp.post(invoices=3, payments=1)
            try:
                one.equal(hub.sync(one.key, sweep=done % 5 == 4))
                done += 1
            except Transient:
                again += 1
                time.sleep(1)
    one.equal(hub.sync(one.key))
    print(f"{done + 1} syncs, {again} tried again, {len(one.issued())} tokens, {Counter(trouble.happened)}")  # noqa: T201
    assert {"keys", "refused", "unavailable", "silent"} <= set(trouble.happened)
    assert done >= SECONDS / 15
    assert {run.state for _, run in hub.runs(one.key, limit=1000)} == {"published"}
    assert one.answered()[401] <= again, "a token was refused at most where a sync was hindered"
    assert len(one.signed()) <= len(one.issued())
