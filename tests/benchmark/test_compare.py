"""The comparison runs: every store that is installed does every row, in a tiny size. No number is looked at."""

import json

import pytest

from tests.benchmark.chart import draw
from tests.benchmark.compare import compare
from tests.benchmark.growth import grow
from tests.benchmark.growth import markdown as growth_table
from tests.benchmark.report import best_peer, markdown, ratio, summary
from tests.benchmark.rows import TINY, balance, history, rows
from tests.benchmark.stores import STORES, client_class
from workshop.bank import BankAccount, evolve
from workshop.files import CHECKOUT
from workshop.mature import comparison


@pytest.mark.parametrize("store", [store for store in STORES if store not in ("limit", "kit")])
def test_a_peer_does_every_row(store, postgres):
    if reason := _missing(store):
        pytest.skip(f"{store}: {reason}")
    results = compare(postgres.url, [store], TINY)
    assert _failures(results) == {}
    assert all(row["cells"][store]["median"] > 0 for row in results["rows"])


def test_the_kit_beside_the_limit_ends_as_a_table_and_a_picture(postgres, tmp_path):
    results = compare(postgres.url, ["limit", "kit"], TINY)
    assert _failures(results) == {}
    assert [row["key"] for row in results["rows"]] == [row.key for row in rows(TINY)]
    table = markdown(json.loads(json.dumps(results)))
    assert all(row["title"] in table for row in results["rows"])
    assert "fsync = on" in table
    draw(results, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_store_that_is_not_there_is_named_and_the_others_go_on(postgres, monkeypatch):
    monkeypatch.setitem(STORES, "umadb", "no_such_module:Store")
    results = compare(postgres.url, ["umadb", "limit"], TINY, ["read"])
    assert results["about"]["stores"]["umadb"]["left_out"]
    assert set(results["rows"][0]["cells"]) == {"limit"}
    assert "left out" in markdown(results)


def test_ratios_are_those_of_the_same_round():
    row = {"cells": {"kit": {"rounds": [1, 2, 90]}, "limit": {"rounds": [2, 4, 100]}, "umadb": {"failed": "why"}}}
    assert ratio(row, "kit", "limit") == 0.5
    assert ratio(row, "umadb", "limit") is None


def test_the_best_peer_is_no_limit_and_none_of_ours():
    roles = {"limit": "limit", "kit": "own", "emmett": "peer", "umadb": "peer"}
    row = {"cells": {store: {"median": number} for number, store in enumerate(roles)}}
    assert best_peer(row, list(roles), {store: {"role": role} for store, role in roles.items()}) == "umadb"


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_the_balance_of_a_history(length):
    account = BankAccount()
    for event in history("account-1", length):
        account = evolve(account, event)
    assert account.balance == balance(length)
    assert len(history("account-1", length)) == length


def _missing(store):
    try:
        return client_class(store).missing()
    except ImportError as error:
        return f"{error.name} is not installed"


def _failures(results):
    return {
        (row["key"], store): cell["failed"]
        for row in results["rows"]
        for store, cell in row["cells"].items()
        if "failed" in cell
    }


def test_a_store_that_grows_is_measured_at_each_size_with_partitions_and_without(postgres):
    results = grow(postgres.url, [200, 400], rounds=1, calls=2)
    assert [size["events"] for size in results["sizes"]] == [200, 400]
    for size in results["sizes"]:
        assert set(size["stores"]) == {"one table", "16 partitions"}
        assert all(number > 0 for cell in size["stores"].values() for number in cell.values())
    assert "| 400 | 16 partitions |" in growth_table(results)


def test_the_docs_show_the_stored_comparison():
    assert summary(comparison.measured()) in (CHECKOUT / "docs/performance.md").read_text(encoding="utf-8")
