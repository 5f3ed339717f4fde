"""`engage demo`, `engage dev`, `engage books`, `engage batches`: running an installation and looking at it."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import phonenumbers
import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.books import read_books
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.execution.batches import list_batches as list_open_batches
from engage_pipeline.execution.batches import retry_batch
from engage_pipeline.settings import load_settings
from engage_pipeline.stack.demo import run_demo
from engage_pipeline.stack.errors import BooksDoNotBalance
from engage_pipeline.stack.example import apply_example_flows_if_empty
from engage_pipeline.stack.installation import running
from engage_pipeline.stack.report import books_table

out = Console(highlight=False)
batches = typer.Typer(help="Micro-batches: list the open and failed ones, retry one.", no_args_is_help=True)


def demo(
    file: Annotated[Path | None, typer.Option(help="A lead file; 5,000 generated leads without one.")] = None,
    region: Annotated[str, typer.Option(help="Default phone region, two letters.")] = "US",
) -> None:
    """Run the whole pipeline once against the sandbox, end by itself, print the books. Reaches nobody.

    Example: engage demo --file leads.csv --region IN
    """
    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise typer.BadParameter(f"{region} is not a region such as US, IN or GB", param_hint="--region")
    if file is not None and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="--file")
    # Faster than production: a minute between warehouse builds would be most of the demo, and its queue is short.
    settings = load_settings().model_copy(update={"warehouse_interval_seconds": 5, "start_timeout_seconds": 60})
    try:
        run_demo(settings, file=file, region=region.upper(), console=out)
    except KeyboardInterrupt:
        Console(stderr=True).print("\nStopped. Run it again: it goes on where it was, and calls nobody twice.")
        raise typer.Exit(130) from None


def dev() -> None:
    """Everything up until Ctrl-C: PostgreSQL, sandbox providers, the API, Dagster with its UI and sensors.

    Reaches nobody.

    Example: engage dev, and in another shell: engage upload leads.csv
    """
    settings = load_settings()
    out.print("Starting PostgreSQL, the sandbox providers and Dagster")
    try:
        # Another server of yours lets the API in under a password that only you know.
        with_api = settings.database_url is None or settings.api_database_url is not None
        with running(settings, with_ui=True, with_api=with_api) as installation:
            with connect(installation.url) as connection:
                if apply_example_flows_if_empty(connection):
                    out.print("No tenant yet, so the tenant demo was made with the flows of flows/demo.yaml")
            out.print(f"Dagster UI           http://127.0.0.1:{settings.dagster_port}")
            if with_api:
                out.print(f"API                  http://127.0.0.1:{installation.settings.webhook_port}/api/docs")
                out.print("API token            .venv/bin/engage token create --tenant demo --role admin")
            else:
                out.print("API                  off: ENGAGE_API_DATABASE_URL is not set (docs/api.md)")
            out.print(f"Sandbox providers    {installation.settings.sandbox_url}/record/summary")
            out.print(f"Inbox                {settings.inbox}/<tenant>/", soft_wrap=True)
            out.print("Upload               .venv/bin/engage upload FILE")
            out.print(f"Logs                 {settings.logs}")
            out.print("Ctrl-C stops everything.")
            while True:
                installation.processes.check()
                time.sleep(1)
    except KeyboardInterrupt:
        out.print("Stopped.")


def books(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Check that nothing was lost, done twice, or done without a record. Exit code 1 when the books do not balance.

    Example: engage books --json | jq .problems
    """
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        found = read_books(connection, settings.sandbox_record)
    if as_json:
        out.print_json(json.dumps(asdict(found), default=str))
    else:
        out.print(books_table(found))
    if not found.are_balanced:
        raise BooksDoNotBalance(found.problems)


@batches.command("list")
def list_batches() -> None:
    """Micro-batches that are waiting, running or failed, oldest first."""
    with connect(database_url(load_settings())) as connection:
        found = list_open_batches(connection)
    table = Table("batch", "kind", "status", "items", "attempt", "formed (UTC)")
    for each in found:
        counts = (str(each["item_count"]), str(each["attempt"]))
        table.add_row(str(each["id"]), each["kind"], each["status"], *counts, f"{each['formed_at']:%Y-%m-%d %H:%M:%S}")
    out.print(table if found else "no micro-batch is waiting, running or failed")


@batches.command("retry")
def retry(batch_id: UUID) -> None:
    """Open another attempt at a failed micro-batch. What it did already is not done again.

    Example: engage batches retry 01932f5e-0000-7000-8000-000000000000
    """
    with connect(database_url(load_settings())) as connection:
        if not retry_batch(connection, batch_id):
            raise typer.BadParameter(f"{batch_id} is not a failed micro-batch", param_hint="BATCH_ID")
    out.print(f"{batch_id} waits for the next sensor tick")
