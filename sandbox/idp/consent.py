"""The pages on which a user signs in and agrees: for an authorization request, and for a device code.

Plain forms that a test can post: `ticket` (or `user_code`), `username`, `password`, `decision` (allow, deny).
Errors before client and redirect_uri are known to be right stay on the page, all others travel back with
`state` and `iss` (RFC 6749, 4.1.2.1; RFC 9207, 2). It refuses requests without an S256 challenge
(RFC 7636, 4.4.1).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import urlencode

from sandbox.idp.clients import redirect_allowed
from sandbox.idp.exchange import Answer, OAuthError, Request, needed
from sandbox.idp.grants import granted
from sandbox.idp.profile import Profile
from sandbox.idp.state import Code, Device, State, digest

HTML = "text/html;charset=UTF-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")  # the length of S256 in base64url


class Consent:
    """The authorization endpoint and the verification page of one provider."""

    def __init__(
        self,
        state: State,
        issuer: str,
        profile: Callable[[], Profile],
        passwords: Mapping[str, str],
    ) -> None:
        self._state = state
        self._issuer = issuer
        self._profile = profile
        self._passwords = passwords
        self._tickets: dict[str, Mapping[str, str]] = {}

    def authorize(self, request: Request) -> Answer:
        """Show the page for an authorization request, or take the user's answer to it."""
        try:
            if request.method == "GET":
                return self._asked(request.parameters())
            return self._decided(request.form())
        except OAuthError as error:
            return _page(400, f"<p>{escape(str(error))}</p>", outcome=error.error)

    def _asked(self, asked: Mapping[str, str]) -> Answer:
        client = self._state.clients.get(needed(asked, "client_id"))
        if client is None:
            raise OAuthError("invalid_request", "There is no such client.")
        uri = needed(asked, "redirect_uri")
        if not redirect_allowed(client, uri):
            raise OAuthError("invalid_request", "This redirect_uri is not registered.")
        try:
            self._check(asked)
            scope = granted(self._profile(), client, asked.get("scope", ""))
        except OAuthError as error:
            return self._back(asked, {"error": error.error, "error_description": str(error)})
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = {**asked, "scope": scope}
        return self._form(f"{client.client_id} asks for: {scope}", "ticket", ticket, asked["client_id"])

    def _check(self, asked: Mapping[str, str]) -> None:
        if needed(asked, "response_type") != "code":
            raise OAuthError("unsupported_response_type", "only code is answered")
        if "authorization_code" not in self._profile().grants:
            raise OAuthError("unauthorized_client", "this provider has no such grant")
        if asked.get("code_challenge_method") != "S256":
            raise OAuthError("invalid_request", "code_challenge_method must be S256")
        if not CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise OAuthError("invalid_request", "code_challenge is missing or no S256")
        if asked.get("prompt") == "none":
            raise OAuthError("login_required", "nobody is signed in")

    def _decided(self, form: Mapping[str, str]) -> Answer:
        ticket = needed(form, "ticket")
        asked = self._tickets.get(ticket)
        if asked is None:
            raise OAuthError("invalid_request", "This form was sent before; begin again.")
        if form.get("decision") != "allow":
            del self._tickets[ticket]
            return self._back(asked, {"error": "access_denied"})
        if not self._signed_in(form):
            return self._form("User or password is wrong.", "ticket", ticket, asked["client_id"], status=401)
        del self._tickets[ticket]
        code = secrets.token_urlsafe(32)
        self._state.codes[digest(code)] = Code(
            client_id=asked["client_id"],
            redirect_uri=asked["redirect_uri"],
            challenge=asked["code_challenge"],
            subject=form["username"],
            scope=asked["scope"],
            nonce=asked.get("nonce", ""),
            issued=self._state.now(),
        )
        return self._back(asked, {"code": code})

    def _back(self, asked: Mapping[str, str], answer: Mapping[str, str]) -> Answer:
        """Send the browser back with an answer, its state, and who answers."""
        parameters = {**answer, "iss": self._issuer}
        if "state" in asked:
            parameters["state"] = asked["state"]
        uri = asked["redirect_uri"]
        location = f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"
        facts = {"outcome": answer.get("error", "code"), "client_id": asked["client_id"]}
        return Answer(303, media_type=HTML, headers={**HEADERS, "Location": location}, facts=facts)

    def activate(self, request: Request) -> Answer:
        """Show the page on which a user enters a device's code, or take the answer (RFC 8628, 3.3)."""
        try:
            if request.method == "GET":
                code = request.parameters().get("user_code", "")
                return self._form("Enter the code that your device shows.", "user_code", code)
            return self._activated(request.form())
        except OAuthError as error:
            return _page(400, f"<p>{escape(str(error))}</p>", outcome=error.error)

    def _activated(self, form: Mapping[str, str]) -> Answer:
        code = needed(form, "user_code")
        device = self._waiting(code)
        if device is None:
            return self._form("There is no such code, or it has expired.", "user_code", "", status=400)
        if form.get("decision") == "allow":
            if not self._signed_in(form):
                return self._form("User or password is wrong.", "user_code", code, status=401)
            device.subject = form["username"]
        device.decision = "allow" if form.get("decision") == "allow" else "deny"
        return _page(200, "<p>You may go back to your device.</p>", outcome=device.decision)

    def _waiting(self, user_code: str) -> Device | None:
        """Find a device by its code; letters of either case, hyphens as one likes (RFC 8628, 6.1)."""
        wanted = user_code.upper().replace("-", "").replace(" ", "")
        for device in self._state.devices.values():
            if (
                device.user_code.replace("-", "") == wanted
                and not device.decision
                and self._state.now() < device.expires
            ):
                return device
        return None

    def _signed_in(self, form: Mapping[str, str]) -> bool:
        expected = self._passwords.get(form.get("username", ""))
        return expected is not None and secrets.compare_digest(
            form.get("password", "").encode(), expected.encode()
        )

    @staticmethod
    def _form(words: str, field: str, value: str, client: str = "", *, status: int = 200) -> Answer:
        kind = "hidden" if field == "ticket" else "text"
        return _page(
            status,
            f'<p>{escape(words)}</p><form method="post">'
            f'<input type="{kind}" name="{field}" value="{escape(value)}">'
            '<label>User <input name="username"></label>'
            '<label>Password <input name="password" type="password"></label>'
            '<button name="decision" value="allow">Allow</button>'
            '<button name="decision" value="deny">Deny</button></form>',
            outcome="page",
            client_id=client,
        )


def _page(status: int, body: str, **facts: str) -> Answer:
    text = f"<!DOCTYPE html><html lang=en><title>Sandbox sign-in</title>{body}</html>"
    return Answer(status, text.encode(), HTML, dict(HEADERS), dict(facts))
