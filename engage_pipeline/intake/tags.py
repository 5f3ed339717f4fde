"""Tags of one contact, added and taken off by a person or an application."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.errors import EngageError
from engage_pipeline.intake.normalise import is_dnc_tag


class TagStays(EngageError):
    """A tag that says do not contact was to be taken off."""

    code = "tag-stays"

    def __init__(self) -> None:
        super().__init__(
            what="the tags were not changed",
            why="one that is to be taken off says do not contact, and that wish is not taken back by removing a tag",
            fix="leave that tag",
        )


def change_tags(
    connection: Connection, user_id: UUID, contact_id: UUID, *, add: Sequence[str], remove: Sequence[str], now: datetime
) -> bool:
    """Add and take off tags, whatever their case; True if there is such a contact of the tenant.

    A contact that gets a do-not-contact tag is suppressed on every channel, with each of its addresses.

    Raises:
        TagStays: one of `remove` says do not contact.
    """
    if any(map(is_dnc_tag, remove)):
        raise TagStays
    with connection.transaction():
        row = connection.execute(
            "select tags from contacts where id = %s and user_id = %s for no key update", [contact_id, user_id]
        ).fetchone()
        if row is None:
            return False
        gone = {tag.casefold() for tag in remove}
        kept = {tag.casefold(): tag for tag in row[0] if tag.casefold() not in gone}
        for tag in add:
            kept.setdefault(tag.casefold(), tag)
        tags = list(kept.values())
        if tags != row[0]:
            connection.execute("update contacts set tags = %s, updated_at = %s where id = %s", [tags, now, contact_id])
    return True
