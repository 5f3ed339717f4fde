"""What can be wrong with the models or the warehouse in a way that a person can mend."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from engage_pipeline.errors import EngageError

if TYPE_CHECKING:
    from engage_pipeline.analytics.checks import CheckResult


class BrokenModel(EngageError):
    """A model's file cannot be read, or its header does not say what its SQL does."""

    code = "broken-model"

    def __init__(self, path: Path, *, reason: str, fix: str) -> None:
        self.path = path
        super().__init__(what=f"the model {path} cannot be used", why=reason, fix=fix)


class DuplicateModel(EngageError):
    """Two files define the same model."""

    code = "duplicate-model"

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        self.name, self.paths = name, tuple(paths)
        super().__init__(
            what=f"the model {name} is defined more than once",
            why=f"these files carry its name: {', '.join(map(str, paths))}",
            fix="rename all but one of them",
        )


class MissingInput(EngageError):
    """A model reads a table that no model and no raw table provides."""

    code = "missing-input"

    def __init__(self, path: Path, table: str, *, known: Sequence[str]) -> None:
        self.path, self.table = path, table
        close = get_close_matches(table, known, n=1)
        super().__init__(
            what=f"the model {path} reads {table}",
            why="no model and no raw table has that name",
            fix=f"read {close[0]}" if close else f"add {table}.sql, or read one of: {', '.join(sorted(known))}",
        )


class ModelCycle(EngageError):
    """Models read each other in a circle."""

    code = "model-cycle"

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        super().__init__(
            what="the models read each other in a circle",
            why=" reads ".join(map(str, paths)),
            fix="move what they share into a model of its own",
        )


class ModelFailed(EngageError):
    """DuckDB refused a model's SQL, or could not run it on these rows."""

    code = "model-failed"

    def __init__(self, path: Path, *, reason: str) -> None:
        self.path = path
        super().__init__(
            what=f"the model {path} did not build, and the warehouse stays as it was",
            why=reason,
            fix="run the file's SQL in a DuckDB shell on the warehouse and correct it",
        )


class GrainBroken(EngageError):
    """A model has several rows where its header promises one."""

    code = "grain-broken"

    def __init__(self, path: Path, *, grain: Sequence[str], repeated_count: int) -> None:
        self.path, self.grain, self.repeated_count = path, tuple(grain), repeated_count
        super().__init__(
            what=f"the model {path} repeats rows, and the warehouse stays as it was",
            why=f"{repeated_count} rows are more than one per ({', '.join(grain)})",
            fix="look for a join that matches more than one row, or correct the grain in the header",
        )


class ChecksFailed(EngageError):
    """A check that guards published numbers failed."""

    code = "checks-failed"

    def __init__(self, checks: "Sequence[CheckResult]") -> None:
        self.checks = tuple(checks)
        failed = [f"{each.model}.{each.name} ({each.failing_count})" for each in checks if not each.passed]
        super().__init__(
            what="the new warehouse is wrong, and the published one stays as it was",
            why=f"these checks failed, with this many cases: {', '.join(failed)}",
            fix="run the job `check_warehouse`, which reads everything again; if that fails too, look at those models",
        )


class NoWarehouse(EngageError):
    """The warehouse file is not there."""

    code = "no-warehouse"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            what=f"there is no warehouse at {path}",
            why="it was never built in this ENGAGE_HOME",
            fix="run `engage dev`, which builds it when action logs change, or `engage demo`",
        )


class UnknownMart(EngageError):
    """The warehouse has no table of that name."""

    code = "unknown-mart"

    def __init__(self, mart: str, *, known: Sequence[str]) -> None:
        self.mart, self.known = mart, tuple(known)
        close = get_close_matches(mart, known, n=1)
        super().__init__(
            what=f"the warehouse has no table {mart!r}",
            why="no model has that name",
            fix=f"use {close[0]}" if close else '`engage sql "show tables"` lists them',
        )


class UnknownExport(EngageError):
    """A file's ending does not say how to write it."""

    code = "unknown-export"

    def __init__(self, target: Path) -> None:
        self.target = target
        super().__init__(
            what=f"{target.name} cannot be written",
            why=f"its ending is {target.suffix or 'missing'}",
            fix="end the name in .csv, .parquet or .xlsx",
        )


class ExportTooLarge(EngageError):
    """A mart has more rows than a sheet of Excel."""

    code = "export-too-large"

    def __init__(self, mart: str, *, row_count: int) -> None:
        self.mart, self.row_count = mart, row_count
        super().__init__(
            what=f"{mart} does not fit into an Excel sheet",
            why=f"it has {row_count:,} rows, and a sheet holds 1,048,575",
            fix="write .csv or .parquet",
        )


class QueryFailed(EngageError):
    """DuckDB refused a query on the warehouse."""

    code = "query-failed"

    def __init__(self, *, reason: str) -> None:
        super().__init__(
            what="the warehouse did not answer the query",
            why=reason,
            fix='`engage sql "show all tables"` lists the tables; the file is open for reading only',
        )
