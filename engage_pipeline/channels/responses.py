"""Reading a provider's response: its JSON, its Retry-After, its words without personal data. No provider's habits."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from engage_pipeline.channels.answers import TryLater
from engage_pipeline.masking import mask_personal

_REASON_LENGTH = 300
_IDENTIFIER_LENGTH = 512
_LONGEST_WAIT_SECONDS = 7 * 86_400.0


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The response's JSON object; empty when it is HTML, torn, no JSON or JSON of another kind."""
    try:
        parsed = response.json()
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def text_field(body: dict[str, Any], name: str) -> str | None:
    """The field when it is text with something in it, else None."""
    value = body.get(name)
    return value if isinstance(value, str) and value.strip() else None


def identifier(body: dict[str, Any], name: str) -> str | None:
    """The field when it can be kept as an id: printable text of at most 512 characters, else None."""
    value = text_field(body, name)
    return value if value and value.isprintable() and len(value) <= _IDENTIFIER_LENGTH else None


def retry_after_seconds(response: httpx.Response, *, now: datetime) -> float | None:
    """`Retry-After` in seconds, 0.0 when the moment has passed, None when absent or unreadable (RFC 9110, 10.2.3).

    Never more than seven days, so that a broken clock at the provider does not put an action off for ever.
    """
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now)
    return _within_reason(seconds) if math.isfinite(seconds) else None


def put_off(response: httpx.Response, reason: str) -> TryLater:
    """TryLater for a response that says so, with the time it asks for. A 429 is about the account as a whole."""
    seconds = retry_after_seconds(response, now=datetime.now(UTC))
    return TryLater(reason, seconds, is_throttled=response.status_code == 429)


def asks_to_wait(response: httpx.Response) -> bool:
    """Whether the provider declined for now without acting: 429, or a 503 that names a time to come back.

    Any other 5xx may come from a gateway in front of a provider that did act.
    """
    return response.status_code == 429 or (response.status_code == 503 and "Retry-After" in response.headers)


def reason_text(response: httpx.Response, words: str | None) -> str:
    """What the provider said, or its status when it said nothing, without phone numbers and e-mail addresses.

    Unprintable characters become spaces: PostgreSQL cannot store NUL or half a surrogate pair.
    """
    masked = mask_personal(words or f"HTTP {response.status_code}")[:_REASON_LENGTH]
    return "".join(character if character.isprintable() else " " for character in masked)


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    if moment.tzinfo is None:  # a date that ends in -0000
        moment = moment.replace(tzinfo=UTC)
    return _within_reason((moment - now).total_seconds())


def _within_reason(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)
