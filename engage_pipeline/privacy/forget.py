"""Erases one person everywhere, and keeps what says nothing of them: the ledger's facts, and keyed hashes.

What cannot be rolled back, the files, comes first and may be repeated: as long as the contact's row still says whom it
means, the command can be run again.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.rows import dict_row

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.execution.cancel import cancel_executions
from engage_pipeline.intake.forgotten import keep_hashes
from engage_pipeline.matching.explain import NoContact
from engage_pipeline.privacy.errors import ContactBusy
from engage_pipeline.privacy.files import take_out_of_files
from engage_pipeline.privacy.person import Person
from engage_pipeline.settings import Settings

_HERE = Path(__file__).parent
_INTAKE = _HERE.parent / "intake"
_ROWS_AT_ONCE = 20_000
_CLOCK_SLACK_SECONDS = 5.0


@dataclass(frozen=True)
class ForgetReport:
    """What was erased, in counts.

    Attributes:
        row_count: rows taken out of lead files; file_count: files that were deleted as a whole.
        cancelled_count: executions that were ended.
    """

    contact_id: UUID
    log_count: int
    rejected_row_count: int
    row_count: int
    file_count: int
    cancelled_count: int

    def as_json(self) -> dict[str, Any]:
        """Every field as a JSON value."""
        return {**asdict(self), "contact_id": str(self.contact_id)}


def forget_contact(connection: Connection, settings: Settings, contact_id: UUID, *, now: datetime) -> ForgetReport:
    """Erase a person: the contact's row but for its id, what its action logs, providers' events and kept answers of the
    API say of it, its rows in quarantine and in the files of its tenant. Its open executions end.

    The suppression list keeps keyed hashes of the phone, e-mail and id, so that the person stays suppressed when
    uploaded again. Other contacts with the same address stay, and are suppressed on every channel. Doing it again
    changes nothing.

    Raises:
        NoContact: there is no such contact.
        ContactBusy: a request to it is on its way, an event of it is not applied yet, or an upload is being loaded.
        FileInTheWay: it is in a file that waits and cannot be rewritten. Nothing in the database was changed.
    """
    with connection.transaction():
        person = _person(connection, contact_id)
        # As a load does: neither may bring the person back while this one removes them.
        connection.execute(load_statement(_INTAKE, "hold_intake"), {"user_id": person.user_id})
        _refuse_while_busy(connection, settings, person, now=now)
        row_count, file_count = take_out_of_files(settings, person)
        cancelled_count = _end_executions(connection, contact_id, now=now)
        log_count = connection.execute(
            load_statement(_HERE, "erase_logs"), {"contact_id": contact_id, "now": now}
        ).rowcount
        connection.execute(
            load_statement(_HERE, "erase_events"),
            {"contact_id": contact_id, "user_id": person.user_id, **_needles(person)},
        )
        connection.execute(
            load_statement(_HERE, "erase_api_answers"),
            {"user_id": person.user_id, "needles": [str(contact_id), *_needles(person)["needles"]]},
        )
        rejected_row_count = _erase_rejected_rows(connection, person)
        _suppress(connection, settings, person, now=now)
        return ForgetReport(contact_id, log_count, rejected_row_count, row_count, file_count, cancelled_count)


def _person(connection: Connection, contact_id: UUID) -> Person:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(load_statement(_HERE, "contact_to_forget"), {"contact_id": contact_id}).fetchone()
    if row is None:
        raise NoContact
    return Person.of_row(row)


def _refuse_while_busy(connection: Connection, settings: Settings, person: Person, *, now: datetime) -> None:
    longest = timedelta(seconds=settings.send_seconds + settings.request_timeout_seconds + _CLOCK_SLACK_SECONDS)
    row = connection.execute(
        load_statement(_HERE, "under_way"),
        {"contact_id": person.contact_id, "user_id": person.user_id, "sent_after": now - longest, **_needles(person)},
    ).fetchone()
    if row is not None:
        raise ContactBusy(str(person.contact_id), why=row[0])


def _needles(person: Person) -> dict[str, list[str]]:
    """By what the body of a provider's event may name the person."""
    return {"needles": [*person.telling_digits(), *sorted(person.emails)]}


def _end_executions(connection: Connection, contact_id: UUID, *, now: datetime) -> int:
    rows = connection.execute(
        "select id from flow_executions where contact_id = %s and status in ('pending', 'running') order by id",
        [contact_id],
    ).fetchall()
    cancel_executions(connection, [row[0] for row in rows], reason="forgotten", now=now)
    connection.execute("update flow_executions set metadata = '{}' where contact_id = %s", [contact_id])
    return len(rows)


def _erase_rejected_rows(connection: Connection, person: Person) -> int:
    """The rows stay with line and reason, as the books count them; what they said goes."""
    erased = 0
    with connection.cursor(name="rejected_rows_of_tenant") as cursor:
        cursor.execute(load_statement(_HERE, "rejected_rows_of_tenant"), {"user_id": person.user_id})
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            cells = pa.array([str(cell) for _, raw_row in rows for cell in raw_row], pa.string())
            owners = [row_id for row_id, raw_row in rows for _ in raw_row]
            found = {owners[place] for place in pc.indices_nonzero(person.is_in(cells)).to_pylist()}
            connection.execute("update rejected_rows set raw_row = '[]' where id = any(%s)", [list(found)])
            erased += len(found)
    return erased


def _suppress(connection: Connection, settings: Settings, person: Person, *, now: datetime) -> None:
    if person.said():
        keep_hashes(connection, settings, person.user_id, person.said(), now=now)
    connection.execute(
        load_statement(_HERE, "erase_contact"),
        {"contact_id": person.contact_id, "channels": list(CHANNELS), "now": now},
    )
    # After the erasure, since the trigger of contacts suppresses an address once more as it goes.
    asked = {
        "user_id": person.user_id,
        "phones": sorted(person.phones),
        "emails": sorted(person.emails),
        "channels": list(CHANNELS),
        "now": now,
    }
    connection.execute(load_statement(_HERE, "suppress_others"), asked)
    connection.execute(load_statement(_HERE, "forget_addresses"), asked)
