"""The webhook application over a real database, with a tenant's sandbox accounts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.opening import unsubscribe_links
from engage_pipeline.accounts.store import add_account, ensure_sandbox_accounts, list_accounts
from engage_pipeline.channels.sandbox.keys import SandboxKey, read_key
from engage_pipeline.channels.sandbox.telling import signed_headers
from engage_pipeline.clock import utc_now
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.settings import Settings
from engage_pipeline.webhooks.app import WebhookApp
from engage_pipeline.webhooks.endpoints import Endpoints


@dataclass
class Hooks:
    """The application, and a provider's side of it."""

    settings: Settings
    url: str
    connection: Connection
    client: httpx.AsyncClient

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.settings)

    def key(self, provider: str, tenant: str = "acme") -> SandboxKey:
        """What the tenant's sandbox account with the provider holds."""
        user_id = ensure_tenant(self.connection, tenant).user_id
        ensure_sandbox_accounts(self.connection, self.keyring)
        active = {each.provider for each in list_accounts(self.connection) if each.is_active}
        if provider not in active:
            add_account(self.connection, self.keyring, user_id, provider, mode="sandbox", credentials={}, settings={})
        (account,) = [
            each
            for each in list_accounts(self.connection)
            if (each.tenant_name, each.provider, each.is_active) == (tenant, provider, True)
        ]
        credentials = self.keyring.open(account.sealed, account_id=account.account_id)
        key = read_key(f"Bearer {credentials['api_key']}")
        assert key is not None
        return key

    async def post(
        self,
        provider: str,
        raw: bytes,
        *,
        key: SandboxKey | None = None,
        message_id: str = "msg_1",
        token: str | None = None,
        **headers: Any,
    ) -> httpx.Response:
        """One webhook, signed as the provider signs, unless `headers` replace what was signed."""
        key = key or self.key(provider)
        signed = signed_headers(provider, key, raw, message_id=message_id, now=utc_now())
        return await self.client.post(
            f"/webhooks/{provider}/{token or key.token}",
            content=raw,
            headers={**{name.lower(): value for name, value in signed.items()}, **headers},
        )

    def stored(self) -> list[tuple[str, int]]:
        """(event_key, delivery_count) of every stored event, in order of arrival."""
        return self.connection.execute("select event_key, delivery_count from provider_events order by id").fetchall()


@pytest.fixture
async def hooks(database: str, connection: Connection, tmp_path: Path) -> AsyncIterator[Hooks]:
    """The application in this process; `hooks.client` speaks to it without a socket."""
    settings = Settings(home=tmp_path, database_url=database)
    keyring = Keyring(settings)
    app = WebhookApp(database, Endpoints(database, keyring), unsubscribe_links(settings, keyring)).app()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://hooks.example.com") as client:
            yield Hooks(settings, database, connection, client)
