"""Micro-batches: forming them from new contacts and due action logs, and closing them.

A tick forms a batch in one statement (claim with SKIP LOCKED, insert the batch, write its id on what it claimed), so a
tick may die anywhere and be repeated.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

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


def seconds_until_due(connection: Connection) -> float:
    """How long until the next action log that no batch holds is due; infinite when none is to come."""
    row = connection.execute(load_statement(_HERE, "next_due")).fetchone()
    return row[0] if row and row[0] is not None else math.inf


def _open_count(connection: Connection, kind: BatchKind) -> int:
    row = connection.execute(
        "select count(*) from micro_batches where kind = %s and status in ('waiting', 'running')", [kind]
    ).fetchone()
    return row[0] if row else 0
