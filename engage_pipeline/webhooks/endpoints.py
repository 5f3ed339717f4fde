"""Which account a webhook path belongs to. Paths carry a token, of which only the hash is stored."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import token_sha256
from engage_pipeline.database.connections import connect

_FRESH_SECONDS = 30.0
_OLDEST_SECONDS = 60.0
_SECONDS_BETWEEN_SEARCHES = 1.0

log = logging.getLogger("engage.webhooks")


@dataclass(frozen=True)
class WebhookEndpoint:
    """One account's webhook path."""

    account_id: UUID
    provider: str
    credentials: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Endpoints:
    """The webhook paths of all accounts. Read again every half minute while requests on known paths go on, and at once
    for a token that is not known, but once a second at the most."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url, self._keyring = url, keyring
        self._by_hash: dict[str, WebhookEndpoint] = {}
        self._read_at = self._sought_at = float("-inf")
        self._seeking = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, provider: str, token: str) -> WebhookEndpoint | None:
        """The account of that provider whose path carries `token`; one that was replaced may be found a minute longer.

        Raises:
            psycopg.Error: the paths must be read, and the database does not answer.
        """
        digest = token_sha256(token)
        age = time.monotonic() - self._read_at
        if age > _OLDEST_SECONDS:
            await self.read()
        elif age > _FRESH_SECONDS and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self._read_beside())
        if digest not in self._by_hash:
            await self._seek()
        found = self._by_hash.get(digest)
        return found if found is not None and found.provider == provider else None

    async def read(self) -> None:
        """Read the paths.

        Raises:
            psycopg.Error: the database does not answer.
        """
        self._by_hash = await asyncio.to_thread(self._read)
        self._read_at = time.monotonic()

    async def _seek(self) -> None:
        async with self._seeking:
            if time.monotonic() - self._sought_at > _SECONDS_BETWEEN_SEARCHES:
                await self.read()
                self._sought_at = time.monotonic()

    async def _read_beside(self) -> None:
        try:
            await self.read()
        except psycopg.Error:
            log.warning("the accounts could not be read again; those read before count until the next reading")

    def _read(self) -> dict[str, WebhookEndpoint]:
        with connect(self._url, application_name="engage webhooks") as connection:
            rows = connection.execute(
                "select webhook_token_sha256, id, provider, credentials, settings from channel_accounts"
            ).fetchall()
        return {
            digest: WebhookEndpoint(
                account_id, provider, self._keyring.open(sealed, account_id=account_id), settings or {}
            )
            for digest, account_id, provider, sealed, settings in rows
        }
