"""Ends executions early: what is pending is skipped, what was done stays on record."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.execution.stop import stop_logs
from engage_pipeline.flows.store import delete_flow


def cancel_executions(connection: Connection, execution_ids: Collection[UUID], *, reason: str, now: datetime) -> int:
    """pending or running -> cancelled; their pending logs -> skipped with `reason`. Inside the caller's transaction.

    Returns how many were cancelled. A request that is on its way cannot be taken back: its log keeps its course.
    """
    cancelled = connection.execute(
        # Locked in the order of their ids, as in select_due_logs.
        "with held as (select id from flow_executions where id = any(%s) and status in ('pending', 'running')"
        " order by id for no key update)"
        " update flow_executions as executions set status = 'cancelled', completed_at = %s, updated_at = now()"
        " from held where executions.id = held.id returning executions.id",
        [list(execution_ids), now],
    ).fetchall()
    pending = connection.execute(
        "select id from flow_action_logs where execution_id = any(%s) and status = 'pending'",
        [[row[0] for row in cancelled]],
    ).fetchall()
    stop_logs(connection, {row[0]: reason for row in pending}, now=now)
    return len(cancelled)


def cancel_executions_of_flow(connection: Connection, flow_id: UUID, *, now: datetime) -> int:
    """Cancel every open execution of a deleted flow. Returns how many."""
    with connection.transaction():
        rows = connection.execute(
            "select id from flow_executions where flow_id = %s and status in ('pending', 'running')"
            " order by id for no key update",
            [flow_id],
        ).fetchall()
        cancel_executions(connection, [row[0] for row in rows], reason="flow_deleted", now=now)
    return len(rows)


def delete_flow_with_executions(
    connection: Connection, tenant: Tenant, name: str, flow_id: UUID, *, now: datetime
) -> int:
    """Take the flow out of matching for good and cancel its open executions, in one transaction. Returns how many.

    Raises:
        NoFlow: the tenant has no such flow.
    """
    with connection.transaction():
        delete_flow(connection, tenant, name)
        return cancel_executions_of_flow(connection, flow_id, now=now)
