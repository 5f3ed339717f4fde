"""`engage upload`, `engage uploads` and `engage generate-leads`: lead files, and what became of them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection, connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.intake import held
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.inbox import upload_file
from engage_pipeline.intake.options import GivenOptions
from engage_pipeline.intake.preview import Preview, preview
from engage_pipeline.intake.rejects import write_rejects
from engage_pipeline.intake.saved_mapping import read_saved_mapping
from engage_pipeline.intake.uploads import (
    RejectReason,
    Upload,
    UploadOptions,
    find_upload,
    latest_uploads,
    reject_reasons,
)
from engage_pipeline.settings import load_settings

app = typer.Typer(help="Lead files: what was loaded, and what was refused.", no_args_is_help=True)
out = Console(highlight=False)

ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


class FileKind(StrEnum):
    """`sniff.KINDS`, as typer takes them."""

    DELIMITED = "delimited"
    WORKBOOK = "workbook"
    JSON = "json"
    JSON_LINES = "json_lines"
    PARQUET = "parquet"


class KnownContacts(StrEnum):
    """`vocabulary.KNOWN_CONTACTS`, as typer takes them."""

    UPDATE = "update"
    LEAVE = "leave"


POLL_SECONDS = 0.25
_BOOKS = ("read", "inserted", "updated", "duplicate", "rejected", "held")
AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")]


def upload(
    file: ExistingFile,
    tenant: Annotated[str, typer.Option(help="Whose leads they are.")] = "demo",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: plain JSON for programs.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the rows as they are read, and the books.")] = False,
    kind: Annotated[FileKind | None, typer.Option("--format", help="What the file is, if not as sniffed.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a text, such as utf-8, cp1252 or utf-16.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between fields: one character, or tab.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook with several.")] = None,
    preset: Annotated[str | None, typer.Option(help="Whose columns these are, if not as recognised.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A YAML file that says what each column is."),
    ] = None,
    known_contacts: Annotated[
        KnownContacts | None, typer.Option(help="Update or leave contacts that are known, for this file.")
    ] = None,
) -> None:
    """Put FILE into the inbox of a tenant. The pipeline notices it there; nothing is loaded by this command.

    Example: engage upload leads.csv --tenant demo --dry-run
    """
    if as_json and not dry_run:
        raise typer.BadParameter("--json goes with --dry-run")
    options = _options(
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        sheet=sheet,
        preset=preset,
        known_contacts=known_contacts,
        mapping=mapping and read_saved_mapping(mapping),
    )
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        found = find_tenant(connection, tenant)
        if dry_run:
            with _rows_shown("reading") as show_rows:
                seen = preview(
                    file,
                    region=found.default_phone_region,
                    zone=found.time_zone,
                    options=options,
                    on_progress=show_rows,
                )
            if as_json:
                _print_json(seen.as_json())
            else:
                _draw_preview(seen)
            return
        upload_id, place = upload_file(connection, settings, found, file, options=options, now=utc_now())
        out.print(f"in the inbox: {place.relative_to(settings.inbox)}", markup=False, soft_wrap=True)
        if not wait:
            out.print(f"next: engage uploads show {upload_id} (while `engage dev` runs)", markup=False, soft_wrap=True)
            return
        done = _waited_for(connection, upload_id)
        _draw(done, reject_reasons(connection, upload_id))
    if done.status not in ("loaded", "repeated"):
        raise typer.Exit(1)


def _options(**given: Any) -> UploadOptions:
    """What was given, checked; what was not is absent."""
    try:
        return GivenOptions(**given).stored()
    except ValidationError as error:
        [first, *_] = error.errors()
        name = str(first["loc"][0]).replace("_", "-")
        raise typer.BadParameter(first["msg"].removeprefix("Value error, "), param_hint=f"--{name}") from error


def _waited_for(connection: Connection, upload_id: UUID) -> Upload:
    """The upload once it is finished, however it ended."""
    with _rows_shown("waiting for the pipeline") as show_rows:
        while (found := find_upload(connection, upload_id)).is_open:
            show_rows(found.rows_seen or 0, found.status)
            time.sleep(POLL_SECONDS)
    return found


@contextmanager
def _rows_shown(doing: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr with rows and rows a second; call what it gives with the rows so far."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=None, speed="")

        def show_rows(rows: int, status: str = doing) -> None:
            progress.update(
                task, completed=rows, description="waiting for the pipeline" if status == "waiting" else status
            )
            speed = progress.tasks[task].speed
            progress.update(task, speed=f"{speed:,.0f} rows/s" if speed else "")

        yield show_rows


@app.command()
def release(upload_id: UUID) -> None:
    """Load a held upload whatever its share of rejected rows. A running system does it; this command only asks.

    Example: engage uploads release 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11
    """
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        released = held.release(connection, settings, upload_id)
    out.print(f"{released.file_name} of {released.tenant_name} is released", markup=False, soft_wrap=True)
    out.print(f"next: engage uploads show {upload_id} (while `engage dev` runs)", markup=False, soft_wrap=True)


@app.command()
def discard(upload_id: UUID) -> None:
    """Make nothing of a held upload. Its suppressions still count, and its rejected rows can still be written out.

    Example: engage uploads discard 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11
    """
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        discarded = held.discard(connection, settings, upload_id, now=utc_now())
    out.print(f"{discarded.file_name} of {discarded.tenant_name} is discarded", markup=False, soft_wrap=True)


def generate_leads(
    file: Annotated[Path, typer.Argument(dir_okay=False, writable=True)],
    rows: Annotated[int, typer.Option(min=0, help="Leads to write.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 0,
) -> None:
    """Write fictional leads to FILE as CSV: addresses at example domains, numbers set aside for fiction.

    Example: engage generate-leads leads.csv --rows 5000 --seed 7
    """
    write_generated_leads(file, rows=rows, seed=seed)
    out.print(f"{rows} leads written to {file}", markup=False, soft_wrap=True)
    out.print(f"next: engage upload {file}", markup=False, soft_wrap=True)


@app.command("list")
def list_uploads(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20, as_json: AsJson = False
) -> None:
    """List the newest uploads with their books.

    Example: engage uploads list --limit 5
    """
    with connect(database_url(load_settings())) as connection:
        uploads = latest_uploads(connection, at_most=limit)
    if as_json:
        _print_json([upload.as_json() for upload in uploads])
        return
    # The whole id, because the other commands ask for it; two lines an upload fit a terminal of 80 columns.
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    for each in uploads:
        table.add_row(Text(str(each.upload_id), style="bold"), Text(each.status), Text(each.inbox_path))
        books = zip(_BOOKS, _counts(each), strict=True)
        table.add_row("", "", ", ".join(f"{name} {count:,}" for name, count in books if count))
    out.print(table)


@app.command()
def show(upload_id: UUID, as_json: AsJson = False) -> None:
    """Show what became of one upload: its books, why rows were rejected, or why the file was refused.

    Example: engage uploads show 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11 --json
    """
    with connect(database_url(load_settings())) as connection:
        found = find_upload(connection, upload_id)
        reasons = reject_reasons(connection, upload_id)
    if as_json:
        rejected = [
            {"reason_code": each.reason_code, "row_count": each.row_count, "first_line_number": each.first_line_number}
            for each in reasons
        ]
        _print_json({**found.as_json(), "rejected": rejected})
        return
    _draw(found, reasons)


@app.command()
def rejects(
    upload_id: UUID,
    file: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, writable=True, help="The CSV to write.")],
) -> None:
    """Write the rejected rows of an upload to a file like the original, with line and reason, to be mended.

    Example: engage uploads rejects 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11 -o mend.csv
    """
    with connect(database_url(load_settings())) as connection:
        found = find_upload(connection, upload_id)
        row_count = write_rejects(connection, found, file)
    out.print(f"{row_count} rows written to {file}", markup=False, soft_wrap=True)
    out.print(f"next: mend them, then engage upload {file} --tenant {found.tenant_name}", markup=False, soft_wrap=True)


def _draw(upload: Upload, reasons: list[RejectReason]) -> None:
    out.print(f"{upload.file_name} of {upload.tenant_name}: {upload.status}", markup=False)
    if upload.refusal_reason:
        out.print(f"{upload.refusal_code}: {upload.refusal_reason}", markup=False)
    if upload.repeat_of:
        out.print(f"the same bytes as upload {upload.repeat_of}, so nothing was read", markup=False)
    if upload.rows_read:
        shown = [(name, count) for name, count in zip(_BOOKS, _counts(upload), strict=True) if count or name != "held"]
        books = Table(*(name for name, _ in shown))
        books.add_row(*(f"{count:,}" for _, count in shown))
        out.print(books)
    if upload.status == "held":
        out.print(
            "held: too many of its rows are rejected, so none is a contact; what they say no to counts already",
            markup=False,
            soft_wrap=True,
        )
        out.print(f"load it as it is:   engage uploads release {upload.upload_id}", markup=False, soft_wrap=True)
        out.print(f"make nothing of it: engage uploads discard {upload.upload_id}", markup=False, soft_wrap=True)
    if upload.findings:
        _draw_findings(upload.findings)
    if reasons:
        out.print(_reasons_table(reasons))


def _draw_preview(seen: Preview) -> None:
    shown = seen.format
    packing = f", packed with {shown['packing']}" if shown["packing"] else ""
    details = [shown["kind"].replace("_", " "), shown["encoding"], shown["line_end"]]
    if shown["delimiter"]:
        details.insert(2, f"delimiter {shown['delimiter']!r}")
    if shown["sheet"]:
        details.append(f"sheet {shown['sheet']!r}")
    kind = ", ".join(detail for detail in details if detail) + packing
    out.print(f"{kind}; preset {seen.preset}; ids belong to {seen.source_system}", markup=False, soft_wrap=True)
    columns = Table("column", "becomes", "for example")
    for column in seen.columns:
        columns.add_row(Text(column.header), Text(column.meaning or "nothing"), Text(column.sample or ""))
    out.print(columns)
    rejected_count = sum(each.row_count for each in seen.rejected)
    out.print(
        f"{seen.rows_read:,} rows, of which {rejected_count:,} would be rejected; nothing was written", markup=False
    )
    if seen.rejected:
        out.print(_reasons_table(seen.rejected))


def _reasons_table(reasons: list[RejectReason]) -> Table:
    table = Table("rejected because", "rows", "first on line")
    for each in reasons:
        table.add_row(each.reason_code, str(each.row_count), str(each.first_line_number))
    return table


def _draw_findings(findings: dict[str, Any]) -> None:
    unreachable = findings["unreachable_contacts"]
    if unreachable:
        out.print(f"{unreachable:,} contacts have no phone and no e-mail address: nobody can reach them", markup=False)
    conflicts = findings["identity_conflicts"]
    if conflicts:
        out.print(
            f"{conflicts:,} rows have keys of different contacts (identity_conflict); none was moved", markup=False
        )
    for channel, contact_count in findings["wishes"].items():
        out.print(f"{contact_count:,} contacts said no to {channel}; kept for every address they get", markup=False)


def _counts(upload: Upload) -> tuple[int, ...]:
    return (
        upload.rows_read,
        upload.rows_inserted,
        upload.rows_updated,
        upload.rows_duplicate,
        upload.rows_rejected,
        upload.rows_held,
    )


def _print_json(value: object) -> None:
    out.print(json.dumps(value, ensure_ascii=False, indent=2), markup=False, soft_wrap=True)
