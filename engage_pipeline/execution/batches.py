"""Micro-batches: forming them from new contacts and due action logs, and closing them.

A tick forms a batch in one statement (claim with SKIP LOCKED, insert the batch, write its id on what it claimed), so a
tick may die anywhere and be repeated.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease, reopen_lapsed, requested
from engage_pipeline.database.statements import load_statement
from engage_pipeline.settings import Settings

BatchKind = Literal["new_contacts", "due_actions"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class RequestedBatch:
    """A micro-batch that waits for a run, and which attempt that would be."""

    batch_id: UUID
    attempt: int
    item_count: int


def form_batches(connection: Connection, kind: BatchKind, settings: Settings) -> list[RequestedBatch]:
    """Reopen what lapsed, form new batches up to the limit of open ones, and say which batches need a run.

    Asking for the same (batch, attempt) again is harmless, so every waiting batch is named at every tick.
    """
    reopen_lapsed(
        connection,
        "micro_batches",
        start_timeout_seconds=settings.start_timeout_seconds,
        max_attempts=settings.max_attempts,
    )
    if kind == "due_actions":
        connection.execute(load_statement(_HERE, "park_stopped_logs"), {"most": 10 * settings.batch_size})
    while _open_count(connection, kind) < settings.max_open_batches:
        formed = connection.execute(
            load_statement(_HERE, f"form_{kind}_batch"), {"batch_size": settings.batch_size}
        ).fetchone()
        if formed is None:
            break
    waiting = dict(requested(connection, "micro_batches"))
    rows = connection.execute(
        "select id, item_count from micro_batches where id = any(%s) and kind = %s order by id", [list(waiting), kind]
    ).fetchall()
    return [RequestedBatch(batch_id, waiting[batch_id], item_count) for batch_id, item_count in rows]


def finish_batch(connection: Connection, lease: Lease) -> None:
    """running -> done, and whatever the batch still holds is let go: it becomes due again in a later batch."""
    with connection.transaction():
        lease.hold(connection)
        connection.execute(
            "update flow_action_logs set micro_batch_id = null, updated_at = now() where micro_batch_id = %s",
            [lease.work_id],
        )
        connection.execute(
            "update micro_batches set status = 'done', finished_at = clock_timestamp(), lease_expires_at = null"
            " where id = %s",
            [lease.work_id],
        )


def retry_batch(connection: Connection, batch_id: UUID) -> bool:
    """failed -> waiting, with a fresh count of lapses. False when there is no failed batch of that id."""
    retried = connection.execute(
        "update micro_batches set status = 'waiting', attempt = attempt + 1, lapse_count = 0,"
        " attempt_requested_at = clock_timestamp() where id = %s and status = 'failed'",
        [batch_id],
    )
    return retried.rowcount == 1


def list_batches(connection: Connection, *, user_id: UUID | None = None) -> list[dict[str, Any]]:
    """Micro-batches that are waiting, running or failed: id, kind, status, item_count, attempt, formed_at, the oldest
    first.

    Args:
        user_id: only those that hold something of this tenant.
    """
    return _batches(connection, batch_id=None, user_id=user_id)


def find_batch(connection: Connection, batch_id: UUID, *, user_id: UUID | None = None) -> dict[str, Any] | None:
    """One micro-batch in whatever state, as `list_batches` gives it; None when there is none."""
    found = _batches(connection, batch_id=batch_id, user_id=user_id)
    return found[0] if found else None


def _batches(connection: Connection, *, batch_id: UUID | None, user_id: UUID | None) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            load_statement(_HERE, "list_batches"), {"batch_id": batch_id, "user_id": user_id}
        ).fetchall()


def seconds_until_due(connection: Connection) -> float:
    """How long until the next action log that no batch holds is due; infinite when none is to come."""
    row = connection.execute(load_statement(_HERE, "next_due")).fetchone()
    return row[0] if row and row[0] is not None else math.inf


def _open_count(connection: Connection, kind: BatchKind) -> int:
    row = connection.execute(
        "select count(*) from micro_batches where kind = %s and status in ('waiting', 'running')", [kind]
    ).fetchone()
    return row[0] if row else 0
