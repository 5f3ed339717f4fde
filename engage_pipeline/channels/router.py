"""One channel for many accounts: a contact goes by its tenant's account, a stored request by the account it names."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from engage_pipeline.channels.answers import Answer, ProviderOutcome, TryLater, Unknown
from engage_pipeline.channels.protocol import Channel, Client, Recipient, Request, Skip

_GONE = "the account that sent it is no longer there"


@dataclass(frozen=True)
class Router:
    """The channel of one action type.

    Attributes:
        accounts: every account's channel, those that are no longer used too.
        active: tenant -> the account that its new requests go by.
    """

    action_type: str
    accounts: Mapping[UUID, Channel]
    active: Mapping[UUID, UUID]

    @property
    def look_up_repeats(self) -> bool:
        """Whether any account's look-up may send."""
        return any(channel.look_up_repeats for channel in self.accounts.values())

    @property
    def reports_outcomes(self) -> bool:
        """True: an account whose provider tells nothing later says so in its `Accepted`."""
        return True

    def address(self, recipient: Recipient) -> str | None:
        """The address that the tenant's account would use; None without one."""
        channel = self._channel_of(recipient)
        return None if channel is None else channel.address(recipient)

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The tenant's account, the template that the action names, if it names one, and the request."""
        channel = self._channel_of(recipient)
        if channel is None or recipient.user_id is None:
            return Skip("no_account", "the tenant has no account for this channel")
        message = channel.prepare(recipient, action_config, reference=reference)
        if isinstance(message, Skip):
            return message
        template_id = action_config.get("template_id")
        named = {} if template_id is None else {"template_id": str(template_id)}
        return {"account_id": str(self.active[recipient.user_id]), **named, "message": message}

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """By the account that the request names."""
        channel = self._account_of(request)
        if channel is None:
            return TryLater(_GONE)
        return await channel.send(client, request["message"], reference=reference)

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """By the account that the request names."""
        channel = self._account_of(request)
        if channel is None:
            return Unknown(_GONE)
        return await channel.look_up(client, request["message"], reference=reference, sent_at=sent_at)

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """By the account that the request names."""
        channel = self._account_of(request)
        if channel is None:
            return None
        return await channel.ask_outcome(client, request["message"], provider_message_id=provider_message_id)

    async def ask_account(
        self, client: Client, account_id: UUID, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """What became of a request that an account sent, of which nothing but the provider's id is at hand."""
        channel = self.accounts.get(account_id)
        if channel is None:
            return None
        return await channel.ask_outcome(client, {}, provider_message_id=provider_message_id)

    async def stated_concurrencies(self, client: Client) -> dict[UUID, int]:
        """Of each active account whose provider says so, how many requests it may have in flight."""
        asked = list(self.active.values())
        said = await asyncio.gather(*(self.accounts[account_id].stated_concurrency(client) for account_id in asked))
        return {account_id: most for account_id, most in zip(asked, said, strict=True) if most is not None}

    async def stated_concurrency(self, client: Client) -> int | None:
        """None: it is each account's own."""
        return None

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """By the account that the request names."""
        channel = self._account_of(request)
        if channel is None:
            return False
        return await channel.stop(client, request["message"], provider_message_id=provider_message_id)

    def _channel_of(self, recipient: Recipient) -> Channel | None:
        account_id = None if recipient.user_id is None else self.active.get(recipient.user_id)
        return None if account_id is None else self.accounts.get(account_id)

    def _account_of(self, request: Request) -> Channel | None:
        return self.accounts.get(UUID(request["account_id"])) if "account_id" in request else None
