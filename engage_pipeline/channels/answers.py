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
    """Nothing was sent, and the same request may succeed later. `retry_after_seconds` is None when nobody said.

    As the answer to a look-up: nobody can tell yet, and it is worth asking again.
    """

    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True)
class Unknown:
    """The request may have arrived; nobody knows. It is never sent again blindly."""

    reason: str


Answer = Accepted | Refused | TryLater | Unknown
