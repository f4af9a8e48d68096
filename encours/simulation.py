"""The sandbox beside the hub: started as a process of its own, its ERPs connected like real ones.

Its first day and its port are kept, so that the books are the same after every start. Refuses nothing: what
is wrong with the sandbox is said in its log.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from encours.credential import NewCredential, Typed
from encours.home import make_folder, write_private
from encours.hub import Hub
from encours.processes import Processes
from encours.settings import SANDBOX
from encours.systems import settings_of
from identity.inventory import Holding
from identity.oauth import CLIENT_CREDENTIALS, OAuthClient
from identity.secret import Secret
from receivables.errors import Misconfigured, Transient

FIRST_PORT = 18100
LAST_PORT = 65535
PORTS = 6  # one for each SAP system, two for Intacct, two for the identity provider
OAUTH = "nippon"  # the tenant whose SAP is signed in to by OAuth
LOOPBACK = "127.0.0.1"


class Simulation:
    """The simulated ERPs below `home`; `today` is the day of their books when they are made."""

    def __init__(self, home: Path, *, today: date) -> None:
        self._home = home
        self._today = today
        self.folder = home / "sandbox"

    def start(self, processes: Processes, environment: Mapping[str, str]) -> Mapping[str, Any]:
        """Starts it and gives what it says when ready: per tenant address, sign-in and company codes."""
        make_folder(self.folder, 0o700)
        kept = self._kept()
        options = ["--home", str(self.folder), "--port", str(kept["port"]), "--today", str(kept["today"])]
        options += ["--oauth", OAUTH]
        command = [sys.executable, "-m", "sandbox", "start", *options]
        process = processes.start("sandbox", command, env=environment, piped=True)
        write_private(self._home / SANDBOX, f"ENCOURS_PRIVATE_NETWORKS={LOOPBACK}/32\n")
        if process.stdout is None:
            raise TypeError("The sandbox was started without a pipe.")
        line = process.stdout.readline()
        process.stdout.close()
        if not line:
            raise Transient(f"The sandbox ended at its start. Its log: {processes.log('sandbox')}")
        return dict(json.loads(line)["tenants"])

    def stopped(self) -> None:
        """Takes back what the hub's other commands needed to reach it."""
        (self._home / SANDBOX).unlink(missing_ok=True)

    def _kept(self) -> dict[str, Any]:
        file = self.folder / "kept.json"
        fresh = {"today": self._today.isoformat(), "port": FIRST_PORT}
        kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else fresh
        kept["port"] = free_port(kept["port"], together=PORTS)
        write_private(file, json.dumps(kept))
        return kept


def connect(hub: Hub, tenants: Mapping[str, Any]) -> list[str]:
    """Makes a connector for each simulated ERP, or brings it up to date; gives their keys."""
    known = {connector.key: connector for connector in hub.registry.connectors()}
    keys = []
    for tenant, erp in tenants.items():
        system = erp.get("system", "sap_s4hana")
        key, settings, credential = CONNECTORS[system](tenant, erp)
        keys.append(key)
        if key not in known:
            hub.add_connector(system=system, key=key, tenant=tenant, settings=settings, credential=credential)
            continue
        kept = settings_of(system, {**known[key].settings, **settings}, key).model_dump(mode="json")
        if kept != known[key].settings:
            hub.change(key, {"settings": kept})
        if not _signs_in_so(hub.describe(key)[1], credential):
            hub.replace_credential(key, credential)
    return keys


def _signs_in_so(kept: Holding | None, credential: Typed) -> bool:
    """Whether what is kept is this credential, as far as it is shown: an address may have moved."""
    if kept is None or not isinstance(credential, OAuthClient):
        return kept is not None and kept.kind != OAuthClient.kind
    return (kept.kind, kept.subject, dict(kept.facts)) == (
        credential.kind,
        credential.subject,
        credential.facts(),
    )


Described = tuple[str, dict[str, Any], Typed]  # key, settings, credential


def _sap_s4hana(tenant: str, erp: Mapping[str, Any]) -> Described:
    settings = {"base_url": erp["url"], "company_codes": erp["company_codes"]}
    if "client_id" not in erp:
        return f"{tenant}-s4", settings, NewCredential(erp["user"], Secret(erp["password"]))
    client = OAuthClient(
        erp["client_id"],
        Secret(erp["client_secret"]),
        CLIENT_CREDENTIALS,
        provider="sap",
        token_endpoint=erp["token_url"],
        scopes=tuple(erp["scopes"]),
    )
    return f"{tenant}-s4", settings, client


def _sage_intacct(tenant: str, erp: Mapping[str, Any]) -> Described:
    settings = {
        "base_url": erp["url"],
        "endpoint_host": urlsplit(erp["endpoint"]).hostname,
        "company_id": erp["company_id"],
        "entities": erp.get("entities", []),
    }
    sender = erp["sender_id"], Secret(erp["sender_password"])
    return f"{tenant}-intacct", settings, NewCredential(erp["user"], Secret(erp["password"]), *sender)


CONNECTORS: Mapping[str, Callable[[str, Mapping[str, Any]], Described]] = {
    "sap_s4hana": _sap_s4hana,
    "sage_intacct": _sage_intacct,
}


def free_port(wanted: int, *, together: int = 1) -> int:
    """The wanted port of this machine, or the next one that is free with `together - 1` ports after it."""
    port = wanted
    while port + together - 1 <= LAST_PORT and not all(_is_free(port + n) for n in range(together)):
        port += together
    if port + together - 1 > LAST_PORT:
        raise Misconfigured(f"No port from {wanted} on is free. Name another one: --port 8080")
    return port


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
