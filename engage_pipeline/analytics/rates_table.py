"""The success rates as a table for people, with a bar for each rate. Fits a terminal of 80 columns."""

from pathlib import Path

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

    A rate of fewer than 30 is dim: its interval says more than it does. Columns that say nothing (one tenant, no
    outcome known, nothing unknown, nothing open) are left out.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
    """
    rates = query(path, SUCCESS_RATES).as_dicts()
    ((as_of,),) = query(path, "select as_of from warehouse_build").rows
    tells_outcomes = any(rate["outcome_known_count"] for rate in rates)
    table = Table(
        title=f"Rates by flow and channel, as of {as_of:%Y-%m-%d %H:%M:%S} UTC",
        caption=_caption(tells_outcomes=tells_outcomes),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    shows_tenant = len({rate["tenant_name"] for rate in rates}) > 1
    apart = {"still_out": "still out", "unknown": "unknown", "open": "open", "skipped": "skipped"}
    shown = [name for name in apart if any(rate[f"{name}_count"] for rate in rates)]
    if shows_tenant:
        table.add_column("tenant", overflow="fold")
    table.add_column("flow", overflow="fold", min_width=12)
    table.add_column("channel", no_wrap=True)
    table.add_column("accepted", justify="right", no_wrap=True)
    if tells_outcomes:
        table.add_column("succeeded", justify="right", no_wrap=True)
    table.add_column("rate", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for name in shown:
        table.add_column(apart[name], justify="right")
    for rate in rates:
        kind, is_sure = (
            ("success", rate["enough_data"])
            if tells_outcomes
            else (
                "acceptance",
                rate["acceptance_enough_data"],
            )
        )
        succeeded = f"{rate['succeeded_count']:,}/{rate['outcome_known_count']:,}"
        table.add_row(
            *([escape(rate["tenant_name"])] if shows_tenant else []),
            escape(rate["flow_name"]),
            CHANNEL_NAMES[rate["channel"]],
            f"{rate['accepted_count']:,}/{rate['attempted_count']:,}",
            *([succeeded] if tells_outcomes else []),
            _bar(rate[f"{kind}_rate"]),
            _interval(rate[f"{kind}_rate_low"], rate[f"{kind}_rate_high"]),
            *(f"{rate[f'{name}_count']:,}" for name in shown),
            style=None if is_sure else "dim",
        )
    return table


def _caption(*, tells_outcomes: bool) -> str:
    if tells_outcomes:
        return "rate: succeeded of the accepted whose outcome is known; dim: fewer than 30"
    return "rate: accepted of the attempted, as no provider has told an outcome; dim: fewer than 30"


def _bar(rate: float | None) -> str:
    if rate is None:
        return "not known"
    full, eighths = divmod(round(rate * BAR_CELLS * 8), 8)
    cells = "█" * full + (EIGHTHS[eighths] if eighths else "")
    return f"{cells:<{BAR_CELLS}} {rate:6.1%}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"
