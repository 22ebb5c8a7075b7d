"""The stored comparison: whatever `make bench` wrote, notebook 10 can show it."""

from workshop.mature import comparison


def result(cells: dict[str, dict]) -> dict:
    facts = {"version": "1", "flushes": "a sync", "left_out": None}
    return {
        "about": {
            "date": "2026-01-01T00:00:00", "machine": "a machine", "postgresql": "18", "python": "3.13",
            "stores": {
                "limit": {**facts, "name": "limit", "role": "limit"},
                "kit": {**facts, "name": "kit", "role": "own"},
                "mine": {**facts, "name": "my_eventstore", "role": "own", "left_out": "nothing was built"},
            },
        },
        "rows": [{"title": "append", "unit": "events", "cells": cells}],
    }  # fmt: skip


LIMIT = {"median": 200.0, "rounds": [100.0, 200.0, 400.0]}


def test_a_share_is_the_median_of_the_ratios_round_by_round() -> None:
    table = comparison.shares(result({"limit": LIMIT, "kit": {"median": 60.0, "rounds": [50.0, 60.0, 360.0]}}))
    assert table.loc["append", "kit"] == 50
    assert list(table.columns) == ["kit"]  # what was left out has no column


def test_what_failed_has_no_share() -> None:
    failed = result({"limit": LIMIT, "kit": {"failed": "an error"}})
    assert comparison.shares(failed).isna().all(axis=None)


def test_the_stored_one_is_whole() -> None:
    stored = comparison.measured()
    table = comparison.shares(stored)
    assert len(table) == len(stored["rows"]) and {"kit", "eventsourcing", "UmaDB"} <= {*table.columns}
    assert "Measured on" in comparison.where_from(stored)


def test_the_stored_growth_has_each_size_with_partitions_and_without() -> None:
    table = comparison.growth()
    assert [size for size, _ in table.index] == ["10,000"] * 2 + ["1,000,000"] * 2 + ["10,000,000"] * 2
    assert {store for _, store in table.index} == {"one table", "16 partitions"}
