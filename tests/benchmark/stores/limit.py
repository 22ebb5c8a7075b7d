"""The limit: what psycopg and PostgreSQL alone take for the same rows, in the same columns with the same indexes."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

from eventstore import EventStore
from tests.benchmark.place import Place
from tests.benchmark.stores import balances
from tests.benchmark.stores.client import PAGE, Client, Conflict
from workshop.bank import EVENTS, BankAccount, decide, event_types, evolve

# Of VALUES, unnest with text or binary arrays, COPY and this, this is the fastest way in, for one row as for a hundred.
INSERT = """
    INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)
    SELECT %s, %s + n, gen_random_uuid(), event ->> 'type', event -> 'data', '{}', clock_timestamp()
    FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (event, n)
"""
SELECT = "SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at FROM events"


class Limit(Client):
    name = "limit"
    role = "limit"
    used = (
        "a bare INSERT or SELECT of the same rows with psycopg. The JSON to store is ready; nothing is locked, checked"
        " or kept in order but by the indexes. JSON that is read goes through msgspec into the same domain objects"
    )

    @staticmethod
    def version() -> str:
        return psycopg.__version__

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        url = place.schema("bare")
        kits = place.schema("kits_schema")
        with psycopg.connect(kits, autocommit=True) as connection:
            EventStore(connection, event_types()).create_schema()
            connection.execute("CREATE TABLE bare.events (LIKE kits_schema.events INCLUDING ALL)")
        yield {"url": url}

    def __init__(self, settings: dict[str, Any]):
        self.connection = psycopg.connect(settings["url"], autocommit=True)
        self.decoders = {cls.__name__: msgspec.json.Decoder(cls) for cls in EVENTS}
        self.ready: dict[object, str] = {}

    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        try:
            self.connection.execute(INSERT, (stream_id, version, f"[{','.join(map(self._json, events))}]"))
        except psycopg.errors.UniqueViolation:
            raise Conflict from None

    def _json(self, event: object) -> str:
        """Return an event as JSON: the one that comes again and again is ready after the first time."""
        if (ready := self.ready.get(event)) is None:
            item = {"type": type(event).__name__, "data": event}
            ready = self.ready[event] = msgspec.json.encode(item).decode()
        return ready

    def current_version(self, stream_id: str) -> int:
        row = self.connection.execute("SELECT max(version) FROM events WHERE stream_id = %s", (stream_id,)).fetchone()
        return row[0] or 0  # type: ignore[index]

    def read_stream(self, stream_id: str) -> list[Any]:
        return self._select(" WHERE stream_id = %s ORDER BY version", (stream_id,))

    def _select(self, which: str, parameters: tuple) -> list[Any]:
        rows = self.connection.cursor(binary=True).execute(SELECT + which, parameters).fetchall()
        decoders = self.decoders
        return [(row, decoders[row[4]].decode(row[5])) for row in rows]

    def handle(self, stream_id: str, command: object) -> None:
        account = BankAccount()
        recorded = self.read_stream(stream_id)
        for _, event in recorded:
            account = evolve(account, event)
        self.append_events(stream_id, decide(command, account), len(recorded))

    def read_log(self, count: int) -> int:
        return sum(map(len, self._pages(count)))

    def _pages(self, count: int) -> Iterator[list[Any]]:
        after = 0
        while count > 0:
            events = self._select(" WHERE position > %s ORDER BY position LIMIT %s", (after, min(PAGE, count)))
            if not events:
                return
            yield events
            count -= len(events)
            after = events[-1][0][2]

    def rebuild_balances(self, count: int) -> None:
        with self.connection.transaction():
            balances.empty(self.connection)
            balances.add(self.connection, (event for page in self._pages(count) for _, event in page))

    def total(self) -> Decimal:
        return balances.total(self.connection)
