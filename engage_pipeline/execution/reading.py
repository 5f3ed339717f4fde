"""Executions and their action logs, to be shown. Nothing here says who a contact is."""

from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.execution.errors import NoExecution

_HERE = Path(__file__).parent


def list_executions(
    connection: Connection,
    *,
    user_id: UUID | None = None,
    status: str | None = None,
    contact_id: UUID | None = None,
    unknown: bool = False,
    execution_id: UUID | None = None,
    at_most: int = 20,
) -> list[dict[str, Any]]:
    """The newest executions: execution_id, flow_name, contact_id, status, is_test_run, triggered_at, completed_at and
    next_due_at, when the ledger looks at it again.

    Args:
        unknown: only those with an action log that waits for a person.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            load_statement(_HERE, "list_executions"),
            {
                "user_id": user_id,
                "status": status,
                "contact_id": contact_id,
                "unknown": unknown,
                "execution_id": execution_id,
                "at_most": at_most,
            },
        ).fetchall()


def find_execution(connection: Connection, execution_id: UUID) -> dict[str, Any]:
    """One execution as `list_executions` gives it, and its logs under `action_logs`.

    Raises:
        NoExecution: there is none of that id.
    """
    found = list_executions(connection, execution_id=execution_id, at_most=1)
    if not found:
        raise NoExecution(execution_id)
    with connection.cursor(row_factory=dict_row) as cursor:
        logs = cursor.execute(load_statement(_HERE, "find_logs"), {"execution_id": execution_id}).fetchall()
    return {**found[0], "action_logs": logs}
