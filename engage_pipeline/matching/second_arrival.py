"""What a contact that is known already would get if it arrived again now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.store import StoredFlow

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class SecondArrival:
    """Whether the contact would be offered to matching, the reason that it would be assigned, and why in words.

    `reason` is None for a contact that would not be offered.
    """

    is_offered: bool
    reason: str | None
    words: str


def second_arrival(
    connection: Connection,
    contact_id: str,
    flows: Sequence[StoredFlow],
    winner: StoredFlow | None,
    reason: str,
    *,
    now: datetime,
) -> SecondArrival:
    """Apply the rules of re-entry (docs/matching.md) to one contact.

    Args:
        flows: the enabled ones of its tenant.
        winner: the flow that takes it as if it were new, and `reason` what matching would then store.
    """
    if all(flow.definition.reentry_after_days is None for flow in flows):
        return SecondArrival(False, None, "no enabled flow sets reentry_after_days: it keeps the assignment it has")
    if reason == "dnc":
        return SecondArrival(True, "dnc", "it has a do-not-contact tag")
    row = connection.execute(
        load_statement(_HERE, "second_arrival"),
        {"contact_id": contact_id, "flow_id": None if winner is None else winner.flow_id},
    ).fetchone()
    assert row is not None  # noqa: S101 - the statement gives one row
    is_engaged, last_entered_at = row
    if is_engaged:
        return SecondArrival(True, "already_engaged", "one of its executions is open")
    if winner is None or last_entered_at is None:
        return SecondArrival(True, reason, "as if it were new")
    days = winner.definition.reentry_after_days
    entered = f"it entered {winner.definition.name} at {last_entered_at.isoformat(timespec='seconds')}"
    if days is None:
        return SecondArrival(True, "reentry_blocked", f"{entered}, which may be entered once")
    opens_at = last_entered_at + timedelta(days=days)
    if opens_at <= now:
        return SecondArrival(True, reason, f"{entered}, more than its {days} days ago")
    until = opens_at.isoformat(timespec="seconds")
    return SecondArrival(True, "reentry_blocked", f"{entered} and may enter it again from {until}")
