"""`engage pause` and `engage resume`: the emergency brake."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from engage_pipeline.database.connections import Connection, connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.execution import brake
from engage_pipeline.settings import load_settings

out = Console(highlight=False)


def _known_channel(value: str | None) -> str | None:
    if value is not None and value not in CHANNELS:
        raise typer.BadParameter(f"a channel is one of {', '.join(CHANNELS)}")
    return value


OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant; otherwise all.")]
OfChannel = Annotated[
    str | None, typer.Option("--channel", callback=_known_channel, help="Only this channel; otherwise all.")
]


def pause(
    tenant: OfTenant = None,
    channel: OfChannel = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it.")] = "by hand",
) -> None:
    """Stop sending: no call or message begins after the chunk that is on its way. What is due waits.

    Example: engage pause --tenant demo --channel ai_call --reason "wrong script"
    """
    with connect(database_url(load_settings())) as connection:
        is_new = brake.pause(connection, _user_id(connection, tenant), channel, reason=reason)
        _say("paused" if is_new else "already paused", tenant, channel)
        _show_pauses(connection)


def resume(tenant: OfTenant = None, channel: OfChannel = None) -> None:
    """Take off the brake that was put on for the same tenant and channel. What is due is sent, unless it is too late.

    Example: engage resume --tenant demo --channel ai_call
    """
    with connect(database_url(load_settings())) as connection:
        was_on = brake.resume(connection, _user_id(connection, tenant), channel)
        _say("resumed" if was_on else "was not paused", tenant, channel)
        _show_pauses(connection)


def _user_id(connection: Connection, tenant: str | None) -> UUID | None:
    return None if tenant is None else find_tenant(connection, tenant).user_id


def _say(what: str, tenant: str | None, channel: str | None) -> None:
    out.print(f"{what}: {tenant or 'every tenant'}, {channel or 'every channel'}", markup=False)


def _show_pauses(connection: Connection) -> None:
    for each in brake.pauses(connection):
        on = f"{each.tenant_name or 'every tenant'}, {each.channel or 'every channel'}"
        out.print(
            f"  on since {each.created_at:%Y-%m-%d %H:%M} UTC: {on} ({each.reason})", markup=False, soft_wrap=True
        )
