"""`connectors`: add, look at, test, pause and remove them; keep them in one TOML file if you like."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pydantic
import typer

from connectors.kit.stream import System
from connectors.systems import SYSTEMS
from encours.cli import connecting, credentials
from encours.cli.output import confirm, moment, print_json, print_table, stdout
from encours.configuration import apply as apply_configuration
from encours.configuration import export as export_configuration
from encours.credential import NewCredential
from encours.hub import Hub
from encours.translation import translated
from identity.inventory import Holding
from identity.oauth import REFRESH_TOKEN, OAuthClient

app = typer.Typer(help="The links between tenants and their ERPs.", no_args_is_help=True)
add_app = typer.Typer(
    help="Add a connector: choose the system, then give its settings.", no_args_is_help=True
)
app.add_typer(add_app, name="add")

Key = Annotated[str, typer.Argument(help="The connector's key.")]
EVERY_KIND = tuple(dict.fromkeys(kind for system in SYSTEMS.values() for kind in system.credentials))
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
        (connector, credential), now = hub.describe(key), hub.clock()
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
    if credential is not None and credential.kind == OAuthClient.kind:
        rows += [*_facts(credential), ("token", _token(credential, now))]
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
        confirm(f"Published items and their history stay. Type {key} to remove it:", key, yes=yes)
        hub.remove(key)
    stdout().print(f"{key} is removed.")


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


def _shown(system: str, credential: Holding | None) -> str:
    """What may be shown of a credential: who signs in, since when, never the secret."""
    if credential is None:
        asked = system not in SYSTEMS or SYSTEMS[system].credentials
        return "none: encours connectors credential" if asked else "none is asked for"
    who = credential.subject
    by, at = credential.replaced_by or credential.created_by, credential.replaced_at or credential.created_at
    who = f"{who}, company {credential.company}, sender {credential.sender}" if credential.sender else who
    return f"{credential.kind} {who}, stored {moment(at)} UTC by {by} ({credential.credential_id})"


def _facts(client: Holding) -> list[tuple[str, str]]:
    """What an OAuth client asks for and where, as it would be typed."""
    return [(name.replace("_", " "), _text(value)) for name, value in client.facts.items() if value]


def _token(client: Holding, now: datetime) -> str:
    """How its token stands; the token itself is never shown."""
    if client.expires_at is None:
        return client.condition(now)
    granted = "" if client.scope is None else f", granted {client.scope}"
    return f"{client.condition(now)}, until {moment(client.expires_at)} UTC{granted} ({client.token_id})"


def _credential(key: str, given: dict[str, Any]) -> NewCredential | OAuthClient:
    """What was typed to sign in with, taken out of all that was given."""
    chosen = {name: given.pop(name) for name in credentials.options(EVERY_KIND) if name in given}
    with translated(key):
        return credentials.typed(chosen)


def _replacer() -> Callable[..., None]:
    """The command `connectors credential`, with the options of every kind of credential."""

    def credential(**given: Any) -> None:
        key = given.pop("key")
        with Hub.from_environment() as hub:
            hub.registry.connector(key)
            who = _credential(key, given)
            hub.replace_credential(key, who)
        name = who.subject if isinstance(who, OAuthClient) else who.user
        stdout().print(f"{key} signs in as {name} from now on. {_next(key, who)}", markup=False)

    return _with_options(credential, [("key", Key, ...), *_signing_in(EVERY_KIND)])


def _adder(system: System) -> Callable[..., None]:
    """The command `connectors add SYSTEM`, with one option for each of the system's settings."""

    def add(**given: Any) -> None:
        key, tenant = given.pop("key"), given.pop("tenant")
        schedule, blackout, paused = given.pop("schedule"), given.pop("blackout"), given.pop("paused")
        credential = _credential(key, given) if system.credentials else None
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
        stdout().print(f"{key} is added. {_next(key, credential)}", markup=False)

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
    settings = [_option(name, field) for name, field in system.Settings.model_fields.items()]
    return _with_options(add, [*fixed, *_signing_in(system.credentials), *settings])


def _next(key: str, credential: NewCredential | OAuthClient | None) -> str:
    """What to type next."""
    if isinstance(credential, OAuthClient) and credential.grant == REFRESH_TOKEN:
        return f"Have a person consent: encours connectors connect {key}"
    return f"Check it: encours connectors test {key}"


def _signing_in(kinds: Sequence[str]) -> list[tuple[str, Any, Any]]:
    return [
        (name, option, False if name == "password_stdin" else None)
        for name, option in credentials.options(kinds).items()
    ]


def _with_options(
    command: Callable[..., None], options: Sequence[tuple[str, Any, Any]]
) -> Callable[..., None]:
    """The command with these parameters, each a name, its annotation and its default (...: it has none)."""
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if default is ... else inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=inspect.Parameter.empty if default is ... else default,
        )
        for name, annotation, default in sorted(options, key=lambda option: option[2] is not ...)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


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
app.command(
    name="credential", help="Replace what a connector signs in with: a user and password, or a client."
)(_replacer())
app.command()(connecting.connect)
