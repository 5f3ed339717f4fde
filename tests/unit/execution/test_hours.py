"""Hours against a minute-by-minute reading of the wall clock, around clock changes, holidays and several zones."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_pipeline.execution.hours import (
    LONGEST_CLOSED_DAYS,
    Place,
    Schedule,
    first_instant,
    next_open_instant,
    schedules_of,
)
from engage_pipeline.flows.hours import WEEKDAYS, HoursWindow, WeeklyHours

ZONES = ["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]
CALENDARS = [None, "US", "GB-ENG", "IN"]
CALENDAR_OF = {name: holidays.country_holidays(*name.split("-")) for name in CALENDARS if name}
US_HOLIDAYS = holidays.country_holidays("US")


def open_by_the_wall(hours: WeeklyHours, zone: str, at: datetime) -> bool:
    """The rule as a person would say it: the clock on the wall is inside a window that began today or yesterday."""
    wall = at.astimezone(ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    for window in hours.windows:
        start, end = (clock.hour * 60 + clock.minute for clock in (window.start, window.end))
        for began_days_ago in (0, 1):
            day = wall.date() - timedelta(days=began_days_ago)
            if WEEKDAYS[day.weekday()] not in window.days:
                continue
            if hours.holidays and day in CALENDAR_OF[hours.holidays]:
                continue
            if began_days_ago == 0 and minute >= start and (minute < end or end <= start):
                return True
            if began_days_ago == 1 and end <= start and minute < end:
                return True
    return False


def first_open_minute(hours: WeeklyHours, zones: list[str], at: datetime) -> datetime | None:
    """Steps through every minute, asking the wall of every zone."""
    for minutes in range(2 * 24 * 60):
        candidate = at + timedelta(minutes=minutes)
        if all(open_by_the_wall(hours, zone, candidate) for zone in zones):
            return candidate
    return None


clock_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
windows = st.builds(
    lambda days, pair: HoursWindow(days=days, start=pair[0], end=pair[1]),
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7, unique=True).map(tuple),
    st.tuples(clock_times, clock_times).filter(lambda pair: pair[0] != pair[1]),
) | st.just(HoursWindow(start=time(0), end=time(0)))
minutes_of_two_years = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
)
near_changes_and_holidays = st.builds(
    lambda day, minutes: datetime.combine(day, time(0), UTC) + timedelta(minutes=minutes),
    st.sampled_from(
        [
            *(date(2026, 3, 8), date(2026, 11, 1), date(2026, 3, 29), date(2026, 10, 25)),
            *(date(2026, 4, 5), date(2026, 10, 4), date(2026, 9, 6)),
            *(date(2026, 12, 25), date(2026, 7, 3), date(2027, 1, 1), date(2026, 8, 15)),
        ]
    ),
    st.integers(-30 * 60, 36 * 60),
)


@given(
    several=st.lists(windows, min_size=1, max_size=3).map(tuple),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True),
    calendar=st.sampled_from(CALENDARS),
    at=minutes_of_two_years | near_changes_and_holidays,
)
@settings(max_examples=100, deadline=None)
def test_the_next_opening_is_the_first_minute_that_every_wall_calls_open(several, zones, calendar, at):
    hours = WeeklyHours(time_zone="contact", windows=several, holidays=calendar)
    schedules = schedules_of(hours, "email", Place(contact_zones=tuple(zones)))
    assert [each.is_open(at) for each in schedules] == [open_by_the_wall(hours, zone, at) for zone in zones]
    expected = first_open_minute(hours, zones, at)
    found = next_open_instant(schedules, at)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found >= at + timedelta(days=2)


def test_without_hours_an_email_may_go_at_any_instant_and_a_call_may_not():
    at = datetime(2026, 3, 8, 3, 0, tzinfo=UTC)
    assert next_open_instant(schedules_of(None, "email", Place()), at) == at
    assert next_open_instant(schedules_of(None, "ai_call", Place()), at) == datetime(2026, 3, 8, 9, 0, tzinfo=UTC)
    lifted = Place(legal_hours=False)
    assert next_open_instant(schedules_of(None, "ai_call", lifted), at) == at


def of_new_york(start: str, end: str) -> tuple[Schedule, ...]:
    window = HoursWindow(start=time.fromisoformat(start), end=time.fromisoformat(end))
    return schedules_of(WeeklyHours(time_zone="America/New_York", windows=(window,)), "email", Place())


@pytest.mark.parametrize(
    ("window", "at", "opening"),
    [
        # Spring: the clock jumps from 02:00 to 03:00 (07:00 UTC), so a window from 02:30 is first open at 03:00.
        (("02:30", "09:00"), "2026-03-08T06:00", "2026-03-08T07:00"),
        # Autumn: 01:30 comes twice, and the first one counts.
        (("01:30", "09:00"), "2026-11-01T04:00", "2026-11-01T05:30"),
        # Autumn: at 01:40 the window is over, and twenty minutes later the clock stands at 01:00, inside it again.
        (("22:00", "01:30"), "2026-11-01T05:40", "2026-11-01T06:00"),
        (("09:00", "17:00"), "2026-11-23T22:00", "2026-11-24T14:00"),
        (("22:00", "06:00"), "2026-11-23T12:00", "2026-11-24T03:00"),
    ],
)
def test_openings_of_new_york_worked_out_by_hand(window, at, opening):
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert next_open_instant(of_new_york(*window), moment) == datetime.fromisoformat(opening).replace(tzinfo=UTC)


def test_an_opening_is_a_whole_minute():
    at = datetime(2026, 11, 23, 13, 59, 59, 500_000, tzinfo=UTC)
    assert next_open_instant(of_new_york("09:00", "17:00"), at) == datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zones", "at", "opening"),
    [
        # A contact in New York may be called from 08:00, one in London from 09:00, both until 21:00.
        (("America/New_York",), "2026-11-24T12:59", "2026-11-24T13:00"),
        (("Europe/London",), "2026-11-24T08:59", "2026-11-24T09:00"),
        (("America/New_York",), "2026-11-25T02:00", "2026-11-25T13:00"),
        # With several zones it must be light in all of them: 08:00 in Los Angeles, not yet 21:00 in New York.
        (("America/New_York", "America/Los_Angeles"), "2026-11-24T13:30", "2026-11-24T16:00"),
        # With none the tenant's zone counts.
        ((), "2026-11-24T02:00", "2026-11-24T03:30"),
    ],
)
def test_the_legal_hours_of_a_call(zones, at, opening):
    schedules = schedules_of(None, "ai_call", Place(zones, tenant_zone="Asia/Kolkata"))
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert next_open_instant(schedules, moment) == datetime.fromisoformat(opening).replace(tzinfo=UTC)


def test_a_flow_narrows_the_legal_hours_and_never_widens_them():
    wide = WeeklyHours(time_zone="contact", windows=(HoursWindow(start=time(0), end=time(0)),))
    narrow = WeeklyHours(time_zone="contact", windows=(HoursWindow(start=time(11), end=time(12)),))
    place, night = Place(("Europe/London",)), datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert next_open_instant(schedules_of(wide, "whatsapp_message", place), night) == night.replace(hour=9)
    assert next_open_instant(schedules_of(narrow, "whatsapp_message", place), night) == night.replace(hour=11)


def test_what_never_opens_is_said_so():
    late = WeeklyHours(time_zone="contact", windows=(HoursWindow(start=time(22), end=time(5)),))
    schedules = schedules_of(late, "ai_call", Place(("Europe/London",)))
    assert next_open_instant(schedules, datetime(2026, 11, 24, 2, 0, tzinfo=UTC)) is None
    assert LONGEST_CLOSED_DAYS >= 30


def test_the_hours_of_a_tenant_are_those_of_flows_without_any():
    window = HoursWindow(days=("monday",), start=time(9), end=time(10))
    place = Place(tenant_hours=WeeklyHours(time_zone="UTC", windows=(window,), holidays="US"))
    tuesday = datetime(2026, 5, 19, 12, 0, tzinfo=UTC)
    assert date(2026, 5, 25) in US_HOLIDAYS  # the Monday after it
    assert next_open_instant(schedules_of(None, "email", place), tuesday) == datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "instant"),
    [
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08T07:00"),  # skipped: the jump itself
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T05:30"),  # repeated: the first
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03T15:30"),  # half an hour is skipped
        ("Asia/Kolkata", date(2026, 11, 24), time(9, 0), "2026-11-24T03:30"),
    ],
)
def test_the_first_instant_of_a_time_of_day(zone, day, clock, instant):
    assert first_instant(zone, day, clock) == datetime.fromisoformat(instant).replace(tzinfo=UTC)
