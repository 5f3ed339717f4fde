"""Contacts that come one by one or some hundred at once, without a file: cleaned, recognised and merged as an upload's
are, in the caller's transaction.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pyarrow as pa

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.intake.cells import typed_batch
from engage_pipeline.intake.forgotten import suppress_returning
from engage_pipeline.intake.load import lead_source_spellings, leaves_known_contacts
from engage_pipeline.intake.mapping import ColumnMapping
from engage_pipeline.intake.merge import merge_leads
from engage_pipeline.intake.normalise import INVALID_EMAIL, INVALID_PHONE
from engage_pipeline.intake.presets import FIELDS
from engage_pipeline.intake.staging import copy_rows
from engage_pipeline.intake.vectors import Cleaner
from engage_pipeline.settings import Settings

HERE = Path(__file__).parent
_SPELLINGS_LAST_SECONDS = 600.0

RecordStatus = Literal["created", "updated", "unchanged", "duplicate", "rejected"]


@dataclass(frozen=True)
class RecordResult:
    """What became of one record.

    Attributes:
        contact_id: None for one that was rejected.
        reason_code, reason: why it was rejected; a code of rejected rows.
    """

    status: RecordStatus
    contact_id: UUID | None = None
    reason_code: str | None = None
    reason: str | None = None


def create_contacts(
    connection: Connection,
    settings: Settings,
    tenant: Tenant,
    records: Sequence[Mapping[str, Any]],
    *,
    source_system: str,
    entry_type: str,
    now: datetime,
) -> list[RecordResult]:
    """Make contacts of the records, or merge them into those that are known; one result each, in their order.

    A record that names a phone number or an e-mail address that is none is rejected, whatever else it has: who sends it
    can mend it. Otherwise everything is as for a row of a lead file. It waits for an upload that is making contacts.

    Args:
        records: fields of `presets.FIELDS`, of which `tags` is a list and `do_not_*` are booleans, and `custom_fields`.
        source_system: what their external ids belong to.
        entry_type: how they came, for conditions of flows.

    Raises:
        SuppressionKeyMissing: nobody can tell who was forgotten; nothing may be written.
    """
    custom = list(dict.fromkeys(name for record in records for name in record.get("custom_fields") or {}))
    mapping = _mapping(custom, source_system)
    rows = [(number, _cells(record, custom)) for number, record in enumerate(records)]
    cleaner = Cleaner(mapping, tenant.default_phone_region, tenant.time_zone, _spellings(connection, tenant))
    clean = cleaner.clean(typed_batch(rows, len(mapping.headers), ()))
    results = {row.line_number: RecordResult("rejected", None, row.reason_code, row.reason) for row in clean.rejected}
    usable = _without_invalid(clean.rows, records, results, tenant.default_phone_region)
    if len(usable):
        results |= _merge(connection, settings, tenant, usable, source_system, entry_type, now=now)
    return [results[number] for number in range(len(records))]


def _merge(
    connection: Connection,
    settings: Settings,
    tenant: Tenant,
    usable: pa.Table,
    source_system: str,
    entry_type: str,
    *,
    now: datetime,
) -> dict[int, RecordResult]:
    connection.execute(load_statement(HERE, "stage_leads"))
    copy_rows(connection, usable)
    connection.execute(load_statement(HERE, "hold_intake"), {"user_id": tenant.user_id})
    merge_leads(
        connection,
        user_id=tenant.user_id,
        upload_id=None,
        entry_type=entry_type,
        source_system=source_system,
        address_headers={"phone_e164": "phone", "email": "email"},
        wish_sources={"ai_call": entry_type, "email": entry_type},
        leaves_known=leaves_known_contacts(connection, tenant),
        now=now,
    )
    suppress_returning(connection, settings, tenant.user_id, now=now)
    merged = connection.execute(load_statement(HERE, "merged_records"), {"now": now}).fetchall()
    return {number: RecordResult(status, contact_id) for number, contact_id, status in merged}


def _mapping(custom: Sequence[str], source_system: str) -> ColumnMapping:
    country = FIELDS.index("country")
    return ColumnMapping(
        headers=(*FIELDS, *custom),
        source_system=source_system,
        fields={name: (number,) for number, name in enumerate(FIELDS) if name != "full_name"},
        custom_fields={
            **({} if "country" in custom else {country: "country"}),
            **{len(FIELDS) + number: name for number, name in enumerate(custom)},
        },
    )


def _cells(record: Mapping[str, Any], custom: Sequence[str]) -> list[Any]:
    own = {**record, "tags": ",".join(record.get("tags") or ())}
    said = record.get("custom_fields") or {}
    return [*(own.get(name) for name in FIELDS), *(said.get(name) for name in custom)]


def _without_invalid(
    rows: pa.Table, records: Sequence[Mapping[str, Any]], results: dict[int, RecordResult], region: str
) -> pa.Table:
    """The rows but those whose phone number or e-mail address is none, which become rejected."""
    numbers = rows.column("line_number").to_pylist()
    usable = np.ones(len(numbers), bool)
    invalid = (
        ("phone", "phone_e164", INVALID_PHONE, f"the phone number is not valid with default region {region}"),
        ("email", "email", INVALID_EMAIL, "the e-mail address is not valid"),
    )
    for given, kept, code, reason in invalid:
        for place, value in enumerate(rows.column(kept).to_pylist()):
            if value is None and (records[numbers[place]].get(given) or "").strip():
                usable[place] = False
                results.setdefault(numbers[place], RecordResult("rejected", None, code, reason))
    return rows if usable.all() else rows.filter(pa.array(usable))


_spellings_lock = threading.Lock()
_known_spellings: dict[UUID, tuple[float, dict[str, str]]] = {}


def _spellings(connection: Connection, tenant: Tenant) -> dict[str, str]:
    """The tenant's spellings of lead sources, read again every ten minutes: it takes a pass over all its contacts."""
    with _spellings_lock:
        read_at, known = _known_spellings.get(tenant.user_id, (0.0, {}))
        if not read_at or time.monotonic() - read_at > _SPELLINGS_LAST_SECONDS:
            known = lead_source_spellings(connection, tenant)
            _known_spellings[tenant.user_id] = (time.monotonic(), known)
        # The one that is known is added to by whoever cleans with it, so that the next request spells as this one does.
        return known
