"""`engage tenants`: whose contacts there are, and what each tenant has decided about uploads."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import decide, decisions, find_tenant
from engage_pipeline.settings import load_settings

app = typer.Typer(help="Tenants and their decisions about uploads.", no_args_is_help=True)
out = Console(highlight=False)


@app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")] = False) -> None:
    """List the tenants.

    Example: engage tenants list --json
    """
    with connect(database_url(load_settings())) as connection:
        found = decisions(connection)
    if as_json:
        out.print(json.dumps(found, ensure_ascii=False, indent=2), markup=False, soft_wrap=True)
        return
    table = Table("tenant", "phone region", "time zone", "held above", "known contacts")
    for each in found:
        table.add_row(
            each["name"],
            each["default_phone_region"],
            each["time_zone"],
            f"{each['reject_threshold']:.0%}",
            each["known_contacts"],
        )
    out.print(table)


@app.command("set")
def set_decisions(
    tenant: str,
    reject_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="An upload with a greater share of rejected rows is held.")
    ] = None,
    leave_known: Annotated[
        bool | None, typer.Option("--leave-known/--update-known", help="What an upload does with known contacts.")
    ] = None,
) -> None:
    """Decide about the uploads of TENANT; what is not given stays.

    Example: engage tenants set demo --reject-threshold 0.5 --leave-known
    """
    with connect(database_url(load_settings())) as connection:
        found = find_tenant(connection, tenant)
        decide(connection, found.user_id, reject_threshold=reject_threshold, leaves_known=leave_known)
    out.print(f"{tenant}: kept", markup=False)
