"""A person's consent at a real provider process: allowed, refused, run out, too fast, and obtained elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from identity.answers import Device
from identity.consents import Consents
from identity.errors import Denied
from identity.kinds import Basic
from identity.secret import Secret
from identity.token_rows import Holder
from tests.conftest import Database
from tests.identity.token_scene import Scene
from tests.sandbox.idp_client import DEVICE_CODE, digest
from tests.sandbox.idps import Idps

SCOPES = ("openid", "API_BUSINESS_PARTNER_0001")


@dataclass
class Waiting:
    """A wait for a person: our pauses take no time, but both clocks run on, and in each something may happen."""

    scene: Scene
    happens: list[Callable[[Device], object]] = field(default_factory=list)
    told: list[Device] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    standing: bool = False  # the provider's clock

    def __post_init__(self) -> None:
        authority = self.scene.authority
        self.consents = Consents(authority.credentials, authority.tokens, self.scene.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.scene.ahead += timedelta(seconds=seconds)
        if not self.standing:
            self.scene.idp.control("clock", {"forward": seconds})
        if self.happens:
            self.happens.pop(0)(self.told[0])

    def wait(self, holder: Holder) -> None:
        endpoint = self.scene.authority.asker(self.scene.asking, "https://erp.example")
        self.consents.by_device(holder, endpoint, self.told.append, by="carla")

    def ends(self, holder: Holder) -> str:
        """The code with which the wait ends in vain; nothing is stored then."""
        before = self.scene.row(holder)
        with pytest.raises(Denied) as denied:
            self.wait(holder)
        assert self.scene.row(holder) == before
        assert "issued" not in self.scene.events()
        return denied.value.code

    def polls(self) -> list[str]:
        """What the provider has answered to each poll, in its own log."""
        return [entry["outcome"] for entry in self.scene.idp.log() if entry.get("grant") == DEVICE_CODE]

    def runs_on(self, _: Device) -> None:
        """The provider's clock stood still, and now goes with ours."""
        self.standing = False
        self.scene.idp.control("clock", {"forward": self.pauses[-1]})

    def decide(self, decision: str, user: str = "anna") -> Callable[[Device], None]:
        idp = self.scene.idp

        def decided(begun: Device) -> None:
            form = {"user_code": begun.user_code, "username": user, "password": idp.users[user]}
            answer = idp.session.post(begun.address, data={**form, "decision": decision}, timeout=30)
            assert answer.status_code == 200

        return decided


def nothing(_: Device) -> None:
    """The person is still looking for the browser."""


@pytest.fixture
def play(idps: Idps, database: Database, key_file: Path) -> Iterator[Callable[..., Waiting]]:
    """Waits at providers that are started with these arguments; each provider is well again afterwards."""
    waits: list[Waiting] = []

    def made(*arguments: str) -> Waiting:
        waits.append(Waiting(Scene(database, key_file, idps.like(*arguments))))
        return waits[-1]

    yield made
    for wait in waits:
        wait.scene.idp.well()


def asking_for_consent(scene: Scene, name: str = "encours-basic", **changes: object) -> Holder:
    usual = {"grant": "refresh_token", "scopes": SCOPES, "token_endpoint": None, "issuer": scene.idp.issuer}
    return scene.connected(scene.client(name, **(usual | changes)))


@pytest.mark.parametrize("name", ["encours-basic", "encours-post", "encours-public"])
def test_what_a_person_allows_signs_and_renews(play: Callable[..., Waiting], name: str) -> None:
    wait = play()
    scene, holder = wait.scene, asking_for_consent(wait.scene, name)
    wait.happens += [nothing, wait.decide("allow", "bruno")]
    wait.wait(holder)
    assert wait.pauses == [5, 5]
    assert wait.polls() == ["authorization_pending", "issued"]
    assert len(scene.idp.log("metadata")) == 2, "each endpoint was looked up once, not at each poll"
    (issued,) = scene.told("issued")
    assert issued.by == "carla"
    assert issued.facts["scope"] == " ".join(sorted(SCOPES))
    token = scene.current(holder)
    assert (scene.row(holder)["state"], scene.idp.log()[-1]["grant"]) == ("ok", DEVICE_CODE), (
        "not asked again"
    )
    assert str(token.token_id) == issued.facts["token"]
    wait.standing = True
    assert scene.current(holder, token.token_id).token_id != token.token_id
    assert scene.outcomes()[-1] == "issued"


def test_a_client_that_polls_too_fast_slows_down(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.standing = True
    wait.happens += [nothing, nothing, wait.runs_on, wait.decide("allow")]
    wait.wait(asking_for_consent(wait.scene))
    assert wait.pauses == [5, 5, 10, 10]
    assert wait.polls() == ["authorization_pending", "slow_down", "authorization_pending", "issued"]


def test_a_person_refuses(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.happens.append(wait.decide("deny"))
    assert wait.ends(asking_for_consent(wait.scene)) == "access_denied"
    assert wait.polls() == ["access_denied"]


def test_a_code_runs_out(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.happens.append(lambda _: wait.scene.idp.control("clock", {"forward": 600}))
    assert wait.ends(asking_for_consent(wait.scene)) == "expired_token"
    assert wait.polls() == ["expired_token"]


def test_a_provider_that_is_away_is_asked_more_rarely_and_not_for_ever(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.happens.append(lambda _: wait.scene.idp.control("outage", {"kind": "unavailable"}))
    holder = asking_for_consent(wait.scene, issuer=None, **at(wait.scene))
    assert wait.ends(holder) == "expired_token"
    assert wait.pauses == [5, 10, 20, 40, 80, 160, 300]
    assert len(wait.scene.idp.log()) == len(wait.pauses)


def test_an_answer_that_is_lost_is_asked_for_again(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.scene.misbehave("lose_answer", grant=DEVICE_CODE)
    wait.happens += [nothing, wait.decide("allow")]
    wait.wait(asking_for_consent(wait.scene))
    assert wait.pauses == [5, 10]
    assert wait.polls() == ["authorization_pending", "issued"]


def test_a_consent_whose_answer_is_lost_is_to_be_given_again(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.scene.misbehave("lose_answer", grant=DEVICE_CODE)
    wait.happens.append(wait.decide("allow"))
    holder = asking_for_consent(wait.scene)
    with pytest.raises(Denied, match="its answer was lost") as denied:
        wait.wait(holder)
    assert (denied.value.code, wait.scene.row(holder)) == ("invalid_grant", {})
    assert wait.polls() == ["issued", "invalid_grant"]


def test_it_asks_for_what_a_refresh_token_needs(play: Callable[..., Waiting]) -> None:
    wait = play("--set", "refresh_needs=offline_access")
    wait.happens.append(wait.decide("allow"))
    holder = asking_for_consent(wait.scene, provider="okta")
    wait.wait(holder)
    assert wait.scene.row(holder)["scope"] == " ".join(sorted((*SCOPES, "offline_access")))


def test_a_consent_without_a_refresh_token_is_refused(play: Callable[..., Waiting]) -> None:
    wait = play("--set", "refresh_needs=offline_access")
    wait.happens.append(wait.decide("allow"))
    assert wait.ends(asking_for_consent(wait.scene)) == "no_refresh_token"


def test_less_than_was_asked_for_is_refused(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.scene.misbehave("downscoped", grant=DEVICE_CODE)
    wait.happens.append(wait.decide("allow"))
    assert wait.ends(asking_for_consent(wait.scene)) == "downscoped"


def test_a_credential_that_was_replaced_meanwhile_gets_no_token_of_the_old_one(
    play: Callable[..., Waiting],
) -> None:
    wait = play()
    holder, other = asking_for_consent(wait.scene), wait.scene.client("encours-post", grant="refresh_token")

    def replaced(begun: Device) -> None:
        wait.decide("allow")(begun)
        wait.scene.authority.credentials.replace(1, holder.credential_id, other, by="test")

    wait.happens.append(replaced)
    assert wait.ends(holder) == "changed"


def at(scene: Scene) -> dict[str, str]:
    """Where the provider is, as one types it who has no metadata."""
    return {"token_endpoint": scene.idp.endpoints["token"], "device_endpoint": scene.idp.endpoints["device"]}


def test_a_device_endpoint_is_the_credentials_own(play: Callable[..., Waiting]) -> None:
    wait = play()
    wait.happens.append(wait.decide("allow"))
    wait.wait(asking_for_consent(wait.scene, issuer=None, **at(wait.scene)))
    assert wait.scene.idp.log("metadata") == []


@pytest.mark.parametrize("provider", ["generic", "sap", "salesforce"])
def test_a_provider_without_codes_is_refused_before_anything_is_sent(
    play: Callable[..., Waiting], provider: str
) -> None:
    wait = play()
    token_url = wait.scene.idp.endpoints["token"]
    holder = asking_for_consent(wait.scene, provider=provider, token_endpoint=token_url, issuer=None)
    assert wait.ends(holder) == "no_device_endpoint"
    assert (wait.told, wait.scene.idp.log("device")) == ([], [])


def test_a_credential_of_another_grant_needs_no_consent(play: Callable[..., Waiting]) -> None:
    wait = play()
    user = wait.scene.authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    for holder in (wait.scene.connected(), Holder(1, user)):
        assert wait.ends(holder) == "other_grant"
        with pytest.raises(Denied, match="needs no consent"):
            wait.consents.adopt(holder, Secret("r"), by="carla")
    assert wait.scene.idp.log("device") == []


def test_a_refresh_token_that_was_obtained_elsewhere_is_tried_at_the_first_use(
    play: Callable[..., Waiting],
) -> None:
    wait = play()
    holder, refresh = (
        asking_for_consent(wait.scene),
        wait.scene.idp.consent(scope=" ".join(SCOPES))["refresh_token"],
    )
    wait.consents.adopt(holder, Secret(refresh), by="carla")
    assert wait.scene.calls() == []
    assert wait.scene.alive(wait.scene.current(holder))
    assert [call["refresh"] for call in wait.scene.calls()] == [digest(refresh)]
    assert [entry.by for entry in wait.scene.told("issued")] == ["carla"]


@pytest.mark.parametrize("text", ["", "two words", "a line end\n", "\u00e9", "x" * 16_385])
def test_what_is_no_refresh_token_is_not_kept(play: Callable[..., Waiting], text: str) -> None:
    wait = play()
    holder = asking_for_consent(wait.scene)
    with pytest.raises(Denied) as denied:
        wait.consents.adopt(holder, Secret(text), by="carla")
    assert denied.value.code == "invalid_refresh_token"
    assert not text or text not in str(denied.value)
    assert wait.scene.row(holder) == {}
