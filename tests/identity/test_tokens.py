"""Tokens at a real provider process: asked for once, renewed once, kept through lost answers and refusals."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
import requests

from encours.postgres import SUPERUSER
from identity.errors import Denied, NeedsConsent, TryLater
from identity.kinds import Basic
from identity.secret import Secret
from identity.token_rows import Holder, Token
from identity.tokens import Wish
from tests.conftest import Database
from tests.identity.token_scene import ORIGIN, AsRole, Play, signed
from tests.sandbox.idp_client import digest


def test_it_is_asked_for_once_and_signs(play: Play) -> None:
    scene = play()
    holder = scene.connected()
    auth = scene.auth(holder)
    tokens = {signed(auth), signed(auth), signed(scene.auth(holder, "other"))}
    tokens.add(signed(scene.auth(holder, authority=scene.another())))
    (token,) = tokens
    assert scene.idp.active(token)["active"]
    assert scene.outcomes() == ["issued"]
    assert [entry.event for entry in scene.told()] == ["connected", "asked", "issued"]
    assert auth.tokens == {scene.row(holder)["token_id"]: auth.uses}
    assert auth.uses == 2
    assert scene.authority.audit.verify(1).intact


def test_the_audit_tells_who_asked_for_what(play: Play) -> None:
    scene = play()
    holder = scene.connected(scopes=("openid",))
    signed(scene.auth(holder))
    asked, issued = scene.told()[1:]
    about = {"grant": "client_credentials", "service": "generic", "subject": "encours-basic"}
    assert asked.facts == about | {"attempt": 1, "refresh": None}
    assert issued.facts == about | {"token": str(scene.row(holder)["token_id"]), "scope": "openid"}
    assert (asked.by, issued.credential_id) == ("connector acme-s4", holder.credential_id)


@pytest.mark.parametrize(("lives", "good"), [(3600, 3540), (100, 50), (3, 1.5)])
def test_it_is_renewed_before_it_ends(play: Play, lives: int, good: float) -> None:
    scene = play("--set", f"access_seconds={lives}")
    holder = scene.connected()
    auth = scene.auth(holder)
    first = scene.current(holder)
    assert first.expires_at - first.good_until == timedelta(seconds=lives - good)
    assert signed(auth) == first.access.reveal()
    scene.ahead = first.good_until - scene.now()
    second = signed(auth)
    assert second != first.access.reveal()
    assert scene.outcomes() == ["issued", "issued"]
    assert [str(token) for token in auth.tokens] == [e.facts["token"] for e in scene.told("issued")]


@pytest.mark.parametrize("profile", ["strict", "graceful", "static"])
def test_a_grant_is_renewed_again_and_again(play: Play, profile: str) -> None:
    scene = play("--profile", profile)
    holder = scene.consented()
    seen = []
    for _ in range(4):
        token = scene.current(holder)
        assert scene.alive(token)
        seen.append(token.token_id)
        scene.ahead += timedelta(hours=1)
    assert len(set(seen)) == 4
    assert scene.outcomes() == ["issued"] * 4
    assert len({entry["refresh"] for entry in scene.calls()}) == (1 if profile == "static" else 4)
    asked = [entry.facts["refresh"] for entry in scene.told("asked")]
    assert asked == [entry["refresh"] for entry in scene.calls()]
    assert scene.events() == {"connected": 1, "issued": 1, "asked": 4, "refreshed": 4}


def test_a_refused_token_is_renewed_once_whoever_is_refused(play: Play) -> None:
    scene = play()
    holder = scene.consented()
    auths = [scene.auth(holder), scene.auth(holder, "other")]
    requested = [requests.Request("GET", f"{ORIGIN}/", auth=auth).prepare() for auth in auths]
    old = signed(auths[0])
    scene.idp.post("revoke", {"token": old})
    for auth, request in zip(auths, requested, strict=True):
        assert auth.renew(request)
        assert auth.renew(request), "it signed before the renewal"
    (new,) = {signed(auth) for auth in auths}
    assert new != old
    assert scene.idp.active(new)["active"]
    assert scene.outcomes() == ["issued", "issued"]
    assert len(auths[0].tokens) == 2


def test_a_grant_that_is_gone_is_not_asked_for_again(play: Play) -> None:
    scene = play()
    holder = scene.consented()
    scene.idp.control("end", {})
    with pytest.raises(NeedsConsent, match="must connect the service again") as raised:
        scene.current(holder)
    assert raised.value.code == "invalid_grant"
    for _ in range(3):
        with pytest.raises(NeedsConsent):
            scene.current(holder)
    assert scene.outcomes() == ["invalid_grant"]
    assert scene.row(holder)["state"] == "needs_consent"
    assert [entry.facts["code"] for entry in scene.told("refused")] == ["invalid_grant"]
    scene.consent(holder)
    assert scene.alive(scene.current(holder))
    assert scene.row(holder)["state"] == "ok"


def test_without_consent_nothing_is_asked(play: Play) -> None:
    scene = play()
    with pytest.raises(NeedsConsent, match="Connect the service first"):
        scene.current(scene.connected(grant="refresh_token"))
    assert scene.calls() == []


@pytest.mark.parametrize("lost", ["lose_answer", "cut_answer", "truncated", "not_json", "token_type_wrong"])
def test_a_lost_answer_is_asked_for_again_within_the_grace(play: Play, lost: str) -> None:
    scene = play("--profile", "graceful")
    holder = scene.consented(grace_seconds=30)
    scene.misbehave(lost, grant="refresh_token")
    token = scene.current(holder)
    assert scene.alive(token)
    assert scene.outcomes() == ["issued", "issued"]
    assert len({entry["refresh"] for entry in scene.calls()}) == 1
    (pause,) = scene.slept
    assert 12 < pause <= 15
    assert [entry.facts["attempt"] for entry in scene.told("asked")] == [1, 2]
    assert scene.events()["unanswered"] == 1
    row = scene.row(holder)
    assert (row["state"], row["attempts"], row["asked_with"]) == ("ok", 0, None)
    scene.ahead += timedelta(hours=1)
    assert scene.alive(scene.current(holder)), "the family is alive"


def test_a_lost_answer_without_grace_needs_consent_and_is_asked_for_once_more_only(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    scene.misbehave("lose_answer", grant="refresh_token")
    with pytest.raises(NeedsConsent, match="An answer to an earlier request was lost"):
        scene.current(holder)
    for _ in range(2):
        with pytest.raises(NeedsConsent):
            scene.current(holder)
    assert scene.outcomes() == ["issued", "invalid_grant"]


def test_a_lost_request_loses_nothing(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    scene.misbehave("lose_request", grant="refresh_token")
    assert scene.alive(scene.current(holder))
    assert scene.outcomes() == ["lose_request", "issued"]


def test_a_provider_that_is_down_costs_nothing(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    before = scene.row(holder)
    scene.idp.control("outage", {"kind": "refused"})
    for _ in range(2):
        with pytest.raises(TryLater) as raised:
            scene.current(holder)
        assert raised.value.code == "unreached"
    after = scene.row(holder)
    assert {**after, "version": 0} == {**before, "version": 0}
    assert scene.slept == []
    scene.idp.control("outage", {})
    assert scene.alive(scene.current(holder))
    assert scene.outcomes() == ["issued"]


def test_a_provider_that_fails_for_long_is_asked_by_each_caller_and_works_again(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    scene.idp.control("outage", {"kind": "unavailable"})
    for _ in range(2):
        with pytest.raises(TryLater) as raised:
            scene.current(holder)
        assert raised.value.code == "provider_error"
    assert scene.row(holder)["state"] == "uncertain"
    assert scene.row(holder)["attempts"] == 3, "twice by the first caller, once by the next"
    scene.idp.control("outage", {})
    assert scene.alive(scene.current(holder))
    assert scene.outcomes() == ["outage unavailable"] * 3 + ["issued"]


def test_a_clear_refusal_leaves_the_tokens(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    first = scene.current(holder)
    scene.idp.control(
        "clients",
        {
            "client_id": "encours-basic",
            "token_endpoint_auth_method": "client_secret_basic",
            "client_secret": "x",
        },
    )
    scene.ahead += timedelta(hours=1)
    for _ in range(2):
        with pytest.raises(Denied, match="invalid_client"):
            scene.current(holder)
    row = scene.row(holder)
    assert (row["state"], row["token_id"], row["refreshes"]) == ("ok", first.token_id, True)
    right = {"client_secret": scene.idp.clients["encours-basic"]["secret"]}
    scene.idp.control(
        "clients",
        {"client_id": "encours-basic", "token_endpoint_auth_method": "client_secret_basic", **right},
    )
    assert scene.alive(scene.current(holder))
    assert scene.outcomes() == ["issued", "invalid_client", "invalid_client", "issued"]


def test_too_little_scope_is_refused_and_its_refresh_token_kept(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented(scopes=("openid", "offline_access"))
    scene.misbehave("downscoped", grant="refresh_token", times=2)
    for _ in range(2):
        with pytest.raises(Denied, match="offline_access") as raised:
            scene.current(holder)
        assert raised.value.code == "downscoped"
    assert scene.alive(scene.current(holder))
    assert scene.outcomes() == ["issued"] * 3
    assert len({entry["refresh"] for entry in scene.calls()}) == 3


def test_a_replaced_secret_does_not_use_the_old_token(play: Play) -> None:
    scene = play()
    holder = scene.connected()
    old = signed(scene.auth(holder))
    scene.authority.credentials.replace(1, holder.credential_id, scene.client(), by="test")
    assert scene.row(holder) == {}
    assert signed(scene.auth(holder)) != old
    assert scene.outcomes() == ["issued", "issued"]


def test_a_removed_credential_takes_its_token_along(play: Play) -> None:
    scene = play()
    holder = scene.consented()
    scene.current(holder)
    scene.authority.credentials.remove(1, holder.credential_id, by="test")
    assert scene.row(holder) == {}
    with pytest.raises(Denied, match="has no credential"):
        scene.current(holder)


def test_a_credential_without_tokens_has_none(play: Play) -> None:
    scene = play()
    made = scene.authority.credentials.create(1, Basic("U", Secret("p")), label="a", by="test")
    with pytest.raises(Denied, match="is no OAuth client"):
        scene.current(Holder(1, made))
    with pytest.raises(Denied, match="is no OAuth client"):
        scene.authority.tokens.adopt(Holder(1, made), Secret("x"), by="test")


def test_another_tenant_gets_nothing(play: Play) -> None:
    scene = play()
    holder = scene.connected()
    scene.current(holder)
    with pytest.raises(Denied, match="Tenant 2 has no credential"):
        scene.current(Holder(2, holder.credential_id))


def test_an_answer_that_comes_after_a_new_consent_does_not_replace_it(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented("bruno")
    scene.misbehave("hold_answer", grant="refresh_token")
    found: list[Token] = []
    slow = threading.Thread(target=lambda: found.append(scene.current(holder)))
    slow.start()
    while "token answer" not in scene.idp.control("held")["held"]:
        time.sleep(0.01)
    adopted = digest(scene.consent(holder))
    scene.idp.control("held", method="DELETE")
    slow.join()
    assert [entry["refresh"] for entry in scene.calls()][1:] == [adopted]
    assert scene.idp.active(found[0].access.reveal())["sub"] == "anna"
    assert scene.current(holder).token_id == found[0].token_id


@pytest.mark.parametrize("point", ["token_answered", "token_storing"])
def test_an_answer_is_stored_once_the_database_is_back(play: Play, database: Database, point: str) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    first = scene.current(holder)
    calls = len(scene.calls())

    with psycopg.connect(database.postgres.url(SUPERUSER, database.name), autocommit=True) as superuser:

        def away(passed: str) -> None:
            if passed == point and not scene.slept:
                superuser.execute("alter role encours_identity nologin")
                superuser.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'encours_identity'"
                )

        def back(seconds: float) -> None:
            scene.slept.append(seconds)
            if len(scene.slept) == 3:
                superuser.execute("alter role encours_identity login")

        authority = scene.another(sleep=back, passing=away)
        try:
            token = authority.tokens.current(scene.wish(holder, first.token_id))
        finally:
            superuser.execute("alter role encours_identity login")

    assert scene.slept == [0.5, 1, 2]
    assert scene.alive(token)
    assert len(scene.calls()) == calls + 1
    assert scene.row(holder)["state"] == "ok"
    assert scene.current(holder).access.reveal() == token.access.reveal()
    assert scene.events()["refreshed"] == 2
    assert scene.alive(scene.current(holder, token.token_id)), "and the grant goes on"


def test_a_zombie_is_fenced_off(play: Play, database: Database) -> None:
    """Its lock's connection is gone while it waits for the provider; another process renews meanwhile."""
    scene = play("--profile", "graceful")
    holder = scene.consented(grace_seconds=30)
    scene.misbehave("hold_answer", grant="refresh_token")
    found: list[Token] = []
    zombie = threading.Thread(target=lambda: found.append(scene.current(holder)))
    zombie.start()
    while "token answer" not in scene.idp.control("held")["held"]:
        time.sleep(0.01)
    with psycopg.connect(database.postgres.url(SUPERUSER, database.name), autocommit=True) as owner:
        ended = owner.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 2 "
            "and classid = 'identity.token'::regclass::oid"
        ).fetchall()
    assert ended == [(True,)]
    other = scene.another()
    token = other.tokens.current(Wish(holder, other.asker(scene.asking, ORIGIN), "other"))
    scene.idp.control("held", method="DELETE")
    zombie.join()
    assert [found[0].token_id, scene.current(holder).token_id] == [token.token_id] * 2
    assert scene.outcomes() == ["issued", "issued"]
    scene.ahead += timedelta(hours=1)
    assert scene.alive(scene.current(holder))
    assert scene.authority.audit.verify(1).intact


def test_of_threads_one_asks(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    scene.idp.control("latency", {"before": 0.1})
    found: list[UUID] = []
    threads = [
        threading.Thread(target=lambda: found.append(scene.current(holder).token_id)) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    assert scene.outcomes() == ["issued"]


@pytest.mark.long
def test_whoever_waits_too_long_is_told_to_try_later(play: Play, database: Database) -> None:
    scene = play()
    holder = scene.connected()
    with psycopg.connect(database.url("encours_identity"), autocommit=True) as other:
        other.execute(
            "select pg_advisory_lock('identity.token'::regclass::oid::integer, hashtext(%s::text))",
            [holder.credential_id],
        )
        with pytest.raises(TryLater, match="Another process") as raised:
            scene.current(holder)
    assert raised.value.code == "busy"
    assert scene.calls() == []
    assert scene.alive(scene.current(holder)), "the lock has gone with its connection"


def test_the_uses_of_a_run_are_told_with_the_tokens(play: Play, as_role: AsRole) -> None:
    scene = play()
    holder = scene.connected()
    auth = scene.auth(holder)
    signed(auth)
    with as_role("encours_app", 1) as connection:
        scene.authority.audit.record_used(
            connection,
            tenant_id=1,
            credential_id=holder.credential_id,
            connector="acme-s4",
            run=7,
            uses=auth.uses,
            tokens=auth.tokens,
        )
    (used,) = scene.told("used")
    assert used.facts["token"] == str(scene.row(holder)["token_id"])
    assert used.facts["uses"] == 1


def test_keys_rotate_under_tokens(play: Play) -> None:
    scene = play("--profile", "strict")
    holder = scene.consented()
    first = scene.current(holder)
    key = scene.authority.keys.begin()
    assert sum(scene.authority.keys.seal_again([1], by="admin")) == 4, "client, access, refresh, chain"
    assert set(scene.authority.keys.versions([1])) == {key}
    assert scene.current(holder).access == first.access
    scene.ahead += timedelta(hours=1)
    assert scene.alive(scene.current(holder))
