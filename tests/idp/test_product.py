"""The requests and the strict reading of the token authority, against a certified provider."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from encours.transport import transport
from identity.answers import granted, introspected, revoked
from identity.asking import Asking
from identity.discovery import discovered
from identity.errors import Denied
from identity.grants import Client, Grants
from identity.jwks import Jwks
from identity.secret import Secret
from tests.idp.test_oidc_provider import REDIRECT, VERIFIER, consent

if TYPE_CHECKING:
    from tests.idp.conftest import Certified

pytestmark = pytest.mark.idp

READ = frozenset({"receivables.read"})
SCOPE = frozenset({"openid", "offline_access"})


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def asking() -> Asking:
    return Asking(transport([ip_network("127.0.0.0/8")]))


@pytest.fixture
def grants(certified: Certified, asking: Asking) -> Grants:
    client = Client(certified.client_id, "client_secret_basic", Secret(certified.client_secret))
    found = discovered(asking, certified.issuer)
    return Grants(client, found.token_endpoint, audience=found.issuer, clock=now)


def test_it_is_discovered(certified: Certified, asking: Asking) -> None:
    found = discovered(asking, certified.issuer)
    assert found.names_itself
    assert "client_secret_basic" in found.authentication
    assert found.jwks_uri is not None
    keys = Jwks(asking, found.jwks_uri, now).usable()
    assert {(key.kid, key.alg) for key in keys} == {("rsa", "RS256"), ("ec", "ES256")}


def test_a_client_gets_a_token_of_its_own(certified: Certified, asking: Asking, grants: Grants) -> None:
    found = granted(asking.post(*grants.client_credentials(READ)), READ)
    assert (found.expires_in, found.refresh, found.scope) == (60, None, READ)
    wanted = READ | {"everything"}
    with pytest.raises(Denied, match="missing: everything") as refused:
        granted(asking.post(*grants.client_credentials(wanted)), wanted)
    assert refused.value.code == "downscoped"
    assert certified.calls(2) == [("issued", "client_credentials")] * 2


def test_a_refresh_rotates_and_a_reuse_is_refused(
    certified: Certified, asking: Asking, grants: Grants
) -> None:
    code = consent(certified)["code"]
    first = granted(asking.post(*grants.redeem(Secret(code), REDIRECT, Secret(VERIFIER))), SCOPE)
    assert first.refresh is not None
    second = granted(asking.post(*grants.refresh(first.refresh)), SCOPE)
    assert second.refresh is not None
    assert second.refresh != first.refresh
    with pytest.raises(Denied) as refused:
        granted(asking.post(*grants.refresh(first.refresh)), SCOPE)
    assert refused.value.code == "invalid_grant"
    outcomes = [("issued", "authorization_code"), ("issued", "refresh_token"), ("refused", "refresh_token")]
    assert certified.calls(3) == outcomes


def test_a_token_is_looked_up_and_revoked(certified: Certified, asking: Asking, grants: Grants) -> None:
    place = discovered(asking, certified.issuer)
    assert place.introspection_endpoint is not None
    assert place.revocation_endpoint is not None
    found = granted(asking.post(*grants.client_credentials(READ)), READ)
    ask = grants.introspect(place.introspection_endpoint, found.access, "access_token")
    said = introspected(asking.post(*ask))
    assert (said.active, said.scope, said.client_id) == (True, READ, certified.client_id)
    revoked(asking.post(*grants.revoke(place.revocation_endpoint, found.access, "access_token")))
    assert not introspected(asking.post(*ask)).active


def test_a_pair_is_encoded_before_it_is_joined(certified: Certified, asking: Asking) -> None:
    for secret, code in (("a:b+c%25 d/~", None), ("a:b+c% d/~", "invalid_client")):
        client = Client("encours:odd", "client_secret_basic", Secret(secret))
        ask = Grants(client, f"{certified.issuer}/token", clock=now).client_credentials(READ)
        if code is None:
            assert granted(asking.post(*ask), READ).scope == READ
        else:
            with pytest.raises(Denied) as refused:
                granted(asking.post(*ask), READ)
            assert refused.value.code == code
