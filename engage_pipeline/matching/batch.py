"""Matches the contacts of one micro-batch and stores their assignments."""

import atexit
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from engage_pipeline.database.bulk import arrow_connection, read_table
from engage_pipeline.database.connections import IDLE_SECONDS, Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.store import enabled_flows, enabled_versions
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import assign, assignment_columns
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

_HERE = Path(__file__).parent

_programs_lock = Lock()
_latest: dict[tuple[tuple[UUID, int], ...], Program] = {}


class Assignment(NamedTuple):
    """What one contact of a batch got: the flow that won, if any, and the reason."""

    contact_id: str
    flow_name: str | None
    flow_version: int | None
    reason: str


def assign_batch(url: str, lease: Lease, *, idle_seconds: float = IDLE_SECONDS) -> list[Assignment]:
    """Assign every contact of the batch and return what the database then holds, in the order of contact ids.

    When the batch was assigned before, these are the assignments of that time, whatever the flows say now.

    Args:
        idle_seconds: as for `connect`.

    Raises:
        LeaseLost: another attempt owns the batch; nothing was written.
    """
    with connect(url, application_name="engage matching", idle_seconds=idle_seconds) as connection:
        program = current_program(connection)
        assigned = _assign_contacts(url, lease, program, now=_formed_at(connection, lease))
        with connection.transaction():
            lease.hold(connection)
            connection.execute(load_statement(_HERE, "hold_contacts"), {"micro_batch_id": lease.work_id})
            connection.execute(
                load_statement(_HERE, "insert_assignments"),
                {
                    "micro_batch_id": lease.work_id,
                    **assigned,
                },
            )
        return _stored(connection, lease)


def current_program(connection: Connection) -> Program:
    """The program of all enabled flows; compiled anew only when a flow has another version, is new or is gone."""
    with _programs_lock:
        versions = enabled_versions(connection)
        if versions not in _latest:
            program = Program(enabled_flows(connection))
            _latest.clear()
            # What was read, which may be newer than what was asked for.
            versions = tuple(sorted((flow.flow_id, flow.version) for flow in program.flows))
            _latest[versions] = program
        return _latest[versions]


def _assign_contacts(url: str, lease: Lease, program: Program, *, now: datetime) -> dict[str, list[Any]]:
    with arrow_connection(url) as bulk:
        contacts = read_table(bulk, load_statement(_HERE, "contacts_of_batch"), [str(lease.work_id)])
    assigned: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    staging = _staging().cursor()
    try:
        staging.register("contacts", contacts)
        for batch in staged_batches(staging, program.custom_field_names):
            columns = ContactColumns(batch, program.custom_field_names, microseconds(now))
            for name, values in assignment_columns(program, columns, assign(program, columns)).items():
                assigned[name] += values
    finally:
        staging.close()
    return assigned


_COLUMNS = ("contact_ids", "user_ids", "flow_ids", "flow_versions", "reasons")


@lru_cache(maxsize=1)
def _staging() -> duckdb.DuckDBPyConnection:
    # One for the process: opening DuckDB costs more than matching a small batch.
    atexit.register(_staging.cache_clear)
    return duckdb.connect(config={"threads": 2})


def _formed_at(connection: Connection, lease: Lease) -> datetime:
    row = connection.execute("select formed_at from micro_batches where id = %s", [lease.work_id]).fetchone()
    assert row is not None  # noqa: S101 - the lease is on the batch
    formed_at: datetime = row[0]
    return formed_at


def _stored(connection: Connection, lease: Lease) -> list[Assignment]:
    rows = connection.execute(
        "select assignments.contact_id::text, flows.name, assignments.flow_version, assignments.reason"
        " from flow_assignments as assignments left join auto_engagement_flows as flows"
        " on flows.id = assignments.flow_id where assignments.micro_batch_id = %s order by assignments.contact_id",
        [lease.work_id],
    ).fetchall()
    return [Assignment(*row) for row in rows]
