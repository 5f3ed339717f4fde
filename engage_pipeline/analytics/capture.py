"""Reads the operational tables out of PostgreSQL in one snapshot: whole, or what changed since an earlier snapshot.

What changed is known by transactions, not by clocks or sequences: every row of a tracked table carries the number of
the transaction that wrote it last, and a snapshot says of every number whether it had committed. A row whose
transaction was open at the earlier snapshot is read at the next one, however late it committed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from engage_pipeline.analytics.raw_tables import RawTable
from engage_pipeline.database.bulk import arrow_connection, read_table

_SNAPSHOT = re.compile(r"\d+:\d+:[\d,]*")
_OPEN = """
    select
        transaction_timestamp() as as_of,
        pg_current_snapshot()::text as snapshot,
        concat_ws(
            '/',
            (select system_identifier from pg_control_system()),
            (select timeline_id from pg_control_checkpoint()),
            (select oid from pg_database where datname = current_database())
        ) as source
"""


@dataclass(frozen=True)
class Snapshot:
    """One moment of the operational store.

    Attributes:
        as_of: PostgreSQL's clock; whatever was committed before it is seen.
        text: which transactions are seen, as PostgreSQL writes it.
        source: the cluster, its timeline and the database; snapshots of different sources cannot be compared.
    """

    connection: Any
    as_of: datetime
    text: str
    source: str

    @contextmanager
    def rows(self, table: RawTable, *, since: str | None = None) -> Iterator[pa.RecordBatchReader]:
        """The rows of a table; with `since`, an earlier snapshot's text, only those written after it."""
        condition = "" if since is None else f" where {_not_seen_in(since)}"
        with self.connection.cursor() as cursor:
            cursor.execute(table.sql + condition)
            yield cursor.fetch_record_batch()

    def deleted(self, *, since: str) -> pa.Table:
        """The rows that were deleted after an earlier snapshot: table_name and row_key, a JSON object as text; a null
        key says that the whole table was emptied."""
        return read_table(
            self.connection,
            f"select table_name, row_key::text as row_key from deleted_rows where {_not_seen_in(since)}",
        )

    def count(self, table: RawTable) -> int:
        """How many rows the table has."""
        counted = read_table(self.connection, f"select count(*) as row_count from {table.name}")
        return int(counted["row_count"].to_pylist()[0])


@contextmanager
def open_snapshot(url: str) -> Iterator[Snapshot]:
    """A read-only view of this moment."""
    with arrow_connection(url) as connection:
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        # The transaction began before its snapshot was taken, so `as_of` promises no more than the snapshot holds.
        ((as_of, text, source),) = zip(*read_table(connection, _OPEN).to_pydict().values(), strict=True)
        yield Snapshot(connection, as_of, text, source)


def _not_seen_in(snapshot: str) -> str:
    """The first half is what the index can find; it holds for every row that the second lets through."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise ValueError(f"not a snapshot: {snapshot!r}")
    return (
        f"changed_in >= pg_snapshot_xmin('{snapshot}'::pg_snapshot)"
        f" and not pg_visible_in_snapshot(changed_in, '{snapshot}'::pg_snapshot)"
    )
