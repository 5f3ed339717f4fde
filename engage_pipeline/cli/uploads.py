"""`engage upload`, `engage uploads` and `engage generate-leads`: lead files, and what became of them."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.intake.generator import write_generated_leads
from engage_pipeline.intake.inbox import place_in_inbox
from engage_pipeline.intake.preview import Preview, preview
from engage_pipeline.intake.rejects import write_rejects
from engage_pipeline.intake.uploads import RejectReason, Upload, find_upload, latest_uploads, reject_reasons
from engage_pipeline.settings import load_settings

app = typer.Typer(help="Lead files: what was loaded, and what was refused.", no_args_is_help=True)
out = Console(highlight=False)

ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")]


def upload(
    file: ExistingFile,
    tenant: Annotated[str, typer.Option(help="Whose leads they are.")] = "demo",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: plain JSON for programs.")] = False,
) -> None:
    """Put FILE into the inbox of a tenant. The pipeline notices it there; nothing is loaded by this command.

    Example: engage upload leads.csv --tenant demo --dry-run
    """
    if as_json and not dry_run:
        raise typer.BadParameter("--json goes with --dry-run")
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        found = find_tenant(connection, tenant)
    if dry_run:
        seen = preview(file, region=found.default_phone_region)
        if as_json:
            _print_json(seen.as_json())
        else:
            _draw_preview(seen)
        return
    place = place_in_inbox(settings, tenant, file)
    out.print(f"in the inbox: {place.relative_to(settings.inbox)}", markup=False, soft_wrap=True)
    out.print("next: engage uploads list (while `engage dev` runs)", markup=False)


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
        books = zip(("read", "inserted", "updated", "duplicate", "rejected"), _counts(each), strict=True)
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
    if upload.status == "loaded":
        books = Table("read", "inserted", "updated", "duplicate", "rejected")
        books.add_row(*map(str, _counts(upload)))
        out.print(books)
    if upload.findings:
        _draw_findings(upload.findings)
    if reasons:
        out.print(_reasons_table(reasons))


def _draw_preview(seen: Preview) -> None:
    shown = seen.format
    packing = f", packed with {shown['packing']}" if shown["packing"] else ""
    kind = f"{shown['encoding']}, delimiter {shown['delimiter']!r}, {shown['line_end']}{packing}"
    out.print(f"{kind}; ids belong to {seen.source_system}", markup=False, soft_wrap=True)
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
    )


def _print_json(value: object) -> None:
    out.print(json.dumps(value, ensure_ascii=False, indent=2), markup=False, soft_wrap=True)
