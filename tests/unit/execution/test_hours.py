"""Business hours against a minute-by-minute reading of the wall clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_pipeline.execution.hours import BusinessHours, next_open_instant

ZONES = ["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]


def open_by_the_wall(hours: BusinessHours, at: datetime) -> bool:
    """The rule as a person would say it: the clock on the wall is inside the window."""
    wall = at.astimezone(hours.zone)
    minute = wall.hour * 60 + wall.minute
    start = hours.start.hour * 60 + hours.start.minute
    end = hours.end.hour * 60 + hours.end.minute
    return start <= minute < end if start < end else minute >= start or minute < end


def first_open_minute(hours: BusinessHours, at: datetime) -> datetime:
    """Steps through every minute, asking the wall."""
    candidate = at
    while not open_by_the_wall(hours, candidate):
        candidate += timedelta(minutes=1)
    return candidate


clock_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
windows = st.tuples(clock_times, clock_times).filter(lambda pair: pair[0] != pair[1])
# Two years of whole minutes, and the days around clock changes again and again.
minutes_of_two_years = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
)
near_clock_changes = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from(
        [
            datetime(2026, 3, 8, tzinfo=UTC),
            datetime(2026, 11, 1, tzinfo=UTC),
            datetime(2026, 3, 29, tzinfo=UTC),
            datetime(2026, 10, 25, tzinfo=UTC),
            datetime(2026, 4, 4, tzinfo=UTC),
            datetime(2026, 10, 3, tzinfo=UTC),
        ]
    ),
    st.integers(-24 * 60, 36 * 60),
)


@given(window=windows, zone=st.sampled_from(ZONES), at=minutes_of_two_years | near_clock_changes)
@settings(max_examples=400, deadline=None)
def test_the_next_opening_is_the_first_minute_that_the_wall_calls_open(window, zone, at):
    hours = BusinessHours(*window, ZoneInfo(zone))
    assert hours.is_open(at) == open_by_the_wall(hours, at)
    assert next_open_instant(hours, at) == first_open_minute(hours, at)


def test_without_hours_every_instant_is_open():
    at = datetime(2026, 3, 8, 3, 0, tzinfo=UTC)
    assert next_open_instant(None, at) == at


NEW_YORK = ZoneInfo("America/New_York")


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
    hours = BusinessHours(*map(time.fromisoformat, window), NEW_YORK)
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert next_open_instant(hours, moment) == datetime.fromisoformat(opening).replace(tzinfo=UTC)


def test_an_opening_is_a_whole_minute():
    hours = BusinessHours(time(9, 0), time(17, 0), NEW_YORK)
    at = datetime(2026, 11, 23, 13, 59, 59, 500_000, tzinfo=UTC)
    assert next_open_instant(hours, at) == datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
