"""What an execution does next: pure rules over a flow's actions and the logs so far. The ledger stores the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engage_pipeline.database.vocabulary import OPEN_LOG_STATUSES
from engage_pipeline.execution.hours import business_hours, next_open_instant
from engage_pipeline.flows.model import Action, Flow

ATTEMPTED = ("sent", "success", "failed", "unknown")
"""The statuses of a channel action that was handed to its provider."""

LogStatus = Literal["pending", "sending", "sent", "success", "failed", "skipped", "unknown"]


@dataclass(frozen=True)
class LogSoFar:
    """One action log of an execution, as far as the next step depends on it."""

    action_order: int
    action_type: str
    status: LogStatus


@dataclass(frozen=True)
class NewLog:
    """An action log to be written: pending with the time it is due, or skipped with the reason."""

    action_order: int
    action_type: str
    status: Literal["pending", "skipped"]
    due_at: datetime | None = None
    skip_reason: str | None = None


def next_logs(flow: Flow, logs: Sequence[LogSoFar], *, now: datetime) -> list[NewLog]:
    """The logs that follow: actions skipped because their condition is false, then at most one pending.

    Empty when an action is still on its way, when the flow is at its end, or when the next condition must wait for the
    outcome of the action before it.
    """
    if any(log.status in ("pending", "sending") for log in logs):
        return []
    last_order = max((log.action_order for log in logs), default=0)
    previous = _previous_result(logs)
    following: list[NewLog] = []
    for action in sorted(flow.actions, key=lambda action: action.action_order):
        if action.action_order <= last_order:
            continue
        verdict = _condition(action, previous)
        if verdict == "hold":
            break
        if verdict == "run":
            following.append(
                NewLog(action.action_order, action.action_type, "pending", due_at=_due(flow, action, now=now))
            )
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


def _previous_result(logs: Sequence[LogSoFar]) -> LogStatus | None:
    """Status of the last channel action that was really attempted; skipped ones and waits do not count."""
    attempted = [log for log in logs if log.action_type != "wait" and log.status in ATTEMPTED]
    return max(attempted, key=lambda log: log.action_order).status if attempted else None


def _condition(action: Action, previous: LogStatus | None) -> str:
    """`run`, `hold`, or the reason to skip."""
    if action.execute_condition == "always":
        return "run"
    if previous is None:
        return "no_previous"
    if previous in ("sent", "unknown"):
        return "hold"
    wanted = "success" if action.execute_condition == "if_previous_success" else "failed"
    return "run" if previous == wanted else f"previous_{previous}"


def _due(flow: Flow, action: Action, *, now: datetime) -> datetime:
    if action.action_type == "wait":
        return now + timedelta(minutes=action.action_config["duration_minutes"])
    return next_open_instant(business_hours(flow), now)
