"""The results of a comparison as a picture: how much of the limit each store reaches, row by row."""

from pathlib import Path
from typing import Any

import matplotlib

from tests.benchmark.report import ratio

COLOURS = ("#1f77b4", "#9467bd", "#d9730d", "#2a9d5c", "#c2405a", "#7a7a7a")  # told apart on white and on black


def draw(results: dict[str, Any], path: Path) -> None:
    """Write a PNG. Its background is transparent and its grey is halfway, so that it can be read on light and dark."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = results["rows"]
    facts = results["about"]["stores"]
    stores = [store for store in facts if not facts[store]["left_out"] and facts[store]["role"] != "limit"]
    if not stores or "limit" not in facts:
        return
    grey = "#808080"
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.16 * (len(stores) + 1.5) * len(rows)))
    for index, store in enumerate(stores):
        heights = [(ratio(row, store, "limit") or 0) * 100 for row in rows]
        places = [number + (index + 0.5) / (len(stores) + 1.5) for number in range(len(rows))]
        colour = COLOURS[index % len(COLOURS)]
        axes.barh(places, heights, 1 / (len(stores) + 1.5), color=colour, label=facts[store]["name"])
        for place, height in zip(places, heights, strict=True):
            axes.annotate(f" {height:.0f}", (height, place), va="center", fontsize=7, color=grey)
    axes.axvline(100, color=grey, linewidth=1, linestyle="--")
    axes.set_yticks([number + 0.4 for number in range(len(rows))], [row["title"] for row in rows], color=grey)
    axes.set_xlabel("% of the limit (bare SQL): more is better", color=grey)
    axes.tick_params(colors=grey)
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_color(grey)
    axes.legend(labelcolor=grey, framealpha=0, ncols=len(stores), loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(path, dpi=150, bbox_inches="tight", transparent=True)
    pyplot.close(figure)
