"""Draws the table: contacts per second over the number of flows, a line a peer, a panel a set of flows."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

ENGAGE = "#d1495b"
INK = "#7a7f87"  # readable on white and on black
PEERS = ("#3d7ea6", "#4f9d69", "#c98a2b", "#8e6bb0", "#5aa9a9", "#a0705a")


def write_plot(rows: list[dict[str, Any]], path: Path) -> None:
    """An SVG with a transparent ground."""
    mpl.use("svg")
    mpl.rcParams.update(
        {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK}
    )
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "engage", "font.size": 9})
    panels = sorted({(row["kind"], row["tenants"]) for row in rows if "kind" in row})
    figure, axes = plt.subplots(1, len(panels), figsize=(3.1 * len(panels), 3.6), sharey=True, squeeze=False)
    names = list(dict.fromkeys(row["peer"] for row in rows if "kind" in row))
    for axis, (kind, tenants) in zip(axes[0], panels, strict=True):
        for number, name in enumerate(names):
            points = [row for row in rows if (row["peer"], row.get("kind"), row["tenants"]) == (name, kind, tenants)]
            axis.loglog(
                [row["flows"] for row in points],
                [row["contacts_per_second"] for row in points],
                marker="o",
                markersize=4 if name == "engage" else 3,
                linewidth=2.4 if name == "engage" else 1.2,
                color=ENGAGE if name == "engage" else PEERS[(number - 1) % len(PEERS)],
                label=name,
            )
        for row in rows:
            if row["peer"] == "floor" and row["tenants"] == tenants:
                axis.axhline(
                    row["contacts_per_second"], color=INK, linestyle=":", linewidth=1, label="floor: only reading"
                )
        axis.set_title(f"{kind} flows, {tenants} tenant{'s' if tenants > 1 else ''}", fontsize=9)
        axis.set_xlabel("flows")
        axis.grid(color=INK, alpha=0.2)
        axis.set_facecolor("none")
    axes[0][0].set_ylabel("contacts per second")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)
