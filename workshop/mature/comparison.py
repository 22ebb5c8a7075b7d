"""Stored results that notebook 10 shows: of `make bench`, and of `python -m tests.benchmark.growth`."""

import json
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from IPython.display import Image

_STORED = Path(__file__).with_name("measured")
_COLOURS = ("#1f77b4", "#9467bd", "#d9730d", "#2a9d5c", "#c2405a", "#7a7a7a")
LIMIT = "limit"


def measured() -> dict[str, Any]:
    """Return the stored comparison, as `make bench` wrote it."""
    return json.loads((_STORED / "comparison.json").read_text(encoding="utf-8"))


def growth() -> pd.DataFrame:
    """Return what was measured while two stores grew: events a second, and megabytes on the disk."""
    measured = json.loads((_STORED / "growth.json").read_text(encoding="utf-8"))
    rows = {
        (f"{size['events']:,}", store): {
            "append 1 event a call": f"{cell['append']:,.0f}",
            f"read a stream of {measured['stream']}": f"{cell['read']:,.0f}",
            "MB": f"{cell['megabytes']:,.0f}",
        }
        for size in measured["sizes"]
        for store, cell in size["stores"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["events", "store"])


def shares(comparison: dict[str, Any]) -> pd.DataFrame:
    """Return how much of the limit each store reaches, in percent: a row a task, a column a store."""
    stores = {key: facts["name"] for key, facts in _measured_stores(comparison).items()}
    table = {
        row["title"]: {name: _share(row["cells"].get(key), row["cells"].get(LIMIT)) for key, name in stores.items()}
        for row in comparison["rows"]
    }
    return pd.DataFrame.from_dict(table, orient="index", dtype="Float64").round().astype("Int64")


def numbers(comparison: dict[str, Any]) -> pd.DataFrame:
    """Return the medians, a number a second, the limit's among them."""
    stores = {LIMIT: LIMIT} | {key: facts["name"] for key, facts in _measured_stores(comparison).items()}
    table = {
        f"{row['title']} ({row['unit']}/s)": {
            name: f"{cell['median']:,.0f}" if "median" in (cell := row["cells"].get(key) or {}) else "–"
            for key, name in stores.items()
        }
        for row in comparison["rows"]
    }
    return pd.DataFrame.from_dict(table, orient="index")


def where_from(comparison: dict[str, Any]) -> str:
    """Return the day, the machine and the versions that the numbers come from, and how each store was used."""
    about = comparison["about"]
    lines = [
        f"Measured on {about['date'][:10]}: {about['machine']}; PostgreSQL {about['postgresql']},"
        f" Python {about['python']}."
    ]
    for facts in _measured_stores(comparison).values():
        lines.append(f"- {facts['name']} {facts['version']}. Durable by {facts['flushes']}.")
    return "\n".join(lines)


def draw(comparison: dict[str, Any]) -> Image:
    """Return a chart of the shares, on a white ground, so that it reads the same in a light and a dark theme."""
    from matplotlib.figure import Figure  # takes a while to load, and only this needs it

    table = shares(comparison)
    bars = len(table.columns) + 1
    figure = Figure(figsize=(9, 0.16 * bars * len(table) + 1), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for number, (store, column) in enumerate(table.items()):
        places = [row + (number + 0.5) / bars for row in range(len(table))]
        heights = [0 if pd.isna(share) else share for share in column]
        axes.barh(places, heights, 1 / bars, label=store, color=_COLOURS[number % len(_COLOURS)])
    axes.axvline(100, color="#444444", linewidth=1, linestyle="--")
    axes.set_yticks([row + 0.4 for row in range(len(table))], list(table.index))
    axes.set_xlabel("% of the limit (bare SQL): more is better")
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(table.columns), frameon=False)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return Image(picture.getvalue(), width=900)


def _measured_stores(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    stores = comparison["about"]["stores"]
    return {key: facts for key, facts in stores.items() if not facts["left_out"] and facts["role"] != LIMIT}


def _share(cell: dict[str, Any] | None, limit: dict[str, Any] | None) -> float | None:
    """Return the median of the ratios, round by round: what slows a round down slows both."""
    if not cell or not limit or "rounds" not in cell or "rounds" not in limit:
        return None
    return median(100 * one / bare for one, bare in zip(cell["rounds"], limit["rounds"], strict=True))
