"""The emergency brake: what is paused is not begun by the next chunk, until it is resumed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from engage_pipeline.database.connections import Connection


@dataclass(frozen=True)
class Pause:
    """One brake that is on. Without a tenant it holds for all of them, without a channel for every channel."""

    user_id: UUID | None
    tenant_name: str | None
    channel: str | None
    reason: str
    created_at: datetime


def pause(connection: Connection, user_id: UUID | None, channel: str | None, *, reason: str) -> bool:
    """Put the brake on for a tenant and a channel; None is all. False when it is on already."""
    added = connection.execute(
        "insert into pauses (user_id, channel, reason) values (%s, %s, %s) on conflict do nothing",
        [user_id, channel, reason],
    )
    return added.rowcount == 1


def resume(connection: Connection, user_id: UUID | None, channel: str | None) -> bool:
    """Take that very brake off; others stay on. False when it is not on.

    What is due then is sent, unless it is too late for it.
    """
    removed = connection.execute(
        "delete from pauses where user_id is not distinct from %s and channel is not distinct from %s",
        [user_id, channel],
    )
    return removed.rowcount == 1


def pauses(connection: Connection, *, user_id: UUID | None = None) -> list[Pause]:
    """The brakes that are on, the oldest first.

    Args:
        user_id: only those that hold for this tenant.
    """
    rows = connection.execute(
        "select pauses.user_id, users.name, pauses.channel, pauses.reason, pauses.created_at from pauses"
        " left join users on users.id = pauses.user_id"
        " where %(user_id)s::uuid is null or pauses.user_id = %(user_id)s or pauses.user_id is null"
        " order by pauses.created_at",
        {"user_id": user_id},
    ).fetchall()
    return [Pause(*row) for row in rows]
