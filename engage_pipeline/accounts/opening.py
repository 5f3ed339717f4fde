"""From stored accounts to channels that can send."""

from collections.abc import Mapping
from uuid import UUID

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import StoredAccount, ensure_sandbox_accounts, list_accounts
from engage_pipeline.accounts.templates import templates_in_force
from engage_pipeline.channels.account import Account
from engage_pipeline.channels.registry import PROVIDERS, SANDBOX_PROVIDERS, sandbox_base_url
from engage_pipeline.channels.router import Router
from engage_pipeline.channels.templates import Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.database.connections import Connection
from engage_pipeline.settings import Settings


def unsubscribe_links(settings: Settings, keyring: Keyring) -> UnsubscribeLinks:
    """The links of this installation."""
    return UnsubscribeLinks(settings.public_url.rstrip("/"), keyring.derived("unsubscribe"))


def open_channels(connection: Connection, settings: Settings) -> dict[str, Router]:
    """Every channel by its action_type, over all tenants' accounts as they are now.

    Raises:
        NotLoopback: `settings.sandbox_url` leads off this machine.
        KeyMissing: credentials were stored under another installation's key.
    """
    keyring = Keyring(settings)
    ensure_sandbox_accounts(connection, keyring)
    stored = list_accounts(connection)
    templates = templates_in_force(connection)
    links = unsubscribe_links(settings, keyring)
    channels = {each.account_id: _open(each, settings, keyring, templates, links) for each in stored}
    return {
        action_type: Router(
            action_type,
            {
                each.account_id: PROVIDERS[each.provider].open_channel(channels[each.account_id])
                for each in stored
                if each.channel == action_type
            },
            {each.user_id: each.account_id for each in stored if each.channel == action_type and each.is_active},
        )
        for action_type in SANDBOX_PROVIDERS
    }


def _open(
    stored: StoredAccount,
    settings: Settings,
    keyring: Keyring,
    templates: Mapping[tuple[UUID, str], Mapping[str, Template]],
    links: UnsubscribeLinks,
) -> Account:
    provider = PROVIDERS[stored.provider]
    is_live = stored.mode == "live"
    return Account(
        account_id=stored.account_id,
        user_id=stored.user_id,
        provider=stored.provider,
        mode=stored.mode,
        base_url=(provider.live_url or "") if is_live else sandbox_base_url(settings.sandbox_url, stored.provider),
        credentials=keyring.open(stored.sealed, account_id=stored.account_id),
        settings=stored.settings,
        templates=templates.get((stored.user_id, stored.channel), {}),
        unsubscribe=links,
    )
