"""How values read, for the conditions of a flow and for the contacts they are held against: one contract for both.

docs/matching.md states these rules. Only texts come in; what a source's own types become is the reader's business.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?"
_ZONE = r"(?:(z)|([+-])(0\d|1[0-4]):?([0-5]\d))?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/])(\d{{2}})\2(\d{{2}})(?:[t ]{_CLOCK}{_ZONE})?", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})[ -]([a-z]+)[ -](\d{4})", re.ASCII)
_MONTH_FIRST = re.compile(r"([a-z]+) (\d{1,2}),? (\d{4})", re.ASCII)
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH_NUMBERS = {name: number for number, month in enumerate(_MONTHS, start=1) for name in (month, month[:3])}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

DAY_MICROSECONDS = 86_400_000_000


def folded(text: str) -> str:
    """The text trimmed at both ends and case-folded (Unicode)."""
    return text.strip().casefold()


def plain_number(text: str) -> Decimal | None:
    """The number that the text is: a sign perhaps, ASCII digits and at most one point. None for everything else."""
    stripped = text.strip()
    return Decimal(stripped) if _PLAIN_NUMBER.fullmatch(stripped) else None


def comparable(text: str) -> str:
    """What `equals` compares: the folded text, with a plain number in one spelling (5, 5.0 and 005 are one)."""
    number = plain_number(text)
    if number is None:
        return folded(text)
    # Not `normalize`, which rounds to the 28 digits of the decimal context.
    written = format(number, "f")
    whole, _, fraction = written.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    short = f"{digits.lstrip('0') or '0'}.{fraction.rstrip('0')}".rstrip(".")
    return short if short == "0" else sign + short


def moments(text: str) -> tuple[int, int] | None:
    """The first and the last microsecond since 1970 (UTC) of the date or the instant that the text names.

    A date is its whole day. A time without a zone is UTC; fractions beyond the microsecond are cut off. None for
    everything else, also for forms whose day and month could be swapped (05/01/2026).
    """
    stripped = folded(text)
    try:
        if found := _YEAR_FIRST.fullmatch(stripped):
            return _year_first(found)
        if found := _DAY_FIRST.fullmatch(stripped):
            day, month, year = found.groups()
            return _day(int(year), _MONTH_NUMBERS.get(month, 0), int(day))
        if found := _MONTH_FIRST.fullmatch(stripped):
            month, day, year = found.groups()
            return _day(int(year), _MONTH_NUMBERS.get(month, 0), int(day))
    except (ValueError, OverflowError):
        return None
    return None


def _year_first(found: "re.Match[str]") -> tuple[int, int]:
    year, _, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    if hour is None:
        return _day(int(year), int(month), int(day))
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    instant = datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        int(second or 0),
        int((fraction or "").ljust(6, "0")[:6]),
        tzinfo=timezone(-offset if sign == "-" else offset),
    )
    at = microseconds(instant)
    return at, at


def _day(year: int, month: int, day: int) -> tuple[int, int]:
    start = microseconds(datetime(year, month, day, tzinfo=UTC))
    return start, start + DAY_MICROSECONDS - 1


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 of an instant with a time zone."""
    return (instant - _EPOCH) // _MICROSECOND
