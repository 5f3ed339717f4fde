"""The success rates as a table for people, with a bar for each rate."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from engage_pipeline.analytics.read import query

BAR_CELLS = 10
EIGHTHS = " ▏▎▍▌▋▊▉█"

SUCCESS_RATES = """
    select stg_users.tenant_name, flow_success_rates.*
    from flow_success_rates
    inner join stg_users on flow_success_rates.user_id = stg_users.user_id
    order by stg_users.tenant_name, flow_priority nulls last, flow_name, channel
"""


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
