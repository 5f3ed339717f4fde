"""`engage templates`: what messages say."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engage_pipeline.accounts.recipients import find_recipient
from engage_pipeline.accounts.stopped import list_stopped, resume_templates
from engage_pipeline.accounts.templates import find_template, list_saved, read_template_file, save_templates
from engage_pipeline.channels.protocol import Skip
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import ensure_tenant, find_tenant
from engage_pipeline.matching.explain import NoContact
from engage_pipeline.settings import load_settings

out = Console(highlight=False)
app = typer.Typer(help="Message templates: list, show, preview, apply, resume.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="Whose templates.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_all(tenant: Tenant = "demo", as_json: AsJson = False) -> None:
    """The tenant's templates in their newest versions, with the values that each needs, and what stops one.

    A stopped template may also be one of the provider's own, which is not saved here.
    """
    with connect(database_url(load_settings())) as connection:
        user_id = find_tenant(connection, tenant).user_id
        saved, stopped = list_saved(connection, user_id), list_stopped(connection, user_id)
    if as_json:
        reasons = {(each.channel, each.template_id): each.reason for each in stopped}
        rows = [
            {
                "name": each.template.name,
                "channel": each.template.channel,
                "version": each.template.version,
                "variables": sorted(each.template.variables),
                "created_at": each.created_at.isoformat(),
                "stopped": reasons.pop((each.template.channel, each.template.name), None),
            }
            for each in saved
        ]
        rows += [
            {"name": name, "channel": channel, "version": None, "stopped": reason}
            for (channel, name), reason in reasons.items()
        ]
        out.print_json(json.dumps(rows))
        return
    table = Table("template", "channel", "version", "needs", "saved (UTC)")
    for each in saved:
        template = each.template
        needs = ", ".join(sorted(template.variables)) or "nothing"
        table.add_row(
            template.name, template.channel, str(template.version), needs, f"{each.created_at:%Y-%m-%d %H:%M}"
        )
    out.print(table if saved else "no template yet; `engage templates apply FILE` saves some")
    for stop in stopped:
        out.print(f"[bold red]STOPPED[/] {stop.channel} {escape(stop.template_id)}: {escape(stop.reason)}")


@app.command()
def resume(name: str, tenant: Tenant = "demo") -> None:
    """Send with NAME again, once what its provider refused is mended there. What waited is due again.

    Example: engage templates resume welcome
    """
    with connect(database_url(load_settings())) as connection:
        lifted = resume_templates(connection, find_tenant(connection, tenant).user_id, template_id=name)
    out.print("resumed" if lifted else f"{name} is not stopped", markup=False)


@app.command()
def show(
    name: str, tenant: Tenant = "demo", version: Annotated[int | None, typer.Option(help="An older one.")] = None
) -> None:
    """Print a template as it was saved.

    Example: engage templates show welcome --version 1
    """
    with connect(database_url(load_settings())) as connection:
        template = find_template(connection, find_tenant(connection, tenant).user_id, name, version=version)
    out.print_json(
        json.dumps(
            {
                "name": template.name,
                "channel": template.channel,
                "version": template.version,
                **template.content,
                "defaults": template.defaults,
            }
        )
    )


@app.command()
def preview(
    name: str,
    contact: Annotated[str, typer.Option(help="Id, phone number or e-mail address of a contact.")],
    tenant: Tenant = "demo",
    as_json: AsJson = False,
) -> None:
    """What a contact would be sent, or why nothing. Sends nothing.

    Example: engage templates preview welcome --contact asha@example.com
    """
    with connect(database_url(load_settings())) as connection:
        owner = find_tenant(connection, tenant)
        template = find_template(connection, owner.user_id, name)
        recipient = find_recipient(connection, owner, contact)
    if recipient is None:
        raise NoContact
    rendered = template.render(recipient, **({"unsubscribe_url": "(link)"} if template.channel == "email" else {}))
    if isinstance(rendered, Skip):
        out.print(f"{rendered.reason}: {rendered.words}", markup=False)
        raise typer.Exit(1)
    if as_json or template.channel != "email":
        out.print_json(json.dumps(rendered))
        return
    out.print(f"Subject: {rendered['subject']}\n\n{rendered['text']}", markup=False)


@app.command()
def apply(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]) -> None:
    """Save the templates of FILE, each as a new version where it changed. Checks every variable first.

    Example: engage templates apply flows/templates.yaml
    """
    tenant, templates = read_template_file(file)
    with connect(database_url(load_settings())) as connection:
        saved = save_templates(connection, ensure_tenant(connection, tenant).user_id, templates)
    for template in saved:
        out.print(f"{template.channel} {template.name} version {template.version}", markup=False)
    out.print(f"{len(saved)} saved, {len(templates) - len(saved)} unchanged")
