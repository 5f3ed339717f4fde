"""Known contacts that arrive again: whether their tenant's flows take them.

Which of them then enter a flow is decided when they are matched.
"""

from uuid import UUID

from engage_pipeline.database.connections import Connection


def takes_known_contacts(connection: Connection, user_id: UUID) -> bool:
    """Whether an enabled flow of the tenant sets `reentry_after_days`. Where none does, a contact is matched once."""
    row = connection.execute(
        "select exists (select from auto_engagement_flows where user_id = %s and is_enabled and deleted_at is null"
        " and reentry_after_days is not null)",
        [user_id],
    ).fetchone()
    return row is not None and bool(row[0])
