"""Times as lead files write them, to UTC. A date without a time of day is no instant, and stays a date."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pyarrow as pa

from engage_pipeline.intake.columns import each_distinct
from engage_pipeline.intake.missing import present

# Regions that write the month before the day; all others that write numbers only begin with the day.
_MONTH_FIRST = frozenset({"US", "PR", "GU", "VI", "AS", "MP", "PH", "FM", "PW", "MH"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_YEAR_FIRST = re.compile(r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})")
_NUMBERS = re.compile(r"(?P<first>[0-9]{1,2})[-/.](?P<second>[0-9]{1,2})[-/.](?P<year>[0-9]{4})")
_DAY_NAME_YEAR = re.compile(r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?[ -](?P<name>[a-z]{3,9})\.?,?[ -](?P<year>[0-9]{4})")
_NAME_DAY_YEAR = re.compile(r"(?P<name>[a-z]{3,9})\.? (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<year>[0-9]{4})")
_WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? ")
_TIME = re.compile(
    r"(?:,? |t|, at | at )(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<offset>z|utc|gmt|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2}))?"
)
_PLAIN_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?")


def instant(text: str, zone: str, *, region: str) -> datetime | date | None:
    """A time as an instant in UTC, a date without a time as that date; None for anything else.

    ISO 8601 and its common variants, `15 Apr, 2021 00:03:00`, `Apr 15, 2021 3:04 PM`, `04/15/2021 15:04`, and seconds
    or milliseconds since 1970.

    Args:
        zone: where a time without an offset was written. One that clocks showed twice is the first of the two.
        region: two-letter region; it decides whether numbers alone begin with the month or the day.
    """
    said = present(text)
    if said is None:
        return None
    if _EPOCH.fullmatch(said):
        return datetime.fromtimestamp(int(said) / (1000 if len(said) == 13 else 1), UTC)
    if _PLAIN_ISO.fullmatch(said):
        return _plain_iso(said, zone)
    folded = _WEEKDAY.sub("", " ".join(said.lower().split()), count=1)
    try:
        found = _date(folded, region)
        if found is None:
            return None
        day, rest = found
        return _at(day, rest, zone) if rest else day
    except (ValueError, OverflowError):
        return None


def instants(texts: pa.StringArray, zone: str, *, region: str) -> pa.StringArray:
    """`instant` of every text of a column as ISO 8601, an instant in UTC with `Z`; null where that is None."""
    return each_distinct(texts, partial(_iso, zone=zone, region=region))


def _iso(text: str, *, zone: str, region: str) -> str | None:
    found = instant(text, zone, region=region)
    if found is None:
        return None
    return found.isoformat().replace("+00:00", "Z") if isinstance(found, datetime) else found.isoformat()


def _plain_iso(said: str, zone: str) -> datetime | None:
    # What most exports write; Python's own reader takes a microsecond where the patterns take thirty.
    try:
        clock = datetime.fromisoformat(said)
        return (clock if clock.tzinfo else clock.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _date(folded: str, region: str) -> tuple[date, str] | None:
    """The date that a text begins with, and the rest of the text."""
    for pattern, read in _FORMS:
        matched = pattern.match(folded)
        if matched:
            return read(matched, region), folded[matched.end() :]
    return None


def _year_first(matched: re.Match[str], region: str) -> date:
    del region
    return date(int(matched["year"]), int(matched["month"]), int(matched["day"]))


def _numbers(matched: re.Match[str], region: str) -> date:
    first, second = int(matched["first"]), int(matched["second"])
    # Dots are European wherever they are typed.
    is_month_first = region.upper() in _MONTH_FIRST and "." not in matched[0]
    month, day = (first, second) if is_month_first else (second, first)
    return date(int(matched["year"]), month, day)


def _named(matched: re.Match[str], region: str) -> date:
    del region
    return date(int(matched["year"]), _MONTHS.index(matched["name"][:3]) + 1, int(matched["day"]))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], date]], ...] = (
    (_YEAR_FIRST, _year_first),
    (_NUMBERS, _numbers),
    (_DAY_NAME_YEAR, _named),
    (_NAME_DAY_YEAR, _named),
)


def _at(day: date, rest: str, zone: str) -> datetime | None:
    matched = _TIME.fullmatch(rest)
    if matched is None:
        return None
    hour = int(matched["hour"])
    if matched["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if matched["half"] == "p" else 0)
    microsecond = int((matched["fraction"] or "0").ljust(6, "0")[:6])
    clock = datetime.combine(day, time(hour, int(matched["minute"]), int(matched["second"] or 0), microsecond))
    offset = matched["offset"]
    if offset is None:
        return clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    if offset in ("z", "utc", "gmt"):
        return clock.replace(tzinfo=UTC)
    digits = offset[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return clock.replace(tzinfo=UTC) - (ahead if offset[0] == "+" else -ahead)
