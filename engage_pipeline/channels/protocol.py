"""What every channel offers the ledger, and what it is told about the contact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import httpx

from engage_pipeline.channels.answers import Answer, ProviderOutcome, TryLater

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
    user_id: UUID | None = None

    def own(self, name: str) -> str | None:
        """The contact's own field of that name; None without a value."""
        value = getattr(self, name) if name in OWN_FIELDS else None
        return None if value is None else str(value)


OWN_FIELDS = ("first_name", "last_name", "company", "email", "phone_e164")
"""What a contact has besides its custom fields."""


class Skip(NamedTuple):
    """Why a contact cannot be sent this action: a reason of docs/concepts.md, and words without a value in them."""

    reason: str
    words: str


class Client(Protocol):
    """What a channel sends its requests with. `httpx.AsyncClient` fits, with a transport that keeps to this machine."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: str | bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One request and its whole response; raises what `http.unanswered` takes."""
        ...


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

    def address(self, recipient: Recipient) -> str | None:
        """The address this channel would use, None when the contact has none."""
        ...

    @property
    def reports_outcomes(self) -> bool:
        """Whether the provider tells later what became of a request; False: accepted is success."""
        ...

    def prepare(self, recipient: Recipient, action_config: Mapping[str, Any], *, reference: str) -> Request | Skip:
        """The body to send, or why there can be none. Called only for a recipient with an address."""
        ...

    async def send(self, client: Client, request: Request, *, reference: str) -> Answer:
        """Hand one request to the provider. Never raises for what the provider or the network does."""
        ...

    async def look_up(self, client: Client, request: Request, *, reference: str, sent_at: datetime) -> Answer:
        """Find out what became of a request whose answer was lost; `sent_at` is when its intent was stored (UTC).

        Accepted when it arrived. TryLater when it is worth asking again. Unknown when it cannot be established: never a
        guess that it did not arrive.
        """
        ...

    async def ask_outcome(
        self, client: Client, request: Request, *, provider_message_id: str
    ) -> ProviderOutcome | TryLater | None:
        """What became of an accepted request, asked of the provider. None when it cannot be asked or does not know."""
        ...

    async def stated_concurrency(self, client: Client) -> int | None:
        """How many requests the provider says it lets the account have in flight; None when it says nothing."""
        ...

    async def stop(self, client: Client, request: Request, *, provider_message_id: str) -> bool:
        """Take back an accepted request that has not begun, such as a queued call. True when the provider did."""
        ...
