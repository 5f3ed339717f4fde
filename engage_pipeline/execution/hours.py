"""When an action may be taken: business hours, the legal calling hours beneath them, and the next instant that is open.

A window is a stretch of the clock on the wall. So an hour that the clock skips is in no window, and one that it repeats
is in its windows twice. docs/execution.md has the rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engage_pipeline.flows.hours import CONTACT_ZONE, WEEKDAYS, WeeklyHours

if TYPE_CHECKING:
    from holidays import HolidayBase

LEGAL_CHANNELS = ("ai_call", "whatsapp_message")
"""Nobody is called or messaged at night; an e-mail wakes nobody."""

LONGEST_CLOSED_DAYS = 35
"""What does not open within so many days never opens: windows come every week, and holidays end."""

_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Window:
    """Minutes of the wall clock from `start` (included) to `end` (excluded), on the weekdays on which it begins.

    `end` is above 1,440 where the window ends on the next day.
    """

    weekdays: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True)
class Schedule:
    """The windows of a week in one IANA zone; on a holiday of the calendar none begins."""

    windows: tuple[Window, ...]
    zone: str
    holidays: str | None = None

    def is_open(self, at: datetime) -> bool:
        """Whether a window holds the aware instant, by the clock on the wall."""
        wall = at.astimezone(ZoneInfo(self.zone))
        minute, today = wall.hour * 60 + wall.minute, wall.date()
        return self._is_open(today, minute) or self._is_open(today - timedelta(days=1), minute + _DAY_MINUTES)

    def _is_open(self, day: date, minute: int) -> bool:
        return any(
            window.start <= minute < window.end and day.weekday() in window.weekdays for window in self.windows
        ) and not is_holiday(self.holidays, day)

    def next_open(self, at: datetime) -> datetime | None:
        """`at` if it is open then, else the first instant after it that is (UTC); None where that takes too long."""
        if self.is_open(at):
            return at
        day = at.astimezone(ZoneInfo(self.zone)).date() - timedelta(days=1)
        for _ in range(LONGEST_CLOSED_DAYS):
            for instant in sorted(self._changes(day)):
                if instant > at and self.is_open(instant):
                    return instant
            day += timedelta(days=1)
        return None

    def _changes(self, day: date) -> Iterator[datetime]:
        """Every instant of the day at which it may open: the starts of windows, and where the clock was changed."""
        for window in self.windows:
            start = _wall(day, window.start)
            for fold in (0, 1):
                yield start.replace(tzinfo=ZoneInfo(self.zone), fold=fold).astimezone(UTC)
        yield from clock_changes(self.zone, day)


@dataclass(frozen=True)
class Place:
    """What of a contact and its tenant decides the hours of an action.

    Attributes:
        contact_zones: where the contact may be; none when nobody knows.
        tenant_zone: the zone that counts then.
        tenant_hours: the hours of flows that have none of their own.
        legal_hours: False for a sandbox tenant that lifted them.
    """

    contact_zones: tuple[str, ...] = ()
    tenant_zone: str = "UTC"
    tenant_hours: WeeklyHours | None = None
    legal_hours: bool = True

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that count for the contact; it must be open in all of them."""
        return self.contact_zones or (self.tenant_zone,)


@lru_cache(maxsize=4096)
def schedules_of(custom_hours: WeeklyHours | None, action_type: str, place: Place) -> tuple[Schedule, ...]:
    """The schedules that must all be open for an action of this type; none when it may be taken at any time."""
    hours = custom_hours or place.tenant_hours
    schedules: list[Schedule] = []
    if hours is not None:
        windows = tuple(_window(each.days, each.start, each.end) for each in hours.windows)
        zones = place.zones if hours.time_zone == CONTACT_ZONE else (hours.time_zone,)
        schedules += [Schedule(windows, zone, hours.holidays) for zone in zones]
    if place.legal_hours and action_type in LEGAL_CHANNELS:
        schedules += [Schedule((_legal_window(zone),), zone) for zone in place.zones]
    return tuple(schedules)


@lru_cache(maxsize=16384)
def next_open_instant(schedules: tuple[Schedule, ...], at: datetime) -> datetime | None:
    """`at` itself when all schedules are open then, else the first instant after it at which all are (UTC).

    None when there is none within 35 days. Every contact of a chunk in one zone asks the same question, so the answer
    is remembered.
    """
    moment, last = at, at + timedelta(days=LONGEST_CLOSED_DAYS)
    while moment <= last:
        before = moment
        for schedule in schedules:
            opening = schedule.next_open(moment)
            if opening is None:
                return None
            moment = opening
        if moment == before:
            return moment
    return None


def first_instant(zone: str, day: date, clock: time) -> datetime:
    """The first instant (UTC) of the day at which the clock on the wall shows `clock`, or has just jumped over it."""
    wall = datetime.combine(day, clock)
    instant = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall:
        return instant
    return max((change for change in clock_changes(zone, day) if change <= instant), default=instant)


@lru_cache(maxsize=4096)
def clock_changes(zone: str, day: date) -> tuple[datetime, ...]:
    """The instants (UTC) on the local day, and some hours before and after it, at which the zone's offset changes."""
    info = ZoneInfo(zone)
    first = datetime.combine(day, time(0), UTC) - timedelta(hours=26)
    hours = [first + timedelta(hours=number) for number in range(78)]
    offsets = [hour.astimezone(info).utcoffset() for hour in hours]
    return tuple(
        _change_between(info, hours[number], hours[number + 1])
        for number in range(len(hours) - 1)
        if offsets[number] != offsets[number + 1]
    )


def _change_between(info: ZoneInfo, before: datetime, after: datetime) -> datetime:
    offset = before.astimezone(info).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(info).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def is_holiday(calendar: str | None, day: date) -> bool:
    """Whether the day is a public holiday of the country (`US`) or of the part of it (`US-CA`)."""
    return calendar is not None and day in _calendar(calendar)


@cache
def _calendar(name: str) -> "HolidayBase":
    from holidays import country_holidays

    country, _, part = name.partition("-")
    return country_holidays(country, subdiv=part or None)


def _window(days: tuple[str, ...], start: time, end: time) -> Window:
    first, last = start.hour * 60 + start.minute, end.hour * 60 + end.minute
    weekdays = frozenset(number for number, day in enumerate(WEEKDAYS) if day in days)
    return Window(weekdays, first, last if last > first else last + _DAY_MINUTES)


@cache
def _legal_window(zone: str) -> Window:
    """09:00 to 21:00; from 08:00 in the United States (47 CFR 64.1200 (c) (1))."""
    return Window(frozenset(range(7)), (8 if zone in _united_states() else 9) * 60, 21 * 60)


@cache
def _united_states() -> frozenset[str]:
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    return frozenset(row[2] for row in rows if row[0] == "US")


def _wall(day: date, minute: int) -> datetime:
    return datetime.combine(day, time(0)) + timedelta(minutes=minute)
