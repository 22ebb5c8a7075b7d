"""The learner's own store, my_eventstore, where there is one."""

from importlib.util import find_spec

import psycopg

from eventstore import EventStore, EventTypes
from tests.benchmark.stores.kit import Kit


def open_my_store(connection: psycopg.Connection, types: EventTypes) -> EventStore:
    """Return the learner's store on a connection, used as an EventStore is used.

    This is the one place to fill in: `missing` below then no longer leaves the column out.
    """
    raise NotImplementedError


class Mine(Kit):
    name = "my_eventstore"
    used = "the learner's own package, used as the kit is"
    schema = "mine"

    @staticmethod
    def open_store(connection: psycopg.Connection, types: EventTypes) -> EventStore:
        return open_my_store(connection, types)

    @staticmethod
    def missing() -> str | None:
        if find_spec("my_eventstore") is None:
            return "nothing was built yet: it begins with the first solved exercise"
        return "tests/benchmark/stores/mine.py does not open it yet"
