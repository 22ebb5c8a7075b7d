"""What tests of subscriptions share: handlers that note what they are given, and a look at the server from outside."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition
from typing import Any
from uuid import uuid4

import psycopg

from eventstore import Projection, RecordedEvent, Subscription
from workshop.bank import event_types


def subscription(connect: Callable[..., psycopg.Connection], handler: Any, name: str = "reader", **how: Any):
    """Return a subscription whose connections the server knows by a label of their own: see `backends`."""
    label = uuid4().hex
    labelled = partial(connect, application_name=label)
    reader = Subscription(name, labelled, how.pop("types", event_types()), handler, **how)
    reader.label = label  # type: ignore[attr-defined]
    return reader


def backends(observer: psycopg.Connection, subscription: Subscription) -> list[tuple]:
    """Return the server's processes that work for a subscription: id, state, and when each of these last changed."""
    return observer.execute(
        "SELECT pid, state, query, query_start, state_change FROM pg_stat_activity WHERE application_name = %s",
        (subscription.label,),  # type: ignore[attr-defined]
    ).fetchall()


def eventually(question: Callable[[], Any], within: float = 10.0) -> Any:
    """Return the answer to a question as soon as it is true-ish; for what only the server knows, and nobody tells."""
    deadline = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.005)
    return answer


def look_again(observer: psycopg.Connection, subscription: Subscription, times: int = 2) -> None:
    """Return once a subscription that is held back has looked at the log so many times from now on."""
    for _ in range(times):
        before = backends(observer, subscription)
        eventually(lambda before=before: backends(observer, subscription) != before)
        # A look is a transaction. What comes before the first one, to take over and to listen, is none.
        eventually(lambda: [row[1:3] for row in backends(observer, subscription)] == [("idle", "COMMIT")])


def last_position(store: Any) -> int:
    """Return the position of the last event in the log, archived ones included."""
    return store.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()[0]


def checkpoint(store: Any, name: str = "reader") -> int:
    return store.execute("SELECT checkpoint FROM subscriptions WHERE name = %s", (name,)).fetchone()[0]


def parked(store: Any) -> list[tuple]:
    """Return what was put aside: subscription, position, error."""
    return store.execute("SELECT subscription, position, error FROM parked_events ORDER BY 1, 2").fetchall()


def rows(store: Any, projection: Projection) -> list[tuple]:
    """Return a whole read model, in the order of its keys."""
    return store.execute(f"SELECT * FROM {projection.table} ORDER BY 1").fetchall()


class Notes:
    """A handler that notes what it was given, also what is undone afterwards; `then` does the rest."""

    def __init__(self, then: Callable[[psycopg.Connection, Sequence[RecordedEvent]], Any] = lambda *_: None):
        self.batches: list[list[RecordedEvent]] = []
        self.then = then
        self._noted = Condition()

    def __call__(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        with self._noted:
            self.batches.append(list(events))
            self._noted.notify_all()
        self.then(connection, events)

    @property
    def events(self) -> list[RecordedEvent]:
        return [event for batch in self.batches for event in batch]

    @property
    def positions(self) -> list[int]:
        return [event.position for event in self.events]

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many events were given."""
        with self._noted:
            given = self._noted.wait_for(lambda: len(self.events) >= count, timeout)
        assert given, f"{len(self.events)} events were given within {timeout:g} s, not {count}"


class Deliveries(Projection):
    """How often each event was delivered, by its position, and in which order they came first."""

    handles = (object,)

    def __init__(self, table: str = "deliveries"):
        self.table = table

    def create(self, connection: psycopg.Connection) -> None:
        connection.execute(f"""
            CREATE TABLE IF NOT EXISTS {self.table} (
                position  bigint PRIMARY KEY,
                times     int    NOT NULL DEFAULT 1,
                came      bigint GENERATED ALWAYS AS IDENTITY
            )
        """)

    def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        for recorded in events:  # one by one, so that whoever is killed is killed in the middle
            connection.execute(
                f"INSERT INTO {self.table} AS d (position) VALUES (%s)"
                " ON CONFLICT (position) DO UPDATE SET times = d.times + 1",
                (recorded.position,),
            )

    def delivered(self, store: Any) -> list[int]:
        """Return the positions that were delivered, in the order in which they were, each as often as it was."""
        rows = store.execute(f"SELECT position, times FROM {self.table} ORDER BY came").fetchall()
        return [position for position, times in rows for _ in range(times)]


def logged(store: Any) -> list[int]:
    """Return all positions of the log, in their order."""
    return [position for (position,) in store.execute("SELECT position FROM log ORDER BY position").fetchall()]
