"""Batches of clean rows on their way into the load's own tables, while the next ones are still being read."""

import csv
import io
import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.csv as arrow_csv

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.intake.batch import RejectedRow
from engage_pipeline.intake.vectors import CLEAN_SCHEMA, CleanBatch

HERE = Path(__file__).parent
# Batches that wait for the server; more would only be memory.
WAITING_BATCHES = 1


def stage(
    connection: Connection, upload_id: UUID, batches: Iterable[CleanBatch], on_progress: Callable[[int], None]
) -> tuple[int, int]:
    """Write usable rows to `lead_rows` and rejected ones to `rejected_rows`; how many of each there are.

    The server parses one batch while this side cleans the next.

    Args:
        on_progress: called with the rows read so far.
    """
    connection.execute(load_statement(HERE, "stage_leads"))
    usable = rejected = 0
    with _Writer(connection, upload_id) as writer:
        for batch in batches:
            writer.put(batch)
            usable += len(batch.rows)
            rejected += len(batch.rejected)
            on_progress(usable + rejected)
    return usable, rejected


class _Writer:
    """Writes batches from a thread of its own, in their order. The connection is that thread's until the block ends."""

    def __init__(self, connection: Connection, upload_id: UUID) -> None:
        self.connection, self.upload_id = connection, upload_id
        self.waiting: queue.Queue[CleanBatch | None] = queue.Queue(WAITING_BATCHES)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._write_all, name="lead staging", daemon=True)

    def __enter__(self) -> "_Writer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.put(None)
        self.thread.join()
        self._raise_failure()

    def put(self, batch: CleanBatch) -> None:
        self._raise_failure()
        self.waiting.put(batch)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _write_all(self) -> None:
        while (batch := self.waiting.get()) is not None:
            if self.failure is None:
                try:
                    copy_rows(self.connection, batch.rows)
                    _copy_rejected(self.connection, self.upload_id, batch.rejected)
                except BaseException as failure:  # noqa: BLE001 - it is raised in the thread that waits
                    self.failure = failure


def copy_rows(connection: Connection, rows: pa.Table) -> None:
    """Append to `lead_rows` by COPY of CSV, in the load's transaction, which a connection of ADBC could not join."""
    if not len(rows):
        return
    text = pa.BufferOutputStream()
    # Texts are quoted and nulls are not, which is how COPY tells them apart.
    arrow_csv.write_csv(rows, text, arrow_csv.WriteOptions(include_header=False))
    columns = ", ".join(CLEAN_SCHEMA.names)
    with connection.cursor() as cursor, cursor.copy(f"copy lead_rows ({columns}) from stdin (format csv)") as copy:
        copy.write(memoryview(text.getvalue()))


def _copy_rejected(connection: Connection, upload_id: UUID, rejected: Sequence[RejectedRow]) -> None:
    if not rejected:
        return
    text = io.StringIO()
    csv.writer(text).writerows(_rejected_values(upload_id, rejected))
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy rejected_rows (upload_id, line_number, raw_row, reason_code, reason) from stdin (format csv)"
        ) as copy,
    ):
        copy.write(text.getvalue())


def _rejected_values(upload_id: UUID, rejected: Sequence[RejectedRow]) -> Iterator[tuple[Any, ...]]:
    for row in rejected:
        # jsonb refuses NUL; the quarantined row shows the replacement character in its place.
        raw_row = json.dumps([text.replace("\x00", "\ufffd") for text in row.raw_row], ensure_ascii=False)
        yield upload_id, row.line_number, raw_row, row.reason_code, row.reason
