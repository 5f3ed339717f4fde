"""`engage api` and `engage token create`: the HTTP interface, and who may use it."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.settings import load_settings

tokens = typer.Typer(help="Tokens for the API.", no_args_is_help=True)
out = Console(highlight=False)
progress = Console(stderr=True, highlight=False)


class RoleName(StrEnum):
    """`tokens.ROLES`, as typer takes them."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


def api() -> None:
    """Serve the API, webhooks and unsubscribe links on 127.0.0.1 until stopped. `engage dev` runs it too.

    Example: ENGAGE_JWT_SECRET=$(openssl rand -hex 32) engage api
    """
    from engage_pipeline.api.serve import serve

    settings = load_settings()
    progress.print(f"API at http://127.0.0.1:{settings.webhook_port}/api/docs", soft_wrap=True)
    try:
        serve(settings)
    except SystemExit as error:
        if error.code:
            raise typer.Exit(1) from error


@tokens.callback()
def _group() -> None:
    """Tokens for the API."""


@tokens.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose rows it may see.")] = "demo",
    role: Annotated[RoleName, typer.Option(help="viewer reads, editor changes, admin also stops sending.")] = (
        RoleName.VIEWER
    ),
    days: Annotated[float, typer.Option(min=0.001, max=3650, help="How long it counts.")] = 1,
    subject: Annotated[str, typer.Option(help="Who uses it.")] = "command line",
    private_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file to sign with, for RS256 and ES256.")
    ] = None,
) -> None:
    """Print a token for the API of a tenant. Whoever has it may use it until it expires.

    Example: TOKEN=$(engage token create --tenant demo --role editor --days 7)
    """
    from engage_pipeline.api.tokens import issue_token

    settings = load_settings()
    with connect(database_url(settings)) as connection:
        found = find_tenant(connection, tenant)
    token = issue_token(
        settings,
        user_id=found.user_id,
        role=role.value,
        subject=subject,
        now=utc_now(),
        lasts=timedelta(days=days),
        private_key=private_key,
    )
    out.print(token, markup=False, soft_wrap=True)
