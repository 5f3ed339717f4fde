"""The contacts that a tenant got lately, as matching read them when they were new."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa

from engage_pipeline.database.bulk import arrow_connection, read_batches
from engage_pipeline.database.statements import load_statement
from engage_pipeline.flows.conditions import single_conditions
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.staging import staged_batches

_HERE = Path(__file__).parent
_HOUR = 3_600_000_000


def recent_contacts(
    url: str, user_id: UUID, flows: Sequence[StoredFlow], *, days: int, now: datetime
) -> Iterator[ContactColumns]:
    """The tenant's contacts of the last days, the newest first, with every attribute that the flows read.

    Where a flow has a condition on a time that has passed (`within_last`), a contact's "now" is the end of the hour in
    which it was created, since that is about when it was matched; memory does not grow with the contacts.
    """
    conditions = [each for flow in flows for each in single_conditions(flow.definition.trigger_conditions)]
    names = sorted({each.custom_field_name for each in conditions if each.custom_field_name})
    is_dated = any(each.condition_operator == "within_last" for each in conditions)
    asked = [str(user_id), (now - timedelta(days=days)).isoformat()]
    with (
        arrow_connection(url) as bulk,
        read_batches(bulk, load_statement(_HERE, "recent_contacts"), asked) as reader,
        duckdb.connect(config={"threads": 2}) as staging,
    ):
        staging.register("contacts", reader)
        for batch in staged_batches(staging, names):
            if is_dated:
                yield from _by_hour(batch, names)
            elif batch.num_rows:
                yield ContactColumns(batch, names, microseconds(now))


def _by_hour(batch: pa.RecordBatch, names: Sequence[str]) -> Iterator[ContactColumns]:
    hours = ContactColumns(batch, names, 0).created_at() // _HOUR
    starts = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist()] if len(hours) else []
    for start, end in zip(starts, [*starts[1:], len(hours)], strict=True):
        yield ContactColumns(batch.slice(start, end - start), names, int(hours[start] + 1) * _HOUR)
