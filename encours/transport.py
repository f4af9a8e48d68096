"""Lends identity the transport of the connectors: the same checked addresses, with identity's own error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import requests

from connectors.kit.addresses import CheckedAdapter, Network
from identity.errors import Denied
from identity.ports import Transport
from receivables.errors import Misconfigured


class LentAdapter(CheckedAdapter):
    """A checked transport whose `send` raises Denied for an address that may not be reached."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Sends one request; raises Denied("address_refused") before anything is sent."""
        try:
            return super().send(*arguments, **options)
        except Misconfigured as refused:
            raise Denied("address_refused", str(refused)) from None


def transport(private_networks: Sequence[Network]) -> Transport:
    """What makes transports that may reach public addresses and these networks."""
    return partial(LentAdapter, private_networks, max_retries=0)
