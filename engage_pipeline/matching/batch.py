"""Matches the contacts of one micro-batch and stores their assignments."""

import atexit
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from uuid import UUID

import duckdb
import pandas as pd

from engage_pipeline.database.bulk import arrow_connection, read_table
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.store import enabled_flows, enabled_versions
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.assign import NO_ASSIGNMENTS, assign, assignments_frame
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.staging import staged_batches

_HERE = Path(__file__).parent

_programs_lock = Lock()
_latest: dict[tuple[tuple[UUID, int], ...], Program] = {}


def assign_batch(url: str, lease: Lease) -> pd.DataFrame:
    """Assign every contact of the batch and return what the database then holds.

    Returns:
        One row a contact: contact_id, flow_name (missing without a flow), flow_version, reason. When the batch was
        assigned before, these are the assignments of that time, whatever the flows say now.

    Raises:
        LeaseLost: another attempt owns the batch; nothing was written.
    """
    with connect(url, application_name="engage matching") as connection:
        program = current_program(connection)
        assigned = _assign_contacts(url, lease, program, now=_formed_at(connection, lease))
        with connection.transaction():
            lease.hold(connection)
            connection.execute(load_statement(_HERE, "hold_contacts"), {"micro_batch_id": lease.work_id})
            connection.execute(
                load_statement(_HERE, "insert_assignments"),
                {
                    "micro_batch_id": lease.work_id,
                    "contact_ids": assigned["contact_id"].tolist(),
                    "user_ids": assigned["user_id"].tolist(),
                    "flow_ids": assigned["flow_id"].tolist(),
                    "flow_versions": assigned["flow_version"].tolist(),
                    "reasons": assigned["reason"].tolist(),
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


def _assign_contacts(url: str, lease: Lease, program: Program, *, now: datetime) -> pd.DataFrame:
    with arrow_connection(url) as bulk:
        contacts = read_table(bulk, load_statement(_HERE, "contacts_of_batch"), [str(lease.work_id)])
    frames = []
    staging = _staging().cursor()
    try:
        staging.register("contacts", contacts)
        for batch in staged_batches(staging, program.custom_field_names):
            columns = ContactColumns(batch, program.custom_field_names, microseconds(now))
            frames.append(assignments_frame(program, columns, assign(program, columns)))
    finally:
        staging.close()
    return pd.concat([NO_ASSIGNMENTS, *frames], ignore_index=True)


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


def _stored(connection: Connection, lease: Lease) -> pd.DataFrame:
    rows = connection.execute(
        "select assignments.contact_id::text, flows.name, assignments.flow_version, assignments.reason"
        " from flow_assignments as assignments left join auto_engagement_flows as flows"
        " on flows.id = assignments.flow_id where assignments.micro_batch_id = %s order by assignments.contact_id",
        [lease.work_id],
    ).fetchall()
    return pd.DataFrame(rows, columns=["contact_id", "flow_name", "flow_version", "reason"])
