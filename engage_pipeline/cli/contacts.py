"""`engage contacts`: find a person, see what is known of them, and forget them."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.settings import load_settings

app = typer.Typer(help="One person: what is known of them, and forgetting it.", no_args_is_help=True)
out = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")]


@app.command()
def find(
    text: Annotated[str, typer.Argument(help="A phone number, an e-mail address, an id or a whole name.")],
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find contacts of all tenants, the newest first.

    Example: engage contacts find "(202) 555-0171"
    """
    from engage_pipeline.privacy.contacts import find_contacts

    with connect(database_url(load_settings())) as connection:
        found = find_contacts(connection, text, at_most=limit)
    if as_json:
        _print_json(found)
        return
    for each in found:
        name = " ".join(filter(None, (each["first_name"], each["last_name"])))
        known_by = ", ".join(filter(None, (name, each["phone_e164"], each["email"])))
        line = f"{each['contact_id']} {each['tenant_name']}: {known_by or 'nothing is known'}"
        out.print(line, markup=False, soft_wrap=True)
    if not found:
        out.print("nobody", markup=False)


@app.command()
def show(contact_id: UUID, as_json: AsJson = False) -> None:
    """Show all that is known of a contact, and what was done for it.

    Example: engage contacts show 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11
    """
    from engage_pipeline.privacy.contacts import show_contact

    with connect(database_url(load_settings())) as connection:
        contact = show_contact(connection, contact_id)
    if as_json:
        _print_json(contact)
        return
    actions = contact.pop("actions")
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in contact.items():
        if value not in (None, [], {}):
            facts.add_row(name, Text(_as_text(value)))
    out.print(facts)
    if actions:
        done = Table("flow", "action", "status", "outcome")
        for each in actions:
            outcome = each["outcome"] or each["skip_reason"] or ""
            done.add_row(Text(each["flow_name"]), each["action_type"], each["status"], outcome)
        out.print(done)


@app.command()
def forget(
    contact_id: UUID,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person everywhere, for good. They stay suppressed: a keyed hash recognises them when uploaded again.

    Example: engage contacts forget 0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11
    """
    from engage_pipeline.privacy.forget import forget_contact

    settings = load_settings()
    if not yes:
        typer.confirm(f"Erase contact {contact_id} for good?", abort=True, err=True)
    with connect(database_url(settings)) as connection:
        report = forget_contact(connection, settings, contact_id, now=utc_now())
    if as_json:
        _print_json(report.as_json())
        return
    out.print(f"contact {contact_id} is forgotten", markup=False, soft_wrap=True)
    for count, what in (
        (report.cancelled_count, "open executions were cancelled"),
        (report.log_count, "action logs lost their request and what was said"),
        (report.rejected_row_count, "rejected rows lost what they said"),
        (report.row_count, "rows were taken out of lead files"),
        (report.file_count, "lead files were deleted"),
    ):
        if count:
            out.print(f"  {count:,} {what}", markup=False, soft_wrap=True)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _print_json(value: object) -> None:
    out.print(json.dumps(value, ensure_ascii=False, indent=2, default=str), markup=False, soft_wrap=True)
