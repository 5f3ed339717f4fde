"""Charts of marts as small PNG images that can be read on a light and on a dark page. Nothing here is interactive.

Importing matplotlib takes half a second, so it is imported by the functions that draw.
"""

import io
import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engage_pipeline.analytics.read import query

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#8a8f98"
"""A gray that stands out from white and from black."""
COLOURS = {"ai_call": "#4c8bf5", "whatsapp_message": "#2fa56f", "email": "#e08a3c"}
NAMES = {"ai_call": "AI call", "whatsapp_message": "WhatsApp", "email": "e-mail"}
MOST_BARS = 20

Axes = Any


def charts_of(path: Path) -> dict[str, Callable[[], bytes | None]]:
    """Mart -> what draws its chart from the warehouse at `path`; None when the mart has nothing to draw."""
    return {
        "flow_success_rates": lambda: _rates(path),
        "engagement_funnel": lambda: _funnel(path),
        "hourly_heatmap": lambda: _heatmap(path),
        "daily_engagement": lambda: _days(path),
    }


def _rates(path: Path) -> bytes | None:
    """Success rates with their intervals; acceptance rates where no provider has told an outcome."""
    rows = query(
        path,
        "select tenant_name, flow_name, channel, coalesce(success_rate, acceptance_rate) as rate,"
        " coalesce(success_rate_low, acceptance_rate_low) as low,"
        " coalesce(success_rate_high, acceptance_rate_high) as high, success_rate is null as is_acceptance,"
        " case when success_rate is null then acceptance_enough_data else enough_data end as is_sure"
        " from flow_success_rates inner join stg_users using (user_id) where attempted_count > 0"
        f" order by attempted_count desc, 1, 2, 3 limit {MOST_BARS}",
    ).as_dicts()
    if not rows:
        return None
    figure, axes = _figure(height=0.8 + 0.28 * len(rows))
    rows.reverse()
    places = range(len(rows))
    axes.barh(
        places,
        [row["rate"] for row in rows],
        color=[(COLOURS[row["channel"]], 0.6 if row["is_sure"] else 0.2) for row in rows],
        xerr=[[row["rate"] - row["low"] for row in rows], [row["high"] - row["rate"] for row in rows]],
        error_kw={"ecolor": INK, "capsize": 3, "elinewidth": 1.5},
    )
    shows_tenant = len({row["tenant_name"] for row in rows}) > 1
    labels = []
    for row in rows:
        tenant = f"{row['tenant_name'][:16]} · " if shows_tenant else ""
        accepted = " (accepted)" if row["is_acceptance"] else ""
        labels.append(f"{tenant}{row['flow_name'][:28]} · {NAMES[row['channel']]}{accepted}")
    axes.set_yticks(places, labels)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title("Success rate with its 95 % interval; pale: fewer than 30", color=INK, fontsize=10, loc="left")
    return _png(figure)


def _funnel(path: Path) -> bytes | None:
    rows = query(
        path,
        "select stage, sum(contact_count) as contact_count from engagement_funnel group by stage, stage_order"
        " order by stage_order desc",
    ).rows
    if not rows:
        return None
    figure, axes = _figure(height=2.8)
    first = rows[-1][1]
    bars = axes.barh([stage for stage, _ in rows], [count for _, count in rows], color=COLOURS["ai_call"], alpha=0.75)
    axes.bar_label(bars, [f"{count:,} ({count / first:.0%})" for _, count in rows], padding=4, color=INK, fontsize=8)
    axes.set_xlim(0, max(first, 1) * 1.2)
    axes.set_title("Contacts that passed each stage", color=INK, fontsize=10, loc="left")
    return _png(figure)


def _heatmap(path: Path) -> bytes | None:
    rows = query(
        path,
        "select send_weekday, send_hour, sum(attempted_count) from hourly_heatmap group by send_weekday, send_hour",
    ).rows
    if not rows:
        return None
    # Where nothing was sent the page shows through.
    grid = [[math.nan] * 24 for _ in range(7)]
    for weekday, hour, count in rows:
        grid[weekday - 1][hour] = float(count)
    figure, axes = _figure(height=2.4)
    image = axes.imshow(grid, aspect="auto", cmap="viridis", vmin=0)
    axes.set_yticks(range(7), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    axes.set_xticks(range(0, 24, 3), [f"{hour:02}" for hour in range(0, 24, 3)])
    bar = figure.colorbar(image, ax=axes)
    bar.ax.tick_params(colors=INK, labelsize=8)
    axes.set_title("Requests by hour of sending, tenant's zone", color=INK, fontsize=10, loc="left")
    return _png(figure)


def _days(path: Path) -> bytes | None:
    rows = query(
        path,
        "select channel, send_date, sum(attempted_count), sum(accepted_count) from daily_engagement"
        " where send_date > (select max(send_date) from daily_engagement) - 90 group by channel, send_date order by 2",
    ).rows
    if not rows:
        return None
    figure, axes = _figure(height=2.6)
    for channel, colour in COLOURS.items():
        days = [(day, attempted) for each, day, attempted, _ in rows if each == channel]
        if days:
            axes.plot(*zip(*days, strict=True), color=colour, marker="o", markersize=3, label=NAMES[channel])
    axes.set_ylim(bottom=0)
    _show_days(axes, rows[0][1], rows[-1][1])
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    axes.set_title("Requests by day of sending", color=INK, fontsize=10, loc="left")
    return _png(figure)


def _show_days(axes: Axes, first: date, last: date) -> None:
    """Whole days, however few: left to itself matplotlib shows four years around one."""
    from matplotlib.dates import DateFormatter, DayLocator

    axes.set_xlim(first - timedelta(days=1), last + timedelta(days=1))
    axes.xaxis.set_major_locator(DayLocator(interval=1 + (last - first).days // 8))
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))


def _figure(*, height: float) -> "tuple[Figure, Axes]":
    # Not pyplot, which keeps every figure.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.tick_params(colors=INK, labelsize=8)
    axes.patch.set_alpha(0)
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_linewidth(0.5)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", transparent=True)
    return image.getvalue()
