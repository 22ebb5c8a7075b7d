"""The learner's own log: what came of each answer, as events in a PostgreSQL schema of the learner's own server."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

from psycopg import sql

from eventstore import Decider, DuplicateEvent, EventStore, RecordedEvent, aggregate_stream, handle

from ..server.database import Database, open_connection
from ..server.rooms import room_of, stream_of
from .events import (
    EVENT_TYPES,
    LEARNER,
    PREDICTIONS,
    Predictions,
    PredictOutcome,
    Progress,
    RecordOutcome,
    SeeOutcome,
    ShareAnswer,
)

Found = TypeVar("Found")

_ATTEMPTS = 50  # several kernels of one learner may record at the very same moment, again and again


class LearnersLog:
    """The stream of one learner. Several kernels may write to it at once.

    Args:
        url: the server that the learner works on.

    Attributes:
        stream_id: that stream.
        room: the name of the room that this server belongs to, None where there is no room.
        schema: the PostgreSQL schema that it is kept in.

    Raises:
        WorkshopError: the server cannot be reached.
        psycopg.Error: it lets us make no schema.
    """

    def __init__(self, url: str):
        with open_connection(url) as connection:
            role, self.room = connection.info.user, room_of(connection)
        self.url = url
        self.stream_id = stream_of(role)
        self._lock = Lock()  # the outbox reads in a thread of its own
        self.schema = _schema(role, self.room)
        self._database = Database(url, self.schema)
        with self._database.connection.transaction():
            self._database.execute("SET LOCAL client_min_messages = warning")
            # Two kernels may be at it; the store takes this lock, too.
            self._database.execute("SELECT pg_advisory_xact_lock(hashtext('eventstore.create_schema'))")
            make = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema))
            self._database.execute(make)
            EventStore(self._database.connection, EVENT_TYPES).create_schema()

    def _store(self) -> EventStore:
        """Return the event store, on a connection that is made again where it was lost."""
        if self._database.connection.closed:
            self._database.connection = self._database.connect()
        return EventStore(self._database.connection, EVENT_TYPES)

    def read(self, from_version: int = 1) -> list[RecordedEvent]:
        """Return the learner's events."""
        return self._ask(lambda store: store.read_stream(self.stream_id, from_version=from_version))

    def record(self, command: RecordOutcome | ShareAnswer | PredictOutcome | SeeOutcome) -> tuple[Any, int]:
        """Handle a command, and return the event that it led to, with its version; None and 0 where it led to none.

        Another kernel may record at the same time: then it is decided again. The connection may break before the answer
        comes: then it is tried again. The event has an id of its own from the start, so it is stored once.

        Raises:
            WorkshopError, psycopg.Error, EventStoreError: it could not be recorded.
        """
        event_id = uuid4()
        decider: Decider[Any] = PREDICTIONS if isinstance(command, (PredictOutcome, SeeOutcome)) else LEARNER

        def record(store: EventStore) -> tuple[Any, int]:
            return handle(store, decider, self.stream_id, command, attempts=_ATTEMPTS, event_ids=[event_id])

        version = 1
        with suppress(DuplicateEvent):  # a try whose answer got lost had done it, somewhere in the stream
            _, version = self._ask(record)
        recorded = next((recorded for recorded in self.read(max(version, 1)) if recorded.id == event_id), None)
        return (recorded.event, recorded.version) if recorded else (None, 0)

    def progress(self) -> Progress:
        """Return what the learner's events add up to."""
        return self._folded(LEARNER)

    def predictions(self) -> Predictions:
        """Return what the learner expected of experiments, and what came."""
        return self._folded(PREDICTIONS)

    def _folded(self, decider: Decider[Found]) -> Found:
        return self._ask(lambda store: aggregate_stream(store, self.stream_id, decider.initial, decider.evolve)[0])

    def _ask(self, question: Callable[[EventStore], Found]) -> Found:
        """Ask the event store; once more where the connection turns out to be broken: the server was restarted."""
        with self._lock:
            store = self._store()
            try:
                return question(store)
            except Exception:
                if not store.connection.broken:
                    raise
                return question(self._store())

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _schema(role: str, room: str | None) -> str:
    """Return the schema of a learner's log: one a role, and one for each other folder that answers are kept in.

    In a room there is one: a learner may move from a laptop to a hub, where the folder is another.
    """
    parts = ["workshop_progress"]
    if (folder := os.environ.get("MY_EVENTSTORE")) and not room:
        parts.append(hashlib.sha256(folder.encode()).hexdigest()[:8])
    if role != "postgres":
        parts.append(role)
    return "_".join(parts)
