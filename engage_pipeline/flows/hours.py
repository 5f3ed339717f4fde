"""Business hours as a person writes them, for a flow or as a tenant's default. When they open is not computed here."""

import re
from datetime import time
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

CONTACT_ZONE = "contact"
"""Stands in place of an IANA zone for the zone that each contact is in."""


def _hours_and_minutes(value: object) -> object:
    """`HH:mm` and nothing else. YAML 1.1 reads an unquoted 09:30 as the number 570 (base 60), which is refused with a
    hint."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return time(int(value[:2]), int(value[3:]))
    hint = " (put the time in quotes)" if isinstance(value, int | float) else ""
    raise ValueError(f"a time is written 'HH:mm', from '00:00' to '23:59'{hint}")


ClockTime = Annotated[
    time, BeforeValidator(_hours_and_minutes), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_time_zone(value: str | None) -> str | None:
    """`value`, if it is None or an IANA time zone; raises ValueError otherwise."""
    if value is not None and value not in _time_zones():
        raise ValueError("an IANA time zone is needed, such as America/New_York or Asia/Kolkata")
    return value


def check_hours_zone(value: str | None) -> str | None:
    """As `check_time_zone`, but `contact` is a zone too."""
    return value if value == CONTACT_ZONE else check_time_zone(value)


@cache
def _holiday_calendars() -> frozenset[str]:
    from holidays.utils import list_supported_countries

    countries = list_supported_countries(include_aliases=False)
    return frozenset(countries) | {f"{country}-{part}" for country, parts in countries.items() for part in parts}


def _check_holidays(value: str | None) -> str | None:
    if value is not None and value not in _holiday_calendars():
        raise ValueError("holidays are those of a country, such as US, or of a part of it, such as US-CA or DE-BY")
    return value


class HoursWindow(BaseModel):
    """From `start` to `end` on each of `days`; one that ends at or before its start ends on the day after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[tuple[Weekday, ...], Field(min_length=1)] = WEEKDAYS
    start: ClockTime
    end: ClockTime

    @model_validator(mode="after")
    def _has_a_length(self) -> "HoursWindow":
        if self.start == self.end and self.start != time(0, 0):
            raise ValueError("start and end are the same, so the window is empty; a whole day is 00:00 to 00:00")
        return self


class WeeklyHours(BaseModel):
    """Windows of a week by the clock of one zone. On a holiday no window begins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: Annotated[str, AfterValidator(check_hours_zone)]
    windows: Annotated[tuple[HoursWindow, ...], Field(min_length=1)]
    holidays: Annotated[str | None, AfterValidator(_check_holidays)] = None
