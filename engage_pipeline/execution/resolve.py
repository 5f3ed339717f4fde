"""A person says what became of a request that nobody else can tell about."""

from datetime import datetime
from uuid import UUID

from engage_pipeline.channels.answers import ProviderOutcome
from engage_pipeline.database.connections import Connection
from engage_pipeline.database.vocabulary import OUTCOMES
from engage_pipeline.execution.errors import NotUnknown
from engage_pipeline.execution.outcomes import record_outcomes

RESOLUTIONS = tuple(name for name, meaning in OUTCOMES.items() if meaning.status is not None and name != "expired")
"""The outcomes that a person can find out."""


def resolve_unknown(connection: Connection, action_log_id: UUID, outcome: str, *, now: datetime) -> str:
    """unknown -> success | failed, as the outcome says, and the execution goes on. Returns the status.

    Raises:
        NotUnknown: there is no such log, or it is not unknown.
    """
    with connection.transaction():
        row = connection.execute(
            # The execution before its log, as everywhere.
            "select logs.status from flow_executions as executions"
            " inner join flow_action_logs as logs on logs.execution_id = executions.id"
            " where logs.id = %s for no key update of executions",
            [action_log_id],
        ).fetchone()
        if row is None or row[0] != "unknown":
            raise NotUnknown(action_log_id, status=None if row is None else row[0])
        record_outcomes(
            connection,
            [ProviderOutcome("person", None, action_log_id, outcome, now, {"resolved_by": "person"})],
            now=now,
        )
        found = connection.execute("select status from flow_action_logs where id = %s", [action_log_id]).fetchone()
    return str(found[0]) if found else "unknown"
