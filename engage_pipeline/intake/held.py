"""What somebody decides about a held upload: load it as it is, or leave it."""

import os
from datetime import datetime
from pathlib import Path
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.intake.errors import HeldFileMissing, NotHeld
from engage_pipeline.intake.inbox import file_away, place_on_shelf
from engage_pipeline.intake.uploads import Upload, find_upload
from engage_pipeline.settings import Settings

HERE = Path(__file__).parent


def release(connection: Connection, settings: Settings, upload_id: UUID) -> Upload:
    """Let the next run load a held upload whatever its share of rejected rows.

    Who is known by then is known: its rows meet the contacts of that time.

    Raises:
        NoUpload: there is no such upload.
        NotHeld: nothing is to be decided about it.
        HeldFileMissing: its file is no longer where it was put.
    """
    held = _held(connection, upload_id)
    place = place_on_shelf(settings, held)
    if not place.exists():
        raise HeldFileMissing(str(upload_id), place)
    asked = {"upload_id": upload_id, "inbox_path": _seen_from_inbox(settings, place)}
    with connection.transaction():
        if connection.execute(load_statement(HERE, "release_upload"), asked).rowcount == 0:
            raise NotHeld(str(upload_id), find_upload(connection, upload_id).status)
        # The run reads the file again, and keeps these again.
        connection.execute("delete from rejected_rows where upload_id = %s", [upload_id])
    return find_upload(connection, upload_id)


def discard(connection: Connection, settings: Settings, upload_id: UUID, *, now: datetime) -> Upload:
    """Make nothing of a held upload. What its rows said no to still counts, and its rejected rows are kept.

    Raises:
        NoUpload: there is no such upload.
        NotHeld: nothing is to be decided about it.
    """
    place = place_on_shelf(settings, _held(connection, upload_id))
    asked = {"upload_id": upload_id, "inbox_path": _seen_from_inbox(settings, place), "now": now}
    if connection.execute(load_statement(HERE, "discard_upload"), asked).rowcount == 0:
        raise NotHeld(str(upload_id), find_upload(connection, upload_id).status)
    discarded = find_upload(connection, upload_id)
    file_away(settings, discarded)
    return discarded


def _held(connection: Connection, upload_id: UUID) -> Upload:
    found = find_upload(connection, upload_id)
    if found.status != "held":
        raise NotHeld(str(upload_id), found.status)
    return found


def _seen_from_inbox(settings: Settings, place: Path) -> str:
    return Path(os.path.relpath(place, settings.inbox)).as_posix()
