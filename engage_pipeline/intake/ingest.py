"""One upload from its inbox file to contacts, under its lease."""

from datetime import UTC, datetime
from uuid import UUID

from engage_pipeline.database import leases
from engage_pipeline.database.connections import connect
from engage_pipeline.database.errors import LeaseLost
from engage_pipeline.intake.inbox import file_away
from engage_pipeline.intake.load import load_upload
from engage_pipeline.intake.uploads import UploadBooks, find_upload
from engage_pipeline.settings import Settings


def ingest(url: str, settings: Settings, upload_id: UUID, attempt: int) -> UploadBooks | None:
    """Load one upload under its lease and file it away. None: that attempt was superseded, and wrote nothing.

    Raises:
        NoUpload: there is no such upload.
    """
    with connect(url, application_name="engage intake") as connection:
        upload = find_upload(connection, upload_id)
        lease = leases.acquire(
            connection, "lead_uploads", upload_id, attempt=attempt, lease_seconds=settings.lease_seconds
        )
        if lease is None:
            return None
        try:
            with leases.kept_alive(url, lease, lease_seconds=settings.lease_seconds):
                path = settings.inbox / upload.inbox_path
                books = load_upload(url, lease, path=path, tenant=upload.tenant, now=datetime.now(UTC))
        except LeaseLost:
            return None
        file_away(settings, find_upload(connection, upload_id))
        return books
