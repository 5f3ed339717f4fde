"""`engage stats`, `engage sql` and `engage export`: what the warehouse says, for people and for programs."""

import csv
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engage_pipeline.analytics.rates_table import SUCCESS_RATES, success_rates_tables
from engage_pipeline.analytics.read import QueryResult, query
from engage_pipeline.settings import load_settings

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def stats(as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False) -> None:
    """Show the success rate of every flow and channel, with its 95 % interval. Test runs are not counted.

    Example: engage stats --json | jq '.[] | select(.enough_data) | .success_rate'
    """
    path = load_settings().warehouse
    if as_json:
        _print_json(query(path, SUCCESS_RATES))
    else:
        out.print(success_rates_tables(path))
    _name_file(path)


def sql(
    statement: Annotated[str, typer.Argument(metavar="QUERY", help="One DuckDB query.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header on stdout.")] = False,
) -> None:
    """Run QUERY on the warehouse, which is open for reading only.

    Example: engage sql "select channel, sum(accepted_count) from flow_success_rates group by channel" --csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose --json or --csv")
    path = load_settings().warehouse
    answer = query(path, statement)
    if as_json:
        _print_json(answer)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_plain(value) for value in row] for row in answer.rows)
    else:
        out.print(_table(answer))
    _name_file(path)


def export(
    mart: Annotated[str, typer.Argument(metavar="MART", help="A table of the warehouse.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file ending in .csv, .parquet or .xlsx.")],
) -> None:
    """Write every row of MART to a file.

    Example: engage export flow_success_rates -o rates.xlsx
    """
    from engage_pipeline.analytics.export import export_mart

    path = load_settings().warehouse
    row_count = export_mart(path, mart, output)
    out.print(f"{row_count:,} rows of {mart} are in {output}", markup=False, soft_wrap=True)
    _name_file(path)


def _table(answer: QueryResult) -> Table:
    table = Table(*(escape(column) for column in answer.columns))
    for row in answer.rows:
        table.add_row(*("" if value is None else escape(str(_plain(value))) for value in row))
    return table


def _print_json(answer: QueryResult) -> None:
    rows = [{name: _plain(value) for name, value in row.items()} for row in answer.as_dicts()]
    json.dump(rows, sys.stdout, default=str)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _name_file(path: Path) -> None:
    err.print(str(path), style="dim", markup=False, soft_wrap=True)
