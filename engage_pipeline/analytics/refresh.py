"""Brings a warehouse file from one snapshot to the next: the rows that changed, and what the models make of them.

For each table that changed the old and the new versions of the changed rows are kept in a temporary table. A model that
is refreshed by a column takes the values of that column from there, and makes only the rows with those values anew: its
inputs are shadowed by temporary views with nothing else in them. The file is not published: nobody sees the steps.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb

from engage_pipeline.analytics.capture import Snapshot
from engage_pipeline.analytics.duck import number, quoted, run_model
from engage_pipeline.analytics.models import Model
from engage_pipeline.analytics.raw_tables import RawTable


@dataclass
class Refresh:
    """One refresh of one file.

    Attributes:
        changed: the tables that changed -> the temporary table with the old and new versions of their changed rows;
            None when any row may have changed. A table that is not in it is as it was.
        changed_count: rows of the operational tables that were written or deleted.
    """

    warehouse: duckdb.DuckDBPyConnection
    changed: dict[str, str | None] = field(default_factory=dict)
    changed_count: int = 0

    def raw_tables(self, snapshot: Snapshot, tables: Sequence[RawTable], *, since: str) -> bool:
        """Apply what happened to the operational tables. False when only a full build can tell: one was emptied."""
        self.warehouse.register("incoming", snapshot.deleted(since=since))
        self.warehouse.execute("create temp table deleted_rows as select * from incoming")
        self.warehouse.unregister("incoming")
        if number(self.warehouse, "select count(*) from deleted_rows where row_key is null"):
            return False
        for table in tables:
            with snapshot.rows(table, since=since if table.is_tracked else None) as rows:
                self.warehouse.register("incoming", rows)
                self.warehouse.execute(f"create temp table {_temp('written', table.name)} as select * from incoming")
                self.warehouse.unregister("incoming")
            if table.is_tracked:
                self._keep_keys_of_tracked(table)
            else:
                self._keep_keys_of_whole(table)
            self._apply(table)
        return True

    def model(self, model: Model) -> None:
        """Make of a model what has to be made anew."""
        if not self.changed.keys() & {*model.inputs}:
            return
        if model.is_view:
            self._pass_through(model)
        elif model.refresh_by and self._collect_values(model):
            self._replace_slices(model)
        else:
            self.warehouse.execute(f"delete from main.{quoted(model.name)}")
            run_model(self.warehouse, model, f"insert into main.{quoted(model.name)} by name {model.sql}")
            self.changed[model.name] = None

    def _keep_keys_of_tracked(self, table: RawTable) -> None:
        """Rows that were written and rows that are gone; one may be both, when its key was used again."""
        types = dict(
            self.warehouse.execute(
                f"select column_name, column_type from (describe raw.{quoted(table.name)})"
            ).fetchall()
        )
        gone = ", ".join(f"(row_key ->> '$.{name}')::{types[name]} as {quoted(name)}" for name in table.key)
        keys = _list(table.key)
        self.warehouse.execute(
            f"create temp table {_temp('keys', table.name)} as select {keys} from {_temp('written', table.name)}"
            f" union select {gone} from deleted_rows where table_name = '{table.name}'"
        )

    def _keep_keys_of_whole(self, table: RawTable) -> None:
        name, written, keys = f"raw.{quoted(table.name)}", _temp("written", table.name), _list(table.key)
        self.warehouse.execute(
            f"create temp table {_temp('keys', table.name)} as"
            f" (select {keys} from (from {written} except from {name})"
            f" union select {keys} from (from {name} except from {written}))"
        )
        self.warehouse.execute(
            f"delete from {written} as t where not exists"
            f" (select 1 from {_temp('keys', table.name)} as k where {_same(table.key)})"
        )

    def _apply(self, table: RawTable) -> None:
        name, written, keys = f"raw.{quoted(table.name)}", _temp("written", table.name), _temp("keys", table.name)
        count = number(self.warehouse, f"select count(*) from {keys}")
        if not count:
            return
        changed = _temp("changed", f"raw.{table.name}")
        self.warehouse.execute(
            f"create temp table {changed} as select t.* from {name} as t semi join {keys} as k on {_same(table.key)}"
            f" union all by name from {written}"
        )
        self.warehouse.execute(f"delete from {name} as t using {keys} as k where {_same(table.key)}")
        self.warehouse.execute(f"insert into {name} by name from {written}")
        self.changed[f"raw.{table.name}"] = changed
        self.changed_count += count

    def _pass_through(self, view: Model) -> None:
        """A view has nothing to be made anew. Its changed rows are those that it makes of its input's changed rows."""
        if view.layer != "staging" or len(view.inputs) != 1:
            self.changed[view.name] = None
            return
        (source,) = view.inputs
        rows = self.changed[source]
        if rows is None:
            self.changed[view.name] = None
            return
        changed = _temp("changed", view.name)
        query = re.sub(rf"(?<![.\w]){re.escape(source)}\b", lambda _: rows, view.sql)
        run_model(self.warehouse, view, f"create temp table {changed} as {query}")
        self.changed[view.name] = changed

    def _collect_values(self, model: Model) -> bool:
        """The values of `refresh_by` that an input's changed rows have. False when an input cannot tell them."""
        columns = _list(model.refresh_by)
        parts = []
        for name in model.inputs:
            if name not in self.changed:
                continue
            rows = self.changed[name]
            if rows is None or not {*model.refresh_by} <= {*_columns(self.warehouse, rows)}:
                return False
            parts.append(f"select {columns} from {rows}")
        self.warehouse.execute(f"create temp table {_temp('values', model.name)} as {' union '.join(parts)}")
        return True

    def _replace_slices(self, model: Model) -> None:
        name, values = f"main.{quoted(model.name)}", _temp("values", model.name)
        old, new = _temp("old", model.name), _temp("new", model.name)
        same = _same(model.refresh_by)
        self.warehouse.execute(
            f"create temp table {old} as select t.* from {name} as t semi join {values} as k on {same}"
        )
        shadowed = [
            table
            for table in model.inputs
            if {*model.refresh_by} <= {*_columns(self.warehouse, f"main.{quoted(table)}")}
        ]
        (catalog,) = self.warehouse.execute("select current_catalog()").fetchall()[0]
        for table in shadowed:
            self.warehouse.execute(
                f"create temp view {quoted(table)} as"
                f" select t.* from {quoted(catalog)}.main.{quoted(table)} as t semi join {values} as k on {same}"
            )
        try:
            run_model(self.warehouse, model, f"create temp table {_temp('made', model.name)} as {model.sql}")
        finally:
            for table in shadowed:
                self.warehouse.execute(f"drop view temp.{quoted(table)}")
        self.warehouse.execute(
            f"create temp table {new} as"
            f" select t.* from {_temp('made', model.name)} as t semi join {values} as k on {same}"
        )
        changed = _temp("changed", model.name)
        self.warehouse.execute(
            f"create temp table {changed} as"
            f" (from {old} except all from {new}) union all (from {new} except all from {old})"
        )
        if not number(self.warehouse, f"select count(*) from {changed}"):
            return
        self.warehouse.execute(f"delete from {name} as t using {values} as k where {same}")
        self.warehouse.execute(f"insert into {name} by name from {new}")
        self.changed[model.name] = changed


def _temp(kind: str, name: str) -> str:
    return quoted(f"{kind} {name}")


def _list(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))


def _same(columns: Iterable[str]) -> str:
    return " and ".join(f"t.{quoted(name)} is not distinct from k.{quoted(name)}" for name in columns)


def _columns(warehouse: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [name for (name,) in warehouse.execute(f"select column_name from (describe {table})").fetchall()]
