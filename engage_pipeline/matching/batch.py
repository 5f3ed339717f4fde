"""Matches the contacts of one micro-batch and stores their assignments."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from engage_pipeline.database.bulk import arrow_connection, read_table
from engage_pipeline.database.connections import Connection, connect
from engage_pipeline.database.leases import Lease
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.store import StoredFlow, enabled_flows
from engage_pipeline.matching.assign import assign_flows
from engage_pipeline.matching.conditions import custom_field_names

_HERE = Path(__file__).parent


def assign_batch(url: str, lease: Lease) -> pd.DataFrame:
    """Assign every contact of the batch and return what the database then holds.

    Returns:
        One row a contact: contact_id, flow_name (missing without a flow), flow_version, reason. When the batch was
        assigned before, these are the assignments of that time, whatever the flows say now.

    Raises:
        LeaseLost: another attempt owns the batch; nothing was written.
    """
    with connect(url, application_name="engage matching") as connection:
        flows = enabled_flows(connection)
        assigned = assign_flows(_contacts_of_batch(url, lease, flows), flows).astype(object)
        assigned = assigned.where(assigned.notna(), None)
        with connection.transaction():
            lease.hold(connection)
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


def with_custom_fields(contacts: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """The frame of `contacts` with one text column `custom_field:<name>` for each name, taken out of the JSON text of
    `custom_fields` in one pass. Names travel as data: they are bound, never written into the statement."""
    frame: pd.DataFrame = contacts.drop_columns(["custom_fields"]).to_pandas()
    if not names:
        return frame
    with duckdb.connect() as staging:
        staging.register("contacts", contacts)
        found = staging.sql(
            "select json_extract_string(custom_fields, $paths) as found from contacts",
            params={"paths": [_json_pointer(name) for name in names]},
        ).to_arrow_table()
    values = pd.DataFrame(found.column("found").to_pylist(), columns=pd.Index(names), dtype=object)
    return frame.join(values.add_prefix("custom_field:"))


def _contacts_of_batch(url: str, lease: Lease, flows: Sequence[StoredFlow]) -> pd.DataFrame:
    with arrow_connection(url) as bulk:
        contacts = read_table(bulk, load_statement(_HERE, "contacts_of_batch"), [str(lease.work_id)])
    conditions = [condition for flow in flows for condition in flow.definition.trigger_conditions]
    return with_custom_fields(contacts, custom_field_names(conditions))


def _json_pointer(name: str) -> str:
    """RFC 6901: the only path syntax of DuckDB in which every field name can be written."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _stored(connection: Connection, lease: Lease) -> pd.DataFrame:
    rows = connection.execute(
        "select assignments.contact_id::text, flows.name, assignments.flow_version, assignments.reason"
        " from flow_assignments as assignments left join auto_engagement_flows as flows"
        " on flows.id = assignments.flow_id where assignments.micro_batch_id = %s order by assignments.contact_id",
        [lease.work_id],
    ).fetchall()
    return pd.DataFrame(rows, columns=["contact_id", "flow_name", "flow_version", "reason"])
