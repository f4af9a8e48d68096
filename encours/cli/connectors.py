"""`connectors`: add, look at, test, pause and remove them; keep them in one TOML file if you like."""

from __future__ import annotations

import getpass
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pydantic
import typer

from connectors.kit.stream import System
from connectors.systems import SYSTEMS
from encours.cli.output import moment, print_json, print_table, stdout
from encours.configuration import apply as apply_configuration
from encours.configuration import export as export_configuration
from encours.credential import NewCredential
from encours.hub import Hub
from identity.credentials import Description
from identity.secret import Secret
from receivables.errors import Misconfigured

app = typer.Typer(help="The links between tenants and their ERPs.", no_args_is_help=True)
add_app = typer.Typer(
    help="Add a connector: choose the system, then give its settings.", no_args_is_help=True
)
app.add_typer(add_app, name="add")

Key = Annotated[str, typer.Argument(help="The connector's key.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(name="list")
def list_(*, as_json: Json = False) -> None:
    """Every connector with its system, tenant and schedule."""
    with Hub.from_environment() as hub:
        found = hub.registry.connectors()
    if as_json:
        print_json(found)
        return
    print_table(
        ["CONNECTOR", "TENANT", "SYSTEM", "STATE", "SCHEDULE", "ZONE"],
        [[c.key, c.tenant, c.system, c.state, c.schedule, c.zone] for c in found],
    )
    if not found:
        stdout().print("No connector yet. Add the first one: encours connectors add --help")


@app.command()
def show(key: Key, *, as_json: Json = False) -> None:
    """One connector with its settings and, without any secret, its credential."""
    with Hub.from_environment() as hub:
        connector, credential = hub.describe(key)
    if as_json:
        print_json({"connector": connector, "credential": credential})
        return
    rows = [
        (name, _text(value)) for name, value in connector.settings.items() if value not in (None, "", [], {})
    ]
    rows += [("schedule", f"{connector.schedule} ({connector.zone})"), ("state", connector.state)]
    if connector.blackout:
        rows.append(("blackout", f"{connector.blackout} ({connector.zone})"))
    rows += [("credential", _shown(connector.system, credential))]
    print_table(["SETTING", "VALUE"], rows)


@app.command(name="test")
def check(key: Key, *, as_json: Json = False) -> None:
    """Check step by step what a sync needs; writes nothing. Exit code 1 if a step fails."""
    checks = []
    with Hub.from_environment() as hub:
        for check in hub.test(key):
            checks.append(check)
            if not as_json:
                mark = "ok    " if check.ok else "FAILED"
                stdout().print(
                    f"{mark} {check.name} ({check.milliseconds} ms): {check.sentence}", markup=False
                )
    if as_json:
        print_json(checks)
    if not all(step.ok for step in checks):
        sys.exit(1)


@app.command()
def pause(key: Key, reason: Annotated[str, typer.Option(help="Why; it is shown to everyone.")]) -> None:
    """Stop the schedule; what is published stays visible."""
    with Hub.from_environment() as hub:
        hub.pause(key, reason)
    stdout().print(f"{key} is paused. Start it again: encours connectors resume {key}")


@app.command()
def resume(key: Key) -> None:
    """Start the schedule again."""
    with Hub.from_environment() as hub:
        connector = hub.resume(key)
    stdout().print(f"{key} runs again at {connector.schedule} ({connector.zone}).")


@app.command()
def remove(
    key: Key,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask to type the key.")] = False,
) -> None:
    """Stop the schedule and forget the connector; its credential goes if no other connector uses it."""
    with Hub.from_environment() as hub:
        hub.registry.connector(key)
        if not yes and input(f"Published items and their history stay. Type {key} to remove it: ") != key:
            raise Misconfigured("Not removed: what was typed is not the connector's key.")
        hub.remove(key)
    stdout().print(f"{key} is removed.")


@app.command()
def credential(
    key: Key,
    user: Annotated[str, typer.Option(help="The user name at the ERP.")],
    *,
    sender_id: Annotated[
        str | None, typer.Option(help="Sage Intacct only: the sender id of the web services.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input (two lines with a sender).")
    ] = False,
) -> None:
    """Replace the user and password that a connector signs in with."""
    with Hub.from_environment() as hub:
        hub.registry.connector(key)
        hub.replace_credential(key, _credential(user, sender_id, from_stdin=password_stdin))
    stdout().print(f"{key} signs in as {user} from now on. Check it: encours connectors test {key}")


@app.command()
def export() -> None:
    """Print all tenants and connectors as TOML, without secrets, for `apply`."""
    with Hub.from_environment() as hub:
        sys.stdout.write(export_configuration(hub))


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A file made by `encours connectors export`.", exists=True)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Make tenants and connectors equal to a TOML file; shows each change. Removes nothing."""
    with Hub.from_environment() as hub:
        changes = apply_configuration(hub, file.read_text(encoding="utf-8"), dry_run=dry_run)
    for change in changes:
        stdout().print(change, markup=False)
    stdout().print(f"{len(changes)} changes{' would be made' if dry_run else ' made'}.")


def _text(value: Any) -> str:
    """A setting as it is typed: lists with commas, tables as name=value."""
    if isinstance(value, dict):
        return ",".join(f"{name}={kind}" for name, kind in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)


def _shown(system: str, credential: Description | None) -> str:
    """What may be shown of a credential: who signs in, since when, never the secret."""
    if credential is None:
        asked = system not in SYSTEMS or SYSTEMS[system].credentials
        return "none: encours connectors credential" if asked else "none is asked for"
    who = credential.subject or credential.header
    by, at = credential.replaced_by or credential.created_by, credential.replaced_at or credential.created_at
    who = f"{who}, company {credential.company}, sender {credential.sender}" if credential.sender else who
    return f"{credential.kind} {who}, stored {moment(at)} UTC by {by} ({credential.credential_id})"


def _credential(user: str, sender_id: str | None, *, from_stdin: bool) -> NewCredential:
    """What was typed: the user's password, and after it the sender's where there is one."""
    password = _password("Password", from_stdin=from_stdin)
    if sender_id is None:
        return NewCredential(user, password)
    return NewCredential(user, password, sender_id, _password("Sender password", from_stdin=from_stdin))


def _password(prompt: str, *, from_stdin: bool) -> Secret:
    if from_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise Misconfigured("No terminal to ask for the password. Pipe it in with --password-stdin.")
    return Secret(getpass.getpass(f"{prompt}: "))


def _adder(system: System) -> Callable[..., None]:
    """The command `connectors add SYSTEM`, with one option for each of the system's settings."""

    def add(**given: Any) -> None:
        key, tenant = given.pop("key"), given.pop("tenant")
        schedule, blackout, paused = given.pop("schedule"), given.pop("blackout"), given.pop("paused")
        credential = None
        if system.credentials:
            user, from_stdin = given.pop("user"), given.pop("password_stdin")
            credential = _credential(user, given.pop("sender_id", None), from_stdin=from_stdin)
        with Hub.from_environment() as hub:
            hub.add_connector(
                system=system.name,
                key=key,
                tenant=tenant,
                settings={name: value for name, value in given.items() if value is not None},
                credential=credential,
                schedule=schedule,
                blackout=blackout,
                paused_reason="created paused" if paused else None,
            )
        stdout().print(f"{key} is added. Check it: encours connectors test {key}")

    fixed: list[tuple[str, Any, Any]] = [
        ("key", Annotated[str, typer.Argument(help="A new key, unique in the installation.")], ...),
        ("tenant", Annotated[str, typer.Option(help="The tenant's key; unknown ones are created.")], ...),
        (
            "schedule",
            Annotated[str | None, typer.Option(help="Cron line in the tenant's zone. Default: hourly.")],
            None,
        ),
        (
            "blackout",
            Annotated[
                str | None,
                typer.Option(help="Cron line in whose minutes no scheduled run begins: * 18-23 L * *."),
            ],
            None,
        ),
        ("paused", Annotated[bool, typer.Option("--paused", help="Do not start the schedule yet.")], False),
    ]
    if system.credentials:
        stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password.")]
        fixed += [
            ("user", Annotated[str, typer.Option(help="The user name at the ERP.")], ...),
            ("password_stdin", stdin, False),
        ]
    if "intacct" in system.credentials:
        sender = Annotated[str, typer.Option(help="The sender id of the web services.")]
        fixed.append(("sender_id", sender, ...))
    settings = [_option(name, field) for name, field in system.Settings.model_fields.items()]
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if default is ... else inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=inspect.Parameter.empty if default is ... else default,
        )
        for name, annotation, default in sorted([*fixed, *settings], key=lambda option: option[2] is not ...)
    ]
    add.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    add.__annotations__ = {p.name: p.annotation for p in parameters}
    return add


def _option(name: str, field: pydantic.fields.FieldInfo) -> tuple[str, Any, Any]:
    """A setting as an option: text that pydantic reads; its description is the help."""
    if field.is_required():
        option = typer.Option(help=field.description, show_default=False)
        return name, Annotated[str, option], ...
    default = field.get_default(call_default_factory=True)
    option = typer.Option(help=field.description, show_default=_text(default) if default else False)
    return name, Annotated[str | None, option], None


for _system in SYSTEMS.values():
    add_app.command(name=_system.name, help=f"Add a connector for {_system.title}.")(_adder(_system))
