"""The learner's own store, my_eventstore, where there is one."""

import psycopg

from eventstore import EventStore, EventTypes
from tests.benchmark.stores.kit import Kit
from workshop.my_store.parts import Parts
from workshop.my_store.store import open_store


class Mine(Kit):
    name = "my_eventstore"
    used = "the learner's own package, used as the kit is; parts that are not solved come from the reference"
    schema = "mine"

    @staticmethod
    def open_store(connection: psycopg.Connection, types: EventTypes) -> EventStore:
        return open_store(Parts(), connection, types)

    @staticmethod
    def missing() -> str | None:
        parts = Parts()
        if parts.own_scripts or parts.functions:
            return None
        return "nothing was built yet: it begins with the first solved exercise"
