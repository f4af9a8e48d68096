"""What tests of the product share when they ask the simulated provider: transports, a client, its wrong answers."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from encours.transport import transport
from identity.asking import Asking
from identity.grants import Client, Grants
from identity.secret import Secret
from tests.sandbox.idp_client import Provider

HERE = transport([ip_network("127.0.0.0/8"), ip_network("::1/128")])


def asking(**options: Any) -> Asking:
    return Asking(HERE, **options)


def basic(idp: Provider) -> Client:
    return Client("encours-basic", "client_secret_basic", Secret(idp.clients["encours-basic"]["secret"]))


def post(idp: Provider) -> Client:
    return Client("encours-post", "client_secret_post", Secret(idp.clients["encours-post"]["secret"]))


def grants(idp: Provider, client: Client | None = None) -> Grants:
    return Grants(
        client or basic(idp), idp.endpoints["token"], audience=idp.issuer, clock=lambda: datetime.now(UTC)
    )


def order(idp: Provider, kind: str, **more: Any) -> None:
    idp.control("misbehave", {"kind": kind, **more})
