"""Pytest's settings for the whole checkout: on which PostgreSQL tests and notebooks run, and what ran in the end."""

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import KINDS, Server, check_available, server

# Folders whose tests share nothing but the server.
STANDING_ALONE = ("tests/conformance/", "tests/eventstore/", "tests/exercises/", "tests/mutants/")


def pytest_addoption(parser: pytest.Parser) -> None:
    default = "url" if os.environ.get("DATABASE_URL") else "embedded"
    parser.addoption(
        "--postgres", choices=KINDS, default=default,
        help="the PostgreSQL to test on: embedded (from the wheel), docker (a container made for the session), or "
        "url (the one at DATABASE_URL). Default: url if DATABASE_URL is set, else embedded",
    )  # fmt: skip
    parser.addoption(
        "--store", choices=("eventstore", "my_eventstore"), default="eventstore",
        help="the store that tests/conformance is about: the reference, or the learner's own. Default: eventstore",
    )  # fmt: skip
    parser.addoption(
        "--distributed", action="store_true",
        help="spread the tables over the workers of the Citus cluster at DATABASE_URL (its coordinator), as "
        "docs/more-than-one-machine.md says; tests that cannot hold there are skipped, with the reason (-rs shows it)",
    )  # fmt: skip
    parser.addoption(
        "--alone", choices=("with", "without", "only"), default="with",
        help="tests that are marked alone: with all others, without them, or only they. `make test` runs the others in "
        "several processes, and then these",
    )  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Take two processes a core, for tests wait as much as they work; none, if the server is given."""
    return 0 if config.getoption("--postgres") == "url" else min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests one by one where each stands alone, and files where a kernel, a room or a browser is shared."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(STANDING_ALONE) else nodeid.partition("::")[0]

    return Scheduling(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not load all files once more for the few tests that are alone."""
    if config.getoption("--alone") == "only" and collection_path.is_file():
        return True if "mark.alone" not in collection_path.read_text(encoding="utf-8", errors="ignore") else None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose by the mark `alone`, and skip what cannot hold on a cluster."""
    if (which := config.getoption("--alone")) != "with":
        by_mark: dict[bool, list[pytest.Item]] = {True: [], False: []}
        for item in items:
            by_mark[item.get_closest_marker("alone") is not None].append(item)
        items[:] = by_mark[which == "only"]
        config.hook.pytest_deselected(items=by_mark[which != "only"])
    for item in items:
        if config.getoption("--distributed") and (marker := item.get_closest_marker("one_machine")):
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


def pytest_configure(config: pytest.Config) -> None:
    check_available(config.getoption("--postgres"))
    if config.getoption("--distributed") and config.getoption("--postgres") != "url":
        raise pytest.UsageError("--distributed needs a Citus cluster: --postgres=url, its coordinator at DATABASE_URL")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much really ran, tests and notebook cells apart, and how much was skipped."""
    ran: dict[str, bool] = {}
    for outcome in ("passed", "failed", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":  # of set-up and teardown only failures are reported, as errors
                ran[report.nodeid] = ".ipynb::" in report.nodeid
    count = Counter(ran.values())
    skipped = len({report.nodeid for report in terminalreporter.getreports("skipped")})
    terminalreporter.write_line(
        f"{count[False]} tests and {count[True]} notebook cells ran" + (f", {skipped} skipped" if skipped else "")
    )


_SERVER = pytest.StashKey[Server]()


def _session_server(config: pytest.Config) -> Server:
    """Return the server of this session, started when it is first needed."""
    if _SERVER not in config.stash:
        config.stash[_SERVER] = server(config.getoption("--postgres"))
    return config.stash[_SERVER]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].remove()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Server:
    """The PostgreSQL server of this session: its `url`, and `connect()` for a bare connection."""
    return _session_server(pytestconfig)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have notebooks that run as tests use the session's server, not the one where a learner may have them open."""
    with pytest.MonkeyPatch.context() as environment:
        if ".ipynb::" in item.nodeid:
            environment.setenv("DATABASE_URL", _session_server(item.config).url)
        return (yield)
