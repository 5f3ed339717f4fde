"""`engage stats` and `engage sql`: what the warehouse says, for people and for programs."""

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

from engage_pipeline.analytics.read import QueryResult, query
from engage_pipeline.settings import load_settings

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

BAR_CELLS = 10
EIGHTHS = " ▏▎▍▌▋▊▉█"

SUCCESS_RATES = """
    select stg_users.tenant_name, flow_success_rates.*
    from flow_success_rates
    inner join stg_users on flow_success_rates.user_id = stg_users.user_id
    order by stg_users.tenant_name, flow_priority nulls last, flow_name, channel
"""


def stats(as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False) -> None:
    """Show the success rate of every flow and channel, with its 95 % interval. Test runs are not counted.

    Example: engage stats --json | jq '.[] | select(.enough_data) | .success_rate'
    """
    path = load_settings().warehouse
    if as_json:
        _print_json(query(path, SUCCESS_RATES))
    else:
        out.print(success_rates_table(path))
    _name_file(path)


def sql(
    statement: Annotated[str, typer.Argument(metavar="QUERY", help="One DuckDB query.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header on stdout.")] = False,
) -> None:
    """Run QUERY on the warehouse, which is open for reading only.

    Example: engage sql "select channel, sum(success_count) from flow_success_rates group by channel" --csv
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


def success_rates_table(path: Path) -> Table:
    """The flow success rates of the warehouse at `path`, one row per tenant, flow and channel, with a bar per rate.

    A rate of fewer than 30 attempts is dim: its interval says more than it does.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
    """
    rates = query(path, SUCCESS_RATES).as_dicts()
    ((as_of,),) = query(path, "select as_of from warehouse_build").rows
    table = Table(
        title=f"Flow success rates, as of {as_of:%Y-%m-%d %H:%M:%S} UTC",
        caption="success: the provider accepted the request; dim: fewer than 30 attempts",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("tenant", "flow", "channel"):
        table.add_column(heading, overflow="fold")
    for heading in ("attempted", "success"):
        table.add_column(heading, justify="right")
    table.add_column("rate", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for heading in ("unknown", "open", "skipped"):
        table.add_column(heading, justify="right")
    for rate in rates:
        table.add_row(
            escape(rate["tenant_name"]),
            escape(rate["flow_name"]),
            rate["channel"],
            f"{rate['attempted_count']:,}",
            f"{rate['success_count']:,}",
            _bar(rate["success_rate"]),
            _interval(rate["success_rate_low"], rate["success_rate_high"]),
            f"{rate['unknown_count']:,}",
            f"{rate['open_count']:,}",
            f"{rate['skipped_count']:,}",
            style=None if rate["enough_data"] else "dim",
        )
    return table


def _bar(rate: float | None) -> str:
    if rate is None:
        return "none attempted"
    full, eighths = divmod(round(rate * BAR_CELLS * 8), 8)
    cells = "█" * full + (EIGHTHS[eighths] if eighths else "")
    return f"{cells:<{BAR_CELLS}} {rate:6.1%}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.1%} to {high:.1%}"


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
