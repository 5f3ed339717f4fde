"""Leases: which attempt of a piece of work may write, proven in the same transaction as each write.

A lease is held on a row of `lead_uploads` or `micro_batches`. Its number (`lease_token`) only ever grows, so a worker
that was frozen past its lease finds another number on the row and writes nothing. What Dagster thinks of a run plays no
part.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import psycopg
from psycopg import sql

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.errors import LeaseLost

LeasedTable = Literal["lead_uploads", "micro_batches"]


@dataclass(frozen=True)
class Lease:
    """The right to write for one piece of work: `token` is the fencing number."""

    table: LeasedTable
    work_id: UUID
    token: int

    def hold(self, connection: Connection) -> None:
        """Prove the lease inside the open transaction and keep it until the commit.

        The row is locked for share: a new attempt, which updates the row, waits for this transaction, and this one
        fails if the new attempt came first.

        Raises:
            LeaseLost: the work has another owner, or is finished.
        """
        held = connection.execute(
            sql.SQL("select 1 from {} where id = %s and lease_token = %s and status = 'running' for share").format(
                sql.Identifier(self.table)
            ),
            [self.work_id, self.token],
        ).fetchone()
        if held is None:
            raise LeaseLost(f"{self.table} {self.work_id}: lease {self.token} is no longer held")


def acquire(
    connection: Connection, table: LeasedTable, work_id: UUID, *, attempt: int, lease_seconds: float
) -> Lease | None:
    """waiting -> running, for the attempt that was asked for. None: that attempt was superseded or the work is done."""
    row = connection.execute(
        sql.SQL(
            "update {} set status = 'running', lease_token = nextval('lease_tokens'),"
            " lease_expires_at = clock_timestamp() + make_interval(secs => %s)"
            " where id = %s and attempt = %s and status = 'waiting' returning lease_token"
        ).format(sql.Identifier(table)),
        [lease_seconds, work_id, attempt],
    ).fetchone()
    return None if row is None else Lease(table, work_id, row[0])


def renew(connection: Connection, lease: Lease, *, lease_seconds: float) -> bool:
    """Push the expiry out. False: the lease is gone."""
    renewed = connection.execute(
        sql.SQL(
            "update {} set lease_expires_at = clock_timestamp() + make_interval(secs => %s)"
            " where id = %s and lease_token = %s and status = 'running'"
        ).format(sql.Identifier(lease.table)),
        [lease_seconds, lease.work_id, lease.token],
    )
    return renewed.rowcount == 1


@contextmanager
def kept_alive(url: str, lease: Lease, *, lease_seconds: float) -> Iterator[None]:
    """Renew the lease every third of its length from a thread with a connection of its own, until the block ends.

    A renewal that fails (server restarting) is tried again at the next beat; if the lease lapses meanwhile, the writes'
    own `hold` notices. Nothing is interrupted from here.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(lease_seconds / 3):
            try:
                with connect(url, application_name="engage lease") as connection:
                    while renew(connection, lease, lease_seconds=lease_seconds):
                        if stop.wait(lease_seconds / 3):
                            return
                    return
            except psycopg.OperationalError:
                continue

    heartbeat = threading.Thread(target=beat, name=f"lease {lease.work_id}", daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stop.set()
        heartbeat.join(timeout=5)


def reopen_lapsed(
    connection: Connection, table: LeasedTable, *, start_timeout_seconds: float, max_attempts: int
) -> int:
    """Open the next attempt of work whose run fell silent or never began; give up when its lapses are spent.

    running, lease lapsed -> waiting with the next attempt number, or failed after `max_attempts` lapses;
    waiting, requested too long ago -> the next attempt number (a run still in the queue finds itself superseded, which
    is harmless, and a slow queue spends no attempts).

    Returns:
        How many pieces of work changed.
    """
    changed = connection.execute(
        sql.SQL(
            "update {table} set"
            " status = case when status = 'running' and lapse_count + 1 >= %(max)s then 'failed' else 'waiting' end,"
            " lapse_count = lapse_count + (status = 'running')::int,"
            " attempt = attempt + 1, attempt_requested_at = clock_timestamp(), lease_expires_at = null"
            " where id in (select id from {table}"
            "   where (status = 'running' and lease_expires_at < clock_timestamp())"
            "      or (status = 'waiting'"
            "          and attempt_requested_at < clock_timestamp() - make_interval(secs => %(start)s))"
            "   for update skip locked)"
        ).format(table=sql.Identifier(table)),
        {"max": max_attempts, "start": start_timeout_seconds},
    )
    return changed.rowcount


def reopen(connection: Connection, table: LeasedTable, dead: Sequence[tuple[UUID, int]], *, max_attempts: int) -> None:
    """Open the next attempt of waiting work whose run is known to have ended; give up when its lapses are spent.

    Args:
        dead: work and the attempt whose run ended. Work that has moved on meanwhile stays as it is.
    """
    connection.execute(
        sql.SQL(
            "update {table} as work set"
            " status = case when work.lapse_count + 1 >= %(max)s then 'failed' else 'waiting' end,"
            " lapse_count = work.lapse_count + 1, attempt = work.attempt + 1,"
            " attempt_requested_at = clock_timestamp()"
            " from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as dead (id, attempt)"
            " where work.id = dead.id and work.attempt = dead.attempt and work.status = 'waiting'"
        ).format(table=sql.Identifier(table)),
        {
            "max": max_attempts,
            "ids": [work_id for work_id, _ in dead],
            "attempts": [attempt for _, attempt in dead],
        },
    )


def requested(connection: Connection, table: LeasedTable) -> list[tuple[UUID, int]]:
    """Work that waits for a run, oldest first: id and attempt. Asking twice for the same pair is harmless."""
    rows = connection.execute(
        sql.SQL("select id, attempt from {} where status = 'waiting' order by id").format(sql.Identifier(table))
    ).fetchall()
    return [(row[0], row[1]) for row in rows]
