"""What every provider's webhooks offer the receiving application. No provider's habits live here."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from engage_pipeline.channels.answers import Told

_KEY_LENGTH = 512
_EARLIEST, _LATEST = 0, 32_503_680_000


class UnreadableWebhook(ValueError):
    """A verified body that holds nothing of the provider's documented form."""


@dataclass(frozen=True)
class RawEvent:
    """One event of a webhook: the provider's id of it, and its JSON in ASCII."""

    key: str
    body: str


class Webhooks(Protocol):
    """How one provider's webhooks are verified, taken apart and read."""

    @property
    def is_signed(self) -> bool:
        """False: whoever knows the path can write anything, so a terminal status is read again from the provider."""
        ...

    def is_authentic(self, raw: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> bool:
        """Whether the provider sent these bytes. Header names are in lower case."""
        ...

    def split(self, raw: bytes, headers: Mapping[str, str]) -> Sequence[RawEvent]:
        """The events of a verified body, each under its provider's id.

        Raises:
            UnreadableWebhook: it is not JSON of the documented form.
        """
        ...

    def read(self, event: Any) -> Sequence[Told]:
        """What one stored event tells; empty when it is of a kind that tells us nothing.

        Raises:
            UnreadableWebhook: it lacks what the documentation promises.
        """
        ...


def parsed(raw: bytes) -> Any:
    """The JSON of a body.

    Raises:
        UnreadableWebhook: it is none.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnreadableWebhook("the body is not JSON") from error


def raw_event(key: str, body: Any) -> RawEvent:
    """An event under `key`; ASCII, so that neither NUL nor half a surrogate pair reaches the database.

    Raises:
        UnreadableWebhook: the key cannot be stored.
    """
    if not key.isprintable() or not 0 < len(key) <= _KEY_LENGTH:
        raise UnreadableWebhook("the event has no usable id")
    return RawEvent(key, json.dumps(body, separators=(",", ":")))


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """`value` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def words(value: Any) -> str | None:
    """`value` when it is text with something in it, as PostgreSQL can store it."""
    return _storable_text(value) if isinstance(value, str) and value.strip() else None


def storable(value: Any) -> Any:
    """JSON as PostgreSQL can store it: without NUL and half surrogate pairs."""
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, dict):
        return {_storable_text(name): storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [storable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _storable_text(text: str) -> str:
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def number(value: Any) -> float | None:
    """`value` as a finite number; providers write some of theirs as text."""
    try:
        parsed_number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return parsed_number if parsed_number is not None and abs(parsed_number) < 1e15 else None


def uuid_or_none(value: Any) -> UUID | None:
    """`value` when it is a UUID in text."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def unix_instant(value: Any) -> datetime:
    """The instant of a Unix time in seconds, a number or text.

    Raises:
        UnreadableWebhook: it is none.
    """
    seconds = number(value)
    if seconds is None or not _EARLIEST <= seconds <= _LATEST:
        raise UnreadableWebhook("the event has no readable time")
    return datetime.fromtimestamp(seconds, UTC)


def iso_instant(value: Any) -> datetime:
    """The instant of an ISO 8601 time; one without an offset is UTC.

    Raises:
        UnreadableWebhook: it is none.
    """
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableWebhook("the event has no readable time") from error
