"""The token endpoint of one provider, as a credential's token is renewed there: one request, its answer read.

Joins what is sent (identity.grants), how (identity.asking) and what the answer means (identity.answers) with
what is known of the provider. Refuses (Denied) a client whose provider is at no known address.
"""

from __future__ import annotations

from identity import grants
from identity.answers import Device, Granted, device, granted, polled, revoked
from identity.asking import Asking
from identity.assertions import Vouching
from identity.discovery import discovered
from identity.errors import Denied, TryLater
from identity.grants import Client, Grants
from identity.oauth import CLIENT_CREDENTIALS, OAuthClient
from identity.ports import Clock
from identity.providers import Endpoint, provider
from identity.secret import Secret


class TokenEndpoint:
    """Asks for tokens, once per call; `origin_url` is the origin of the service that the tokens are for."""

    def __init__(self, asking: Asking, clock: Clock, origin_url: str) -> None:
        self._asking = asking
        self._clock = clock
        self._origin_url = origin_url

    def __call__(self, client: OAuthClient, refresh: Secret | None) -> Granted:
        """What the provider grants for the refresh token, or without one; raises TryLater and Denied.

        Less scope than was asked for is granted all the same: whoever keeps the tokens judges that.
        """
        profile = provider(client.provider)
        address = self.address(client)
        reply = self._asking.post(*self._request(client, address, refresh))
        return granted(reply, None, lifetime=profile.default_lifetime)

    def address(self, client: OAuthClient) -> str:
        """Where the client asks for tokens: as the credential, the profile or the issuer's metadata has it.

        Raises Denied; TryLater with the code unreached, for nothing that counts was sent.
        """
        profile = provider(client.provider)
        known = client.token_endpoint or profile.endpoint("token", self._origin_url)
        if known is not None:
            return known
        if client.issuer is None:
            like = f", such as {profile.issuer_like}" if profile.issuer_like else ""
            raise Denied(
                "no_token_endpoint",
                f"Where {profile.title} gives tokens is not known. Give the credential a token endpoint, or "
                f"an issuer{like}.",
            )
        try:
            return discovered(self._asking, client.issuer, profile.origin_suffixes).token_endpoint
        except TryLater as error:
            raise TryLater("unreached", f"Where to ask for a token is not known: {error}") from error

    def revoke(self, client: OAuthClient, token: Secret, kind: str) -> bool:
        """Revokes a token of this kind (refresh_token, access_token); False where that is not offered.

        Raises Denied and TryLater.
        """
        endpoint = self._beside(client, "revoke")
        if endpoint is None:
            return False
        building = Grants(signing_in(client), endpoint, clock=self._clock, audience=client.issuer)
        revoked(self._asking.post(*building.revoke(endpoint, token, kind)))
        return True

    def begin_device(self, client: OAuthClient) -> Device:
        """Begins a person's consent on another device; raises Denied and TryLater.

        Asks for the client's scopes, and what the provider gives no refresh token without.
        """
        profile = provider(client.provider)
        endpoint = client.device_endpoint or self._beside(client, "device")
        if endpoint is None:
            raise Denied(
                "no_device_endpoint",
                f"{profile.title} offers no sign-in by code, or nobody has said where. Bring a refresh token "
                "that was obtained elsewhere, or give the credential a device endpoint or an issuer.",
            )
        scope = scopes(client) | frozenset(profile.refresh_needs)
        building = self._building(client, self.address(client))
        return device(self._asking.post(*building.begin_device(endpoint, scope)))

    def poll_device(self, client: OAuthClient, code: Secret, interval: int) -> Granted | int:
        """What the person has granted, or after how many seconds to ask again; raises Denied and TryLater."""
        profile = provider(client.provider)
        building = self._building(client, self.address(client))
        reply = self._asking.post(*building.poll_device(code))
        asked = profile.answered(scopes(client))
        return polled(reply, asked, interval, lifetime=profile.default_lifetime)

    def _beside(self, client: OAuthClient, kind: Endpoint) -> str | None:
        """Another endpoint: as the profile has it, beside the token endpoint, or as the metadata has it."""
        profile = provider(client.provider)
        path = profile.endpoints.get("token", "")
        if client.token_endpoint is not None and profile.endpoints_from == "system":
            base = client.token_endpoint.removesuffix(path)
            return None if base == client.token_endpoint else profile.endpoint(kind, base)
        if known := profile.endpoint(kind, self._origin_url):
            return known
        if client.issuer is None:
            return None
        found = discovered(self._asking, client.issuer, profile.origin_suffixes)
        return found.device_authorization_endpoint if kind == "device" else found.revocation_endpoint

    def _request(self, client: OAuthClient, address: str, refresh: Secret | None) -> grants.Ask:
        needs = provider(client.provider).client_credentials_need
        building = self._building(client, address)
        scope = scopes(client)
        if refresh is not None:
            return building.refresh(refresh)
        if client.grant == CLIENT_CREDENTIALS:
            more = {name: value for name in needs if (value := getattr(client, name, None))}
            return building.client_credentials(scope, more)
        if (
            client.assertion_key is None
            or client.assertion_issuer is None
            or client.assertion_subject is None
        ):
            raise Denied(
                "no_assertion", f"The grant {client.grant} needs an assertion's issuer, subject and key."
            )
        vouching = Vouching(client.assertion_key, client.assertion_key_id)
        return building.jwt_bearer(vouching, client.assertion_issuer, client.assertion_subject, scope)

    def _building(self, client: OAuthClient, address: str) -> Grants:
        needs = provider(client.provider).client_credentials_need
        audience = None if "audience" in needs else client.audience
        return Grants(signing_in(client), address, clock=self._clock, audience=audience or client.issuer)


def scopes(client: OAuthClient) -> frozenset[str]:
    """What the client asks for: its own scopes, else those of its provider's profile."""
    return frozenset(client.scopes or provider(client.provider).scopes)


def signing_in(client: OAuthClient) -> Client:
    """How the client signs in, with its secret or its private key; raises Denied if they do not fit."""
    if client.authentication == "private_key_jwt":
        return Client(client.subject, client.authentication, key=Vouching(client.secret, client.key_id))
    secret = client.secret if client.authentication.startswith("client_secret") else None
    return Client(client.subject, client.authentication, secret=secret)
