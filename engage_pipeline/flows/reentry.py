"""Known contacts that arrive again: whether their tenant's flows take them, and offering them to matching.

Which of them then enter a flow is decided when they are matched.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent


def takes_known_contacts(connection: Connection, user_id: UUID) -> bool:
    """Whether an enabled flow of the tenant sets `reentry_after_days`. Where none does, a contact is matched once."""
    row = connection.execute(
        "select exists (select from auto_engagement_flows where user_id = %s and is_enabled and deleted_at is null"
        " and reentry_after_days is not null)",
        [user_id],
    ).fetchone()
    return row is not None and bool(row[0])


def offer_again(connection: Connection, user_id: UUID, contact_ids: Sequence[UUID], *, now: datetime) -> int:
    """Let the next micro-batch pick these contacts of the tenant up again, if its flows take known contacts.

    Inside the caller's transaction, after what it changes about the contacts. One that waits to be picked up, as a new
    one does, goes on waiting.

    Args:
        now: when they arrived, which is their place in the queue.

    Returns:
        How many were offered.
    """
    if not contact_ids or not takes_known_contacts(connection, user_id):
        return 0
    asked = {"user_id": user_id, "contact_ids": list(contact_ids), "now": now}
    return connection.execute(load_statement(_HERE, "offer_again"), asked).rowcount
