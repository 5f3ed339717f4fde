"""Small statements on a DuckDB file that is being built."""

import duckdb

from engage_pipeline.analytics.errors import GrainBroken, ModelFailed
from engage_pipeline.analytics.models import Model
from engage_pipeline.masking import mask_personal


def number(warehouse: duckdb.DuckDBPyConnection, statement: str) -> int:
    """The one number that a statement answers; how many rows, of one that writes."""
    # DuckDB 2.0 refuses other work on a connection until a result is fetched to its end, which `fetchone` does not do.
    ((answer,),) = warehouse.execute(statement).fetchall()
    return int(answer)


def run_model(warehouse: duckdb.DuckDBPyConnection, model: Model, statement: str) -> None:
    """Run a statement around a model's query.

    Raises:
        ModelFailed: DuckDB refused it, or could not run it on these rows.
    """
    try:
        warehouse.execute(statement)
    except duckdb.Error as error:
        # DuckDB quotes the value that it could not convert.
        raise ModelFailed(model.path, reason=mask_personal(str(error))) from error


def check_grain(warehouse: duckdb.DuckDBPyConnection, model: Model, *, among: str | None = None) -> None:
    """Raise GrainBroken when a key repeats; with `among`, a table with changed rows, when a key of those does."""
    key = ", ".join(map(quoted, model.key))
    rows = f"from main.{quoted(model.name)}"
    if among is not None:
        same = " and ".join(f"t.{quoted(name)} is not distinct from k.{quoted(name)}" for name in model.key)
        rows = f"from (select t.* from main.{quoted(model.name)} as t semi join {among} as k on {same})"
    repeated_count = number(
        warehouse,
        f"select (select count(*) {rows}) - (select count(*) from (select distinct {key} {rows}))",
    )
    if repeated_count:
        raise GrainBroken(model.path, grain=model.key, repeated_count=repeated_count)


def describe(warehouse: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Put the header's words on the table and its columns."""
    kind, name = ("view" if model.is_view else "table"), f"main.{quoted(model.name)}"
    comment(warehouse, kind, name, model.description)
    for column, description in model.columns.items():
        comment(warehouse, "column", f"{name}.{quoted(column)}", description)


def comment(warehouse: duckdb.DuckDBPyConnection, kind: str, name: str, text: str) -> None:
    """`comment on`."""
    literal = text.replace("'", "''")
    warehouse.execute(f"comment on {kind} {name} is '{literal}'")


def quoted(name: str) -> str:
    """A name as an identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
