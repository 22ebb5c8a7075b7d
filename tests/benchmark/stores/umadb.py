"""UmaDB: an event store of its own, with its own server, which the wheel brings along."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import umadb

from tests.benchmark.place import Place
from tests.benchmark.stores import balances
from tests.benchmark.stores.client import PAGE, Client, Conflict
from workshop.bank import EVENTS, BankAccount, decide, evolve
from workshop.mature.umadb_server import running_server


class UmaDb(Client):
    name = "UmaDB"
    on_postgresql = False
    used = (
        "its own server on this machine and its client, both from the wheel (https://umadb.io/); a stream"
        " is a tag, and an append has the condition that no event with that tag came after the last one that was known"
        " (https://umadb.io/key-features.html). The read model is written to PostgreSQL"
    )
    flushes = "its own commit: the pages are synced to the disk before the call returns, several requests in one batch"

    @staticmethod
    def version() -> str:
        return version("umadb")

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        postgresql = place.schema("umadb")
        with running_server(place.folder) as url:
            yield {"url": url, "postgresql": postgresql}

    def __init__(self, settings: dict[str, Any]):
        self.client = umadb.Client(settings["url"], batch_size=PAGE)
        self.postgresql = settings["postgresql"]
        self.decoders = {cls.__name__: msgspec.json.Decoder(cls) for cls in EVENTS}
        self.last: dict[str, int | None] = {}  # the position of the last event of a stream, as far as it is known

    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        """Append after the last event of the stream that is known: the store numbers no events within a stream."""
        self._append(stream_id, events, self.last.get(stream_id))

    def _append(self, stream_id: str, events: list[object], after: int | None) -> None:
        new = [
            umadb.Event(type(event).__name__, msgspec.json.encode(event), [stream_id], uuid4())  # type: ignore[arg-type]
            for event in events
        ]
        condition = umadb.AppendCondition(_stream(stream_id), after)
        try:
            self.last[stream_id] = self.client.append(new, condition)
        except umadb.IntegrityError:
            raise Conflict from None

    def current_version(self, stream_id: str) -> int:
        """Look up the last event of the stream, and return its position, which is what an append can refer to."""
        last = next(iter(self.client.read(_stream(stream_id), backwards=True, limit=1)), None)
        self.last[stream_id] = last.position if last else None
        return last.position if last else 0

    def read_stream(self, stream_id: str) -> list[Any]:
        return [self._decoded(recorded.event) for recorded in self.client.read(_stream(stream_id))]

    def _decoded(self, event: umadb.Event) -> Any:
        return self.decoders[event.event_type].decode(event.data)

    def handle(self, stream_id: str, command: object) -> None:
        account = BankAccount()
        answer = self.client.read(_stream(stream_id))
        for recorded in answer:
            account = evolve(account, self._decoded(recorded.event))
        self._append(stream_id, decide(command, account), answer.head())

    def read_log(self, count: int) -> int:
        events = [self._decoded(recorded.event) for recorded in self.client.read(limit=count)]
        return len(events)

    def rebuild_balances(self, count: int) -> None:
        with psycopg.connect(self.postgresql) as connection:
            balances.empty(connection)
            balances.add(connection, (self._decoded(recorded.event) for recorded in self.client.read(limit=count)))

    def total(self) -> Decimal:
        with psycopg.connect(self.postgresql) as connection:
            return balances.total(connection)


def _stream(stream_id: str) -> umadb.Query:
    return umadb.Query(items=[umadb.QueryItem(tags=[stream_id])])
