"""Business hours: whether a flow may act at an instant, and the next instant at which it may."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
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


@lru_cache(maxsize=1024)
def next_open_instant(hours: BusinessHours | None, at: datetime) -> datetime:
    """`at` itself when the window is open then (or there is none), else the first instant after it that is open (UTC).

    Steps through the minutes of the wall clock instead of computing with starts, because a clock change can skip a
    start, repeat one, or put the clock back into a window that had closed. A day has 1,440 minutes and every contact of
    a chunk asks the same question, so the answer is remembered.
    """
    if hours is None or hours.is_open(at):
        return at
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    while True:
        minute += timedelta(minutes=1)
        if hours.is_open(minute):
            return minute
