"""The success rates as tables for people, with a bar for each rate. Fits a terminal of 80 columns."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from engage_pipeline.analytics.read import query

BAR_CELLS = 5
EIGHTHS = " ▏▎▍▌▋▊▉█"
CHANNEL_NAMES = {"ai_call": "AI call", "whatsapp_message": "WhatsApp", "email": "e-mail"}
APART = {
    "still_out": "still out",
    "no_feed": "no feed",
    "unknown": "unknown",
    "open": "open",
    "skipped": "skipped",
}
OF_OUTCOMES = "rate: succeeded of the accepted whose outcome is known, with its 95 % interval; dim: fewer than 30"
OF_ACCEPTANCE = "rate: accepted of the attempted, as no provider has told an outcome; dim: fewer than 30"

SUCCESS_RATES = """
    select stg_users.tenant_name, flow_success_rates.*
    from flow_success_rates
    inner join stg_users on flow_success_rates.user_id = stg_users.user_id
    order by stg_users.tenant_name, flow_priority nulls last, flow_name, channel
"""


def success_rates_tables(path: Path) -> Group:
    """The flow success rates of the warehouse at `path`, a bar per rate, and what stands apart from the rates.

    Two tables a tenant, one row per flow and channel: the rates, and the counts that are in none of them, if there are
    any. A rate of fewer than 30 is dim: its interval says more than it does. Columns that say nothing (no outcome
    known, nothing unknown, nothing open) are left out.

    Raises:
        NoWarehouse: no warehouse was ever published at `path`.
    """
    rates = query(path, SUCCESS_RATES).as_dicts()
    ((as_of,),) = query(path, "select as_of from warehouse_build").rows
    when = f"as of {as_of:%Y-%m-%d %H:%M:%S} UTC"
    if not rates:
        return Group(f"No flow has an action yet, {when}.")
    by_tenant = [(tenant, list(rows)) for tenant, rows in groupby(rates, key=itemgetter("tenant_name"))]
    tables: list[RenderableType] = []
    for tenant, rows in by_tenant:
        whose = f", {tenant}" if len(by_tenant) > 1 else ""
        tells_outcomes = any(rate["outcome_known_count"] for rate in rows)
        # Above and below the tables and not their own titles, which are wrapped to the width of the table.
        tables += [
            Text(f"Rates by flow and channel{whose}, {when}", style="italic"),
            _rates_table(rows, tells_outcomes=tells_outcomes),
            Text(OF_OUTCOMES if tells_outcomes else OF_ACCEPTANCE, style="dim italic"),
            "",
        ]
        if apart := [name for name in APART if any(row[f"{name}_count"] for row in rows)]:
            tables += [Text("Counted apart, in no success rate", style="italic"), _apart_table(rows, apart)]
    return Group(*tables)


def _rates_table(rates: Sequence[Mapping[str, Any]], *, tells_outcomes: bool) -> Table:
    table = _table()
    table.add_column("accepted", justify="right", no_wrap=True)
    if tells_outcomes:
        table.add_column("succeeded", justify="right", no_wrap=True)
    table.add_column("rate", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    for rate in rates:
        kind, enough = ("success", "enough_data") if tells_outcomes else ("acceptance", "acceptance_enough_data")
        succeeded = f"{rate['succeeded_count']:,}/{rate['outcome_known_count']:,}"
        table.add_row(
            escape(rate["flow_name"]),
            CHANNEL_NAMES[rate["channel"]],
            f"{rate['accepted_count']:,}/{rate['attempted_count']:,}",
            *([succeeded] if tells_outcomes else []),
            _bar(rate[f"{kind}_rate"]),
            _interval(rate[f"{kind}_rate_low"], rate[f"{kind}_rate_high"]),
            style=None if rate[enough] else "dim",
        )
    return table


def _apart_table(rates: Sequence[Mapping[str, Any]], apart: Sequence[str]) -> Table:
    table = _table()
    for name in apart:
        table.add_column(APART[name], justify="right", no_wrap=True)
    for rate in rates:
        counts = [rate[f"{name}_count"] for name in apart]
        if any(counts):
            table.add_row(
                escape(rate["flow_name"]),
                CHANNEL_NAMES[rate["channel"]],
                *(f"{count:,}" if count else "" for count in counts),
            )
    return table


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("flow", overflow="fold", min_width=12)
    table.add_column("channel", no_wrap=True)
    return table


def _bar(rate: float | None) -> str:
    if rate is None:
        return "not known"
    full, eighths = divmod(round(rate * BAR_CELLS * 8), 8)
    cells = "█" * full + (EIGHTHS[eighths] if eighths else "")
    return f"{cells:<{BAR_CELLS}} {rate:6.1%}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"
