"""Assembles the `engage` command and turns errors that a person can mend into three readable lines and exit code 1."""

import json
import sys

import typer
from rich.console import Console

from engage_pipeline.cli import database, stats
from engage_pipeline.errors import EngageError

app = typer.Typer(
    name="engage",
    help="Automated lead engagement as a data pipeline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(database.app, name="db")
app.command()(stats.stats)
app.command()(stats.sql)


def main() -> None:
    """Entry point of the console script. Exit codes: 0 done, 1 an error with its fix, 2 wrong usage."""
    try:
        app()
    except EngageError as error:
        if "--json" in sys.argv:
            print(json.dumps(error.as_dict()))  # noqa: T201 - stdout is where a program reads the result
        console = Console(stderr=True, highlight=False)
        console.print(f"[bold red]{error.code}[/]: ", end="")
        console.print(error.what, markup=False)
        console.print(f"  why: {error.why}", markup=False)
        console.print(f"  fix: {error.fix}", markup=False)
        sys.exit(1)
