"""Test runs: one contact through one flow, on the whole path, with requests that are recorded instead of sent."""

from datetime import datetime
from uuid import UUID

from engage_pipeline.channels.answers import Accepted
from engage_pipeline.database.connections import Connection
from engage_pipeline.execution.advance import advance
from engage_pipeline.execution.ledger import Intent
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.explain import NoContact


def recorded(intent: Intent) -> Accepted:
    """What stands in for a provider: the request is on the log already, and goes nowhere."""
    return Accepted(f"recorded-{intent.action_log_id}", is_final=True)


def start_test_run(connection: Connection, stored: StoredFlow, contact_id: UUID, *, now: datetime) -> UUID:
    """Begin an execution of the flow for the contact, whatever its conditions say. Returns the execution's id.

    Its actions become due as those of any execution, and every rule holds for them. It counts in no rate, and neither
    re-entry nor the rule of one touch an address sees it.

    Raises:
        NoContact: the flow's tenant has no such contact.
    """
    with connection.transaction():
        contact = connection.execute(
            "select 1 from contacts where id = %s and user_id = %s", [contact_id, stored.user_id]
        ).fetchone()
        if contact is None:
            raise NoContact
        # An execution belongs to the batch that started it; this one is over as soon as it has.
        row = connection.execute(
            # The id is made first: whoever may see only batches with something of its own is not given it back.
            "with batch as materialized (select uuidv7() as id), formed as ("
            "insert into micro_batches (id, kind, status, item_count, finished_at)"
            " select id, 'test_run', 'done', 1, %(now)s from batch)"
            " insert into flow_executions (flow_id, flow_version, user_id, contact_id, micro_batch_id, is_test_run)"
            " select %(flow)s, %(version)s, %(user)s, %(contact)s, batch.id, true from batch returning id",
            {
                "now": now,
                "flow": stored.flow_id,
                "version": stored.version,
                "user": stored.user_id,
                "contact": contact_id,
            },
        ).fetchone()
        assert row is not None  # noqa: S101 - an insert returns its row
        execution_id: UUID = row[0]
        advance(connection, [execution_id], now=now, micro_batch_id=None)
    return execution_id
