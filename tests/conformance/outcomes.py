"""A pytest plugin for whoever asks which guarantees a store keeps: a line of JSON for each test that ran.

    pytest -p tests.conformance.outcomes --outcomes=FILE tests/conformance

A guarantee that is missed is known to be after a few failures: the rest of its tests is left out, and so is waiting for
what never comes.
"""

import json
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

ENOUGH = 3  # failures
LONG = 5  # seconds: one failure that took so long is enough


class Outcomes:
    """Writes what came of each test, and skips what would say no more."""

    def __init__(self, path: Path):
        self._path = path
        self._failures: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._failures[item.path.name] >= ENOUGH:
            pytest.skip("the guarantee is missed")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or not report.passed:
            function = getattr(item, "originalname", item.name)
            self._note(item.path.name, function, report.outcome, _message(report), report.duration)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._note(Path(report.nodeid).name, "", "broken", _message(report), 0)

    def _note(self, file: str, test: str, outcome: str, message: str, seconds: float) -> None:
        if outcome == "failed":
            self._failures[file] += ENOUGH if seconds > LONG else 1
        line = {"file": file, "test": test, "outcome": outcome, "message": message}
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", metavar="FILE", help="write a line of JSON for each test into this file")
    parser.addoption("--brief", action="store_true", help="one case of each test is enough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--brief"):
        first: dict[tuple[Path, str], pytest.Item] = {}
        for item in items:
            first.setdefault((item.path, getattr(item, "originalname", item.name)), item)
        items[:] = first.values()


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--outcomes"):
        config.pluginmanager.register(Outcomes(Path(path)))


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the first line of why a test failed, as the error itself says it."""
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else report.longreprtext.strip().splitlines()[-1]).splitlines()
    return lines[0].removeprefix("AssertionError: ") if lines else ""
