"""Times of lead files, to UTC."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake.instants import instant, instants


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-12-08 12:47:25", "2021-12-08T07:17:25Z"),
        ("2021-12-08T12:47:25Z", "2021-12-08T12:47:25Z"),
        ("2021-12-08T12:47:25-0500", "2021-12-08T17:47:25Z"),
        ("2021-12-08T12:47:25.5+05:30", "2021-12-08T07:17:25.500000Z"),
        ("2021/12/08 12:47", "2021-12-08T07:17:00Z"),
        ("15 Apr, 2021 00:03:00", "2021-04-14T18:33:00Z"),
        ("15-Apr-2021 12:03:44 AM", "2021-04-14T18:33:44Z"),
        ("April 15, 2021 at 3:04 PM", "2021-04-15T09:34:00Z"),
        ("Thu, 15 Apr 2021 00:03:00 GMT", "2021-04-15T00:03:00Z"),
        ("04/05/2021 00:00", "2021-05-03T18:30:00Z"),
        ("1618445000", "2021-04-15T00:03:20Z"),
        ("1618445000000", "2021-04-15T00:03:20Z"),
        ("2021-12-08", "2021-12-08"),
        ("15 Apr, 2021", "2021-04-15"),
    ],
)
def test_a_time_is_read_in_the_zone_where_it_was_written(text: str, expected: str) -> None:
    assert instants(pa.array([text]), "Asia/Kolkata", region="IN").to_pylist() == [expected]


@pytest.mark.parametrize(
    "text",
    ["", "Select", "hello", "2021-13-01", "2021-02-30 10:00", "2021-04-15T25:00:00", "4/15/21", "15:03",
     "15 Foo 2021", "13:00 PM", "2021-04-15 13:00 PM x", "0001-01-01 00:00:00+14:00", "12345678901"],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert instant(text, "Asia/Kolkata", region="IN") is None


def test_numbers_alone_begin_with_the_month_only_where_people_write_so() -> None:
    assert str(instant("04/05/2021", "UTC", region="US")) == "2021-04-05"
    assert str(instant("04/05/2021", "UTC", region="GB")) == "2021-05-04"
    assert instant("15/04/2021", "UTC", region="US") is None


def test_a_time_that_clocks_showed_twice_is_the_first_and_one_they_skipped_is_what_they_would_have_shown() -> None:
    assert instant("2026-11-01 01:30:00", "America/New_York", region="US") == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert instant("2026-03-08 02:30:00", "America/New_York", region="US") == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.integers(86_400, 4_000_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
)


@given(TIMES, st.sampled_from(["Asia/Kolkata", "America/New_York", "UTC"]), OFFSETS)
def test_every_way_of_writing_a_time_means_the_same(time: datetime, zone: str, offset: timezone) -> None:
    local = time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d %b, %Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p",
                 "%m/%d/%Y %H:%M:%S"):  # fmt: skip
        assert instant(time.strftime(form), zone, region="US") == local
    there = time.replace(tzinfo=offset)
    assert instant(there.isoformat(), zone, region="US") == there
    assert instant(there.strftime("%Y-%m-%d %H:%M:%S %z"), zone, region="US") == there
