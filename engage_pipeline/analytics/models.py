"""Reads the SQL models: what each one promises, which tables it reads, and the order in which they build.

Running them is `warehouse`'s. A model is one `.sql` file in a folder named for its layer; its name is the file's.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import dropwhile
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from engage_pipeline.analytics.errors import BrokenModel, DuplicateModel, MissingInput, ModelCycle
from engage_pipeline.analytics.header import read_header
from engage_pipeline.analytics.raw_tables import load_raw_tables
from engage_pipeline.settings import PROJECT_ROOT

MODELS_FOLDER = PROJECT_ROOT / "dbt_like_sql"


@dataclass(frozen=True)
class Model:
    """One table of the warehouse and the query that makes it.

    Attributes:
        name: the table's name, in DuckDB's schema `main`.
        layer: the folder the file stands in: `staging`, `marts`.
        path: the file.
        sql: the file's text, one query, runnable as it is.
        inputs: the tables it reads, sorted: other models by name, operational tables as `raw.<table>`.
        key: the columns of which no two rows have the same values.
        is_view: whether it is a view; one of the layer `staging` takes each row of its input by itself.
        refresh_by: columns whose values tell which rows have to be made anew: the rows of one value depend only on the
            input rows of that value. Empty: it is made anew whenever an input changed.
        description: the grain and the notes of the header.
        columns: column name -> description, in the order of the query.
    """

    name: str
    layer: str
    path: Path
    sql: str
    inputs: tuple[str, ...]
    key: tuple[str, ...]
    is_view: bool
    refresh_by: tuple[str, ...]
    description: str
    columns: dict[str, str]

    @property
    def query(self) -> str:
        """The file's text below its header."""
        return "\n".join(dropwhile(lambda line: line.startswith("--"), self.sql.splitlines()))


def load_models(folder: Path) -> tuple[Model, ...]:
    """The models in `folder/<layer>/*.sql`, each after everything it reads.

    Raises:
        BrokenModel: a file is not one query, or its header misses a part or contradicts the query.
        DuplicateModel: two files carry one name.
        MissingInput: a model reads a table that is neither a model nor a raw table.
        ModelCycle: models read each other in a circle.
    """
    models = [_read_model(path, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/*.sql"))]
    by_name = _by_name(models)
    _check_inputs(models, known={*by_name, *(f"raw.{table.name}" for table in load_raw_tables())})
    sorter = TopologicalSorter({model.name: [name for name in model.inputs if name in by_name] for model in models})
    try:
        return tuple(by_name[name] for name in sorter.static_order())
    except CycleError as error:
        raise ModelCycle([by_name[name].path for name in error.args[1]]) from error


# Parsing all of them takes a fifth of a second, and a run needs them twice: for its assets and for the build.
@cache
def _read_model(path: Path, sql: str) -> Model:
    header = read_header(path, sql)
    query = _parse(path, sql)
    inputs = _inputs(query)
    if header.reads != inputs:
        raise BrokenModel(
            path,
            reason=f"its header says it reads {', '.join(header.reads) or 'nothing'}",
            fix=f"write `-- reads: {', '.join(inputs)}`, or change the query",
        )
    selected = query.named_selects
    if sorted(header.columns) != sorted(selected) or len(set(selected)) != len(selected):
        differing = sorted({*header.columns} ^ {*selected}) or sorted(selected)
        raise BrokenModel(
            path,
            reason=f"its header and its query disagree about these columns: {', '.join(differing)}",
            fix="name each selected column once, and give each a line `-- column NAME: description`",
        )
    if not {*header.key} <= {*selected}:
        raise BrokenModel(
            path, reason="its grain names a column that it does not select", fix="name the key's columns in brackets"
        )
    refresh_by = _refresh_by(path, header.refresh, selected)
    return Model(
        name=header.name,
        layer=path.parent.name,
        path=path,
        sql=sql,
        inputs=inputs,
        key=header.key,
        is_view=header.refresh == "view",
        refresh_by=refresh_by,
        description=header.description,
        columns={name: header.columns[name] for name in selected},
    )


def _refresh_by(path: Path, refresh: str, selected: Collection[str]) -> tuple[str, ...]:
    if refresh in ("", "view"):
        return ()
    columns = tuple(name.strip() for name in refresh.removeprefix("by ").split(","))
    if not refresh.startswith("by ") or not {*columns} <= {*selected}:
        raise BrokenModel(
            path,
            reason=f"its header says it is refreshed {refresh}",
            fix="write `-- refresh: view`, or `-- refresh: by` and columns that it selects, or leave the line out",
        )
    return columns


def _parse(path: Path, sql: str) -> exp.Query:
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        raise BrokenModel(path, reason=f"it is not SQL that DuckDB reads ({error})", fix="correct the query") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise BrokenModel(path, reason="it is not one query", fix="keep one `select` (with its CTEs) in the file")
    return statements[0]


def _inputs(query: exp.Query) -> tuple[str, ...]:
    tables = (
        source for scope in traverse_scope(query) for source in scope.sources.values() if isinstance(source, exp.Table)
    )
    # A table function (`range(3)`) parses as a table without a name.
    return tuple(sorted({".".join(part.name for part in table.parts) for table in tables if table.name}))


def _by_name(models: Collection[Model]) -> dict[str, Model]:
    paths = defaultdict(list)
    for model in models:
        paths[model.name].append(model.path)
    for name, carriers in paths.items():
        if len(carriers) > 1:
            raise DuplicateModel(name, carriers)
    return {model.name: model for model in models}


def _check_inputs(models: Collection[Model], *, known: Collection[str]) -> None:
    for model in models:
        for table in model.inputs:
            if table not in known:
                raise MissingInput(model.path, table, known=sorted(known))
