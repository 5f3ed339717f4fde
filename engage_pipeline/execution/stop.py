"""Ends pending action logs that must not be sent, and says how long an unknown result stays open."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent

UNKNOWN_CLOSES_AFTER = timedelta(days=7)
"""How long an unknown result may be resolved before the log closes as failed."""


def stop_logs(connection: Connection, reasons: Mapping[UUID, str], *, now: datetime) -> None:
    """pending -> skipped with the reason of each log; unknown where an earlier attempt may have reached the person."""
    connection.execute(
        load_statement(_HERE, "stop_logs"),
        {
            "action_log_ids": list(reasons),
            "reasons": list(reasons.values()),
            "now": now,
            "unknown_until": now + UNKNOWN_CLOSES_AFTER,
        },
    )
