"""Which account a webhook path belongs to. Paths carry a token, of which only the hash is stored."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engage_pipeline.accounts.keyring import Keyring
from engage_pipeline.accounts.store import token_sha256
from engage_pipeline.database.connections import connect

_FRESH_SECONDS = 30.0
_LEAST_SECONDS_BETWEEN_READS = 1.0


@dataclass(frozen=True)
class WebhookEndpoint:
    """One account's webhook path."""

    account_id: UUID
    provider: str
    credentials: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Endpoints:
    """The webhook paths of all accounts, read again every half minute, and once a second for a token not known yet."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url, self._keyring = url, keyring
        self._by_hash: dict[str, WebhookEndpoint] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, provider: str, token: str) -> WebhookEndpoint | None:
        """The account of that provider whose path carries `token`."""
        digest = token_sha256(token)
        age = time.monotonic() - self._read_at
        if age > _FRESH_SECONDS or (digest not in self._by_hash and age > _LEAST_SECONDS_BETWEEN_READS):
            async with self._reading:
                if time.monotonic() - self._read_at > _LEAST_SECONDS_BETWEEN_READS:
                    self._by_hash = await asyncio.to_thread(self._read)
                    self._read_at = time.monotonic()
        found = self._by_hash.get(digest)
        return found if found is not None and found.provider == provider else None

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
