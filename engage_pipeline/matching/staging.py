"""Contacts staged in DuckDB and streamed as Arrow batches, with the custom fields that conditions read taken out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from engage_pipeline.database.statements import load_statement

_HERE = Path(__file__).parent

# A little above DuckDB's row group of 122,880, by which it works in parallel.
BATCH_ROWS = 131_072


def staged_batches(staging: duckdb.DuckDBPyConnection, custom_field_names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The relation `contacts` of the connection, batch by batch; memory does not grow with its length.

    Names of custom fields travel as data: they are bound as JSON pointers, never written into the statement.

    Args:
        staging: a connection in which `contacts` is a view, a table or a registered Arrow object with the columns of
            `columns.ContactColumns`, `custom_fields` being one JSON text a row.
    """
    paths = [_json_pointer(name) for name in custom_field_names]
    staged = staging.sql(load_statement(_HERE, "stage_contacts"), params={"paths": paths})
    yield from staged.to_arrow_reader(BATCH_ROWS)


def _json_pointer(name: str) -> str:
    """RFC 6901: the only path syntax of DuckDB in which every field name can be written."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
