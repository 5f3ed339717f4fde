"""The demo: the whole pipeline once, on generated leads or a file, ending by itself with balanced books."""

import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live

from engage_pipeline.analytics.read import published_as_of
from engage_pipeline.books import read_books
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.inbox import place_in_inbox
from engage_pipeline.settings import Settings
from engage_pipeline.stack.errors import BooksDoNotBalance, DemoStalled, UploadRefused
from engage_pipeline.stack.example import TENANT, apply_example_flows
from engage_pipeline.stack.installation import Installation, running
from engage_pipeline.stack.progress import Progress, UploadState, newest_upload, read_progress
from engage_pipeline.stack.report import print_summary, progress_view

GENERATED_ROWS = 5000
GENERATED_SEED = 20_260_101

STALL_SECONDS = 300.0
"""Longer than a lease, its recovery and the longest retry together, so that a killed run worker is waited for."""


def run_demo(settings: Settings, *, file: Path | None, region: str, console: Console) -> None:
    """Run the main job on `file` (or 5,000 generated leads), print what happened and check the books.

    Args:
        region: default phone region of the demo tenant, two letters.

    Raises:
        UploadRefused: the file could not be read with certainty.
        DemoStalled: nothing moved for five minutes.
        BooksDoNotBalance: something was lost, done twice, or done without a record.
    """
    began = time.monotonic()
    console.print(
        "[bold]Engage Pipeline[/]: the whole job once. Every call goes to the sandbox on 127.0.0.1, nobody real."
    )
    console.print(f"Starting PostgreSQL, the sandbox providers and Dagster; their logs are in {settings.logs}")
    with running(settings, with_ui=False) as installation, connect(installation.url) as connection:
        apply_example_flows(connection)
        ensure_tenant(connection, TENANT, default_phone_region=region)
        placed_at = utc_now()
        inbox_path = place_in_inbox(settings, TENANT, file or _generated_leads(settings)).relative_to(settings.inbox)
        console.print(f"{inbox_path.name} is in the inbox; from here the sensors do everything\n")
        upload = _watch(installation, connection, str(inbox_path), since=placed_at, console=console)
        books = read_books(connection, settings.sandbox_record)
        print_summary(console, connection, books, upload, settings, seconds=time.monotonic() - began)
    if not books.are_balanced:
        raise BooksDoNotBalance(books.problems)


def _generated_leads(settings: Settings) -> Path:
    """The same file every time: a second demo uploads the same bytes, and nobody is called again."""
    path = settings.home / "demo" / f"generated-leads-{GENERATED_ROWS}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_generated_leads(path, rows=GENERATED_ROWS, seed=GENERATED_SEED)
    return path


def _watch(
    installation: Installation, connection: Connection, inbox_path: str, *, since: datetime, console: Console
) -> UploadState:
    """Show progress until the upload is loaded, every execution is finished or waiting, and the warehouse has all."""
    last_state: tuple[Progress, UploadState | None] | None = None
    moved_at = time.monotonic()
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            installation.processes.check()
            upload = newest_upload(connection, inbox_path, since=since)
            if upload is not None and upload.status in ("refused", "failed"):
                raise _refusal(upload, file_name=Path(inbox_path).name)
            progress = read_progress(connection, now=utc_now())
            live.update(progress_view(progress, upload))
            if upload is not None and progress.is_quiet and _warehouse_has(installation.settings, progress):
                return upload
            if (progress, upload) != last_state:
                last_state, moved_at = (progress, upload), time.monotonic()
            elif time.monotonic() - moved_at > STALL_SECONDS:
                doing = "waiting for the sensor to see the file" if upload is None else progress.doing
                raise DemoStalled(seconds=STALL_SECONDS, doing=doing, logs=installation.settings.logs)
            time.sleep(0.5)


def _warehouse_has(settings: Settings, progress: Progress) -> bool:
    """Whether the published file was built from a snapshot taken after the ledger last changed."""
    as_of = published_as_of(settings.warehouse)
    return as_of is not None and (progress.last_change_at is None or as_of >= progress.last_change_at)


def _refusal(upload: UploadState, *, file_name: str) -> UploadRefused:
    return UploadRefused(
        code=upload.refusal_code or "upload-failed",
        file_name=file_name,
        reason=upload.refusal_reason or "its runs died more often than they are tried; the Dagster log says why",
    )
