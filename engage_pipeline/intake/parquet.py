"""The rows of a Parquet file, in batches. Knows nothing of contacts."""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engage_pipeline.intake.batch import BATCH_ROWS, Batch, RejectedRow
from engage_pipeline.intake.cells import typed_batch
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.sniff import FileFormat, empty_file, refuse_bad_header
from engage_pipeline.intake.unpack import LARGEST_BYTES

# Rows of 1,000 bytes: a batch is a few dozen megabytes.
PARQUET_BATCH_ROWS = BATCH_ROWS // 4


def sniff_parquet(file: IO[bytes]) -> FileFormat:
    """The columns. The file is left at its beginning.

    Raises:
        FileRefused: damaged_file, unpacks_too_large, empty_file, no_header, duplicate_headers.
    """
    table = _opened(file)
    groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > LARGEST_BYTES:
        raise FileRefused(
            "unpacks_too_large",
            what=f"the file unpacks to more than {LARGEST_BYTES:,} bytes",
            why="no file of leads is so large",
            fix="split the leads into several files",
        )
    headers = [name.strip() for name in table.schema_arrow.names]
    if not headers:
        raise empty_file()
    refuse_bad_header(headers, 0)
    file.seek(0)
    return FileFormat("parquet", tuple(headers), 0)


def read_parquet(file: IO[bytes], file_format: FileFormat) -> Iterator[Batch]:
    """Every row with its number from 1."""
    first = 1
    width = len(file_format.headers)
    try:
        for part in _opened(file).iter_batches(PARQUET_BATCH_ROWS):
            columns = [_values(column) for column in part.columns]
            numbers = range(first, first + part.num_rows)
            no_rejects: tuple[RejectedRow, ...] = ()
            yield typed_batch(zip(numbers, zip(*columns, strict=True), strict=True), width, no_rejects)
            first += part.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged() from error


def _values(column: pa.Array) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    values: list[object] = column.to_pylist()
    return values


def _opened(file: IO[bytes]) -> pq.ParquetFile:
    file.seek(0)
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged() from error


def _damaged() -> FileRefused:
    return FileRefused(
        "damaged_file",
        what="the Parquet file cannot be read",
        why="it is cut off or damaged: its footer or a page of it does not say what it should",
        fix="write it again, or export the leads as CSV",
    )
