"""Assembles the `engage` command and turns errors that a person can mend into three readable lines and exit code 1."""

import json
import sys
from typing import NoReturn

import psycopg
import typer
from rich.console import Console

from engage_pipeline.cli import (
    accounts,
    brake,
    contacts,
    database,
    executions,
    flows,
    stack,
    stats,
    suppressions,
    templates,
    tenants,
    uploads,
)
from engage_pipeline.cli.api import api, tokens
from engage_pipeline.cli.budget import plan_budget
from engage_pipeline.cli.explain import explain
from engage_pipeline.cli.sandbox import sandbox
from engage_pipeline.cli.simulate import simulate
from engage_pipeline.cli.webhooks import webhooks
from engage_pipeline.database.errors import DatabaseUnreachable, SchemaMissing
from engage_pipeline.errors import EngageError

app = typer.Typer(
    name="engage",
    help="Automated lead engagement as a data pipeline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(stack.demo)
app.command()(stack.dev)
app.command()(uploads.upload)
app.add_typer(uploads.app, name="uploads")
app.command()(suppressions.suppress)
app.add_typer(contacts.app, name="contacts")
app.add_typer(flows.app, name="flows")
app.command()(explain)
app.command()(simulate)
app.command()(stats.stats)
app.command()(stats.sql)
app.command()(stats.export)
app.command()(stack.books)
app.add_typer(executions.app, name="executions")
app.command("test-run")(executions.test_run)
app.command()(brake.pause)
app.command()(brake.resume)
app.add_typer(stack.batches, name="batches")
app.add_typer(tenants.app, name="tenants")
app.add_typer(database.app, name="db")
app.add_typer(accounts.app, name="accounts")
app.add_typer(templates.app, name="templates")
app.command("plan-budget")(plan_budget)
app.command()(sandbox)
app.command()(webhooks)
app.command()(api)
app.add_typer(tokens, name="token")
app.command("generate-leads")(uploads.generate_leads)


def main() -> None:
    """Entry point of the console script. Exit codes: 0 done, 1 an error with its fix, 2 wrong usage."""
    try:
        app()
    except EngageError as error:
        _show(error)
    except psycopg.OperationalError as error:
        _show(DatabaseUnreachable(reason=str(error).strip().splitlines()[0]))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        _show(SchemaMissing(reason=error.diag.message_primary or "a table or column is missing"))


def _show(error: EngageError) -> NoReturn:
    if "--json" in sys.argv:
        print(json.dumps(error.as_dict()))  # noqa: T201 - stdout is where a program reads the result
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{error.code}[/]: ", end="")
    console.print(error.what, markup=False, soft_wrap=True)
    console.print(f"  why: {error.why}", markup=False, soft_wrap=True)
    console.print(f"  fix: {error.fix}", markup=False, soft_wrap=True)
    sys.exit(1)
