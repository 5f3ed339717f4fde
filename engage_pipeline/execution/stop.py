"""Ends pending action logs that must not be sent."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent


def stop_logs(
    connection: Connection, reasons: Mapping[UUID, str], *, now: datetime, words: Mapping[UUID, str] | None = None
) -> None:
    """pending -> skipped, each log with its reason, and `words` that say more where there are some.

    Inside the caller's transaction.
    """
    if not reasons:
        return
    given = words or {}
    connection.execute(
        load_statement(_HERE, "stop_logs"),
        {
            "action_log_ids": list(reasons),
            "reasons": list(reasons.values()),
            "words": [given.get(log_id) for log_id in reasons],
            "now": now,
        },
    )
