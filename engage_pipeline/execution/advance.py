"""Moves executions on: writes the logs that follow from those so far, and ends what is at its end.

Derives everything from the ledger, so it may run twice on the same executions and change nothing the second time.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.places import flows_of_executions, hours_of_tenants
from engage_pipeline.execution.steps import LogSoFar, NewLog, final_status, next_logs

_HERE = Path(__file__).parent


class _Execution(NamedTuple):
    execution_id: UUID
    user_id: UUID
    flow_id: UUID
    flow_version: int


def advance(
    connection: Connection, execution_ids: Collection[UUID], *, now: datetime, micro_batch_id: UUID | None
) -> None:
    """Write what follows for each open execution among `execution_ids`, inside the caller's transaction.

    Args:
        micro_batch_id: the open batch that new pending logs join: its run sends what is due and whose turn is still to
            come, and closing the batch lets go of the rest. None outside a batch: the next one picks them up.
    """
    if not execution_ids:
        return
    executions = connection.execute(
        "select executions.id, executions.flow_id, executions.flow_version, executions.status, executions.user_id,"
        " contacts.time_zones, contacts.phone_e164 from flow_executions as executions"
        " inner join contacts on contacts.id = executions.contact_id"
        " where executions.id = any(%s) and executions.status in ('pending', 'running')"
        " order by executions.id for no key update of executions",
        [list(execution_ids)],
    ).fetchall()
    if not executions:
        return
    logs = _logs_of(connection, [row[0] for row in executions])
    flows = flows_of_executions(connection, {(row[1], row[2]) for row in executions})
    tenants = hours_of_tenants(connection, {row[4] for row in executions})

    to_insert: list[tuple[_Execution, NewLog]] = []
    running: list[UUID] = []
    ended: list[tuple[UUID, str]] = []
    for execution_id, flow_id, version, status, user_id, zones, phone_e164 in executions:
        flow, so_far = flows[flow_id, version], logs[execution_id]
        following = next_logs(flow, so_far, now=now, place=tenants[user_id].place(zones, phone_e164))
        execution = _Execution(execution_id, user_id, flow_id, version)
        to_insert.extend((execution, log) for log in following)
        if following and following[-1].status == "pending":
            # A wait has begun the moment it is written; a call begins when it is marked sending.
            if status == "pending" and following[-1].action_type == "wait":
                running.append(execution_id)
            continue
        skipped = [LogSoFar(log.action_order, log.action_type, log.status) for log in following]
        end = final_status(flow, [*so_far, *skipped])
        if end is not None:
            ended.append((execution_id, end))

    _insert_logs(connection, to_insert, now=now, micro_batch_id=micro_batch_id)
    mark_running(connection, running)
    _end(connection, ended, now=now)


def mark_running(connection: Connection, execution_ids: Collection[UUID]) -> None:
    """pending -> running, for executions whose first action has begun."""
    if not execution_ids:
        return
    connection.execute(
        "update flow_executions set status = 'running', updated_at = now() where id = any(%s) and status = 'pending'",
        [list(execution_ids)],
    )


def _end(connection: Connection, ended: Sequence[tuple[UUID, str]], *, now: datetime) -> None:
    if not ended:
        return
    connection.execute(
        "update flow_executions as executions set status = ended.status, completed_at = %s, updated_at = now()"
        " from unnest(%s::uuid[], %s::text[]) as ended (execution_id, status) where executions.id = ended.execution_id",
        [now, [execution_id for execution_id, _ in ended], [status for _, status in ended]],
    )


def _logs_of(connection: Connection, execution_ids: list[UUID]) -> dict[UUID, list[LogSoFar]]:
    rows = connection.execute(
        "select execution_id, action_order, action_type, status, outcome, completed_at from flow_action_logs"
        " where execution_id = any(%s) order by execution_id, action_order",
        [execution_ids],
    ).fetchall()
    logs: dict[UUID, list[LogSoFar]] = defaultdict(list)
    for execution_id, *log in rows:
        logs[execution_id].append(LogSoFar(*log))
    return logs


def _insert_logs(
    connection: Connection, logs: list[tuple[_Execution, NewLog]], *, now: datetime, micro_batch_id: UUID | None
) -> None:
    if not logs:
        return
    connection.execute(
        load_statement(_HERE, "insert_logs"),
        {
            "execution_ids": [execution.execution_id for execution, _ in logs],
            "user_ids": [execution.user_id for execution, _ in logs],
            "flow_ids": [execution.flow_id for execution, _ in logs],
            "flow_versions": [execution.flow_version for execution, _ in logs],
            "action_orders": [log.action_order for _, log in logs],
            "action_types": [log.action_type for _, log in logs],
            "statuses": [log.status for _, log in logs],
            "due_ats": [log.due_at for _, log in logs],
            "skip_reasons": [log.skip_reason for _, log in logs],
            "timeouts": [log.outcome_timeout_minutes for _, log in logs],
            "awaits_reading": [log.awaits_reading for _, log in logs],
            "now": now,
            "micro_batch_id": micro_batch_id,
        },
    )
