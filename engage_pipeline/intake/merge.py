"""From staged rows to contacts, inside the load's transaction: who each row is, and what that makes of the contacts.

Set by set, in the statements beside this module. Rows whose keys leave a choice are read one after another, by their
keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.reentry import takes_known_contacts
from engage_pipeline.intake.identity import KeyRow, KnownContact, resolve

HERE = Path(__file__).parent
ENTRY_TYPE = "bulk_upload"
_FETCHED_ROWS = 10_000
# Sorting and hashing a million rows in the 4 MB of the default spills a dozen times.
_WORK_MEMORY = "64MB"


@dataclass(frozen=True)
class Merged:
    """What became of the usable rows of a file."""

    inserted: int
    updated: int
    wishes: dict[str, int]
    unreachable_contacts: int
    identity_conflicts: int


def merge_leads(
    connection: Connection,
    *,
    user_id: UUID,
    upload_id: UUID | None,
    entry_type: str = ENTRY_TYPE,
    source_system: str,
    address_headers: Mapping[str, str],
    wish_sources: Mapping[str, str],
    leaves_known: bool,
    now: Any,
) -> Merged:
    """Make contacts of the rows in `lead_rows`. Call it under `hold_intake`.

    Args:
        upload_id: the upload that they come from; None without a file.
        entry_type: how they came.
        source_system: what the rows' ids belong to.
        address_headers: phone_e164 and email -> the custom field that keeps such an address of a row whose keys mean
            different people, as the address is somebody else's.
        wish_sources: channel -> what `suppressions.source` says of a wish that a row states.
        leaves_known: known contacts keep what they have; only wishes are added.
        now: the instant that the rows carry, with a time zone.
    """
    asked = {
        "user_id": user_id,
        "upload_id": upload_id,
        "entry_type": entry_type,
        "source_system": source_system,
        "phone_header": address_headers.get("phone_e164", "phone_e164"),
        "email_header": address_headers.get("email", "email"),
        "call_source": wish_sources.get("ai_call", "contact"),
        "email_source": wish_sources.get("email", "contact"),
        "leaves_known": leaves_known,
        "now": now,
    }
    # Statements of several commands and those that create tables take their values on this side.
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(f"set local work_mem = '{_WORK_MEMORY}'")
        cursor.execute("analyze lead_rows")
        for step in ("find_known_contacts", "find_joining_rows"):
            cursor.execute(load_statement(HERE, step), asked)
        _untangle(cursor)
        for step in ("persons_by_id", "merge_persons"):
            cursor.execute(load_statement(HERE, step), asked)
        # Before the contacts, whose own trigger suppresses as well, but knows no column to name as the source.
        cursor.execute(load_statement(HERE, "suppress_leads"), asked)
        inserted = cursor.execute(load_statement(HERE, "insert_contacts"), asked).rowcount
        # Last: a batch that picks up one of these waits until the commit.
        updated = cursor.execute(load_statement(HERE, "update_contacts"), asked).rowcount
        if takes_known_contacts(connection, user_id):
            cursor.execute(load_statement(HERE, "offer_known_contacts"), asked)
        found = cursor.execute(load_statement(HERE, "load_findings")).fetchone() or (0, 0, 0, 0, 0)
    wishes = dict(zip(("ai_call", "email", "whatsapp_message"), found[:3], strict=True))
    return Merged(inserted, updated, {channel: count for channel, count in wishes.items() if count}, found[3], found[4])


def _untangle(cursor: psycopg.ClientCursor[Any]) -> None:
    """Give a person to each row that may join somebody."""
    joining = cursor.execute("select exists (select from joining_rows)").fetchone()
    if joining is None or not joining[0]:
        return
    cursor.execute(load_statement(HERE, "untangle_rows"))
    known = [KnownContact(*row) for row in cursor.execute(load_statement(HERE, "tangled_contacts")).fetchall()]
    cursor.execute(load_statement(HERE, "tangled_rows"))
    rows = (KeyRow(*row) for row in iter(cursor.fetchone, None))
    persons = list(resolve(rows, known))
    counts: dict[UUID, int] = {}
    for person in persons:
        counts[person.person_id] = counts.get(person.person_id, 0) + 1
    with cursor.copy("copy row_persons from stdin") as copy:
        for person in persons:
            # A new contact with one row and no address of somebody else is made of the row as it is.
            is_plain = not (person.is_known or person.phone_is_of_other or person.email_is_of_other)
            if not is_plain or counts[person.person_id] > 1:
                copy.write_row(person)
