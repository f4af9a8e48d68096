"""`connectors connect`: a person consents, in a browser elsewhere, to what the connector reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from encours.cli.credentials import secret
from encours.cli.output import stderr, stdout
from encours.hub import Hub
from identity.answers import Device
from receivables.errors import Misconfigured

INTERRUPTED = 130


def connect(
    key: Annotated[str, typer.Argument(help="The connector's key.")],
    *,
    refresh_token: Annotated[
        bool,
        typer.Option("--refresh-token", help="Take a refresh token that was obtained elsewhere instead."),
    ] = False,
    secret_file: Annotated[
        Path | None, typer.Option(help="A file with the refresh token. Default: it is asked for.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the refresh token from standard input.")
    ] = False,
) -> None:
    """Connect a service in the name of a person, for an OAuth client whose grant is refresh_token.

    Prints an address and a code. The person enters the code there, in any browser, and allows it; the command
    waits until then. Exit code 0: connected; 1: refused, or not allowed in time; 75: the provider is away.
    """
    if not refresh_token and (secret_file is not None or password_stdin):
        raise Misconfigured("--secret-file and --password-stdin are ways to give a --refresh-token.")
    with Hub.from_environment() as hub:
        connector = hub.registry.connector(key)
        if refresh_token:
            hub.connect(key, secret("Refresh token", secret_file, from_stdin=password_stdin))
        else:
            _wait(hub, key)
    stdout().print(f"{key} is connected. Check it: encours connectors test {key}", markup=False)
    if connector.state == "paused":
        stdout().print(f"{key} is paused. Start it again: encours connectors resume {key}", markup=False)


def _wait(hub: Hub, key: str) -> None:
    try:
        hub.connect(key, _told)
    except KeyboardInterrupt:
        stderr().print(f"Interrupted. Begin again: encours connectors connect {key}", markup=False)
        sys.exit(INTERRUPTED)


def _told(begun: Device) -> None:
    """Says what the person has to do; an address is never broken over two lines."""
    out = stdout()
    out.print(f"Open {begun.address} and enter the code {begun.user_code}", markup=False, soft_wrap=True)
    if begun.address_with_code is not None:
        out.print(f"or open {begun.address_with_code}", markup=False, soft_wrap=True)
    minutes = max(begun.expires_in // 60, 1)
    stderr().print(f"Waiting until it is allowed, at most {minutes} min. Ctrl-C ends it.", markup=False)
