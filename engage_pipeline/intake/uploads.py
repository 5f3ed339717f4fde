"""Uploads as the ledger knows them: the books of one file, and reading them back. Changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict
from uuid import UUID

from psycopg.rows import class_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.errors import NoUpload

HERE = Path(__file__).parent


class UploadOptions(TypedDict, total=False):
    """What is asked for beside a file, kept in `lead_uploads.options`; what is absent is sniffed, or the tenant's.

    `preset` names one of `presets.presets`, and `mapping` is a `saved_mapping.SavedMapping` as JSON.

    `format` is one of `sniff.KINDS`. `known_contacts` is one of `vocabulary.KNOWN_CONTACTS`. With `accept_rejects` the
    upload is loaded whatever its share of rejected rows.
    """

    format: str
    encoding: str
    delimiter: str
    sheet: str
    known_contacts: str
    preset: str
    mapping: dict[str, Any]
    accept_rejects: bool


@dataclass(frozen=True)
class UploadFindings:
    """What the load of one file found besides its books.

    Attributes:
        wishes: channel -> contacts of the file that said no to it, now or before; a DNC tag counts for every channel.
            Channels without any are absent.
        unreachable_contacts: contacts of the file that have neither a phone nor an e-mail address, so that no channel
            reaches them.
        identity_conflicts: rows whose keys mean different contacts. The first key decided, and the address that is
            somebody else's stayed there; the row's contact keeps it as a custom field only.
        preview: the first rows as contacts, masked.
    """

    wishes: dict[str, int]
    unreachable_contacts: int
    identity_conflicts: int
    preview: list[dict[str, str | int]] = field(default_factory=list)


@dataclass(frozen=True)
class UploadBooks:
    """What became of one file: rows_read = rows_inserted + rows_updated + rows_duplicate + rows_rejected + rows_held.

    Attributes:
        status: loaded, held, refused or repeated.
        rows_held: rows that would be contacts, were the upload not held.
        repeat_of: the upload that loaded or holds the same bytes, when repeated.
        refusal_code, refusal_reason: why the whole file was refused.
        findings: None unless loaded.
    """

    upload_id: UUID
    status: str
    rows_read: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_duplicate: int = 0
    rows_rejected: int = 0
    rows_held: int = 0
    repeat_of: UUID | None = None
    refusal_code: str | None = None
    refusal_reason: str | None = None
    findings: UploadFindings | None = None

    def as_metadata(self) -> dict[str, Any]:
        """What is worth showing of it, as JSON values; what is missing is left out."""
        shown = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: str(value) if isinstance(value, UUID) else value for name, value in shown.items()}


@dataclass(frozen=True)
class Upload:
    """One row of `lead_uploads` with its tenant.

    Attributes:
        inbox_path: relative to the inbox, with forward slashes.
        last_touched_at: when it finished, else when its attempt was requested.
    """

    upload_id: UUID
    user_id: UUID
    tenant_name: str
    default_phone_region: str
    time_zone: str
    file_name: str
    inbox_path: str
    status: str
    rows_read: int
    rows_inserted: int
    rows_updated: int
    rows_duplicate: int
    rows_rejected: int
    rows_held: int
    rows_seen: int | None
    options: dict[str, Any]
    repeat_of: UUID | None
    refusal_code: str | None
    refusal_reason: str | None
    format: dict[str, Any] | None
    column_mapping: dict[str, Any] | None
    findings: dict[str, Any] | None
    created_at: datetime
    last_touched_at: datetime
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """A run has it, or will."""
        return self.status in ("waiting", "running")

    @property
    def tenant(self) -> Tenant:
        """Whose file it is."""
        return Tenant(self.user_id, self.tenant_name, self.default_phone_region, self.time_zone)

    def as_json(self) -> dict[str, Any]:
        """Every field as a JSON value."""
        hidden = ("user_id", "default_phone_region", "time_zone", "last_touched_at")
        shown = {name: value for name, value in asdict(self).items() if name not in hidden}
        return {name: _json_value(value) for name, value in shown.items()}


@dataclass(frozen=True)
class RejectReason:
    """How many rows of an upload were rejected for one reason, and the line on which the first of them begins."""

    reason_code: str
    row_count: int
    first_line_number: int


def find_upload(connection: Connection, upload_id: UUID, *, user_id: UUID | None = None) -> Upload:
    """The upload of that id.

    Args:
        user_id: the tenant that it must belong to; None: whichever.

    Raises:
        NoUpload: there is none.
    """
    found = _find(connection, upload_id=upload_id, user_id=user_id)
    if not found:
        raise NoUpload(str(upload_id))
    return found[0]


def latest_uploads(
    connection: Connection,
    *,
    user_id: UUID | None = None,
    status: str | None = None,
    before: UUID | None = None,
    at_most: int,
) -> list[Upload]:
    """The newest uploads, newest first: of all tenants or of one.

    Args:
        before: only those that are older than this one.
    """
    return _find(connection, user_id=user_id, status=status, before=before, at_most=at_most)


def uploads_of_paths(connection: Connection, inbox_paths: Sequence[str]) -> dict[str, Upload]:
    """The newest upload of each inbox path that ever had one."""
    newest_first = _find(connection, inbox_paths=list(inbox_paths))
    return {upload.inbox_path: upload for upload in reversed(newest_first)}


def reject_reasons(connection: Connection, upload_id: UUID) -> list[RejectReason]:
    """Why rows of an upload were rejected, the most frequent reason first; empty when none was."""
    with connection.cursor(row_factory=class_row(RejectReason)) as cursor:
        return cursor.execute(load_statement(HERE, "reject_reasons"), {"upload_id": upload_id}).fetchall()


def _find(
    connection: Connection,
    *,
    upload_id: UUID | None = None,
    inbox_paths: list[str] | None = None,
    user_id: UUID | None = None,
    status: str | None = None,
    before: UUID | None = None,
    at_most: int | None = None,
) -> list[Upload]:
    asked = {
        "upload_id": upload_id,
        "inbox_paths": inbox_paths,
        "user_id": user_id,
        "status": status,
        "before": before,
        "at_most": at_most,
    }
    with connection.cursor(row_factory=class_row(Upload)) as cursor:
        return cursor.execute(load_statement(HERE, "find_uploads"), asked).fetchall()


def _json_value(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
