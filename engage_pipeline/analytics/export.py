"""Writes one table of the warehouse to a CSV, Parquet or Excel file, which appears whole or not at all."""

from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engage_pipeline.analytics.errors import ExportTooLarge, UnknownExport, UnknownMart
from engage_pipeline.analytics.read import open_warehouse

if TYPE_CHECKING:
    import duckdb

EXCEL_ROWS = 1_048_575
"""What a sheet holds below its header."""


def export_mart(warehouse_path: Path, mart: str, target: Path, *, user_id: UUID | None = None) -> int:
    """Write every row of `mart` to `target`, whose ending says the kind. How many rows there were.

    Args:
        user_id: only the rows of this tenant.

    Raises:
        NoWarehouse: no warehouse was ever published at `warehouse_path`.
        UnknownMart: the warehouse has no such table.
        UnknownExport: the ending is not one of .csv, .parquet and .xlsx.
        ExportTooLarge: more rows than a sheet of Excel holds.
    """
    kind = target.suffix.lower()
    if kind not in (".csv", ".parquet", ".xlsx"):
        raise UnknownExport(target)
    partial = target.with_name(f".{target.name}.{token_hex(4)}.partial")
    try:
        with open_warehouse(warehouse_path) as warehouse:
            known = warehouse.execute("select table_name from information_schema.tables").fetchall()
            if (mart,) not in known:
                raise UnknownMart(mart, known=[name for (name,) in known])
            source = f'"{mart}"' if user_id is None else f"\"{mart}\" where user_id = '{user_id}'"
            ((row_count,),) = warehouse.execute(f"select count(*) from {source}").fetchall()
            if kind == ".xlsx":
                if row_count > EXCEL_ROWS:
                    raise ExportTooLarge(mart, row_count=row_count)
                _write_excel(warehouse, mart, source, partial)
            else:
                options = "format csv, header" if kind == ".csv" else "format parquet"
                literal = str(partial).replace("'", "''")
                warehouse.execute(f"copy (from {source}) to '{literal}' ({options})")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return int(row_count)


def _write_excel(warehouse: "duckdb.DuckDBPyConnection", mart: str, source: str, path: Path) -> None:
    import xlsxwriter

    answer = warehouse.execute(f"from {source}")
    # Text is text: what begins like a formula or an address is not turned into one.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        sheet = workbook.add_worksheet(mart[:31])
        sheet.write_row(0, 0, [column[0] for column in answer.description])
        line = 1
        while rows := answer.fetchmany(10_000):
            for row in rows:
                sheet.write_row(line, 0, [_cell(value) for value in row])
                line += 1


def _cell(value: Any) -> str | float | bool | None:
    """Excel knows no zones and no UUIDs; an instant goes as ISO text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
