"""One upload from its inbox file to contacts, under its lease."""

import time
from datetime import UTC, datetime
from uuid import UUID

from engage_pipeline.database import leases
from engage_pipeline.database.connections import Connection, connect
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
                books = load_upload(
                    url,
                    lease,
                    path=path,
                    tenant=upload.tenant,
                    settings=settings,
                    now=datetime.now(UTC),
                    on_progress=_Noted(connection, upload_id),
                )
        except LeaseLost:
            return None
        file_away(settings, find_upload(connection, upload_id))
        return books


class _Noted:
    """Writes how many rows were read where others can see it, once a second at most."""

    def __init__(self, connection: Connection, upload_id: UUID) -> None:
        self.connection, self.upload_id = connection, upload_id
        self.noted_at = 0.0

    def __call__(self, rows_seen: int) -> None:
        if time.monotonic() - self.noted_at >= 1:
            self.noted_at = time.monotonic()
            self.connection.execute(
                "update lead_uploads set rows_seen = %s where id = %s and status = 'running'",
                [rows_seen, self.upload_id],
            )
