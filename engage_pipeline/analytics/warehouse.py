"""Builds the DuckDB warehouse from PostgreSQL and publishes it: one new file, put in the old one's place when whole.

The new file begins as a copy of the published one, to which `refresh` applies what changed, or is made from nothing
when there is no copy that can be trusted. Reading the published file is `read`'s.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex

import duckdb
import psutil
from filelock import FileLock

from engage_pipeline.analytics.capture import Snapshot, open_snapshot
from engage_pipeline.analytics.checks import CheckResult, run_checks
from engage_pipeline.analytics.duck import check_grain, comment, describe, number, quoted, run_model
from engage_pipeline.analytics.errors import ChecksFailed, GrainBroken, ModelFailed
from engage_pipeline.analytics.lineage import column_lineage
from engage_pipeline.analytics.models import Model, load_models
from engage_pipeline.analytics.raw_tables import RawTable, load_raw_tables
from engage_pipeline.analytics.read import published_as_of
from engage_pipeline.analytics.refresh import Refresh

_MACROS = Path(__file__).with_name("macros.sql")
# Analysts bring shells of their own. Without it a file can only be read by the version that wrote it, and newer ones.
OLDEST_READER = "v1.2.0"


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
        is_full: whether everything was read from PostgreSQL.
        changed_count: rows that were read, or found deleted.
        checks: what was checked before the file was published.
        missed: of a full check, the tables in which a refresh of the published file would have left other rows.
    """

    path: Path
    as_of: datetime
    built_at: datetime
    row_counts: Mapping[str, int]
    seconds: float
    is_published: bool
    is_full: bool
    changed_count: int
    checks: tuple[CheckResult, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True)
class _Base:
    """The published file as a beginning: from which snapshot it is, and how many rows its tables had."""

    snapshot: str
    source: str
    row_counts: Mapping[str, int]


def build_warehouse(
    url: str, path: Path, *, models_folder: Path, now: datetime, is_full: bool = False
) -> WarehouseBuild:
    """Bring the warehouse at `path` to this moment of the database at `url`.

    Reads what changed since the published file, or everything when that file is missing, was touched by somebody else,
    or was built by other models or from another database. All of it is read in one snapshot. Readers that have the old
    file open keep it; a build that dies at any moment leaves the old file as it is. Several builds may run at once: of
    their files the one with the latest snapshot stays.

    Args:
        url: the `postgresql://` URL of the operational store.
        path: the file to publish; its folder is created.
        models_folder: the folder of the SQL models, `<layer>/<model>.sql`.
        now: the instant to record as `built_at`.
        is_full: read everything, whatever is published, and compare it with what a refresh makes of the published file.

    Raises:
        BrokenModel, DuplicateModel, MissingInput, ModelCycle: see `load_models`.
        ModelFailed: DuckDB refused a model, or could not run it on these rows.
        GrainBroken: a model repeats the key that its header promises to be unique.
        ChecksFailed: a check that guards published numbers failed.
    """
    began = time.monotonic()
    models, raw_tables = load_models(models_folder), load_raw_tables()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    building = path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}.building")
    recipe = _recipe(models, raw_tables)
    try:
        with open_snapshot(url) as snapshot:
            base = _copy_published(path, building, recipe=recipe, snapshot=snapshot)
            digests, changed_count = None, None
            if base is not None and is_full:
                digests = _refreshed_digests(building, base, snapshot, models, raw_tables)
            elif base is not None:
                changed_count = _refresh(building, base, snapshot, models, raw_tables)
            is_full = changed_count is None
            if changed_count is None:
                _remove_building(building)
                changed_count = _make(building, snapshot, models, raw_tables)
            with duckdb.connect(building) as warehouse:
                _set_up(warehouse)
                row_counts = _row_counts(warehouse, models, raw_tables)
                checks = run_checks(warehouse, models, {table.name: snapshot.count(table) for table in raw_tables})
                missed = () if digests is None else _differing(digests, _digests(warehouse, models, raw_tables))
                _record_build(warehouse, snapshot, built_at=now, row_counts=row_counts, recipe=recipe)
                warehouse.execute("checkpoint")
        if any(check.is_blocking and not check.passed for check in checks):
            raise ChecksFailed(checks)
        _sync(building)
        is_published = _publish(building, path, as_of=snapshot.as_of)
    finally:
        _remove_building(building)
    return WarehouseBuild(
        path=path,
        as_of=snapshot.as_of,
        built_at=now,
        row_counts=row_counts,
        seconds=time.monotonic() - began,
        is_published=is_published,
        is_full=is_full,
        changed_count=changed_count,
        checks=checks,
        missed=missed,
    )


def _set_up(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("set TimeZone = 'UTC'")
    # It goes to stdout, whoever reads that.
    warehouse.execute("set enable_progress_bar = false")


def _recipe(models: Sequence[Model], raw_tables: Sequence[RawTable]) -> str:
    """A file that was built by other statements is no beginning."""
    texts = [OLDEST_READER, _MACROS.read_text(encoding="utf-8"), *(table.sql for table in raw_tables)]
    texts += [f"{model.layer}/{model.name}\n{model.sql}" for model in models]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _copy_published(path: Path, building: Path, *, recipe: str, snapshot: Snapshot) -> _Base | None:
    """A copy of the published file, or None when it is no beginning for this build."""
    with FileLock(_beside(path, "lock")):
        if not path.is_file() or _fingerprint(path) != _recorded_fingerprint(path):
            return None
        shutil.copyfile(path, building)
    with duckdb.connect(building) as copied:
        _set_up(copied)
        ((base_snapshot, source, base_recipe, row_counts),) = copied.execute(
            "select snapshot, source, recipe, row_counts from warehouse_build"
        ).fetchall()
    # A snapshot that ends after this one is of a database that was put back to an earlier moment.
    if (source, base_recipe) != (snapshot.source, recipe) or _end(base_snapshot) > _end(snapshot.text):
        _remove_building(building)
        return None
    return _Base(base_snapshot, source, row_counts)


def _end(snapshot: str) -> int:
    return int(snapshot.split(":")[1])


def _refresh(
    building: Path, base: _Base, snapshot: Snapshot, models: Sequence[Model], raw_tables: Sequence[RawTable]
) -> int | None:
    """How many rows changed; None when the copy cannot be brought forward."""
    with duckdb.connect(building) as warehouse:
        _set_up(warehouse)
        # One commit instead of one a table, each of which would wait for the disk.
        warehouse.begin()
        refresh = Refresh(warehouse)
        if not refresh.raw_tables(snapshot, raw_tables, since=base.snapshot):
            warehouse.rollback()
            return None
        for model in models:
            refresh.model(model)
            if model.name in refresh.changed and not model.is_view:
                check_grain(warehouse, model, among=refresh.changed[model.name])
        warehouse.commit()
    return refresh.changed_count


def _refreshed_digests(
    building: Path, base: _Base, snapshot: Snapshot, models: Sequence[Model], raw_tables: Sequence[RawTable]
) -> dict[str, tuple[int, int]] | None:
    """What a refresh would have made of the published file; None when it would have read everything anyway."""
    try:
        if _refresh(building, base, snapshot, models, raw_tables) is None:
            return None
    except (GrainBroken, ModelFailed):
        return {}
    with duckdb.connect(building) as warehouse:
        _set_up(warehouse)
        return _digests(warehouse, models, raw_tables)


def _digests(
    warehouse: duckdb.DuckDBPyConnection, models: Sequence[Model], raw_tables: Sequence[RawTable]
) -> dict[str, tuple[int, int]]:
    """Of each table its rows, in no order."""
    names = {f"raw.{table.name}": f"raw.{quoted(table.name)}" for table in raw_tables}
    names |= {model.name: f"main.{quoted(model.name)}" for model in models if not model.is_view}
    digests = {}
    for name, table in names.items():
        columns = [each for (each,) in warehouse.execute(f"select column_name from (describe {table})").fetchall()]
        whole_row = f"hash(row({', '.join(map(quoted, columns))}))"
        ((row_count, digest),) = warehouse.execute(
            f"select count(*), coalesce(sum({whole_row}::hugeint), 0) from {table}"
        ).fetchall()
        digests[name] = (row_count, int(digest))
    return digests


def _differing(refreshed: Mapping[str, tuple[int, int]], made: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    return tuple(name for name, digest in made.items() if refreshed.get(name) != digest)


def _make(building: Path, snapshot: Snapshot, models: Sequence[Model], raw_tables: Sequence[RawTable]) -> int:
    """Everything from nothing. How many rows were read."""
    read_count = 0
    with duckdb.connect(building, config={"storage_compatibility_version": OLDEST_READER}) as warehouse:
        _set_up(warehouse)
        warehouse.begin()
        warehouse.execute(_MACROS.read_text(encoding="utf-8"))
        warehouse.execute("create schema raw")
        for table in raw_tables:
            name = f"raw.{quoted(table.name)}"
            with snapshot.rows(table) as rows:
                warehouse.register("incoming", rows)
                read_count += number(warehouse, f"create table {name} as select * from incoming")
                warehouse.unregister("incoming")
            comment(warehouse, "table", name, table.description)
        warehouse.commit()
        warehouse.begin()
        for model in models:
            kind = "view" if model.is_view else "table"
            run_model(warehouse, model, f"create {kind} main.{quoted(model.name)} as {model.sql}")
            check_grain(warehouse, model)
            describe(warehouse, model)
        _record_lineage(warehouse, models)
        warehouse.commit()
    return read_count


def _record_lineage(warehouse: duckdb.DuckDBPyConnection, models: Sequence[Model]) -> None:
    columns: dict[str, dict[str, str]] = defaultdict(dict)
    for schema, table, column, data_type in warehouse.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal"
    ).fetchall():
        columns[table if schema == "main" else f"{schema}.{table}"][column] = data_type
    warehouse.execute(
        "create table column_lineage (model varchar, column_name varchar, source varchar, source_column varchar)"
    )
    sources = column_lineage(models, columns)
    if sources:
        warehouse.execute(
            "insert into column_lineage select unnest($1::varchar[]), unnest($2::varchar[]), unnest($3::varchar[]),"
            " unnest($4::varchar[])",
            [list(each) for each in zip(*sources, strict=True)],
        )
    comment(warehouse, "table", "column_lineage", "One row per column of a model and column that it is made of.")


def _row_counts(
    warehouse: duckdb.DuckDBPyConnection, models: Sequence[Model], raw_tables: Sequence[RawTable]
) -> dict[str, int]:
    names = {f"raw.{table.name}": f"raw.{quoted(table.name)}" for table in raw_tables}
    names |= {model.name: f"main.{quoted(model.name)}" for model in models}
    return {name: number(warehouse, f"select count(*) from {table}") for name, table in names.items()}


def _record_build(
    warehouse: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    *,
    built_at: datetime,
    row_counts: Mapping[str, int],
    recipe: str,
) -> None:
    warehouse.begin()
    warehouse.execute(
        "create or replace table warehouse_build (built_at timestamptz not null, as_of timestamptz not null,"
        " row_counts map(varchar, bigint) not null, snapshot varchar not null, source varchar not null,"
        " recipe varchar not null)"
    )
    warehouse.execute(
        "insert into warehouse_build values ($1, $2, map($3::varchar[], $4::bigint[]), $5, $6, $7)",
        [
            built_at,
            snapshot.as_of,
            list(row_counts),
            list(row_counts.values()),
            snapshot.text,
            snapshot.source,
            recipe,
        ],
    )
    comment(warehouse, "table", "warehouse_build", "One row: when this file was built, and from which moment's data.")
    for column, description in {
        "built_at": "the builder's clock when the build began, UTC",
        "as_of": "PostgreSQL's clock at the snapshot, UTC: whatever was committed before it is in this file",
        "row_counts": "rows by table",
        "snapshot": "which transactions the file has seen; the next build reads the others",
        "source": "the database it was read from",
        "recipe": "a digest of the statements that built it",
    }.items():
        comment(warehouse, "column", f"warehouse_build.{column}", description)
    warehouse.commit()


def _publish(building: Path, path: Path, *, as_of: datetime) -> bool:
    """Put `building` in the place of `path`, unless what is there is newer."""
    with FileLock(_beside(path, "lock")):
        published = published_as_of(path)
        if published is not None and published > as_of:
            return False
        # Somebody who opened the old file for writing leaves a log that would make the new file unreadable.
        _log_of(path).unlink(missing_ok=True)
        # Written first: a crash in between leaves a record of another file, and the next build reads everything.
        _beside(path, "published").write_text(json.dumps(_fingerprint(building)))
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


def _fingerprint(path: Path) -> list[int]:
    """What tells a file that somebody wrote to, or put there, from the one that was published."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _recorded_fingerprint(path: Path) -> list[int] | None:
    try:
        return list(json.loads(_beside(path, "published").read_text()))
    except (OSError, ValueError):
        return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
