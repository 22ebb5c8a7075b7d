"""Stored results that notebook 10 shows: of `make bench`, and of `python -m tests.benchmark.growth`."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

_STORED = Path(__file__).with_name("measured")
LIMIT = "limit"


def measured() -> dict[str, Any]:
    """Return the stored comparison, as `make bench` wrote it."""
    return json.loads((_STORED / "comparison.json").read_text(encoding="utf-8"))


def growth() -> pd.DataFrame:
    """Return what was measured while two stores grew: events a second, their share of the limit, and megabytes."""
    measured = json.loads((_STORED / "growth.json").read_text(encoding="utf-8"))
    rows = {
        (f"{size['events']:,}", store): {
            "append 1 event a call": f"{cell['append']:,.0f}",
            "of a bare INSERT": f"{cell['append, of the limit']:.0%}",
            f"read a stream of {measured['stream']}": f"{cell['read']:,.0f}",
            "of a bare SELECT": f"{cell['read, of the limit']:.0%}",
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


def _measured_stores(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    stores = comparison["about"]["stores"]
    return {key: facts for key, facts in stores.items() if not facts["left_out"] and facts["role"] != LIMIT}


def _share(cell: dict[str, Any] | None, limit: dict[str, Any] | None) -> float | None:
    """Return the median of the ratios, round by round: what slows a round down slows both."""
    if not cell or not limit or "rounds" not in cell or "rounds" not in limit:
        return None
    return median(100 * one / bare for one, bare in zip(cell["rounds"], limit["rounds"], strict=True))
