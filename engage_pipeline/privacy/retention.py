"""What is kept for how many days, and the daily clearing of the rest. The ledger's facts are kept for good."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class RetentionReport:
    """What one clearing took away, in counts."""

    rejected_row_count: int
    log_count: int
    event_count: int
    file_count: int
    api_answer_count: int

    def as_counts(self) -> dict[str, int]:
        """Flat counts, for metadata."""
        return asdict(self)


def apply_retention(connection: Connection, settings: Settings, *, now: datetime) -> RetentionReport:
    """Clear what is older than its days: the text of rejected rows, requests and what came of them, the bodies of
    applied provider events, lead files that are done with, and answers that the API would repeat. Doing it again clears
    nothing.

    Rows keep their place in the books: of a rejected row line and reason stay, of an action log status and outcome. Of
    held uploads everything is kept until they are released or discarded.
    """
    rejected_rows = connection.execute(
        load_statement(_HERE, "clear_rejected_rows"), {"before": now - timedelta(days=settings.keep_rejected_rows_days)}
    ).rowcount
    logs = connection.execute(
        load_statement(_HERE, "clear_logs"), {"before": now - timedelta(days=settings.keep_requests_days)}
    ).rowcount
    events = connection.execute(
        load_statement(_HERE, "clear_events"), {"before": now - timedelta(days=settings.keep_provider_events_days)}
    ).rowcount
    files = _delete_files(settings, now - timedelta(days=settings.keep_files_days))
    answers = connection.execute(
        "delete from idempotency_keys where created_at < %s", [now - timedelta(hours=settings.keep_api_answers_hours)]
    ).rowcount
    return RetentionReport(rejected_rows, logs, events, files, answers)


def _delete_files(settings: Settings, before: datetime) -> int:
    """Processed and refused files that lie there since before then, with their reports. Returns how many."""
    deleted = 0
    for shelf in (settings.processed, settings.refused):
        for file in sorted(shelf.glob("*/*")):
            # The change time is when the file was put there; a copy may keep the modification time of its original.
            stat = file.stat()
            if file.is_file() and datetime.fromtimestamp(max(stat.st_mtime, stat.st_ctime), UTC) < before:
                file.unlink()
                deleted += 1
    return deleted
