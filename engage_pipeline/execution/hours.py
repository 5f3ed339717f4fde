"""Business hours: whether a flow may act at an instant, and the next instant at which it may."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engage_pipeline.flows.model import Flow


@dataclass(frozen=True)
class BusinessHours:
    """One daily window in an IANA zone: open from `start` (included) to `end` (excluded), across midnight if
    `end < start`."""

    start: time
    end: time
    zone: ZoneInfo

    def is_open(self, at: datetime) -> bool:
        """Whether the window holds the aware instant `at`, by the wall clock of the zone."""
        clock = at.astimezone(self.zone).time().replace(fold=0)
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


def business_hours(flow: Flow) -> BusinessHours | None:
    """The flow's own window; None when it may act at any hour."""
    if not flow.use_custom_business_hours:
        return None
    start, end, zone = flow.business_hours_start, flow.business_hours_end, flow.business_hours_timezone
    if start is None or end is None or zone is None:
        raise ValueError("a validated flow with custom business hours has a start, an end and a zone")
    return BusinessHours(start, end, ZoneInfo(zone))


def next_open_instant(hours: BusinessHours | None, at: datetime) -> datetime:
    """`at` itself when the window is open then (or there is none), else the first instant after it that is open (UTC).

    A start that the clock skips (spring) opens when the clock has jumped past it; a start that comes twice (autumn)
    opens the first time.
    """
    if hours is None or hours.is_open(at):
        return at
    local_date = at.astimezone(hours.zone).date()
    for days in range(3):
        wall = datetime.combine(local_date + timedelta(days=days), hours.start, tzinfo=hours.zone)
        # Through UTC and back: a wall time inside a spring gap lands on the far side of it.
        opening = wall.astimezone(UTC)
        if opening > at and hours.is_open(opening):
            return opening
        later = _first_open_minute(hours, opening) if opening > at else None
        if later is not None:
            return later
    raise AssertionError("a daily window opens within three days")


def _first_open_minute(hours: BusinessHours, after: datetime) -> datetime | None:
    """A window that begins inside a spring gap may first be open some minutes after its nominal start."""
    for minutes in range(1, 181):
        candidate = after + timedelta(minutes=minutes)
        if hours.is_open(candidate):
            return candidate
    return None
