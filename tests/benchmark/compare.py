"""The kit beside the limit and beside mature stores: `python -m tests.benchmark.compare`, or `make bench`.

It measures on the embedded server, or the one at DATABASE_URL, in a database of its own. Within a row the stores take
turns, round after round, each round beginning with another one, so that a busy moment of the machine hits all. What is
shown is the median of the rounds and how far the middle half of them spreads.

A store that is not installed, or fails, is reported as such; the others go on.
"""

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.benchmark.chart import draw
from tests.benchmark.crew import Crew, Failed
from tests.benchmark.place import Place, describe, new_place
from tests.benchmark.report import markdown
from tests.benchmark.rows import Row, Sizes, rows
from tests.benchmark.stores import STORES, client_class
from workshop.files import CHECKOUT
from workshop.server.database import server_url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES), help="which ones (default: all)")
    parser.add_argument("--rows", nargs="+", choices=[row.key for row in rows(Sizes())], help="which ones")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="of slow rows; quick ones get thrice as many")
    parser.add_argument("--to", type=Path, default=CHECKOUT / ".benchmark", help="the folder of what is written")
    arguments = parser.parse_args()
    results = compare(server_url(), arguments.stores, Sizes(rounds=arguments.rounds), arguments.rows)
    arguments.to.mkdir(exist_ok=True, parents=True)
    (arguments.to / "comparison.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (arguments.to / "comparison.md").write_text(markdown(results), encoding="utf-8")
    draw(results, arguments.to / "comparison.png")
    print(markdown(results))
    print(f"Written to {arguments.to}: comparison.md, comparison.json, comparison.png")


def compare(server: str, stores: list[str], sizes: Sizes, only: list[str] | None = None) -> dict[str, Any]:
    """Measure, and return everything that is known about it, ready for JSON.

    Args:
        server: the URL of a PostgreSQL server.
        stores: the short names of those to compare.
        sizes: how much to measure.
        only: the keys of the rows to measure; all by default.
    """
    wanted = [row for row in rows(sizes) if only is None or row.key in only]
    with new_place(server) as place, ExitStack() as stack:
        about = describe(place) | {"stores": {store: _about(store) for store in stores}}
        ready = {store: s for store in stores if (s := _run_store(store, place, about["stores"][store], stack))}
        crew = Crew(max(row.writers for row in wanted))
        stack.callback(crew.close)
        steps = sum(len(ready) * (row.rounds + 1) for row in wanted)
        with tqdm(total=steps, unit="step", disable=None) as bar:
            measured = [_measure_row(row, ready, crew, place, bar) for row in wanted]
    return {"about": about, "rows": measured}


def _about(store: str) -> dict[str, Any]:
    """Return what there is to say about a store, and why it is left out, if it is."""
    try:
        client = client_class(store)
    except ImportError as error:
        return {"name": store, "role": "peer", "on_postgresql": True, "left_out": f"not installed ({error.name})"}
    facts = ("name", "role", "on_postgresql", "used", "flushes")
    about = {fact: getattr(client, fact) for fact in facts} | {"left_out": client.missing()}
    return about if about["left_out"] else about | {"version": client.version()}


def _run_store(store: str, place: Place, about: dict[str, Any], stack: ExitStack) -> dict[str, Any] | None:
    """Have a store running until the stack ends; return its settings, or None where it is left out."""
    if about["left_out"]:
        return None
    try:
        return stack.enter_context(client_class(store).running(place))
    except Exception as error:
        about["left_out"] = f"it did not start: {type(error).__name__}: {error}"
        return None


def _measure_row(row: Row, ready: dict[str, dict], crew: Crew, place: Place, bar: tqdm) -> dict[str, Any]:
    """Measure one row of all stores, round after round; the first round warms up, and does not count."""
    numbers: dict[str, list[float]] = {store: [] for store in ready}
    failed: dict[str, str] = {}
    for turn in range(-1, row.rounds):
        if turn == 0 and row.before:
            place.settle()  # for all of them, and not for whom it happens to come
        for store in _rotated(list(ready), turn):
            bar.set_description(f"{row.title}: {store}")
            if store not in failed:
                try:
                    if turn < 0 and row.before:
                        crew.measure(store, ready[store], *row.before)
                    arguments = row.arguments | {"label": f"{row.key}-{turn + 1}"}
                    number = crew.measure(store, ready[store], row.task, arguments, row.writers)
                    if turn >= 0:
                        numbers[store].append(number)
                except Failed as error:
                    failed[store] = str(error)
                    tqdm.write(f"{row.title}: {store} failed: {error}", file=sys.stderr)
            bar.update()
    facts = {"key": row.key, "title": row.title, "unit": row.unit, "writers": row.writers, "rounds": row.rounds}
    return facts | {
        "cells": {store: {"failed": failed[store]} if store in failed else _cell(n) for store, n in numbers.items()}
    }


def _rotated(stores: list[str], turn: int) -> list[str]:
    first = turn % len(stores)
    return stores[first:] + stores[:first]


def _cell(numbers: list[float]) -> dict[str, Any]:
    """Return the median of the rounds, and between which numbers the middle half of them lies."""
    low, _, high = statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3
    return {"median": statistics.median(numbers), "low": low, "high": high, "rounds": numbers}


if __name__ == "__main__":
    main()
