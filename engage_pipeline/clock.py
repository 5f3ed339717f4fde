"""The clock that everything is told by. Functions take `now` as an argument; only the outermost callers ask here."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)
