"""What an account may send, and when: drawn under a lock in the transaction that claims, so that no runs overspend."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from engage_pipeline.channels.answers import Accepted, Answer, TryLater
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent

_HORIZON_SHARE = 0.8
"""Requests are given moments within this share of the time in which they must begin; the rest is for a slow machine."""

_WAIT_SECONDS = 4.0
"""An account that could be given nothing is not looked at for so long: half of what is promised at once."""

_NOTICEABLE_SECONDS = 0.05
"""Requests nearer than this to now begin at once."""

_SLOWEST_PACE = 0.05


class Allowance(NamedTuple):
    """What one tenant's account may send now. `seconds_apart` is None without a rate."""

    account_id: UUID
    seconds_apart: float | None
    first_after_seconds: float
    allowed: int


@dataclass(frozen=True)
class Draw:
    """The tenants that a batch has something due for, and the allowances of their accounts, whose budgets are locked.

    A tenant without an account has no allowance, and no limit.
    """

    tenants: Sequence[UUID]
    allowances: Mapping[UUID, Allowance]

    def limits(self, chunk_size: int) -> dict[str, Sequence[object]]:
        """Parameters of select_due_logs: the tenants, and how many logs of each it may give."""
        limits = [
            self.allowances[user_id].allowed if user_id in self.allowances else chunk_size for user_id in self.tenants
        ]
        return {"user_ids": list(self.tenants), "limits": limits}

    def moments(self, tenants: Sequence[UUID]) -> list[float]:
        """For each request, given by its tenant, how many seconds from now it may begin."""
        turn: Counter[UUID] = Counter()
        moments = []
        for user_id in tenants:
            allowance = self.allowances.get(user_id)
            apart = None if allowance is None else allowance.seconds_apart
            first = 0.0 if allowance is None else allowance.first_after_seconds
            seconds = first + turn[user_id] * apart if apart is not None else 0.0
            moments.append(seconds if seconds >= _NOTICEABLE_SECONDS else 0.0)
            turn[user_id] += 1
        return moments

    def spend(self, connection: Connection, tenants: Sequence[UUID], *, now: datetime) -> None:
        """Take the moments of the requests that were claimed, given by their tenants."""
        counts = Counter(tenants)
        connection.execute(
            load_statement(_HERE, "spend_budgets"),
            {
                "account_ids": [allowance.account_id for allowance in self.allowances.values()],
                "counts": [counts[user_id] for user_id in self.allowances],
                "allowed": [allowance.allowed for allowance in self.allowances.values()],
                "wait_seconds": _WAIT_SECONDS,
                "now": now,
            },
        )


def draw_budgets(connection: Connection, lease: Lease, action_type: str, settings: Settings, *, now: datetime) -> Draw:
    """Lock the budgets that a claim concerns and say what each allows. Inside the transaction that claims."""
    rows = connection.execute(
        load_statement(_HERE, "draw_budgets"),
        {
            "micro_batch_id": lease.work_id,
            "action_type": action_type,
            "chunk_size": settings.chunk_size,
            "horizon_seconds": settings.send_seconds * _HORIZON_SHARE,
            "now": now,
        },
    ).fetchall()
    return Draw(
        tenants=[row[0] for row in rows],
        allowances={user_id: Allowance(*rest) for user_id, *rest in rows if rest[0] is not None},
    )


def adapt_budgets(connection: Connection, answers: Sequence[tuple[str | None, Answer]], *, now: datetime) -> None:
    """Halve the pace of an account that was told to slow down, and let it recover by a twentieth with each good chunk.

    Args:
        answers: each with the account that its request names.
    """
    slowed: dict[str, float] = defaultdict(float)
    good: set[str] = set()
    for account_id, answer in answers:
        if account_id is None:
            continue
        if isinstance(answer, TryLater) and answer.is_throttled:
            slowed[account_id] = max(slowed[account_id], answer.retry_after_seconds or 1.0)
        elif isinstance(answer, Accepted):
            good.add(account_id)
    if slowed:
        connection.execute(
            "update channel_budgets as budgets set pace = greatest(budgets.pace / 2, %s),"
            " held_until = greatest(budgets.held_until, %s + make_interval(secs => slowed.seconds))"
            " from unnest(%s::uuid[], %s::float8[]) as slowed (account_id, seconds)"
            " where budgets.account_id = slowed.account_id",
            [_SLOWEST_PACE, now, list(slowed), list(slowed.values())],
        )
    if recovering := sorted(good - slowed.keys()):
        connection.execute(
            "update channel_budgets set pace = least(pace + 0.05, 1) where account_id = any(%s::uuid[]) and pace < 1",
            [recovering],
        )


def keep_stated_concurrencies(connection: Connection, stated: Mapping[UUID, int]) -> None:
    """Keep what providers say an account may have in flight; the lower of this and the account's own cap counts."""
    connection.execute(
        "update channel_budgets as budgets set stated_in_flight_cap = stated.most"
        " from unnest(%s::uuid[], %s::int[]) as stated (account_id, most)"
        " where budgets.account_id = stated.account_id"
        " and budgets.stated_in_flight_cap is distinct from stated.most",
        [list(stated), list(stated.values())],
    )
