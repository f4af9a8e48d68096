"""Registered clients, and the ways in which they sign in at the token endpoint.

By secret in a header or in the form (RFC 6749, 2.3.1), by signed assertion (RFC 7523, 2.2; OpenID Connect
Core, 9), by certificate (RFC 8705, 2.1), or not at all. It refuses any other way than the client registered,
and two at once.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from urllib.parse import unquote_plus, urlsplit

import msgspec
from cryptography import x509

from sandbox.idp import assertions
from sandbox.idp.exchange import OAuthError, Request
from sandbox.idp.profile import Profile
from sandbox.idp.state import Client, State

LOOPBACK = ("127.0.0.1", "[::1]")


def register(state: State, profile: Profile, wish: Mapping[str, object]) -> Client:
    """Register a client, or replace it; without grants or scope it gets all that the profile has.

    Raises:
        ValueError: a field is unknown or its value does not fit the profile.
    """
    try:
        client = msgspec.convert(wish, Client)
    except msgspec.ValidationError as error:
        raise ValueError(f"this is no client: {error}") from error
    if client.token_endpoint_auth_method not in profile.authentication:
        raise ValueError(
            f"this provider knows no {client.token_endpoint_auth_method}: choose from "
            f"{', '.join(profile.authentication)}"
        )
    client.grant_types = client.grant_types or profile.grants
    client.scope = client.scope or " ".join(profile.scopes)
    state.clients[client.client_id] = client
    return client


def redirect_allowed(client: Client, uri: str) -> bool:
    """Say whether an address was registered; on a loopback address any port is (RFC 8252, 7.3)."""
    return any(_same(registered, uri) for registered in client.redirect_uris)


def _same(registered: str, uri: str) -> bool:
    if registered == uri:
        return True
    try:
        known, given = urlsplit(registered), urlsplit(uri)
        hosts = (known.netloc.rpartition(":")[0] or known.netloc, given.netloc.rpartition(":")[0])
    except ValueError:
        return False
    loopback = hosts[0] == hosts[1] and hosts[0] in LOOPBACK and known.scheme == given.scheme == "http"
    return loopback and known[2:] == given[2:]


class SignIn:
    """Finds out which client is calling, and whether it is."""

    def __init__(self, state: State, profile: Profile, audiences: tuple[str, ...]) -> None:
        self._state = state
        self._profile = profile
        self._audiences = audiences

    def client(self, request: Request, form: Mapping[str, str]) -> Client:
        """Give the client that signed in.

        Raises:
            OAuthError: invalid_client (401; RFC 6749, 5.2), or invalid_request when it signs in twice.
        """
        header = request.headers.get("authorization", "")
        ways = [header, form.get("client_secret"), form.get("client_assertion")]
        if sum(bool(way) for way in ways) > 1:
            raise OAuthError("invalid_request", "the client signs in in more than one way")
        try:
            if header:
                return self._basic(header, form)
            if "client_assertion" in form:
                return self._assertion(form)
            if "client_secret" in form:
                return self._secret(form.get("client_id", ""), form["client_secret"], "client_secret_post")
            return self._without_secret(request, form)
        except OAuthError as error:
            if header and error.status == 401:
                error.headers["WWW-Authenticate"] = 'Basic realm="sandbox"'
            raise

    def _known(self, name: str, method: str) -> Client:
        client = self._state.clients.get(name)
        if client is None:
            raise _not_signed_in("there is no such client")
        if client.token_endpoint_auth_method != method:
            raise _not_signed_in(f"this client signs in by {client.token_endpoint_auth_method}", client)
        return client

    def _basic(self, header: str, form: Mapping[str, str]) -> Client:
        """Both halves are encoded as in a form before they are joined (RFC 6749, 2.3.1)."""
        scheme, _, value = header.partition(" ")
        try:
            name, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _not_signed_in("the header is no basic authentication") from error
        if scheme.lower() != "basic" or not colon:
            raise _not_signed_in("the header is no basic authentication")
        name = unquote_plus(name)
        if form.get("client_id", name) != name:
            raise OAuthError("invalid_request", "header and form name two clients")
        return self._secret(name, unquote_plus(secret), "client_secret_basic")

    def _secret(self, name: str, secret: str, method: str) -> Client:
        client = self._known(name, method)
        if not client.client_secret or not secrets.compare_digest(
            secret.encode(), client.client_secret.encode()
        ):
            raise _not_signed_in("the secret is wrong", client)
        return client

    def _assertion(self, form: Mapping[str, str]) -> Client:
        text = form["client_assertion"]
        if form.get("client_assertion_type") != assertions.TYPE_OF_CLIENT:
            raise OAuthError("invalid_request", "client_assertion_type is wrong or missing")
        try:
            name = assertions.issuer(text)
            client = self._known(name, "private_key_jwt")
            if form.get("client_id", name) != name:
                raise _not_signed_in("assertion and form name two clients", client)
            claims = assertions.check(
                text, client.jwks or {}, self._state, issuer=name, audiences=self._audiences
            )
        except assertions.BadAssertion as error:
            raise _not_signed_in(str(error)) from error
        if claims["sub"] != name:
            raise _not_signed_in("issuer and subject of the assertion differ", client)
        return client

    def _without_secret(self, request: Request, form: Mapping[str, str]) -> Client:
        """By certificate, when the client registered its subject; else it must be a public client."""
        client = self._state.clients.get(form.get("client_id", ""))
        method = client.token_endpoint_auth_method if client else ""
        if client is None or method not in ("tls_client_auth", "none"):
            raise _not_signed_in("the client did not sign in", client)
        if method == "tls_client_auth" and not _proven(
            request.certificate, client.tls_client_auth_subject_dn
        ):
            raise _not_signed_in("the certificate is missing or another's", client)
        return client


def _proven(certificate: bytes | None, subject: str) -> bool:
    """Compare subjects as RFC 4514 prints them; the chain was checked by TLS."""
    if certificate is None or not subject:
        return False
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string() == subject


def _not_signed_in(why: str, client: Client | None = None) -> OAuthError:
    facts = {"client_id": client.client_id if client else "unknown"}
    return OAuthError("invalid_client", why, facts, status=401)
