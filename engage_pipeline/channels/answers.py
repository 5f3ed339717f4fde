"""What a provider can answer to one request, and what it tells later. The ledger decides what follows; see
docs/concepts.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Accepted:
    """The provider took the request. What became of it comes later, unless `is_final`: then nobody will ever tell."""

    provider_message_id: str
    is_final: bool = False


@dataclass(frozen=True)
class Refused:
    """The provider will never do this; nothing was sent. `is_opt_out`: because the person said no to the channel."""

    code: str
    reason: str
    is_opt_out: bool = False


@dataclass(frozen=True)
class TryLater:
    """Nothing was sent, and the same request may succeed later. `retry_after_seconds` is None when nobody said.

    As the answer to a look-up: nobody can tell yet, and it is worth asking again.

    Attributes:
        pauses_account: what a person must mend before the account can send anything at all; None when it is not that.
        is_throttled: the account as a whole sends too fast.
        stops_template: what a person must mend before this one template can be sent at all; None when it is not that.
    """

    reason: str
    retry_after_seconds: float | None = None
    pauses_account: str | None = None
    is_throttled: bool = False
    stops_template: str | None = None


@dataclass(frozen=True)
class Unknown:
    """The request may have arrived; nobody knows. It is never sent again blindly."""

    reason: str


Answer = Accepted | Refused | TryLater | Unknown


@dataclass(frozen=True)
class ProviderOutcome:
    """What became of one request, as its provider tells it by webhook or when asked.

    Attributes:
        provider_message_id, action_log_id: which request; at least one of the two.
        outcome: one of `database.vocabulary.OUTCOMES`.
        occurred_at: when it happened, UTC, by the provider's clock.
        detail: what is kept on the log: codes, and of a call its transcript, recording and extracted data.
        is_opt_out: the person said no to the channel by it, or the address is dead (a hard bounce).
    """

    provider: str
    provider_message_id: str | None
    action_log_id: UUID | None
    outcome: str
    occurred_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
    cost_cents: float | None = None
    call_seconds: float | None = None
    is_opt_out: bool = False


@dataclass(frozen=True)
class OptOut:
    """A person's no to a channel that names an address and no request of ours. `source` says how it was stated."""

    channel: str
    address: str
    source: str


@dataclass(frozen=True)
class AccountTrouble:
    """What a person must mend before the account can send anything at all."""

    code: str
    reason: str


@dataclass(frozen=True)
class TemplateTrouble:
    """What a person must mend before the template of the request that the same event names can be sent to anybody."""

    code: str
    reason: str


Told = ProviderOutcome | OptOut | AccountTrouble | TemplateTrouble
"""What one event of a provider can tell."""
