"""Opens the published warehouse for reading. Nothing here writes to it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engage_pipeline.analytics.errors import NoWarehouse, QueryFailed

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class QueryResult:
    """The answer to one query: the names of its columns and its rows, as Python values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a row, column name -> value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def open_warehouse(path: Path) -> "duckdb.DuckDBPyConnection":
    """A read-only connection to the warehouse, with UTC as its zone; a context manager that closes it.

    It keeps the file that was published when it was opened. Within one process DuckDB shares that file between all
    connections that are open at the same time, so a process that wants the news closes them all first.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
    """
    # The command line imports this module for every command, and DuckDB takes a fifth of a second.
    import duckdb

    if not path.is_file():
        raise NoWarehouse(path)
    connection = duckdb.connect(path, read_only=True)
    connection.execute("set TimeZone = 'UTC'")
    # It would be drawn into the JSON or CSV on stdout.
    connection.execute("set enable_progress_bar = false")
    return connection


def query(path: Path, sql: str) -> QueryResult:
    """The answer to `sql`, one query on the warehouse at `path`.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
        QueryFailed: DuckDB refused the query, or it is empty.
    """
    import duckdb

    with open_warehouse(path) as warehouse:
        try:
            answer = warehouse.execute(sql)
            if answer is None:
                raise QueryFailed(reason="the query is empty")
            return QueryResult(tuple(column[0] for column in answer.description), tuple(answer.fetchall()))
        except duckdb.Error as error:
            raise QueryFailed(reason=str(error)) from error


@dataclass(frozen=True)
class ModelColumns:
    """The columns of one model: name -> type as DuckDB writes it, name -> the (table, column) pairs it is made of."""

    types: dict[str, str]
    sources: dict[str, list[tuple[str, str]]]


def model_columns(path: Path) -> dict[str, ModelColumns]:
    """The columns of every model in the warehouse at `path`, by name of the model."""
    found: dict[str, ModelColumns] = defaultdict(lambda: ModelColumns({}, defaultdict(list)))
    listed = "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main'"
    for model, column, data_type in query(path, listed).rows:
        found[model].types[column] = data_type
    for model, column, source, source_column in query(path, "from column_lineage").rows:
        found[model].sources[column].append((source, source_column))
    return found


def published_as_of(path: Path) -> datetime | None:
    """The snapshot that the published warehouse was built from; None when there is none, or none that can be read.

    Whatever was committed before that instant is in the file.
    """
    import duckdb

    try:
        with open_warehouse(path) as warehouse:
            rows = warehouse.execute("select as_of from warehouse_build").fetchall()
    except (NoWarehouse, duckdb.Error):
        return None
    return rows[0][0] if rows else None
