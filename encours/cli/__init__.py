"""The command line `encours`: what administrators and scripts type.

Exit codes: 0 done, 1 it failed and trying again will not help, 2 wrong usage, 3 the books differ (held),
75 try again later (the ERP or the books did not keep still).
"""

from __future__ import annotations

import sys

import psycopg
import typer

from encours.cli import (
    audit,
    connectors,
    decisions,
    keys,
    receivables,
    rejects,
    sandbox,
    suspects,
    syncing,
    tokens,
)
from encours.cli.output import complain, stderr
from encours.cli.service import down, up
from receivables.errors import HubError, Transient

HELD = 3
TRY_AGAIN = 75

app = typer.Typer(
    name="encours",
    help="Receivables from your ERP, published only when they agree with its own books.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(down)
app.command()(syncing.sync)
app.command()(syncing.backfill)
app.command()(syncing.status)
app.command(name="tie-out")(syncing.tie_out)
app.command()(decisions.publish)
app.command()(decisions.waive)
app.command()(receivables.ageing)
app.command(name="aging", hidden=True)(receivables.ageing)
app.command()(receivables.statement)
app.command()(suspects.suspects)
app.add_typer(connectors.app, name="connectors")
app.add_typer(decisions.runs_app, name="runs")
app.add_typer(decisions.waivers_app, name="waivers")
app.add_typer(rejects.app, name="rejects")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Runs the command line; errors of ours become one sentence on standard error and an exit code."""
    try:
        app()
    except Transient as error:
        complain(error)
        sys.exit(TRY_AGAIN)
    except HubError as error:
        complain(error)
        sys.exit(1)
    except psycopg.OperationalError as error:
        complain(Transient(f"The hub's database went away: {error}. What was published stays; try again."))
        sys.exit(TRY_AGAIN)
    except KeyboardInterrupt:
        stderr().print(
            "Interrupted. Nothing of this run was published; the next one resumes or starts again."
        )
        sys.exit(130)
