"""The kit: the reference package eventstore, on a plain psycopg connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg

from eventstore import EventStore, EventTypes, WrongExpectedVersion, handle, rebuild
from tests.benchmark.place import Place
from tests.benchmark.stores import balances
from tests.benchmark.stores.client import PAGE, Client, Conflict
from workshop.bank import account_decider, event_types
from workshop.bank.read_models import AccountBalances


class Kit(Client):
    name = "kit"
    role = "own"
    used = "the package eventstore on one autocommit connection a process, with psycopg's defaults"
    schema = "kit"

    @staticmethod
    def version() -> str:
        return "of this checkout"

    @staticmethod
    def open_store(connection: psycopg.Connection, types: EventTypes) -> EventStore:
        """Return the store on a connection; somebody else's store is measured by overriding this."""
        return EventStore(connection, types)

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        url = place.schema(cls.schema)
        with psycopg.connect(url, autocommit=True) as connection:
            cls.open_store(connection, event_types()).create_schema()
            AccountBalances().create(connection)
        yield {"url": url}

    def __init__(self, settings: dict[str, Any]):
        self.store = self.open_store(psycopg.connect(settings["url"], autocommit=True), event_types())

    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        try:
            self.store.append(stream_id, events, expected_version=version)
        except WrongExpectedVersion as error:
            raise Conflict(error.actual) from None

    def current_version(self, stream_id: str) -> int:
        info = self.store.stream_info(stream_id)
        return info.version if info else 0

    def read_stream(self, stream_id: str) -> list[Any]:
        return self.store.read_stream(stream_id)

    def handle(self, stream_id: str, command: object) -> None:
        handle(self.store, account_decider, stream_id, command)

    def read_log(self, count: int) -> int:
        settled = self.store.settled_position().settled  # asked once, as by whoever catches up
        done = after = 0
        while done < count and (
            events := self.store.read_all(after=after, limit=min(PAGE, count - done), up_to=settled)
        ):
            done += len(events)
            after = events[-1].position
        return done

    def rebuild_balances(self, count: int) -> None:
        assert rebuild(self.store, AccountBalances()) == count

    def total(self) -> Decimal:
        return balances.total(self.store.connection)
