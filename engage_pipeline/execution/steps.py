"""What an execution does next: pure rules over a flow's actions and the logs so far. The ledger stores the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engage_pipeline.database.vocabulary import OPEN_LOG_STATUSES
from engage_pipeline.execution.hours import Place, first_instant, next_open_instant, schedules_of
from engage_pipeline.flows.hours import CONTACT_ZONE, WEEKDAYS
from engage_pipeline.flows.model import Action, Flow

ATTEMPTED = ("sent", "success", "failed", "unknown")
"""The statuses of a channel action that was handed to its provider."""

OUTCOME_TIMEOUT_MINUTES: Mapping[str, int] = {"ai_call": 120, "whatsapp_message": 1440, "email": 1440}
"""How long an accepted request waits for its outcome before the log closes as expired, unless its action says so."""

LogStatus = Literal["pending", "sending", "sent", "success", "failed", "skipped", "unknown"]


@dataclass(frozen=True)
class LogSoFar:
    """One action log of an execution, as far as the next step depends on it."""

    action_order: int
    action_type: str
    status: LogStatus
    outcome: str | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True)
class NewLog:
    """An action log to be written: pending with the time it is due, or skipped with the reason."""

    action_order: int
    action_type: str
    status: Literal["pending", "skipped"]
    due_at: datetime | None = None
    skip_reason: str | None = None
    outcome_timeout_minutes: int | None = None
    awaits_reading: bool = False


def next_logs(flow: Flow, logs: Sequence[LogSoFar], *, now: datetime, place: Place) -> list[NewLog]:
    """The logs that follow: actions skipped because their condition is false, then at most one pending.

    Empty when an action is still on its way, when the flow is at its end, or when the next condition must wait for the
    outcome of the action before it.
    """
    if any(log.status in ("pending", "sending") for log in logs):
        return []
    last = max(logs, key=lambda log: log.action_order, default=None)
    # A step that follows a wait was due when the wait was over, however late somebody looks.
    begins_at = last.completed_at if last is not None and last.action_type == "wait" else None
    previous = _previous(logs)
    following: list[NewLog] = []
    for action in sorted(flow.actions, key=lambda action: action.action_order):
        if last is not None and action.action_order <= last.action_order:
            continue
        verdict = _condition(action, previous)
        if verdict == "hold":
            break
        if verdict == "run":
            following.append(_pending(flow, action, begins_at=begins_at or now, place=place))
            break
        following.append(NewLog(action.action_order, action.action_type, "skipped", skip_reason=verdict))
    return following


def final_status(flow: Flow, logs: Sequence[LogSoFar]) -> Literal["completed", "failed", "skipped"] | None:
    """What an execution ends as once nothing follows; None while a log is still open.

    completed: a channel action succeeded, or the flow has no channel action. failed: at least one was attempted and
    none succeeded. skipped: none was attempted.
    """
    if any(log.status in OPEN_LOG_STATUSES for log in logs):
        return None
    if all(action.action_type == "wait" for action in flow.actions):
        return "completed"
    attempted = [log.status for log in logs if log.action_type != "wait" and log.status in ("success", "failed")]
    if "success" in attempted:
        return "completed"
    return "failed" if attempted else "skipped"


def wait_ends_at(flow: Flow, config: Mapping[str, Any], *, begins_at: datetime, place: Place) -> datetime:
    """When a wait is over that begins then.

    Until a time of day or a weekday it is the first such moment after the beginning; where the contact's zone counts
    and several may be it, the last of theirs.
    """
    if config.get("duration_minutes") is not None:
        return begins_at + timedelta(minutes=config["duration_minutes"])
    clock = time.fromisoformat(config.get("until_time") or "00:00")
    weekday = WEEKDAYS.index(config["until_weekday"]) if config.get("until_weekday") else None
    zones = place.zones if config.get("until_zone") == CONTACT_ZONE else (_zone_of(flow, place),)
    return max(_next_moment(zone, clock, weekday, after=begins_at) for zone in zones)


def _next_moment(zone: str, clock: time, weekday: int | None, *, after: datetime) -> datetime:
    day = after.astimezone(ZoneInfo(zone)).date()
    while True:
        moment = first_instant(zone, day, clock)
        if moment > after and weekday in (None, day.weekday()):
            return moment
        day += timedelta(days=1)


def _zone_of(flow: Flow, place: Place) -> str:
    """The zone of the flow's own hours, of its tenant's hours, or its tenant's."""
    hours = flow.custom_hours or place.tenant_hours
    return place.tenant_zone if hours is None or hours.time_zone == CONTACT_ZONE else hours.time_zone


def _previous(logs: Sequence[LogSoFar]) -> LogSoFar | None:
    """The last channel action that was really attempted; skipped ones and waits do not count."""
    attempted = [log for log in logs if log.action_type != "wait" and log.status in ATTEMPTED]
    return max(attempted, key=lambda log: log.action_order, default=None)


def _condition(action: Action, previous: LogSoFar | None) -> str:
    """`run`, `hold`, or the reason to skip."""
    if action.execute_condition == "always":
        return "run"
    if previous is None:
        return "no_previous"
    if previous.status in ("sent", "unknown"):
        return "hold"
    if action.execute_condition == "if_previous_outcome":
        return "run" if _came(previous.outcome) & set(action.if_previous_outcome) else "previous_outcome"
    wanted = "success" if action.execute_condition == "if_previous_success" else "failed"
    return "run" if previous.status == wanted else f"previous_{previous.status}"


def _came(outcome: str | None) -> set[str]:
    """The outcome, and what must have come before it: what was read or opened had been delivered."""
    return {outcome or "", *(("delivered",) if outcome in ("read", "opened") else ())}


def _pending(flow: Flow, action: Action, *, begins_at: datetime, place: Place) -> NewLog:
    if action.action_type == "wait":
        ends_at = wait_ends_at(flow, action.action_config, begins_at=begins_at, place=place)
        return NewLog(action.action_order, action.action_type, "pending", due_at=ends_at)
    due_at: datetime | None = begins_at
    if flow.outside_business_hours == "defer":
        due_at = next_open_instant(schedules_of(flow.custom_hours, action.action_type, place), begins_at)
    return NewLog(
        action.action_order,
        action.action_type,
        "pending",
        # What never opens is due at once: the claim says so.
        due_at=due_at or begins_at,
        outcome_timeout_minutes=action.outcome_timeout_minutes or OUTCOME_TIMEOUT_MINUTES[action.action_type],
        awaits_reading=_awaits_reading(flow, action),
    )


def _awaits_reading(flow: Flow, action: Action) -> bool:
    """Whether an action whose previous this one is asks if it was read or opened, for which delivered is too early."""
    for later in sorted(flow.actions, key=lambda each: each.action_order):
        if later.action_order <= action.action_order:
            continue
        if later.execute_condition == "always" and later.action_type != "wait":
            return False
        wanted = set(later.if_previous_outcome)
        if wanted & {"read", "opened"} and "delivered" not in wanted:
            return True
    return False
