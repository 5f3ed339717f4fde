"""How long an upload will take to be engaged, and what it will cost, before it starts: an estimate from the budgets."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent

_CALL_SECONDS = 90.0
"""How long a call is in flight where no earlier one says so."""


class _Row(NamedTuple):
    channel: str
    provider: str
    mode: str
    actions_a_contact: float
    requests_per_second: float | None
    in_flight_cap: int | None
    daily_cap: int | None
    cost_cents: float | None
    open_seconds: float | None


@dataclass(frozen=True)
class ChannelPlan:
    """One channel's part.

    Attributes:
        seconds: until the last request is sent, by the tightest of the limits; waits and business hours come on top.
        bound_by: that limit in words.
        cost_cents: None when no earlier action says what one costs.
    """

    channel: str
    provider: str
    mode: str
    action_count: int
    seconds: float
    bound_by: str
    cost_cents: float | None


def plan_budget(connection: Connection, user_id: UUID, contact_count: int, *, now: datetime) -> list[ChannelPlan]:
    """The plan of each channel for so many new contacts of the tenant."""
    rows = connection.execute(load_statement(_HERE, "plan_budget"), {"user_id": user_id, "now": now}).fetchall()
    return [_plan(_Row(*row), contact_count) for row in rows]


def _plan(row: _Row, contact_count: int) -> ChannelPlan:
    actions = round(contact_count * row.actions_a_contact)
    limits = {"no limit": 0.0}
    if row.requests_per_second:
        limits[f"{row.requests_per_second:g} requests a second"] = actions / row.requests_per_second
    if row.in_flight_cap:
        open_seconds = row.open_seconds or _CALL_SECONDS
        limits[f"{row.in_flight_cap:,} at once, {open_seconds:.0f} s each"] = actions * open_seconds / row.in_flight_cap
    if row.daily_cap:
        limits[f"{row.daily_cap:,} a day"] = (actions - 1) // row.daily_cap * 86_400.0 if actions else 0.0
    bound_by = max(limits, key=lambda name: limits[name])
    return ChannelPlan(
        channel=row.channel,
        provider=row.provider,
        mode=row.mode,
        action_count=actions,
        seconds=limits[bound_by],
        bound_by=bound_by,
        cost_cents=None if row.cost_cents is None else actions * row.cost_cents,
    )
