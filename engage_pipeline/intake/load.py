"""Loads one lead file into contacts: everything or nothing, in one transaction that proves its lease at the end."""

import csv
import gc
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.flows.reentry import offer_again
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.identity import Person, Resolution, resolve
from engage_pipeline.intake.mapping import ColumnMapping, map_columns
from engage_pipeline.intake.normalise import Lead, Leads, custom_fields_json, normalise
from engage_pipeline.intake.records import RejectedRow, read_records
from engage_pipeline.intake.sniff import FileFormat, sniff
from engage_pipeline.intake.unpack import unpack
from engage_pipeline.intake.uploads import UploadBooks, UploadFindings

HERE = Path(__file__).parent
ENTRY_TYPE = "bulk_upload"
COPY_BLOCK_ROWS = 4096

_KEPT_COLUMNS = (
    "source_system",
    "external_id",
    "phone_e164",
    "email",
    "first_name",
    "last_name",
    "company",
    "lead_source",
    "tags",
    "custom_fields",
    "suppressed_channels",
)
_NEW_COLUMNS = ("user_id", "entry_type", "upload_id", "created_at", "updated_at", *_KEPT_COLUMNS)
_REJECTED_COLUMNS = ("upload_id", "line_number", "raw_row", "reason_code", "reason")


@dataclass(frozen=True)
class _FileFacts:
    """What is written on the upload's row besides its books."""

    sha256: str | None = None
    byte_count: int | None = None
    format: dict[str, Any] | None = None
    column_mapping: dict[str, Any] | None = None


def load_upload(url: str, lease: Lease, *, path: Path, tenant: Tenant, now: datetime) -> UploadBooks:
    """Make contacts of the file at `path`, and close the upload as loaded, refused or repeated.

    A known contact takes what the file adds or changes; it loses no value and no tag, and is not new again. Do Not
    Call suppresses `ai_call` only and Do Not Email `email`; a column for Do Not Contact gives the DNC tag, which
    suppresses every channel. A wish is kept on the contact and by each of its addresses, those of later uploads too,
    and no upload takes it back. Uploads of one tenant load one after another.

    Args:
        url: the operational store.
        lease: held on the upload's row.
        path: the file; one that is gone is refused as `file_missing`.
        tenant: whose contacts they become, and where a phone number without a country code belongs.
        now: the instant that the rows carry, with a time zone.

    Raises:
        LeaseLost: another attempt owns the upload now; nothing was written.
    """
    with _collector_paused(), connect(url, application_name="engage intake") as connection, connection.transaction():
        connection.execute(load_statement(HERE, "hold_intake"), {"user_id": tenant.user_id})
        books, facts = _read_and_write(connection, lease.work_id, path=path, tenant=tenant, now=now)
        lease.hold(connection)
        _finish(connection, books, facts, now=now)
    return books


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's cyclic collector from walking millions of live values again and again, a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_and_write(
    connection: Connection, upload_id: UUID, *, path: Path, tenant: Tenant, now: datetime
) -> tuple[UploadBooks, _FileFacts]:
    facts = _FileFacts()
    try:
        content = _content(path)
        facts = _FileFacts(hashlib.sha256(content).hexdigest(), len(content))
        repeat_of = _repeat_of(connection, tenant, facts)
        if repeat_of is not None:
            return UploadBooks(upload_id, "repeated", repeat_of=repeat_of), facts
        unpacked = unpack(content)
        file_format = sniff(unpacked.content)
        facts = replace(facts, format={**file_format.as_json(), "packing": unpacked.packing})
        leads, mapping = _leads(connection, unpacked.content, file_format, tenant)
    except FileRefused as refusal:
        books = UploadBooks(upload_id, "refused", refusal_code=refusal.refusal_code, refusal_reason=str(refusal))
        return books, facts
    books = _write(connection, upload_id, leads, mapping, tenant=tenant, now=now)
    return books, replace(facts, column_mapping=mapping.as_json())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileRefused(
            "file_missing",
            what="the file is gone",
            why="it was taken out of the inbox before it was read",
            fix="put it into the inbox again",
        ) from error


def _repeat_of(connection: Connection, tenant: Tenant, facts: _FileFacts) -> UUID | None:
    row = connection.execute(
        load_statement(HERE, "find_repeat"), {"user_id": tenant.user_id, "file_sha256": facts.sha256}
    ).fetchone()
    return None if row is None else row[0]


def _leads(
    connection: Connection, content: bytes, file_format: FileFormat, tenant: Tenant
) -> tuple[Leads, ColumnMapping]:
    records = read_records(content, file_format)
    mapping = map_columns(file_format.headers, records.rows)
    spellings: dict[str, str] = {}
    for (lead_source,) in connection.execute(load_statement(HERE, "known_lead_sources"), {"user_id": tenant.user_id}):
        spellings.setdefault(lead_source.casefold(), lead_source)
    leads = normalise(records, mapping, region=tenant.default_phone_region, lead_source_spellings=spellings)
    return leads, mapping


def _write(
    connection: Connection, upload_id: UUID, leads: Leads, mapping: ColumnMapping, *, tenant: Tenant, now: datetime
) -> UploadBooks:
    known = _known_contacts(connection, leads.leads, mapping, tenant)
    resolution = resolve(leads.leads, known, source_system=mapping.source_system, headers=_address_headers(mapping))
    # Before the contacts, whose own trigger suppresses as well, but knows no column to name as the source.
    _suppress(connection, leads.leads, resolution, mapping, tenant=tenant, now=now)
    _insert(connection, upload_id, resolution.inserted, tenant=tenant, now=now)
    _update(connection, resolution.updated, now=now)
    arrived_again = {person.contact_id for person in resolution.persons if person.contact_id is not None}
    offer_again(connection, tenant.user_id, sorted(arrived_again), now=now)
    _quarantine(connection, upload_id, leads.rejected)
    inserted, updated = len(resolution.inserted), len(resolution.updated)
    return UploadBooks(
        upload_id,
        "loaded",
        rows_read=len(leads.leads) + len(leads.rejected),
        rows_inserted=inserted,
        rows_updated=updated,
        rows_duplicate=len(leads.leads) - inserted - updated,
        rows_rejected=len(leads.rejected),
        findings=_findings(resolution),
    )


def _address_headers(mapping: ColumnMapping) -> dict[str, str]:
    """phone_e164 and email -> the header of the file's best column for it."""
    columns = {field: mapping.fields.get(name, ()) for field, name in (("phone_e164", "phone"), ("email", "email"))}
    return {field: mapping.headers[numbers[0]] for field, numbers in columns.items() if numbers}


def _known_contacts(
    connection: Connection, leads: Sequence[Lead], mapping: ColumnMapping, tenant: Tenant
) -> list[Person]:
    keys = {
        "user_id": tenant.user_id,
        "source_system": mapping.source_system,
        "external_ids": list({lead.external_id for lead in leads if lead.external_id is not None}),
        "phones": list({lead.phone_e164 for lead in leads if lead.phone_e164 is not None}),
        "emails": list({lead.email for lead in leads if lead.email is not None}),
    }
    return [Person(*row) for row in connection.execute(load_statement(HERE, "known_contacts"), keys)]


def _insert(
    connection: Connection, upload_id: UUID, persons: Iterable[Person], *, tenant: Tenant, now: datetime
) -> None:
    shared = (tenant.user_id, ENTRY_TYPE, upload_id, now.isoformat(), now.isoformat())
    _copy(connection, "contacts", _NEW_COLUMNS, ((*shared, *_kept(person)) for person in persons))


def _update(connection: Connection, persons: Sequence[Person], *, now: datetime) -> None:
    if not persons:
        return
    connection.execute(load_statement(HERE, "stage_contacts"))
    rows = ((person.contact_id, *_kept(person)) for person in persons)
    _copy(connection, "changed_contacts", ("id", *_KEPT_COLUMNS), rows)
    connection.execute(load_statement(HERE, "update_contacts"), {"now": now})


def _suppress(
    connection: Connection,
    leads: Sequence[Lead],
    resolution: Resolution,
    mapping: ColumnMapping,
    *,
    tenant: Tenant,
    now: datetime,
) -> None:
    """Suppress every address that rows give for a person who said no: in that row, in another one or long ago."""
    columns = {
        channel: f"column {mapping.headers[mapping.fields[consent][0]]}"
        for consent, channel in (("do_not_call", "ai_call"), ("do_not_email", "email"))
        if consent in mapping.fields
    }
    sources: dict[tuple[str, str], str] = {}
    for lead, person in zip(leads, resolution.persons, strict=True):
        for channel in person.refused_channels():
            for address in _addresses(channel, lead, person):
                if channel in lead.suppressed_channels:
                    sources[channel, address] = columns[channel]
                else:
                    sources.setdefault((channel, address), "contact")
    if sources:
        asked = {
            "user_id": tenant.user_id,
            "channels": [channel for channel, _ in sources],
            "addresses": [address for _, address in sources],
            "sources": list(sources.values()),
            "now": now,
        }
        connection.execute(load_statement(HERE, "suppress_addresses"), asked)


def _addresses(channel: str, lead: Lead, person: Person) -> set[str]:
    """What a row and its person have for a channel."""
    if channel == "email":
        given = (lead.email, person.email, *(each for each in lead.other_addresses if "@" in each))
    else:
        given = (lead.phone_e164, person.phone_e164, *(each for each in lead.other_addresses if "@" not in each))
    return {address for address in given if address is not None}


def _findings(resolution: Resolution) -> UploadFindings:
    persons = set(resolution.persons)
    wishes = Counter(channel for person in persons for channel in person.refused_channels())
    unreachable = sum(person.phone_e164 is None and person.email is None for person in persons)
    return UploadFindings(dict(sorted(wishes.items())), unreachable, len(resolution.conflict_lines))


def _quarantine(connection: Connection, upload_id: UUID, rejected: Iterable[RejectedRow]) -> None:
    rows = (
        (upload_id, row.line_number, _storable_json(row.raw_row), row.reason_code, row.reason)
        for row in sorted(rejected, key=lambda row: row.line_number)
    )
    _copy(connection, "rejected_rows", _REJECTED_COLUMNS, rows)


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
            "format": None if facts.format is None else Jsonb(facts.format),
            "column_mapping": None if facts.column_mapping is None else Jsonb(facts.column_mapping),
            "findings": None if books.findings is None else Jsonb(asdict(books.findings)),
            "repeat_of": books.repeat_of,
            "refusal_code": books.refusal_code,
            "refusal_reason": books.refusal_reason,
            "now": now,
        },
    )


def _kept(person: Person) -> tuple[Any, ...]:
    return (
        person.source_system,
        person.external_id,
        person.phone_e164,
        person.email,
        person.first_name,
        person.last_name,
        person.company,
        person.lead_source,
        _array_literal(person.tags),
        custom_fields_json(person.custom_fields),
        _array_literal(person.suppressed_channels),
    )


def _array_literal(texts: Sequence[str]) -> str:
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def _storable_json(raw_row: Sequence[str]) -> str:
    # jsonb refuses NUL; the quarantined row shows the replacement character in its place.
    return json.dumps([text.replace("\x00", "\ufffd") for text in raw_row], ensure_ascii=False)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Append rows by COPY of CSV: on these wide rows three times as fast as psycopg's `write_row`. None is null."""
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        block = io.StringIO()
        writer = csv.writer(block)
        for number, row in enumerate(rows, start=1):
            writer.writerow(row)
            if number % COPY_BLOCK_ROWS == 0:
                copy.write(block.getvalue())
                block.seek(0)
                block.truncate()
        copy.write(block.getvalue())
