"""Builds the DuckDB warehouse from PostgreSQL and publishes it: one new file, put in the old one's place when whole.

Reading the published file is `read`'s.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import duckdb
import psutil
from filelock import FileLock

from engage_pipeline.analytics.errors import GrainBroken, ModelFailed
from engage_pipeline.analytics.models import Model, load_models
from engage_pipeline.analytics.raw_tables import RawTable, load_raw_tables
from engage_pipeline.analytics.read import published_as_of
from engage_pipeline.database.bulk import arrow_connection, read_table
from engage_pipeline.masking import mask_personal


@dataclass(frozen=True)
class WarehouseBuild:
    """What one build made.

    Attributes:
        path: the published file.
        as_of: PostgreSQL's clock at the snapshot, UTC; whatever was committed before it is in the file.
        built_at: the builder's `now`.
        row_counts: rows by table: models by name, raw tables as `raw.<table>`.
        seconds: how long the build took.
        is_published: False when a build with a later snapshot was published first; its file stays.
    """

    path: Path
    as_of: datetime
    built_at: datetime
    row_counts: Mapping[str, int]
    seconds: float
    is_published: bool


def build_warehouse(url: str, path: Path, *, models_folder: Path, now: datetime) -> WarehouseBuild:
    """Build the warehouse from the database at `url` and publish it at `path`.

    All raw tables are read in one snapshot, so they agree with each other. Readers that have the old file open keep it;
    a build that dies at any moment leaves the old file as it is. Several builds may run at once: of their files the
    one with the latest snapshot stays.

    Args:
        url: the `postgresql://` URL of the operational store.
        path: the file to publish; its folder is created.
        models_folder: the folder of the SQL models, `<layer>/<model>.sql`.
        now: the instant to record as `built_at`.

    Raises:
        BrokenModel, DuplicateModel, MissingInput, ModelCycle: see `load_models`.
        ModelFailed: DuckDB refused a model, or could not run it on these rows.
        GrainBroken: a model repeats the key that its header promises to be unique.
    """
    began = time.monotonic()
    models = load_models(models_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    building = path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}.building")
    try:
        with duckdb.connect(building) as warehouse:
            warehouse.execute("set TimeZone = 'UTC'")
            # One commit instead of one a table and comment, each of which would wait for the disk.
            warehouse.begin()
            with _snapshot(url) as (snapshot, as_of):
                row_counts = _copy_raw_tables(snapshot, warehouse, load_raw_tables())
            row_counts |= _build_models(warehouse, models)
            _record_build(warehouse, built_at=now, as_of=as_of, row_counts=row_counts)
            warehouse.commit()
            warehouse.execute("checkpoint")
        _sync(building)
        is_published = _publish(building, path, as_of=as_of)
    finally:
        _remove_building(building)
    return WarehouseBuild(
        path=path,
        as_of=as_of,
        built_at=now,
        row_counts=row_counts,
        seconds=time.monotonic() - began,
        is_published=is_published,
    )


@contextmanager
def _snapshot(url: str) -> Iterator[tuple[Any, datetime]]:
    """A read-only connection that sees one moment, and that moment."""
    with arrow_connection(url) as connection:
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        # The transaction began before its snapshot was taken, so `as_of` promises no more than the snapshot holds.
        (as_of,) = read_table(connection, "select transaction_timestamp() as as_of")["as_of"].to_pylist()
        yield connection, as_of


def _copy_raw_tables(
    snapshot: Any, warehouse: duckdb.DuckDBPyConnection, raw_tables: Sequence[RawTable]
) -> dict[str, int]:
    warehouse.execute("create schema raw")
    row_counts = {}
    for table in raw_tables:
        with snapshot.cursor() as cursor:
            cursor.execute(table.sql)
            warehouse.register("incoming", cursor.fetch_record_batch())
            name = f"raw.{_quoted(table.name)}"
            row_counts[f"raw.{table.name}"] = _create_table(warehouse, name, "select * from incoming")
            warehouse.unregister("incoming")
        _comment(warehouse, "table", name, table.description)
    return row_counts


def _build_models(warehouse: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> dict[str, int]:
    row_counts = {}
    for model in models:
        name = _quoted(model.name)
        try:
            row_counts[model.name] = _create_table(warehouse, name, model.sql)
        except duckdb.Error as error:
            # DuckDB quotes the value that it could not convert.
            raise ModelFailed(model.path, reason=mask_personal(str(error))) from error
        _check_grain(warehouse, model)
        _comment(warehouse, "table", name, model.description)
        for column, description in model.columns.items():
            _comment(warehouse, "column", f"{name}.{_quoted(column)}", description)
    return row_counts


def _create_table(warehouse: duckdb.DuckDBPyConnection, name: str, query: str) -> int:
    """How many rows the new table has."""
    return _number(warehouse, f"create table {name} as {query}")


def _check_grain(warehouse: duckdb.DuckDBPyConnection, model: Model) -> None:
    key = ", ".join(map(_quoted, model.key))
    repeated_count = _number(
        warehouse,
        f"select count(*) - (select count(*) from (select distinct {key} from {_quoted(model.name)}))"  # noqa: S608
        f" from {_quoted(model.name)}",
    )
    if repeated_count:
        raise GrainBroken(model.path, grain=model.key, repeated_count=repeated_count)


def _record_build(
    warehouse: duckdb.DuckDBPyConnection, *, built_at: datetime, as_of: datetime, row_counts: Mapping[str, int]
) -> None:
    warehouse.execute(
        "create table warehouse_build"
        " (built_at timestamptz not null, as_of timestamptz not null, row_counts map(varchar, bigint) not null)"
    )
    warehouse.execute(
        "insert into warehouse_build values ($1, $2, map($3::varchar[], $4::bigint[]))",
        [built_at, as_of, list(row_counts), list(row_counts.values())],
    )
    _comment(warehouse, "table", "warehouse_build", "One row: when this file was built, and from which moment's data.")
    for column, description in {
        "built_at": "the builder's clock when the build began, UTC",
        "as_of": "PostgreSQL's clock at the snapshot, UTC: whatever was committed before it is in this file",
        "row_counts": "rows by table",
    }.items():
        _comment(warehouse, "column", f"warehouse_build.{column}", description)


def _publish(building: Path, path: Path, *, as_of: datetime) -> bool:
    """Put `building` in the place of `path`, unless what is there is newer."""
    with FileLock(path.with_name(f"{path.name}.lock")):
        published = published_as_of(path)
        if published is not None and published > as_of:
            return False
        # Somebody who opened the old file for writing leaves a log that would make the new file unreadable.
        _log_of(path).unlink(missing_ok=True)
        building.replace(path)
        _sync(path.parent)
    return True


def _remove_leftovers(path: Path) -> None:
    """Remove the half-built files of processes that are no more."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d+)-[0-9a-f]+\.building")
    for entry in list(path.parent.iterdir()):
        found = pattern.match(entry.name)
        if found and not psutil.pid_exists(int(found.group(1))):
            _remove_building(path.with_name(found.group()))


def _remove_building(building: Path) -> None:
    """Remove a half-built file, its log, and what DuckDB moved from memory to disk; a published one is gone already."""
    building.unlink(missing_ok=True)
    _log_of(building).unlink(missing_ok=True)
    shutil.rmtree(building.with_name(f"{building.name}.tmp"), ignore_errors=True)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _number(warehouse: duckdb.DuckDBPyConnection, statement: str) -> int:
    # DuckDB 2.0 refuses other work on a connection until a result is fetched to its end, which `fetchone` does not do.
    ((number,),) = warehouse.execute(statement).fetchall()
    return int(number)


def _comment(warehouse: duckdb.DuckDBPyConnection, kind: str, name: str, text: str) -> None:
    literal = text.replace("'", "''")
    warehouse.execute(f"comment on {kind} {name} is '{literal}'")


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
