"""Finds from which columns of its inputs each column of a model comes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage

from engage_pipeline.analytics.models import Model


class ColumnSource(NamedTuple):
    """One column of a model and a column that it is made of; an input of `raw` is written `raw.<table>`."""

    model: str
    column: str
    source: str
    source_column: str


def column_lineage(models: Sequence[Model], columns: Mapping[str, Mapping[str, str]]) -> list[ColumnSource]:
    """The sources of every column of every model.

    Args:
        columns: table, raw ones as `raw.<table>` -> column -> type.
    """
    schema: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for table, types in columns.items():
        namespace, _, name = table.rpartition(".")
        schema[namespace or "main"][name] = dict(types)
    return [each for model in models for each in _of_model(model, schema)]


def _of_model(model: Model, schema: dict[str, dict[str, dict[str, str]]]) -> list[ColumnSource]:
    query = parse_one(model.sql, dialect="duckdb")
    for table in query.find_all(exp.Table):
        if not table.db and table.name in model.inputs:
            table.set("db", exp.to_identifier("main"))
    try:
        roots: Any = lineage(None, query, schema, dialect="duckdb", trim_selects=False, copy=False)
    except SqlglotError:
        # Lineage is for reading; a query that DuckDB runs and sqlglot cannot follow has none.
        return []
    found = set()
    for column in model.columns:
        for node in roots[column].walk():
            if isinstance(node.expression, exp.Table) and not node.downstream:
                table = node.expression
                source = f"raw.{table.name}" if table.db == "raw" else table.name
                found.add(ColumnSource(model.name, column, source, node.name.rpartition(".")[2].strip('"')))
    return sorted(found)
