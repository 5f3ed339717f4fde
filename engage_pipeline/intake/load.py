"""Loads one lead file into contacts: everything or nothing, in one transaction that proves its lease at the end.

The file is read and cleaned in batches, which go into temporary tables as they come; then the contacts are made of
them, set by set. So memory is the same for any number of rows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.forgotten import suppress_returning
from engage_pipeline.intake.mapping import ColumnMapping
from engage_pipeline.intake.merge import merge_leads
from engage_pipeline.intake.reading import Reading
from engage_pipeline.intake.staging import stage
from engage_pipeline.intake.table import file_facts, opened_table
from engage_pipeline.intake.uploads import UploadBooks, UploadFindings
from engage_pipeline.intake.vectors import CleanBatch
from engage_pipeline.masking import mask_personal
from engage_pipeline.settings import Settings

READ_SECONDS = 600
"""How long a load's transaction may wait: between two statements it reads its file, and a workbook is read whole."""

HERE = Path(__file__).parent


@dataclass(frozen=True)
class _FileFacts:
    """What is written on the upload's row besides its books."""

    sha256: str | None = None
    byte_count: int | None = None
    format: dict[str, Any] | None = None
    column_mapping: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Asked:
    """What decides about a load besides the file."""

    options: dict[str, Any]
    reject_threshold: float
    leaves_known: bool


def no_progress(_: int) -> None:
    """Nobody wants to know how far a load has come."""


def load_upload(
    url: str,
    lease: Lease,
    *,
    path: Path,
    tenant: Tenant,
    settings: Settings,
    now: datetime,
    on_progress: Callable[[int], None] = no_progress,
) -> UploadBooks:
    """Make contacts of the file at `path`, and close the upload as loaded, held, refused or repeated.

    A known contact takes what the file adds or changes; it loses no value and no tag, and is not new again. By the
    tenant's policy or the upload's it is left as it is instead, but for wishes. Do Not Call suppresses `ai_call` only
    and Do Not Email `email`; a column for Do Not Contact gives the DNC tag, which suppresses every channel. A wish is
    kept on the contact and by each of its addresses, those of later uploads too, and no upload takes it back. Somebody
    who was forgotten is suppressed on every channel.

    Of a file with a greater share of rejected rows than the tenant allows nothing becomes a contact. Its wishes count,
    and its rejected rows are kept.

    Uploads of one tenant read their files side by side, and make contacts of them one after another.

    Args:
        url: the operational store.
        lease: held on the upload's row.
        path: the file; one that is gone is refused as `file_missing`.
        tenant: whose contacts they become, and where a phone number without a country code belongs.
        settings: of the installation, whose key tells who was forgotten.
        now: the instant that the rows carry, with a time zone.
        on_progress: called with the rows read so far.

    Raises:
        LeaseLost: another attempt owns the upload now; nothing was written.
        SuppressionKeyMissing: nobody can tell who was forgotten; nothing was written.
    """
    with (
        connect(url, application_name="engage intake", idle_seconds=READ_SECONDS) as connection,
        connection.transaction(),
    ):
        load = _Load(connection, lease.work_id, path, tenant, settings, now, on_progress)
        books, facts = load.run()
        lease.hold(connection)
        _finish(connection, books, facts, now=now)
    return books


def load_within(
    connection: Connection, upload_id: UUID, *, path: Path, tenant: Tenant, settings: Settings, now: datetime
) -> UploadBooks:
    """Make contacts of the file as `load_upload` does, within the caller's transaction; the upload's row stays open."""
    books, _ = _Load(connection, upload_id, path, tenant, settings, now, no_progress).run()
    return books


class _Load:
    """One load, in the transaction that is open on its connection."""

    def __init__(
        self,
        connection: Connection,
        upload_id: UUID,
        path: Path,
        tenant: Tenant,
        settings: Settings,
        now: datetime,
        on_progress: Callable[[int], None],
    ) -> None:
        self.connection, self.upload_id, self.path = connection, upload_id, path
        self.tenant, self.settings, self.now, self.on_progress = tenant, settings, now, on_progress
        self.asked = _asked(connection, upload_id)
        self.facts = _FileFacts()

    def run(self) -> tuple[UploadBooks, _FileFacts]:
        try:
            self.facts = _FileFacts(*file_facts(self.path))
            # What the file had staged before it turned out unreadable goes with the savepoint.
            with self.connection.transaction():
                books = self._repeated() or self._read_and_merge()
        except FileRefused as refusal:
            books = UploadBooks(
                self.upload_id, "refused", refusal_code=refusal.refusal_code, refusal_reason=str(refusal)
            )
        return books, self.facts

    def _repeated(self) -> UploadBooks | None:
        row = self.connection.execute(
            load_statement(HERE, "find_repeat"),
            {"user_id": self.tenant.user_id, "file_sha256": self.facts.sha256, "upload_id": self.upload_id},
        ).fetchone()
        return None if row is None else UploadBooks(self.upload_id, "repeated", repeat_of=row[0])

    def _read_and_merge(self) -> UploadBooks:
        spellings = lead_source_spellings(self.connection, self.tenant)
        with opened_table(self.path, self.asked.options) as table:
            self.facts = replace(self.facts, format=table.format_json())
            reading = Reading(
                table,
                self.asked.options,
                region=self.tenant.default_phone_region,
                zone=self.tenant.time_zone,
                lead_source_spellings=spellings,
            )
            usable, rejected = stage(self.connection, self.upload_id, _clean_batches(reading), self.on_progress)
            mapping = reading.mapping()
        self.facts = replace(self.facts, column_mapping=mapping.as_json())
        self.connection.execute(load_statement(HERE, "hold_intake"), {"user_id": self.tenant.user_id})
        # The same bytes may have been loaded while these were being read.
        repeated = self._repeated()
        if repeated is not None:
            self.connection.execute("delete from rejected_rows where upload_id = %s", [self.upload_id])
            return repeated
        if self._must_be_held(usable, rejected):
            return self._held(mapping, usable, rejected)
        return self._merged(mapping, usable, rejected)

    def _must_be_held(self, usable: int, rejected: int) -> bool:
        if self.asked.options.get("accept_rejects"):
            return False
        return rejected > self.asked.reject_threshold * (usable + rejected)

    def _held(self, mapping: ColumnMapping, usable: int, rejected: int) -> UploadBooks:
        asked = {
            "user_id": self.tenant.user_id,
            "source_system": mapping.source_system,
            "call_source": _wish_sources(mapping).get("ai_call", "contact"),
            "email_source": _wish_sources(mapping).get("email", "contact"),
            "now": self.now,
        }
        self.connection.execute(load_statement(HERE, "suppress_held_leads"), asked)
        return UploadBooks(
            self.upload_id, "held", rows_read=usable + rejected, rows_rejected=rejected, rows_held=usable
        )

    def _merged(self, mapping: ColumnMapping, usable: int, rejected: int) -> UploadBooks:
        merged = merge_leads(
            self.connection,
            user_id=self.tenant.user_id,
            upload_id=self.upload_id,
            source_system=mapping.source_system,
            address_headers=_address_headers(mapping),
            wish_sources=_wish_sources(mapping),
            leaves_known=self.asked.leaves_known,
            now=self.now,
        )
        suppress_returning(self.connection, self.settings, self.tenant.user_id, now=self.now)
        return UploadBooks(
            self.upload_id,
            "loaded",
            rows_read=usable + rejected,
            rows_inserted=merged.inserted,
            rows_updated=merged.updated,
            rows_duplicate=usable - merged.inserted - merged.updated,
            rows_rejected=rejected,
            findings=UploadFindings(
                merged.wishes, merged.unreachable_contacts, merged.identity_conflicts, _preview(self.connection)
            ),
        )


def _asked(connection: Connection, upload_id: UUID) -> _Asked:
    statement = load_statement(HERE, "upload_settings")
    [(options, threshold, known_contacts)] = connection.execute(statement, {"upload_id": upload_id}).fetchall()
    policy = options.get("known_contacts", known_contacts)
    return _Asked(options, float(threshold), policy == "leave")


def leaves_known_contacts(connection: Connection, tenant: Tenant) -> bool:
    """Whether the tenant wants contacts that are known left as they are."""
    row = connection.execute("select known_contacts = 'leave' from users where id = %s", [tenant.user_id]).fetchone()
    return row is not None and bool(row[0])


def lead_source_spellings(connection: Connection, tenant: Tenant) -> dict[str, str]:
    """Case-folded lead source -> how the tenant's oldest contact with it is written."""
    spellings: dict[str, str] = {}
    for (lead_source,) in connection.execute(load_statement(HERE, "known_lead_sources"), {"user_id": tenant.user_id}):
        spellings.setdefault(lead_source.casefold(), lead_source)
    return spellings


def _clean_batches(reading: Reading) -> Iterator[CleanBatch]:
    for _, cleaned in reading.batches():
        yield cleaned


def _preview(connection: Connection) -> list[dict[str, str | int]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [
            {name: mask_personal(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in cursor.execute(load_statement(HERE, "preview_leads")).fetchall()
        ]


def _address_headers(mapping: ColumnMapping) -> dict[str, str]:
    """phone_e164 and email -> the header of the file's best column for it."""
    columns = {field: mapping.fields.get(name, ()) for field, name in (("phone_e164", "phone"), ("email", "email"))}
    return {field: mapping.headers[numbers[0]] for field, numbers in columns.items() if numbers}


def _wish_sources(mapping: ColumnMapping) -> Mapping[str, str]:
    """Channel -> the column that states a no to it."""
    return {
        channel: f"column {mapping.headers[mapping.fields[consent][0]]}"
        for consent, channel in (("do_not_call", "ai_call"), ("do_not_email", "email"))
        if consent in mapping.fields
    }


def _finish(connection: Connection, books: UploadBooks, facts: _FileFacts, *, now: datetime) -> None:
    connection.execute(
        load_statement(HERE, "finish_upload"),
        {
            "upload_id": books.upload_id,
            "status": books.status,
            "file_sha256": facts.sha256,
            "file_bytes": facts.byte_count,
            "rows_read": books.rows_read,
            "rows_inserted": books.rows_inserted,
            "rows_updated": books.rows_updated,
            "rows_duplicate": books.rows_duplicate,
            "rows_rejected": books.rows_rejected,
            "rows_held": books.rows_held,
            "format": None if facts.format is None else Jsonb(facts.format),
            "column_mapping": None if facts.column_mapping is None else Jsonb(facts.column_mapping),
            "findings": None if books.findings is None else Jsonb(asdict(books.findings)),
            "repeat_of": books.repeat_of,
            "refusal_code": books.refusal_code,
            "refusal_reason": books.refusal_reason,
            "now": now,
        },
    )
