"""`engage accounts`: with which providers a tenant's messages go out, and whether anybody real is reached."""

import json
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import (
    add_account,
    ensure_sandbox_accounts,
    list_accounts,
    pause_account,
    refuse_lifted_legal_hours,
    resume_account,
    rotate_token,
)
from engage_pipeline.channels.registry import PROVIDERS
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import connect, database_url
from engage_pipeline.database.tenants import find_tenant
from engage_pipeline.settings import load_settings

out = Console(highlight=False)
app = typer.Typer(help="Channel accounts: list, add, pause, resume, rotate-token.", no_args_is_help=True)


@app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Every tenant's accounts, what pauses one, and what each may send. Credentials are never shown."""
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        ensure_sandbox_accounts(connection, Keyring(settings))
        accounts = list_accounts(connection)
    if as_json:
        out.print_json(
            json.dumps(
                [{name: value for name, value in vars(account).items() if name != "sealed"} for account in accounts],
                default=str,
            )
        )
        return
    table = Table("account", "tenant", "channel", "provider", "mode", "state")
    for account in accounts:
        state = "active" if account.is_active else "replaced"
        paused = f"[bold red]PAUSED[/] {account.paused_reason}" if account.paused_reason else state
        mode = "[bold yellow]live[/]" if account.mode == "live" else "sandbox"
        table.add_row(str(account.account_id), account.tenant_name, account.channel, account.provider, mode, paused)
    out.print(table if accounts else "no tenant yet; run `engage flows apply` first")


@app.command()
def add(
    provider: Annotated[str, typer.Argument(help="bolna, whatsapp, resend, sendgrid or smtp.")],
    tenant: Annotated[str, typer.Option(help="Whose account.")] = "demo",
    live: Annotated[bool, typer.Option("--live", help="Reach real people. Asks before it does.")] = False,
    setting: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, such as sender or phone_number_id.")] = None,
    per_second: Annotated[float | None, typer.Option(help="Requests a second; the provider's limit without.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Accepted and without an outcome, at the most.")] = None,
    per_day: Annotated[int | None, typer.Option(help="Requests a day, UTC.")] = None,
) -> None:
    """Give the tenant an account with PROVIDER; its new messages go by it. Without --live it is the sandbox's.

    Credentials are asked for, one after another, and never taken from the environment or the command line.

    Example: engage accounts add resend --live --setting 'sender=Acme <hello@acme.example>'
    """
    known = PROVIDERS.get(provider)
    if known is None:
        raise typer.BadParameter(f"there is no provider {provider}", param_hint="PROVIDER")
    pairs = dict(_pair(each) for each in setting or [])
    credentials = {}
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        user_id = find_tenant(connection, tenant).user_id
        if live:
            refuse_lifted_legal_hours(connection, user_id, provider)
    if live:
        out.print(f"This makes {known.action_type} of the tenant {tenant} REAL: it reaches people, and costs money.")
        if typer.prompt(f"Type the tenant's name, {tenant}, to go on", default="", show_default=False) != tenant:
            raise typer.Exit(1)
        credentials = {name: typer.prompt(name, hide_input=True) for name in known.credentials}
    with connect(database_url(settings)) as connection:
        added = add_account(
            connection,
            Keyring(settings),
            user_id,
            provider,
            mode="live" if live else "sandbox",
            credentials=credentials,
            settings=pairs,
            requests_per_second=per_second,
            in_flight_cap=in_flight,
            daily_cap=per_day,
        )
    out.print(f"account {added.account_id}", soft_wrap=True)
    if live and known.webhooks is not None:
        out.print("Give the provider this webhook address; it is shown only now:")
        out.print(f"{settings.public_url.rstrip('/')}/webhooks/{provider}/{added.webhook_token}", soft_wrap=True)


@app.command()
def pause(
    account_id: UUID, reason: Annotated[str, typer.Option(help="What for; the list shows it.")] = "paused by hand"
) -> None:
    """Claim nothing more for the account. What is pending waits.

    Example: engage accounts pause 01932f5e-0000-7000-8000-000000000000 --reason 'number is being verified'
    """
    with connect(database_url(load_settings())) as connection:
        changed = pause_account(connection, account_id, reason=reason, now=utc_now())
    out.print("paused" if changed else "there is no such account, or it is paused already")


@app.command()
def resume(account_id: UUID) -> None:
    """Send again what waited, once the reason is mended.

    Example: engage accounts resume 01932f5e-0000-7000-8000-000000000000
    """
    with connect(database_url(load_settings())) as connection:
        resume_account(connection, account_id)
    out.print("resumed")


@app.command("rotate-token")
def rotate(account_id: UUID) -> None:
    """Replace the secret in the account's webhook address, and show the new address once.

    The old one is refused within a minute, so give the new one to the provider right away.

    Example: engage accounts rotate-token 01932f5e-0000-7000-8000-000000000000
    """
    settings = load_settings()
    with connect(database_url(settings)) as connection:
        rotated = rotate_token(connection, Keyring(settings), account_id)
        (account,) = [each for each in list_accounts(connection) if each.account_id == account_id]
    if account.mode == "sandbox":
        out.print("rotated; the sandbox uses it from its next request on")
        return
    out.print("Give the provider this webhook address; it is shown only now:")
    out.print(f"{settings.public_url.rstrip('/')}/webhooks/{account.provider}/{rotated.webhook_token}", soft_wrap=True)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text} is not NAME=VALUE", param_hint="--setting")
    return name, value
