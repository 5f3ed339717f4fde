"""What the pipeline is doing right now: counts from the ledger, and whether everything is done or waiting."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

SOON = timedelta(seconds=60)
"""An action due later than this from now is waiting; one due sooner is worth waiting for."""

OUTCOMES_COME_WITHIN = timedelta(seconds=60)
"""An outcome that the sandbox has not told by then is one that it never will."""


@dataclass(frozen=True)
class Progress:
    """Counts at one moment. `open_work` is what must still happen before everything is finished or waiting."""

    contact_count: int
    assigned_count: int
    matched_count: int
    open_executions: int
    ended_executions: int
    logs: dict[tuple[str, str], int]
    open_uploads: int
    unbatched_count: int
    open_batches: int
    due_soon_count: int
    awaited_count: int
    """Accepted requests whose outcome may still come by webhook, and events of providers that are not applied yet."""
    last_change_at: datetime | None
    """When the last micro-batch was finished or event applied: everything they wrote was committed before."""

    @property
    def is_quiet(self) -> bool:
        """Whether every contact is matched and every execution finished or waiting."""
        return not (
            self.open_uploads or self.unbatched_count or self.open_batches or self.due_soon_count or self.awaited_count
        )

    @property
    def doing(self) -> str:
        """The step that holds everything up, in words."""
        if self.open_uploads:
            return "loading the file"
        if self.unbatched_count:
            return "waiting for the sensor to pick the contacts up"
        if self.open_batches:
            return "matching and sending"
        if self.due_soon_count:
            return "waiting for the next actions to be due"
        if self.awaited_count:
            return "waiting for the providers to tell what became of the messages"
        return "publishing the warehouse, then done"


def read_progress(connection: Connection, *, now: datetime) -> Progress:
    """The state of the whole installation."""
    row = connection.execute(
        load_statement(Path(__file__).parent, "progress"),
        {"soon": now + SOON, "recently": now - OUTCOMES_COME_WITHIN},
    ).fetchone()
    logs = connection.execute(
        "select action_type, status, count(*) from flow_action_logs group by 1, 2 order by 1, 2"
    ).fetchall()
    assert row is not None  # noqa: S101 - a select of scalars has one row
    contacts, assigned, matched, open_executions, ended, uploads, unbatched, batches, due_soon, *rest = row
    sent, events, last_change_at = rest
    return Progress(
        contact_count=contacts,
        assigned_count=assigned,
        matched_count=matched,
        open_executions=open_executions,
        ended_executions=ended,
        logs={(action_type, status): count for action_type, status, count in logs},
        open_uploads=uploads,
        unbatched_count=unbatched,
        open_batches=batches,
        due_soon_count=due_soon,
        awaited_count=sent + events,
        last_change_at=last_change_at,
    )


@dataclass(frozen=True)
class UploadState:
    """How the upload of one inbox file stands."""

    upload_id: UUID
    status: str
    refusal_code: str | None
    refusal_reason: str | None
    rows_read: int


def newest_upload(connection: Connection, inbox_path: str, *, since: datetime) -> UploadState | None:
    """The upload of a file of the inbox (path relative to it) since a moment; None while no sensor saw it."""
    row = connection.execute(
        "select id, status, refusal_code, refusal_reason, rows_read from lead_uploads"
        " where inbox_path = %s and created_at >= %s order by created_at desc limit 1",
        [inbox_path, since],
    ).fetchone()
    return None if row is None else UploadState(*row)
