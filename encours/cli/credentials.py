"""What people type to sign in with, as options; the secrets themselves are asked for, piped in or in a file.

Refuses half of one kind and half of another. A secret is never an option: the list of processes shows those.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from encours.credential import NewCredential
from identity.oauth import (
    AUTHENTICATION,
    CLIENT_CREDENTIALS,
    GRANTS,
    JWT_BEARER,
    REFRESH_TOKEN,
    WITH_SECRET,
    OAuthClient,
)
from identity.secret import Secret
from receivables.errors import Misconfigured

KEYED: Final = "private_key_jwt"

User = Annotated[str | None, typer.Option(help="The user name at the ERP.")]
SenderId = Annotated[str | None, typer.Option(help="Sage Intacct: the sender id of the web services.")]
PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="Read it from standard input: the password, with a sender a second line, or a client's secret.",
    ),
]
CLIENT: Final = {
    "client_id": Annotated[str | None, typer.Option(help="OAuth, in place of --user: the client's id.")],
    "provider": Annotated[
        str | None, typer.Option(help="OAuth: the provider's profile. Default: the system's own, or generic.")
    ],
    "token_url": Annotated[
        str | None, typer.Option(help="OAuth: the address that gives tokens. Default for SAP: the system's.")
    ],
    "issuer": Annotated[
        str | None, typer.Option(help="OAuth: in place of --token-url, whose metadata names that address.")
    ],
    "device_url": Annotated[
        str | None,
        typer.Option(help=f"OAuth, {REFRESH_TOKEN}: the address that gives a code, if no issuer names it."),
    ],
    "grant": Annotated[
        str | None,
        typer.Option(
            help=f"OAuth: {', '.join(GRANTS)}. Default: the first. With the last a person consents: connect."
        ),
    ],
    "client_auth": Annotated[
        str | None,
        typer.Option(
            help=f"OAuth: how the client signs in: {', '.join(AUTHENTICATION)}. Default: the first."
        ),
    ],
    "scope": Annotated[
        list[str] | None, typer.Option(help="OAuth: a scope to ask for; several in quotes, or repeated.")
    ],
    "secret_file": Annotated[
        Path | None, typer.Option(help="OAuth: a file with the client's secret. Default: it is asked for.")
    ],
    "key_file": Annotated[
        Path | None,
        typer.Option(help=f"OAuth: a file with the private key (PEM) of {KEYED} or {JWT_BEARER}."),
    ],
    "assertion_issuer": Annotated[
        str | None, typer.Option(help=f"OAuth, {JWT_BEARER}: who vouches. Default: the client's id.")
    ],
    "assertion_subject": Annotated[
        str | None, typer.Option(help=f"OAuth, {JWT_BEARER}: the user who is vouched for.")
    ],
    "audience": Annotated[
        str | None, typer.Option(help="OAuth: whom assertions are for. Default: issuer or token address.")
    ],
}


def options(kinds: Sequence[str]) -> dict[str, Any]:
    """The options of these kinds of credential, by parameter name; all have a default."""
    found: dict[str, Any] = {"user": User, "password_stdin": PasswordStdin} if kinds else {}
    if "intacct" in kinds:
        found["sender_id"] = SenderId
    return found | CLIENT if OAuthClient.kind in kinds else found


def typed(given: Mapping[str, Any]) -> NewCredential | OAuthClient:
    """What was typed, by parameter name; asks for the secrets.

    Raises Misconfigured for a mixture of kinds, Denied for what cannot be sent.
    """
    of_client = [name for name in CLIENT if given.get(name)]
    if of_client and given.get("user"):
        raise Misconfigured(f"Leave out --user or {_option(of_client[0])}: one of them signs in.")
    if of_client:
        return _client(given)
    if not given.get("user"):
        raise Misconfigured(f"Say who signs in: --user{' or --client-id' if 'client_id' in given else ''}.")
    from_stdin = bool(given.get("password_stdin"))
    password = _asked("Password", from_stdin=from_stdin)
    if given.get("sender_id") is None:
        return NewCredential(given["user"], password)
    return NewCredential(
        given["user"], password, given["sender_id"], _asked("Sender password", from_stdin=from_stdin)
    )


def _client(given: Mapping[str, Any]) -> OAuthClient:
    if not given.get("client_id"):
        raise Misconfigured("An OAuth client has an id: --client-id.")
    grant = given.get("grant") or CLIENT_CREDENTIALS
    if grant not in GRANTS:
        raise Misconfigured(f"--grant is one of {', '.join(GRANTS)}.")
    authentication = given.get("client_auth") or AUTHENTICATION[0]
    key = None if given.get("key_file") is None else _read(given["key_file"])
    vouching = grant == JWT_BEARER
    return OAuthClient(
        given["client_id"],
        _client_secret(given, authentication, key),
        grant,
        authentication=authentication,
        scopes=tuple(" ".join(given.get("scope") or ()).split()),
        token_endpoint=given.get("token_url"),
        issuer=given.get("issuer"),
        device_endpoint=given.get("device_url"),
        assertion_issuer=given.get("assertion_issuer") or (given["client_id"] if vouching else None),
        assertion_subject=given.get("assertion_subject"),
        audience=given.get("audience"),
        assertion_key=key if vouching else None,
        **({"provider": given["provider"]} if given.get("provider") else {}),
    )


def _client_secret(given: Mapping[str, Any], authentication: str, key: Secret | None) -> Secret:
    """What the client proves itself with; empty where it is a certificate or nothing."""
    if authentication not in WITH_SECRET:
        return Secret("")
    file = given.get("secret_file")
    if file is None and authentication == KEYED:
        if key is None:
            raise Misconfigured(f"{KEYED} signs with a private key: --key-file.")
        return key
    return secret("Client secret", file, from_stdin=bool(given.get("password_stdin")))


def secret(prompt: str, file: Path | None, *, from_stdin: bool) -> Secret:
    """A secret out of its file, from standard input, or asked for; raises Misconfigured."""
    return _asked(prompt, from_stdin=from_stdin) if file is None else _read(file)


def _read(path: Path) -> Secret:
    """A secret's file, without the line end that editors add."""
    try:
        return Secret(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read: {type(error).__name__}.") from None


def _asked(prompt: str, *, from_stdin: bool) -> Secret:
    if from_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise Misconfigured(f"No terminal to ask for the {prompt.lower()}. Pipe it in with --password-stdin.")
    return Secret(getpass.getpass(f"{prompt}: "))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
