"""Tokens: asked for exactly once, never lost, always accounted for.

One credential has one token, whoever signs with it: threads wait for each other at a mutex, processes at a
lock that dies with its holder. That the provider will be asked is committed before (`uncertain`); what it
answers is stored with its audit entry in one transaction, if nobody has changed the token meanwhile. A
refresh token whose answer was lost is tried once more, while the provider's grace lasts; one that is known to
be spent never is. Refuses (NeedsConsent) a grant that the provider no longer honours, without asking again.
Sources: RFC 6749, 6; RFC 9700, 4.14 (rotation and reuse).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import psycopg

from identity.answers import Granted, refuse_narrower
from identity.audit import Audit, Fact
from identity.credentials import Credentials
from identity.errors import Denied, IdentityError, NeedsConsent, TryLater
from identity.oauth import REFRESH_TOKEN, OAuthClient
from identity.ports import Clock, Database, Passing, Sleep
from identity.providers import provider
from identity.queries import queries
from identity.secret import Secret
from identity.token_endpoint import scopes
from identity.token_rows import Holder, Row, Token, TokenRows, token_of
from identity.transaction import of_tenant
from identity.vault import Vault

SQL = queries(__file__)
LONGEST_PAUSE: Final = timedelta(seconds=30)  # before a refresh token is tried once more
AWAY: Final = (0.5, 1, 2, 4, 8, 15)  # seconds between tries to store an answer while the database is away
UNREACHED: Final = "unreached"  # nothing was sent
GONE: Final = "invalid_grant"  # RFC 6749, 5.2
CONNECT_AGAIN: Final = "The provider no longer honours this grant. A person must connect the service again."

Asker: TypeAlias = Callable[[OAuthClient, Secret | None], Granted]


@dataclass(frozen=True)
class Wish:
    """Whose token is wanted, how its provider is asked, who wants it, and which token is no longer good."""

    holder: Holder
    ask: Asker
    by: str
    instead_of: UUID | None = None


@dataclass(frozen=True)
class _Intent:
    """What is committed before the provider is asked: the row before it, what is sent, and when."""

    before: Row
    refresh: Secret | None
    at: datetime


class Tokens:
    """The tokens of all credentials; `sleep` pauses, `passing` is told of each point of a renewal."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        audit: Audit,
        credentials: Credentials,
        clock: Clock,
        *,
        sleep: Sleep,
        passing: Passing,
    ) -> None:
        self._database = database
        self._rows = TokenRows(vault)
        self._audit = audit
        self._credentials = credentials
        self._clock = clock
        self._sleep = sleep
        self._passing = passing
        self._guard = threading.Lock()
        self._mutexes: dict[UUID, threading.Lock] = {}

    def current(self, wish: Wish) -> Token:
        """The stored token while it is good, else a new one, which is asked for once.

        Raises NeedsConsent; TryLater (the provider, or another process, needs longer); Denied (the provider's
        clear refusal, less scope than asked for, a credential that is no OAuth client).
        """
        with self._mutex(wish.holder):
            return self._stored(wish) or self._renewed(wish)

    def adopt(self, holder: Holder, refresh: Secret, *, by: str, granted: Granted | None = None) -> None:
        """Keeps a grant that was obtained elsewhere, in place of the one before; raises Denied.

        `granted` is the answer that brought it; of a refresh token alone the first use asks for the rest.
        """
        client = self._client(holder)
        with of_tenant(self._database, holder.tenant_id) as connection:
            fence = self._rows.begun(connection, holder).fence
            token_id = self._rows.store(
                connection, holder, fence, granted=granted, refresh=refresh, at=self._clock()
            )
            scope = None if granted is None or granted.scope is None else " ".join(sorted(granted.scope))
            facts = {**_about(client), "token": str(token_id), "scope": scope}
            self._tell(connection, holder, by, "issued", facts)

    def keep_alive(
        self, tenants: Collection[int], now: datetime, way: Callable[[Holder], Asker | None]
    ) -> Iterator[tuple[Holder, IdentityError | None]]:
        """Renews grants whose refresh token lay unused for half of what its provider lets it.

        `way` is how the provider of a credential is asked; None: not at all. Gives each that was due, with
        what hindered it: the others are renewed all the same.
        """
        for holder, token_id, used_at in self._renewable(tenants):
            try:
                ask = way(holder) if self._lies_idle(holder, used_at, now) else None
                if ask is None:
                    continue
                self.current(Wish(holder, ask, "keep-alive", token_id))
            except IdentityError as error:
                yield holder, error
            else:
                yield holder, None

    def _renewable(self, tenants: Collection[int]) -> Iterator[tuple[Holder, UUID, datetime | None]]:
        for tenant_id in tenants:
            with of_tenant(self._database, tenant_id) as connection:
                found = self._rows.renewable(connection, tenant_id)
            for credential_id, token_id, used_at in found:
                yield Holder(tenant_id, credential_id), token_id, used_at

    def _lies_idle(self, holder: Holder, used_at: datetime | None, now: datetime) -> bool:
        idle = provider(self._client(holder).provider).idle_seconds
        return idle is not None and (used_at is None or now - used_at >= timedelta(seconds=idle) / 2)

    # -- one renewal --------------------------------------------------------------------------------------

    def _stored(self, wish: Wish) -> Token | None:
        with of_tenant(self._database, wish.holder.tenant_id) as connection:
            row = self._rows.read(connection, wish.holder)
        return self._good(wish, row) if row else None

    def _good(self, wish: Wish, row: Row) -> Token | None:
        """The stored token, if it is good for long enough and not the one that is to be replaced."""
        if row.state == "needs_consent" or row.token_id == wish.instead_of:
            return None
        token = self._rows.token(wish.holder, row)
        return token if token and self._clock() < token.good_until else None

    def _renewed(self, wish: Wish) -> Token:
        """A new token; a refresh token that may be spent or not is tried at most twice, with a pause."""
        with self._locked(wish.holder):
            client = self._client(wish.holder)
            unsure = self._pause(wish.holder, client)
            try:
                return self._asked(wish, client)
            except TryLater as error:
                if unsure or error.code == UNREACHED or client.grant != REFRESH_TOKEN:
                    raise
            self._pause(wish.holder, client)
            return self._asked(wish, client)

    def _asked(self, wish: Wish, client: OAuthClient) -> Token:
        """Asks once, between an intent that is committed and an answer that is stored."""
        intent = self._intended(wish, client)
        if isinstance(intent, Token):
            return intent
        try:
            granted = wish.ask(client, intent.refresh)
        except TryLater as error:
            self._unanswered(wish, client, intent, error)
            raise
        except Denied as denied:
            return self._refused(wish, client, intent, denied)
        self._passing("token_answered")
        return self._granted(wish, client, intent, granted)

    def _intended(self, wish: Wish, client: OAuthClient) -> _Intent | Token:
        """Commits that the provider is about to be asked, unless another process has renewed already."""
        with of_tenant(self._database, wish.holder.tenant_id) as connection:
            row = self._rows.begun(connection, wish.holder)
            if token := self._good(wish, row):
                return token
            refresh = self._sent(wish.holder, client, row)
            digest = None if refresh is None else hashlib.sha256(refresh.reveal().encode()).hexdigest()
            intent = _Intent(row, refresh, self._clock())
            self._rows.intend(connection, wish.holder, row, digest, intent.at)
            facts = {**_about(client), "attempt": row.attempts + 1, "refresh": digest}
            self._tell(connection, wish.holder, wish.by, "asked", facts)
        self._passing("token_intended")
        return intent

    def _sent(self, holder: Holder, client: OAuthClient, row: Row) -> Secret | None:
        """The refresh token that is to be sent; raises NeedsConsent where there is none to send."""
        if client.grant != REFRESH_TOKEN:
            return None
        refresh = self._rows.refresh(holder, row)
        if refresh is None:
            raise NeedsConsent("no_consent", "Nobody has consented yet. Connect the service first.")
        if row.state == "needs_consent":
            raise NeedsConsent("needs_consent", CONNECT_AGAIN)
        return refresh

    def _granted(self, wish: Wish, client: OAuthClient, intent: _Intent, granted: Granted) -> Token:
        """Stores what was granted, if it is enough, and gives it."""
        asked = provider(client.provider).answered(scopes(client))
        token_id = self._persistently(lambda: self._kept(wish, client, intent, granted, asked))
        self._passing("token_stored")
        refuse_narrower(granted, asked)
        if token_id is None:
            return self._now(wish)
        return token_of(
            token_id, granted.access, intent.at, intent.at + timedelta(seconds=granted.expires_in)
        )

    def _kept(
        self, wish: Wish, client: OAuthClient, intent: _Intent, granted: Granted, asked: Collection[str]
    ) -> UUID | None:
        """The stored token's id; of too little only the refresh token is kept, maybe the last one good.

        None if somebody else has put another token in place meanwhile.
        """
        enough = granted.scope is None or granted.scope.issuperset(asked)
        # Some providers give one to a client of its own right as well, which can ask again without.
        refresh = granted.refresh or intent.refresh if client.grant == REFRESH_TOKEN else None
        with of_tenant(self._database, wish.holder.tenant_id) as connection:
            token_id = self._rows.store(
                connection,
                wish.holder,
                intent.before.intended,
                granted=granted if enough else None,
                refresh=refresh,
                at=intent.at,
            )
            if token_id is not None:
                event = "issued" if intent.refresh is None else "refreshed"
                told = None if granted.scope is None else " ".join(sorted(granted.scope))
                facts = {**_about(client), "token": str(token_id), "scope": told}
                self._tell(connection, wish.holder, wish.by, event, facts)
            self._passing("token_storing")
        return token_id

    def _persistently(self, store: Callable[[], UUID | None]) -> UUID | None:
        """Stores an answer although the database is away for a while: it exists nowhere else.

        Whoever has asked meanwhile, as the lock may be lost with the server, is seen by the fence.
        """
        for pause in AWAY:
            with contextlib.suppress(psycopg.OperationalError):
                return store()
            self._sleep(pause)
        return store()

    def _unanswered(self, wish: Wish, client: OAuthClient, intent: _Intent, error: TryLater) -> None:
        """What was not sent leaves all as it was; what was sent leaves it uncertain."""
        with of_tenant(self._database, wish.holder.tenant_id) as connection:
            if error.code == UNREACHED:
                self._rows.settle(connection, wish.holder, intent.before)
            self._tell(connection, wish.holder, wish.by, "unanswered", {**_about(client), "code": error.code})

    def _refused(self, wish: Wish, client: OAuthClient, intent: _Intent, denied: Denied) -> Token:
        """A clear refusal leaves the tokens as they are; if the grant is gone, a person must consent again.

        Unless somebody else has put another token in its place meanwhile: then that is used.
        """
        gone = denied.code == GONE and intent.refresh is not None
        with of_tenant(self._database, wish.holder.tenant_id) as connection:
            settled = self._rows.settle(connection, wish.holder, intent.before, needs_consent=gone)
            self._tell(connection, wish.holder, wish.by, "refused", {**_about(client), "code": denied.code})
        if not settled:
            return self._now(wish)
        if not gone:
            raise denied
        lost = " An answer to an earlier request was lost." if intent.before.state == "uncertain" else ""
        raise NeedsConsent(denied.code, f"{CONNECT_AGAIN}{lost} {denied}") from denied

    def _now(self, wish: Wish) -> Token:
        """The token that somebody else has put in place while we asked."""
        token = self._stored(wish)
        if token is None:
            raise TryLater("changed", "The credential was changed while a token was asked for. Try again.")
        return token

    def _pause(self, holder: Holder, client: OAuthClient) -> bool:
        """Whether it is uncertain if the refresh token is spent; then waits before it is tried once more.

        Half of the provider's grace after the first try, so that its answer, if there was one, is not redone
        while it may still be under way, and well before the grace ends.
        """
        with of_tenant(self._database, holder.tenant_id) as connection:
            row = self._rows.read(connection, holder)
        if row is None or row.uncertain_since is None or client.grant != REFRESH_TOKEN:
            return False
        chosen = client.grace_seconds
        grace = provider(client.provider).grace_seconds if chosen is None else chosen
        pause = min(LONGEST_PAUSE, timedelta(seconds=grace) / 2)
        self._sleep(max(0.0, (row.uncertain_since + pause - self._clock()).total_seconds()))
        return True

    # -- what it is made of -------------------------------------------------------------------------------

    def _client(self, holder: Holder) -> OAuthClient:
        content = self._credentials.opened(holder.tenant_id, holder.credential_id)
        if not isinstance(content, OAuthClient):
            raise Denied(
                "no_client", f"The credential {holder.credential_id} is no OAuth client: it has no token."
            )
        return content

    def _tell(
        self,
        connection: psycopg.Connection[Any],
        holder: Holder,
        by: str,
        event: str,
        facts: dict[str, Fact],
    ) -> None:
        self._audit.tell(
            connection,
            tenant_id=holder.tenant_id,
            event=event,
            credential_id=holder.credential_id,
            by=by,
            facts=facts,
        )

    @contextmanager
    def alone(self, holder: Holder) -> Iterator[None]:
        """Nobody asks for this token meanwhile, here or in another process; raises TryLater."""
        with self._mutex(holder), self._locked(holder):
            yield

    @contextmanager
    def _mutex(self, holder: Holder) -> Iterator[None]:
        """No other thread asks for this token meanwhile."""
        with self._guard:
            mutex = self._mutexes.setdefault(holder.credential_id, threading.Lock())
        with mutex:
            yield

    @contextmanager
    def _locked(self, holder: Holder) -> Iterator[None]:
        """No other process asks for this token meanwhile; the lock is a connection's, and ends with it."""
        with self._database() as connection:
            connection.autocommit = True
            connection.execute(SQL["patience"])
            try:
                connection.execute(SQL["lock"], holder._asdict())
            except psycopg.errors.LockNotAvailable:
                raise TryLater(
                    "busy", "Another process has been asking for this token for 10 s. Try again."
                ) from None
            yield


def _about(client: OAuthClient) -> dict[str, Fact]:
    """What the audit tells of a client."""
    return {"grant": client.grant, "service": client.provider, "subject": client.subject}
