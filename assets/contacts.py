"""The asset `contacts`: what became of each row of an uploaded lead file."""

from uuid import UUID

import dagster as dg

from assets.metadata import counts_table, records_table
from engage_pipeline.intake.uploads import UploadBooks, find_upload, reject_reasons
from engage_pipeline.resources import EngageResource, nothing_personal

# A clean export rejects next to nothing; above this somebody should look at the reasons.
WARNING_REJECT_RATE = 0.05


class Upload(dg.Config):
    """Which upload a run loads, and which attempt at it this is."""

    upload_id: str
    attempt: int


@dg.asset(
    group_name="intake",
    kinds={"postgres", "csv"},
    description="Contacts from lead files: every row becomes a contact, an update, a known duplicate, or a quarantined"
    " row with a reason.",
    check_specs=[
        dg.AssetCheckSpec(
            "reject_rate",
            asset="contacts",
            description="At most 5 % of an upload's rows are rejected, else a warning. Above the tenant's threshold the"
            " upload is held, which is an error until somebody releases or discards it.",
        )
    ],
)
# Beside a check, Dagster reads MaterializeResult[None] as one output of two, and refuses it; the bare class it knows.
def contacts(engage: EngageResource, config: Upload) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Load one upload. A file that is refused is a row of lead_uploads, not a failed run."""
    from engage_pipeline.intake.ingest import ingest

    with nothing_personal():
        books = ingest(engage.url, engage.settings, UUID(config.upload_id), config.attempt)
        if books is None:
            superseded = dg.AssetCheckResult(check_name="reject_rate", passed=True, metadata={"superseded": True})
            return dg.MaterializeResult(metadata={"superseded": True}, check_results=[superseded])
        return dg.MaterializeResult(metadata=_metadata(engage, books), check_results=[_reject_rate(books)])


def _reject_rate(books: UploadBooks) -> dg.AssetCheckResult:
    """A warning where the rest was loaded, which is good; an error where the upload is held."""
    rate = books.rows_rejected / books.rows_read if books.rows_read else 0.0
    return dg.AssetCheckResult(
        check_name="reject_rate",
        passed=rate <= WARNING_REJECT_RATE and books.status != "held",
        severity=dg.AssetCheckSeverity.ERROR if books.status == "held" else dg.AssetCheckSeverity.WARN,
        metadata={
            "upload_id": str(books.upload_id),
            "reject_rate": rate,
            "warns_above": WARNING_REJECT_RATE,
            "held": books.status == "held",
        },
    )


def _metadata(engage: EngageResource, books: UploadBooks) -> dict[str, dg.MetadataValue | str | int | float]:
    """The books, the mapping of the headers that have a meaning of their own, and reject reasons by count.

    No values, and no other header: in a file without a proper header line those are some person's data.
    """
    with engage.connect() as connection:
        upload = find_upload(connection, books.upload_id)
        reasons = reject_reasons(connection, books.upload_id)
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "upload_id": str(books.upload_id),
        "status": books.status,
        "rows_read": books.rows_read,
        "books": counts_table(
            {
                "inserted": books.rows_inserted,
                "updated": books.rows_updated,
                "duplicate": books.rows_duplicate,
                "rejected": books.rows_rejected,
                **({"held": books.rows_held} if books.rows_held else {}),
            },
            name="became",
            count="rows",
        ),
    }
    if books.rows_read:
        metadata["reject_rate"] = books.rows_rejected / books.rows_read
    if books.findings:
        metadata["wishes"] = records_table(
            [{"said no to": channel, "contacts": count} for channel, count in books.findings.wishes.items()]
        )
        metadata["unreachable_contacts"] = books.findings.unreachable_contacts
        metadata["identity_conflicts"] = books.findings.identity_conflicts
        if books.findings.preview:
            metadata["preview"] = records_table(books.findings.preview)
    if books.refusal_code:
        metadata["refusal"] = books.refusal_code
    if upload.column_mapping:
        meanings = upload.column_mapping["columns"]
        known = {
            header: field for header, field in meanings.items() if field and not field.startswith("custom_fields.")
        }
        metadata["column_mapping"] = dg.MetadataValue.json(known)
        metadata["other_columns"] = len(meanings) - len(known)
    if reasons:
        metadata["reject_reasons"] = records_table(
            [
                {"reason": each.reason_code, "rows": each.row_count, "first line": each.first_line_number}
                for each in reasons
            ]
        )
    return metadata
