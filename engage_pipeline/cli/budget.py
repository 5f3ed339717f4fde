"""`engage plan-budget`: how long an upload will take, and what it will cost."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import ensure_sandbox_accounts
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.execution.plan_budget import plan_budget as plan
from engage_pipeline.settings import load_settings

out = Console(highlight=False)


def plan_budget(
    contacts: Annotated[int, typer.Argument(min=0, help="How many new contacts.")],
    tenant: Annotated[str, typer.Option(help="Whose accounts.")] = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how long CONTACTS new contacts will take on each channel, and what they will cost. Sends nothing.

    An estimate: the accounts' limits, with as many actions a contact and cents an action as in the last 30 days. Waits
    and business hours come on top.

    Example: engage plan-budget 100000
    """
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        ensure_sandbox_accounts(connection, Keyring(settings))
        plans = plan(connection, find_tenant(connection, tenant).user_id, contacts, now=utc_now())
    if as_json:
        out.print_json(json.dumps([asdict(each) for each in plans]))
        return
    table = Table("channel", "provider", "mode", "actions", "takes", "bound by", "costs")
    for each in plans:
        cost = "not known yet" if each.cost_cents is None else f"${each.cost_cents / 100:,.2f}"
        takes = str(timedelta(seconds=round(each.seconds)))
        table.add_row(each.channel, each.provider, each.mode, f"{each.action_count:,}", takes, each.bound_by, cost)
    out.print(table)
