"""`engage suppress`: addresses that must not be used, from a list."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.intake.suppression_list import suppress_list
from engage_pipeline.settings import load_settings

out = Console(highlight=False)


class Channel(StrEnum):
    """The channels, as the option takes them."""

    ai_call = "ai_call"
    whatsapp_message = "whatsapp_message"
    email = "email"


def suppress(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    channel: Annotated[list[Channel], typer.Option(help="What must not be used; may be given several times.")],
    tenant: Annotated[str, typer.Option(help="Who must not use it.")] = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Plain JSON for programs.")] = False,
) -> None:
    """Suppress every address of FILE for good. Exits with 1 when something of a row could not be kept, and says which.

    Example: engage suppress unsubscribed.csv --channel email --tenant demo
    """
    channels = list(dict.fromkeys(each.value for each in channel))
    with connect(database_url(load_settings())) as connection:
        report = suppress_list(
            connection, file, channels=channels, tenant=find_tenant(connection, tenant), now=utc_now()
        )
    if as_json:
        out.print(json.dumps(report.as_json(), indent=2), markup=False, soft_wrap=True)
    else:
        kept = f"{report.address_count:,} addresses suppressed for {', '.join(channels)}"
        out.print(f"{kept}; {report.added_count:,} of them were not before", markup=False, soft_wrap=True)
        for row in report.rejected:
            out.print(f"line {row.line_number}: {row.reason_code}: {row.reason}", markup=False, soft_wrap=True)
        if report.rejected:
            out.print("mend those lines and run it again: what is suppressed stays so", markup=False)
    if report.rejected:
        raise typer.Exit(1)
