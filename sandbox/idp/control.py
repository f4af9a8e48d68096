"""Control addresses of the provider, on a port of their own: they answer while the provider itself is out.

They answer local callers only and are no part of what is imitated. What cannot be done is answered with 400
and a sentence.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sandbox.idp import clients, misbehaviour, profile
from sandbox.idp.exchange import Answer, OAuthError, Request, told
from sandbox.idp.provider import Provider

TRAP = "/_sandbox/trap"
SECRETS = ("client_secret", "client_assertion", "refresh_token", "code", "code_verifier", "assertion")
OUTAGES = ("", "unavailable", "silent", "refused")


class Switches:
    """What the web server does to every request: latency, an outage, and requests that are held.

    Latency is seconds, before a request is processed and between that and its answer.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self.after = 0.0
        self.outage = ""
        self.changed = threading.Condition()
        self.held: list[str] = []

    def hold(self, what: str, seconds: float = 60.0) -> None:
        """Wait until what is held is released."""
        with self.changed:
            self.held.append(what)
            self.changed.notify_all()
            self.changed.wait_for(lambda: what not in self.held, seconds)

    def release(self) -> list[str]:
        """Release what is held."""
        with self.changed:
            released, self.held = self.held, []
            self.changed.notify_all()
        return released

    def go_out(self, kind: str) -> None:
        """Begin an outage, or end it."""
        with self.changed:
            self.outage = kind
            self.changed.notify_all()

    def wait_silently(self, seconds: float = 120.0) -> None:
        """Wait until a silent outage ends."""
        with self.changed:
            self.changed.wait_for(lambda: self.outage != "silent", seconds)


class Control:
    """The control addresses; `outage` begins or ends one at the web server."""

    def __init__(self, provider: Provider, switches: Switches, outage: Callable[[str, float], None]) -> None:
        self._provider = provider
        self._switches = switches
        self._outage = outage
        self._by_address: dict[tuple[str, str], Callable[[Mapping[str, Any]], Any]] = {
            ("GET", "log"): self._log,
            ("GET", "profile"): lambda _wish: msgspec.to_builtins(provider.profile),
            ("POST", "profile"): self._profile,
            ("GET", "clients"): lambda _wish: {"clients": list(provider.state.clients)},
            ("POST", "clients"): self._client,
            ("POST", "issuers"): self._issuer,
            ("POST", "keys"): self._keys,
            ("POST", "clock"): self._clock,
            ("POST", "end"): self._end,
            ("POST", "introspect"): lambda wish: provider.tokens.find(str(wish.get("token", ""))),
            ("POST", "latency"): self._latency,
            ("GET", "outage"): lambda _wish: {"kind": switches.outage},
            ("POST", "outage"): self._begin_outage,
            ("GET", "held"): lambda _wish: {"held": list(switches.held)},
            ("DELETE", "held"): lambda _wish: {"released": switches.release()},
            ("GET", "misbehaviours"): lambda _wish: misbehaviour.kinds(),
            ("GET", "misbehave"): lambda _wish: self._waiting(),
            ("POST", "misbehave"): self._misbehave,
            ("DELETE", "misbehave"): self._behave,
        }

    def answer(self, request: Request) -> Answer:
        """Answer one control request."""
        if request.path == TRAP:
            return self._trapped(request)
        act = self._by_address.get((request.method, request.path.removeprefix("/_sandbox/")))
        if act is None:
            return told({"error": "there is no such control address"}, status=404)
        try:
            wish = json.loads(request.body or b"{}") if request.method == "POST" else request.parameters()
            if not isinstance(wish, dict):
                return told({"error": "send a JSON object"}, status=400)
            with self._provider.lock:
                done = act(wish)
                if request.method == "POST":
                    self._provider.save()
        except KeyError as error:
            return told({"error": f"say {error}"}, status=400)
        except (ValueError, TypeError, OAuthError) as error:
            return told({"error": str(error)}, status=400)
        return told(done)

    def _trapped(self, request: Request) -> Answer:
        """Note what a careless client carried here; the names of secrets, never their values."""
        fields = dict(parse_qsl(request.body.decode(errors="replace"))) | dict(parse_qsl(request.query))
        carried = [name for name in SECRETS if name in fields]
        carried += ["authorization"] if "authorization" in request.headers else []
        with self._provider.lock:
            self._provider.log.write({"endpoint": "trap", "method": request.method, "carried": carried})
        return told({"access_token": "from-the-trap", "token_type": "Bearer", "expires_in": 3600})

    def _log(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        entries = self._provider.log.entries
        return {"last": len(entries), "requests": entries[int(wish.get("since", 0)) :]}

    def _profile(self, wish: Mapping[str, Any]) -> Any:
        changed = profile.change(self._provider.profile, wish)
        for kind in changed.quirks:
            misbehaviour.check(kind)
        if changed.paths != self._provider.profile.paths or changed.users != self._provider.profile.users:
            raise ValueError("paths and users are chosen at the start")
        self._provider.profile = changed
        return msgspec.to_builtins(changed)

    def _client(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        client = clients.register(self._provider.state, self._provider.profile, wish)
        return {"client_id": client.client_id, "scope": client.scope, "grant_types": client.grant_types}

    def _issuer(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Trust an issuer of assertions."""
        self._provider.state.issuers[str(wish["issuer"])] = dict(wish["jwks"])
        return {"issuers": list(self._provider.state.issuers)}

    def _keys(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Sign with new keys; with `keep_old` false the old ones are no longer published."""
        self._provider.keys.rotate(keep_old=bool(wish.get("keep_old", True)))
        return self._provider.keys.published()

    def _clock(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Move the provider's clock forward; never back."""
        seconds = float(wish["forward"])
        if seconds < 0:
            raise ValueError("the clock goes forward only")
        self._provider.state.forward += seconds
        return {"now": self._provider.state.now()}

    def _end(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """End families, of one user or all, as an administrator does."""
        ended = []
        for family in self._provider.state.families.values():
            if wish.get("subject") in (None, family.subject) and not family.ended:
                self._provider.tokens.end(family, "administrator")
                ended.append(family.id)
        return {"ended": ended}

    def _latency(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        before, after = (float(wish.get(name, 0)) for name in ("before", "after"))
        self._switches.before, self._switches.after = before, after
        return {"before": before, "after": after}

    def _begin_outage(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        kind = str(wish.get("kind", ""))
        if kind not in OUTAGES:
            raise ValueError(f"no outage {kind!r}: choose from {', '.join(OUTAGES[1:])}, or '' to end it")
        self._outage(kind, float(wish.get("seconds", 0)))
        return {"kind": kind}

    def _waiting(self) -> dict[str, Any]:
        return {"waiting": [msgspec.to_builtins(given) for given in self._provider.orders if given.times > 0]}

    def _misbehave(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        self._provider.orders.append(misbehaviour.order(wish))
        return self._waiting()

    def _behave(self, _wish: Mapping[str, Any]) -> dict[str, Any]:
        self._provider.orders.clear()
        return self._waiting()
