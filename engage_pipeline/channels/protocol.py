"""What every channel offers the ledger, and what it is told about the contact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import httpx

from engage_pipeline.channels.answers import Answer

Request = dict[str, Any]
"""What is handed to a provider, frozen with the intent so that a replay is identical: the JSON body, or for a provider
whose address names the sender, that name and the body."""


@dataclass(frozen=True)
class Recipient:
    """What a message may say about a contact, and where it can be reached."""

    phone_e164: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    custom_fields: Mapping[str, Any] = field(default_factory=dict)


class Channel(Protocol):
    """One provider. `reference` is our id of the action, a UUID in text: the provider carries it back to us."""

    @property
    def action_type(self) -> str:
        """The kind of action it carries out: `ai_call`, `whatsapp_message` or `email`."""
        ...

    @property
    def look_up_repeats(self) -> bool:
        """Whether a look-up hands the request over again (under an idempotency key), so that it may send."""
        ...

    @property
    def reports_outcomes(self) -> bool:
        """Whether the provider tells later what became of a request; False: accepted is success."""
        ...

    def address(self, recipient: Recipient) -> str | None:
        """The address this channel would use, None when the contact has none."""
        ...

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request:
        """The body to send. Called only for a recipient with an address."""
        ...

    async def send(self, client: httpx.AsyncClient, request: Request, *, reference: str) -> Answer:
        """Hand one request to the provider. Never raises for what the provider or the network does."""
        ...

    async def look_up(
        self, client: httpx.AsyncClient, request: Request, *, reference: str, sent_at: datetime
    ) -> Answer:
        """Find out what became of a request whose answer was lost; `sent_at` is when its intent was stored (UTC).

        Accepted when it arrived. TryLater when it is worth asking again. Unknown when it cannot be established: never a
        guess that it did not arrive.
        """
        ...
