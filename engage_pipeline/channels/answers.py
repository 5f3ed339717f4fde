"""What a provider can answer to one request. The ledger decides what follows; see docs/concepts.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """The provider took the request. What became of it comes later."""

    provider_message_id: str


@dataclass(frozen=True)
class Refused:
    """The provider will never do this; nothing was sent."""

    code: str
    reason: str


@dataclass(frozen=True)
class TryLater:
    """The same request may be made again later, and nobody is reached twice. `retry_after_seconds` is None when nobody
    said.

    Nothing was sent, unless `may_have_arrived`: then an idempotency key makes the repetition harmless, and only that.
    """

    reason: str
    retry_after_seconds: float | None = None
    may_have_arrived: bool = False


@dataclass(frozen=True)
class Unknown:
    """The request may have arrived; nobody knows. It is never sent again blindly."""

    reason: str


Answer = Accepted | Refused | TryLater | Unknown
