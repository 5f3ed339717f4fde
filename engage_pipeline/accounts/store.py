"""Channel accounts in the database. A tenant has a sandbox account of each channel until it is given another."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from engage_pipeline.accounts.errors import InvalidAccount, NoAccount
from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.stopped import resume_templates
from engage_pipeline.channels.account import Mode
from engage_pipeline.channels.provider import Provider
from engage_pipeline.channels.registry import PROVIDERS, SANDBOX_PROVIDERS, SANDBOX_SENDER
from engage_pipeline.channels.sandbox.keys import new_key
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent

SANDBOX_SETTINGS: Mapping[str, Any] = {"sender": SANDBOX_SENDER, "phone_number_id": "sandbox"}
"""What a sandbox account needs and is not given."""

SANDBOX_REQUESTS_PER_SECOND = 20_000
SANDBOX_IN_FLIGHT = 20_000
"""Budget of a sandbox account: more than one machine reaches."""


@dataclass(frozen=True)
class StoredAccount:
    """One row of `channel_accounts`, with its credentials still sealed."""

    account_id: UUID
    user_id: UUID
    tenant_name: str
    channel: str
    provider: str
    mode: Mode
    settings: Mapping[str, Any]
    is_active: bool
    paused_reason: str | None
    paused_at: datetime | None
    sealed: bytes


@dataclass(frozen=True)
class AddedAccount:
    """A new account, and the token of its webhook path, which nothing can show again."""

    account_id: UUID
    webhook_token: str


def token_sha256(token: str) -> str:
    """What is stored of a webhook path's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def list_accounts(connection: Connection) -> list[StoredAccount]:
    """Every account, by tenant and channel, the active one of a channel first."""
    rows = connection.execute(
        "select accounts.id, accounts.user_id, users.name, channel, provider, mode, settings, is_active,"
        " paused_reason, paused_at, credentials from channel_accounts as accounts"
        " inner join users on users.id = accounts.user_id order by users.name, channel, is_active desc, accounts.id"
    ).fetchall()
    return [StoredAccount(*row) for row in rows]


def ensure_sandbox_accounts(connection: Connection, keyring: Keyring) -> None:
    """A sandbox account for every tenant and channel that has no account at all."""
    missing = connection.execute(
        "select users.id, channels.channel from users cross join unnest(%s::text[]) as channels (channel)"
        " where not exists (select 1 from channel_accounts as accounts"
        " where accounts.user_id = users.id and accounts.channel = channels.channel)"
        " order by users.id, channels.channel",
        [list(SANDBOX_PROVIDERS)],
    ).fetchall()
    for user_id, channel in missing:
        _insert_sandbox_account(connection, keyring, user_id, SANDBOX_PROVIDERS[channel])


def add_account(
    connection: Connection,
    keyring: Keyring,
    user_id: UUID,
    provider_name: str,
    *,
    mode: Mode,
    credentials: Mapping[str, str],
    settings: Mapping[str, Any],
    requests_per_second: float | None = None,
    in_flight_cap: int | None = None,
    daily_cap: int | None = None,
) -> AddedAccount:
    """Add an account and make it the active one of its channel. What the caller leaves out of the budget is the
    provider's documented limit.

    Raises:
        InvalidAccount: there is no such provider, something that it needs is missing, unknown or malformed, or it would
            be live and the tenant's legal hours are lifted.
    """
    provider = PROVIDERS.get(provider_name)
    if provider is None:
        raise InvalidAccount(
            provider_name, why="there is no such provider", fix=f"use one of: {', '.join(sorted(PROVIDERS))}"
        )
    if mode == "sandbox":
        with connection.transaction():
            _retire(connection, user_id, provider.action_type)
            return _insert_sandbox_account(
                connection,
                keyring,
                user_id,
                provider_name,
                settings,
                requests_per_second=requests_per_second,
                in_flight_cap=in_flight_cap,
                daily_cap=daily_cap,
            )
    _check(provider, credentials, settings)
    token = secrets.token_urlsafe(32)
    with connection.transaction():
        refuse_lifted_legal_hours(connection, user_id, provider_name)
        _retire(connection, user_id, provider.action_type)
        account_id = _insert(
            connection,
            keyring,
            user_id,
            provider_name,
            mode=mode,
            credentials=credentials,
            settings=settings,
            token=token,
            budget=(
                requests_per_second or provider.requests_per_second,
                in_flight_cap,
                provider.in_flight,
                daily_cap or provider.daily_cap,
            ),
        )
    return AddedAccount(account_id, token)


def refuse_lifted_legal_hours(connection: Connection, user_id: UUID, provider_name: str) -> None:
    """Raises InvalidAccount for a live account of a tenant whose legal hours are lifted."""
    row = connection.execute("select legal_hours from users where id = %s for no key update", [user_id]).fetchone()
    if row is not None and not row[0]:
        raise InvalidAccount(
            provider_name,
            why="the tenant's legal hours are lifted, and a live account reaches real people",
            fix="write `legal_hours: true` at the top of the tenant's flow file and apply it",
        )


def pause_account(connection: Connection, account_id: UUID, *, reason: str, now: datetime) -> bool:
    """Nothing more is claimed for it until it is resumed. False when it is paused already."""
    paused = connection.execute(
        "update channel_accounts set paused_at = %s, paused_reason = %s where id = %s and paused_at is null",
        [now, reason, account_id],
    )
    return paused.rowcount == 1


def resume_account(connection: Connection, account_id: UUID) -> None:
    """What waited is due again.

    Raises:
        NoAccount: there is none of that id.
    """
    resumed = connection.execute(
        "update channel_accounts set paused_at = null, paused_reason = null where id = %s", [account_id]
    )
    if resumed.rowcount == 0:
        raise NoAccount(account_id)


def rotate_token(connection: Connection, keyring: Keyring, account_id: UUID) -> AddedAccount:
    """Give the account's webhook path another token. The webhook application forgets the last one within a minute.

    Raises:
        NoAccount: there is none of that id.
        InvalidAccount: its provider sends no webhooks.
    """
    with connection.transaction():
        row = connection.execute(
            "select provider, mode, credentials from channel_accounts where id = %s for update", [account_id]
        ).fetchone()
        if row is None:
            raise NoAccount(account_id)
        provider, mode, sealed = row
        if PROVIDERS[provider].webhooks is None:
            raise InvalidAccount(provider, why="it has no webhooks", fix="there is nothing to do", deed="changed")
        token = secrets.token_urlsafe(32)
        if mode == "sandbox":  # the sandbox finds the path in the API key
            key = new_key()
            token, sealed = key.token, keyring.seal(key.credentials(provider))
        connection.execute(
            "update channel_accounts set webhook_token_sha256 = %s, credentials = %s where id = %s",
            [token_sha256(token), sealed, account_id],
        )
    return AddedAccount(account_id, token)


def _retire(connection: Connection, user_id: UUID, channel: str) -> None:
    """The channel's next account begins without the last one's refusals of templates."""
    resume_templates(connection, user_id, channel=channel)
    connection.execute(
        "update channel_accounts set is_active = false where user_id = %s and channel = %s and is_active",
        [user_id, channel],
    )


def _check(provider: Provider, credentials: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Raises InvalidAccount for what would otherwise be noticed while sending, or by every tenant at once."""
    given = {**credentials, **settings}
    needed = {*provider.credentials, *provider.settings}
    known = {*needed, *provider.optional_settings}
    if unknown := given.keys() - known:
        raise InvalidAccount(
            provider.name, why=f"it has no {min(unknown)!r}", fix=f"what it has is: {', '.join(sorted(known))}"
        )
    if missing := {name for name in needed if not str(given.get(name) or "").strip()}:
        raise InvalidAccount(provider.name, why=f"{min(missing)!r} is missing", fix="give it a value")
    for name, is_good, words in (
        ("port", _is_port, "a number from 1 to 65535"),
        ("sender", _is_sender, "written as 'Acme <hello@acme.example>'"),
        ("allowed_addresses", _are_networks, "a list of addresses or networks with commas between"),
    ):
        if name in given and not is_good(str(given[name])):
            raise InvalidAccount(provider.name, why=f"{name} cannot be {given[name]!r}", fix=f"it is {words}")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) < 65_536


def _is_sender(text: str) -> bool:
    return text.isprintable() and "@" in parseaddr(text)[1]


def _are_networks(text: str) -> bool:
    try:
        return all(ip_network(each.strip(), strict=False) for each in text.split(","))
    except ValueError:
        return False


def _insert_sandbox_account(
    connection: Connection,
    keyring: Keyring,
    user_id: UUID,
    provider: str,
    settings: Mapping[str, Any] | None = None,
    *,
    requests_per_second: float | None = None,
    in_flight_cap: int | None = None,
    daily_cap: int | None = None,
) -> AddedAccount:
    key = new_key()
    own = {name: value for name, value in SANDBOX_SETTINGS.items() if name in PROVIDERS[provider].settings}
    own.update(settings or {})
    _check(PROVIDERS[provider], dict.fromkeys(PROVIDERS[provider].credentials, "the sandbox's"), own)
    account_id = _insert(
        connection,
        keyring,
        user_id,
        provider,
        mode="sandbox",
        credentials=key.credentials(provider),
        settings=own,
        token=key.token,
        budget=(
            requests_per_second or SANDBOX_REQUESTS_PER_SECOND,
            in_flight_cap,
            None if PROVIDERS[provider].in_flight is None else SANDBOX_IN_FLIGHT,
            daily_cap,
        ),
    )
    return AddedAccount(account_id, key.token)


def _insert(
    connection: Connection,
    keyring: Keyring,
    user_id: UUID,
    provider: str,
    *,
    mode: Mode,
    credentials: Mapping[str, str],
    settings: Mapping[str, Any],
    token: str,
    budget: tuple[float | None, int | None, int | None, int | None],
) -> UUID:
    """Another process may insert the same tenant's first account at once; then that one stands."""
    channel = PROVIDERS[provider].action_type
    requests_per_second, in_flight_cap, stated_in_flight_cap, daily_cap = budget
    row = connection.execute(
        load_statement(_HERE, "insert_account"),
        {
            "user_id": user_id,
            "channel": channel,
            "provider": provider,
            "mode": mode,
            "credentials": keyring.seal(credentials),
            "settings": Jsonb(dict(settings)),
            "webhook_token_sha256": token_sha256(token),
            "requests_per_second": requests_per_second,
            "in_flight_cap": in_flight_cap,
            "stated_in_flight_cap": stated_in_flight_cap,
            "daily_cap": daily_cap,
        },
    ).fetchone()
    if row is None:  # the other process committed after this statement had taken its snapshot
        row = connection.execute(
            "select id from channel_accounts where user_id = %s and channel = %s and is_active", [user_id, channel]
        ).fetchone()
    assert row is not None  # noqa: S101 - whoever was first has inserted it
    return UUID(str(row[0]))
