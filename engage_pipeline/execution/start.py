"""Begins the executions of a batch's matched contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.advance import advance
from engage_pipeline.execution.cancel import cancel_executions_of_flow

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class StartReport:
    """Executions of the batch by their status, and the first of them: execution_id, flow_name, status, first_due_at."""

    statuses: Mapping[str, int]
    first: Sequence[Mapping[str, str]]


def start_executions(connection: Connection, lease: Lease, *, now: datetime) -> StartReport:
    """One execution for each matched assignment of the batch, with its first action log, in one transaction.

    The first logs join the batch, so the same run sends what is due. Where the flow was deleted after the match, the
    execution is cancelled at once. Repeating it adds nothing.

    Raises:
        LeaseLost: another attempt owns the batch.
    """
    with connection.transaction():
        lease.hold(connection)
        deleted = _hold_flows(connection, lease)
        connection.execute(load_statement(_HERE, "start_executions"), {"micro_batch_id": lease.work_id})
        fresh = connection.execute(
            "select id from flow_executions as executions where micro_batch_id = %s and not exists"
            " (select 1 from flow_action_logs as logs where logs.execution_id = executions.id)",
            [lease.work_id],
        ).fetchall()
        advance(connection, [row[0] for row in fresh], now=now, micro_batch_id=lease.work_id)
        for flow_id in deleted:
            cancel_executions_of_flow(connection, flow_id, now=now)
        return _report(connection, lease)


def _report(connection: Connection, lease: Lease) -> StartReport:
    statuses = connection.execute(
        "select status, count(*) from flow_executions where micro_batch_id = %s group by status order by status",
        [lease.work_id],
    ).fetchall()
    with connection.cursor(row_factory=dict_row) as cursor:
        first = cursor.execute(load_statement(_HERE, "first_executions"), [lease.work_id]).fetchall()
    return StartReport(dict(statuses), first)


def _hold_flows(connection: Connection, lease: Lease) -> list[UUID]:
    """Keep the flows of the batch from being deleted until the commit, and say which already are.

    A deletion cancels the executions that it sees; one that begins meanwhile waits, and sees those of this batch too.
    """
    rows = connection.execute(
        "select id, deleted_at is not null from auto_engagement_flows where id in"
        " (select flow_id from flow_assignments where micro_batch_id = %s and reason = 'matched')"
        " order by id for share",
        [lease.work_id],
    ).fetchall()
    return [flow_id for flow_id, is_deleted in rows if is_deleted]
