"""Marts for programs that ask often: what there is, and the rows of one tenant. The file stays open between questions.

The one place where a question to the warehouse is confined to a tenant.
"""

import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engage_pipeline.analytics.errors import NoWarehouse, UnknownMart
from engage_pipeline.analytics.models import MODELS_FOLDER, Model, load_models
from engage_pipeline.analytics.read import open_warehouse

if TYPE_CHECKING:
    import duckdb

_MOST_ROWS_KEPT = 100
_MOST_ANSWERS_KEPT = 2000


@cache
def marts() -> Mapping[str, Model]:
    """Every mart by its name."""
    return {model.name: model for model in load_models(MODELS_FOLDER) if model.layer == "marts"}


def find_mart(name: str) -> Model:
    """The mart of that name.

    Raises:
        UnknownMart: there is none.
    """
    if name not in marts():
        raise UnknownMart(name, known=list(marts()))
    return marts()[name]


@dataclass(frozen=True)
class TenantRows:
    """Rows of a mart, without the tenant's column, in the order of its grain; and the moment that they speak of."""

    as_of: datetime
    rows: list[dict[str, Any]]


class OpenWarehouse:
    """The published warehouse, opened when first asked and again once another one is published.

    Safe for several threads. DuckDB shares one file between all connections of a process, so the old one is closed,
    after the questions that are under way, before the new one is opened. A published file never changes, so its short
    answers are kept until then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._reader_count = 0
        self._stamp: tuple[int, int] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._as_of: datetime | None = None
        self._answers: dict[Hashable, list[dict[str, Any]]] = {}

    def close(self) -> None:
        """Let go of the file."""
        with self._changed:
            self._changed.wait_for(lambda: not self._reader_count)
            self._let_go()

    def rows_of_tenant(
        self,
        mart: Model,
        user_id: UUID,
        *,
        equal: Mapping[str, Any] | None = None,
        at_most: int = 1000,
        skip: int = 0,
    ) -> TenantRows:
        """The tenant's rows of a mart.

        Args:
            equal: column -> the value that it must have; the columns are the mart's.

        Raises:
            NoWarehouse: none was ever published.
        """
        given = equal or {}
        conditions = ["user_id = ?", *(f'"{column}" = ?' for column in given)]
        order = ", ".join(f'"{column}"' for column in mart.key)
        return self._rows(
            f'select * exclude (user_id) from "{mart.name}" where {" and ".join(conditions)}'
            f" order by {order} limit ? offset ?",
            (user_id, *given.values(), at_most, skip),
        )

    def executions_of_flow(self, user_id: UUID, flow_id: UUID) -> dict[str, int]:
        """Status -> how many executions of the flow, without test runs.

        Raises:
            NoWarehouse: none was ever published.
        """
        counted = self._rows(
            "select execution_status, count(*) as execution_count from dim_executions"
            " where user_id = ? and flow_id = ? and not is_test_run group by execution_status",
            (user_id, flow_id),
        )
        return {row["execution_status"]: row["execution_count"] for row in counted.rows}

    def _rows(self, question: str, given: tuple[Any, ...]) -> TenantRows:
        with self._cursor() as (cursor, as_of):
            key = (as_of, question, given)
            known = self._answers.get(key)
            if known is not None:
                return TenantRows(as_of, known)
            answer = cursor.execute(question, given)
            names = [column[0] for column in answer.description]
            rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
            if len(rows) <= _MOST_ROWS_KEPT and len(self._answers) < _MOST_ANSWERS_KEPT:
                self._answers[key] = rows
            return TenantRows(as_of, rows)

    @contextmanager
    def _cursor(self) -> "Iterator[tuple[duckdb.DuckDBPyConnection, datetime]]":
        with self._changed:
            self._open_newest()
            self._reader_count += 1
            assert self._connection is not None and self._as_of is not None  # noqa: S101 - it has been opened
            cursor, as_of = self._connection.cursor(), self._as_of
        try:
            yield cursor, as_of
        finally:
            cursor.close()
            with self._changed:
                self._reader_count -= 1
                self._changed.notify_all()

    def _open_newest(self) -> None:
        while self._published() != self._stamp or self._connection is None:
            # While it waits another one may open it, so the question is asked again.
            self._changed.wait_for(lambda: not self._reader_count)
            stamp = self._published()
            if stamp != self._stamp or self._connection is None:
                self._let_go()
                self._connection = open_warehouse(self._path)
                # For every cursor; the connection's own setting is not theirs.
                self._connection.execute("set global TimeZone = 'UTC'")
                ((self._as_of,),) = self._connection.execute("select as_of from warehouse_build").fetchall()
                self._stamp = stamp

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._stamp, self._as_of = None, None, None
        self._answers = {}

    def _published(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except FileNotFoundError as error:
            raise NoWarehouse(self._path) from error
        return stat.st_ino, stat.st_mtime_ns
