"""The success rates as a table for people, with a bar for each rate. Fits a terminal of 80 columns."""

from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from engage_pipeline.analytics.read import query

BAR_CELLS = 5
EIGHTHS = " ▏▎▍▌▋▊▉█"
CHANNEL_NAMES = {"ai_call": "AI call", "whatsapp_message": "WhatsApp", "email": "e-mail"}

SUCCESS_RATES = """
    select stg_users.tenant_name, flow_success_rates.*
    from flow_success_rates
    inner join stg_users on flow_success_rates.user_id = stg_users.user_id
    order by stg_users.tenant_name, flow_priority nulls last, flow_name, channel
"""


def success_rates_table(path: Path) -> Table:
    """The flow success rates of the warehouse at `path`, one row per tenant, flow and channel, with a bar per rate.

    A rate of fewer than 30 attempts is dim: its interval says more than it does. Columns that say nothing (one tenant,
    nothing unknown, nothing open) are left out.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
    """
    rates = query(path, SUCCESS_RATES).as_dicts()
    ((as_of,),) = query(path, "select as_of from warehouse_build").rows
    table = Table(
        title=f"Success rates by flow and channel, as of {as_of:%Y-%m-%d %H:%M:%S} UTC",
        caption="success: the contact was reached; dim: fewer than 30 attempts",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    shows_tenant = len({rate["tenant_name"] for rate in rates}) > 1
    apart = [name for name in ("unknown", "open", "skipped") if any(rate[f"{name}_count"] for rate in rates)]
    if shows_tenant:
        table.add_column("tenant", overflow="fold")
    table.add_column("flow", overflow="fold", min_width=12)
    table.add_column("channel", no_wrap=True)
    table.add_column("success", justify="right", no_wrap=True)
    table.add_column("rate", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for name in apart:
        table.add_column(name, justify="right", no_wrap=True)
    for rate in rates:
        cells = _cells(rate)
        table.add_row(
            *([escape(rate["tenant_name"])] if shows_tenant else []),
            *cells,
            *(f"{rate[f'{name}_count']:,}" for name in apart),
            style=None if rate["enough_data"] else "dim",
        )
    return table


def _cells(rate: dict[str, Any]) -> tuple[str, ...]:
    return (
        escape(rate["flow_name"]),
        CHANNEL_NAMES[rate["channel"]],
        f"{rate['success_count']:,}/{rate['attempted_count']:,}",
        _bar(rate["success_rate"]),
        _interval(rate["success_rate_low"], rate["success_rate_high"]),
    )


def _bar(rate: float | None) -> str:
    if rate is None:
        return "none attempted"
    full, eighths = divmod(round(rate * BAR_CELLS * 8), 8)
    cells = "█" * full + (EIGHTHS[eighths] if eighths else "")
    return f"{cells:<{BAR_CELLS}} {rate:6.1%}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"
