"""`sandbox`: starts simulated ERPs or an identity provider, and posts business; each a process of its own."""

from __future__ import annotations

import subprocess
import sys

import typer

app = typer.Typer(help="Simulated ERPs to try Encours with, over real HTTP.", no_args_is_help=True)

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=PASS_ON, help="Start simulated ERPs (options: encours sandbox start --help).")
def start(context: typer.Context) -> None:
    """Runs `python -m sandbox start` with the same options."""
    _run("start", context.args)


@app.command(
    context_settings=PASS_ON,
    help="Start a simulated identity provider (options: encours sandbox idp --help).",
)
def idp(context: typer.Context) -> None:
    """Runs `python -m sandbox idp` with the same options."""
    _run("idp", context.args)


@app.command(
    context_settings=PASS_ON,
    help="Post business into them, once or continuously (options: encours sandbox post --help).",
)
def post(context: typer.Context) -> None:
    """Runs `python -m sandbox post` with the same options."""
    _run("post", context.args)


@app.command(
    context_settings=PASS_ON,
    help="Play a month of business in minutes (options: encours sandbox month --help).",
)
def month(context: typer.Context) -> None:
    """Runs `python -m sandbox month` with the same options."""
    _run("month", context.args)


def _run(command: str, arguments: list[str]) -> None:
    process = subprocess.Popen([sys.executable, "-m", "sandbox", command, *arguments])
    try:
        sys.exit(process.wait())
    except KeyboardInterrupt:
        process.terminate()
        sys.exit(process.wait())
