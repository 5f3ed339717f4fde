"""The asset `contacts`: what became of each row of an uploaded lead file."""

from uuid import UUID

import dagster as dg

from engage_pipeline.intake.inbox import ingest
from engage_pipeline.resources import EngageResource, nothing_personal


class Upload(dg.Config):
    """Which upload a run loads, and which attempt at it this is."""

    upload_id: str
    attempt: int


@dg.asset(
    group_name="intake",
    kinds={"postgres", "csv"},
    description="Contacts from lead files: every row becomes a contact, an update, a known duplicate, or a quarantined"
    " row with a reason.",
)
def contacts(engage: EngageResource, config: Upload) -> dg.MaterializeResult[None]:
    """Load one upload. A file that is refused is a row of lead_uploads, not a failed run."""
    with nothing_personal():
        books = ingest(engage.url, engage.settings, UUID(config.upload_id), config.attempt)
    if books is None:
        return dg.MaterializeResult(metadata={"superseded": True})
    return dg.MaterializeResult(metadata={"upload_id": config.upload_id, "status": books.status})
