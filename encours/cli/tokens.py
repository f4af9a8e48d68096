"""`tokens`: every credential and its token, what each has read, and the end of one; never a secret."""

from __future__ import annotations

from typing import Annotated

import typer

from encours.cli.output import amounts, confirm, moment, print_json, print_table, stdout
from encours.hub import Hub, person
from encours.inventory import token_id_of
from receivables.errors import Misconfigured

app = typer.Typer(help="The credentials and tokens there are, and what they have read.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Key = Annotated[str, typer.Argument(help="The connector's key.")]
Maybe = Annotated[str | None, typer.Argument(help="Only this connector's.")]


@app.command(name="list")
def list_(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's. Default: every tenant's.")] = None,
    as_json: Json = False,
) -> None:
    """The inventory: who answers for each credential, what it is good for, until when, who used it last."""
    with Hub.from_environment() as hub:
        found = hub.security.inventory(tenant)
    if as_json:
        print_json(found)
        return
    print_table(
        [
            *("TENANT", "CONNECTORS", "OWNER", "PURPOSE", "SERVICE", "SUBJECT", "SCOPES", "ISSUED (UTC)"),
            *("EXPIRES (UTC)", "STATE", "LAST USED (UTC)", "BY"),
        ],
        [
            [
                one.tenant,
                ", ".join(one.connectors) or "none",
                one.owner or "nobody",
                one.purpose or "-",
                one.service,
                one.subject or "-",
                " ".join(one.scopes_asked if one.scopes_granted is None else one.scopes_granted) or "-",
                moment(one.issued_at),
                moment(one.expires_at),
                one.condition,
                moment(one.last_used_at),
                one.last_run or "-",
            ]
            for one in found
        ],
    )
    if not found:
        stdout().print("No credential yet. A connector brings its own: encours connectors add --help")


@app.command()
def uses(
    key: Maybe = None,
    *,
    run: Annotated[int | None, typer.Option(help="Only of this run of the connector.")] = None,
    token: Annotated[str | None, typer.Option(help="Only of this token, by its id.")] = None,
    document: Annotated[
        str | None, typer.Option(help="Only of the runs that brought this document as it is or was.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Which token signed which run: what a token has read, and which one fetched an invoice."""
    if run is not None and key is None:
        raise Misconfigured("A run's number is its connector's: say which one.")
    narrowed = {"number": run, "token_id": token_id_of(token) if token else None, "document": document}
    with Hub.from_environment() as hub:
        found = hub.security.uses(key, **narrowed)
    if as_json:
        print_json(found)
        return
    print_table(
        ["CONNECTOR", "RUN", "OPENED (UTC)", "ENDED (UTC)", "REQUESTS", "TOKEN", "CREDENTIAL"],
        [
            [
                one.connector,
                str(one.run),
                moment(one.opened_at),
                moment(one.ended_at),
                f"{one.uses:,}",
                str(one.token_id or "-"),
                str(one.credential_id),
            ]
            for one in found
        ],
        right=["RUN", "REQUESTS"],
    )
    if not found:
        stdout().print("No request was signed.")


@app.command()
def findings(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's. Default: every tenant's.")] = None,
    as_json: Json = False,
) -> None:
    """What to look at: credentials nobody answers for, shared, unused, too strong, endless, or ending."""
    with Hub.from_environment() as hub:
        found = [(one, finding) for one in hub.security.inventory(tenant) for finding in one.findings]
    if as_json:
        print_json(
            [
                {
                    "tenant": one.tenant,
                    "credential_id": one.credential_id,
                    "connectors": one.connectors,
                    "finding": finding.code,
                    "sentence": finding.sentence,
                }
                for one, finding in found
            ]
        )
        return
    print_table(
        ["TENANT", "CONNECTORS", "SERVICE", "FINDING", "WHAT IT IS"],
        [
            [one.tenant, ", ".join(one.connectors) or "none", one.service, finding.code, finding.sentence]
            for one, finding in found
        ],
    )
    if not found:
        stdout().print("Nothing to look at.")


@app.command()
def assign(
    key: Key,
    *,
    owner: Annotated[str | None, typer.Option(help="Who answers for its credential.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What it is there for.")] = None,
) -> None:
    """Say who answers for a connector's credential, and what it is for; its secret stays as it is."""
    if owner is None and purpose is None:
        raise Misconfigured("Say who answers for it (--owner), what it is for (--purpose), or both.")
    with Hub.from_environment() as hub:
        hub.security.assign(key, owner=owner, purpose=purpose, by=person())
    stdout().print(f"{key}: noted, and told in the audit.", markup=False)


@app.command()
def revoke(
    key: Key,
    reason: Annotated[str, typer.Option(help="Why; it is shown to everyone and kept in the audit.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask to type the key.")] = False,
) -> None:
    """End a connector's token, at its provider and here; pauses every connector that signs with it.

    Shows first what goes stale. The client or the user is still known at the provider: block it there too if
    it should get no other token.
    """
    with Hub.from_environment() as hub:
        stale = hub.overview(hub.security.signing(key))
        print_table(
            ["GOES STALE", "STATE", "NEXT RUN (UTC)", "PUBLISHED (UTC)", "OPEN AMOUNT"],
            [
                [
                    one.key,
                    one.state.replace("_", " "),
                    moment(one.next_run),
                    moment(one.published_at),
                    amounts(one.open_amounts),
                ]
                for one in stale
            ],
        )
        confirm(f"Type {key} to revoke the token that they sign with:", key, yes=yes)
        done = hub.security.revoke(key, reason, by=person())
    stdout().print(done.sentence, markup=False)
    for each in done.paused:
        stdout().print(f"{each} is paused. Start it again: encours connectors resume {each}", markup=False)
