"""The store that these tests are about: the reference, or with --store=my_eventstore the learner's own."""

from collections.abc import Callable
from functools import partial

import pytest

import eventstore
from eventstore import EventStore
from workshop.errors import WorkshopError
from workshop.my_store.parts import Parts
from workshop.my_store.store import handle_next_of, open_store


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Parts | None:
    """The parts of the learner's store; None where the reference is tested."""
    if pytestconfig.getoption("--store") == "eventstore":
        return None
    try:
        return Parts()
    except WorkshopError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def open_on(parts: Parts | None) -> Callable[..., EventStore]:
    """What makes the store under test of a connection, event types and projections."""
    return partial(open_store, parts) if parts else EventStore


@pytest.fixture(scope="session")
def function(parts: Parts | None) -> Callable[[str], Callable]:
    """Return a function of the store under test, by its name in eventstore."""
    return parts.function if parts else lambda name: getattr(eventstore, name)


@pytest.fixture
def follow(parts: Parts | None) -> Callable:
    """The learner's `follow`, for those who have one."""
    if not parts or "follow" not in parts.functions:
        pytest.skip("the reference's subscriptions follow the log in their worker, which other tests are about")
    return parts.functions["follow"]


@pytest.fixture(autouse=True)
def subscriptions_read_with(parts: Parts | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have subscriptions of this process read with the learner's handle_next, where it is solved."""
    if parts:
        monkeypatch.setattr("eventstore.worker.handle_next", handle_next_of(parts))
