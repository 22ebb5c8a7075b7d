"""What the documentation names runs, in a tiny size. No number is looked at."""

import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("benchmark", "sizes"),
    [
        ("append", {}),
        ("global_order", {"WRITERS": (1,), "ROUNDS": 1, "SECONDS": 0.02, "CALLS": 10}),
        ("rebuild", {"EVENTS": 100, "ACCOUNTS": 10, "ROUNDS": 1}),
        ("replay", {"LENGTHS": (100,)}),
        ("steps", {"ROUNDS": 1, "CALLS": 2, "READ": 10}),
        ("subscriptions", {"PUSHED": 10, "LOGGED": 100, "ROUNDS": 1}),
    ],
)
def test_a_benchmark_runs(benchmark, sizes, postgres, monkeypatch, capsys):
    module = import_module(f"tests.benchmark.{benchmark}")
    for name, value in sizes.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(sys, "argv", [benchmark, postgres.url])
    module.main()
    assert capsys.readouterr().out
