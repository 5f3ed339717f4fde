"""Executions and their action logs, to be shown, and how many there are. Nothing here says who a contact is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import EXECUTION_STATUSES
from engage_pipeline.execution.errors import NoActionLog, NoExecution

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class ExecutionFilter:
    """Which executions are meant; None and empty mean all.

    Attributes:
        triggered_from, triggered_before: with a zone; the former is in, the latter is out.
        unknown: only those with an action log that waits for a person.
    """

    user_id: UUID | None = None
    execution_id: UUID | None = None
    flow_id: UUID | None = None
    contact_id: UUID | None = None
    statuses: Sequence[str] = ()
    triggered_from: datetime | None = None
    triggered_before: datetime | None = None
    is_test_run: bool | None = None
    unknown: bool = False

    def conditions(self) -> dict[str, object]:
        """SQL over `executions` -> whether it applies. Only what applies is asked, so that indexes fit."""
        return {
            "executions.user_id = %(user_id)s": self.user_id,
            "executions.id = %(execution_id)s": self.execution_id,
            "executions.flow_id = %(flow_id)s": self.flow_id,
            "executions.contact_id = %(contact_id)s": self.contact_id,
            "executions.status = any(%(statuses)s)": self.statuses or None,
            "executions.triggered_at >= %(triggered_from)s": self.triggered_from,
            "executions.triggered_at < %(triggered_before)s": self.triggered_before,
            "executions.is_test_run = %(is_test_run)s": self.is_test_run,
            "exists (select 1 from flow_action_logs as logs"
            " where logs.execution_id = executions.id and logs.status = 'unknown')": self.unknown or None,
        }

    def asked(self) -> dict[str, Any]:
        """The values for the conditions."""
        return {**vars(self), "statuses": list(self.statuses)}


def list_executions(
    connection: Connection,
    which: ExecutionFilter,
    *,
    oldest_first: bool = False,
    after: tuple[datetime, UUID] | None = None,
    at_most: int = 20,
) -> list[dict[str, Any]]:
    """Executions by when they were triggered: execution_id, flow_id, flow_name, flow_version, user_id, contact_id,
    status, is_test_run, triggered_at, completed_at, metadata and next_due_at, when the ledger looks at it again.

    Args:
        after: triggered_at and id of the execution that the list begins after.
    """
    conditions = [condition for condition, given in which.conditions().items() if given is not None]
    asked = {**which.asked(), "at_most": at_most}
    if after is not None:
        sign = ">" if oldest_first else "<"
        conditions.append(f"(executions.triggered_at, executions.id) {sign} (%(after_at)s, %(after_id)s)")
        asked |= {"after_at": after[0], "after_id": after[1]}
    statement = load_statement(_HERE, "list_executions").format(
        conditions=" and ".join(conditions) or "true", direction="asc" if oldest_first else "desc"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, asked).fetchall()


def find_execution(
    connection: Connection, execution_id: UUID, *, user_id: UUID | None = None, with_results: bool = False
) -> dict[str, Any]:
    """One execution as `list_executions` gives it, and its logs under `action_logs`.

    Args:
        user_id: the tenant that it must belong to; None: whichever.
        with_results: the logs' `result_data` too, which holds what was said, such as a transcript.

    Raises:
        NoExecution: there is none of that id.
    """
    found = list_executions(connection, ExecutionFilter(user_id=user_id, execution_id=execution_id), at_most=1)
    if not found:
        raise NoExecution(execution_id)
    with connection.cursor(row_factory=dict_row) as cursor:
        logs = cursor.execute(
            load_statement(_HERE, "find_logs"), {"execution_id": execution_id, "with_results": with_results}
        ).fetchall()
    if not with_results:
        for log in logs:
            del log["result_data"]
    return {**found[0], "action_logs": logs}


def execution_of_log(connection: Connection, action_log_id: UUID, *, user_id: UUID) -> UUID:
    """The execution that an action log of the tenant belongs to.

    Raises:
        NoActionLog: the tenant has no such log.
    """
    row = connection.execute(
        "select execution_id from flow_action_logs where id = %s and user_id = %s", [action_log_id, user_id]
    ).fetchone()
    if row is None:
        raise NoActionLog(action_log_id)
    found: UUID = row[0]
    return found


def count_executions(connection: Connection, which: ExecutionFilter) -> dict[str, int]:
    """Status -> how many executions; every status is there."""
    conditions = [condition for condition, given in which.conditions().items() if given is not None]
    statement = load_statement(_HERE, "count_executions").format(conditions=" and ".join(conditions) or "true")
    rows = connection.execute(statement, which.asked()).fetchall()
    return {**dict.fromkeys(EXECUTION_STATUSES, 0), **dict(rows)}
