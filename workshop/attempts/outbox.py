"""Sending a learner's events to the room, from a thread, so that a check never has to wait for the room's server.

The learner's own log is the outbox: whatever it holds and the room does not know is still to be sent, in its order.
So nothing is lost while the room is away, and nothing is doubled where an answer of the room's gets lost.
"""

from threading import Condition, Event, Thread
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo

from eventstore import DuplicateEvent, WrongExpectedVersion
from eventstore.errors import own_errors

from ..server.database import open_connection
from ..server.rooms import group_of
from .events import EVENT_TYPES
from .log import LearnersLog

# In seconds
_PATIENCE = 0.1  # that a check waits for the room
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 20.0  # until the room is tried again, doubled each time


class Outbox:
    """What sends the events of a learner's log to the room that it belongs to.

    Attributes:
        sent: the version up to which the room knows the learner's own stream, as far as this kernel has seen.
        refused: the versions of events that the room does not take. They are passed over, and stay with the learner.
        failure: why the last try did not succeed, empty where it did.
    """

    def __init__(self, log: LearnersLog):
        self.sent = 0
        self.refused: set[int] = set()
        self.failure = ""
        self._log = log
        self._room: psycopg.Connection | None = None
        self._known: set[UUID] = set()  # the events that the room has,
        self._version = 0  # and the version of the last of them
        self._wanted = Event()
        self._moved = Condition()
        Thread(target=self._run, name="outbox", daemon=True).start()

    def send(self, version: int = 0) -> bool:
        """Have everything sent; return whether the room has the events up to a version already, but those it refused.

        What could not be sent is tried again and again, and so is what an earlier kernel left behind.
        """
        with self._moved:
            self.failure = ""
            self._wanted.set()
            self._moved.wait_for(lambda: self.sent >= version or self.failure, _PATIENCE)
            return self.sent >= version

    def _run(self) -> None:
        delay = None
        while True:
            self._wanted.wait(delay)
            self._wanted.clear()
            try:
                self._deliver()
                delay = None
            except Exception as error:  # the room is away, or refuses; whatever it is, the learner goes on
                delay = min(2 * delay, _LONGEST_DELAY) if delay else _FIRST_DELAY
                if self._room:
                    self._room.close()
                    self._room = None
                with self._moved:
                    self.failure = str(error) or repr(error)
                    self._moved.notify_all()

    def _deliver(self) -> None:
        room = self._room or self._connect()
        for recorded in self._log.read(from_version=self.sent + 1):
            (event,) = EVENT_TYPES.encode_batch([recorded.event])
            while recorded.id not in self._known:
                attempt = (recorded.id, event["type"], bytes(event["data"]).decode(), self._version)
                try:
                    with own_errors(self._log.stream_id, self._version):
                        row = room.execute("SELECT room.record_attempt(%s, %s, %s, %s)", attempt).fetchone()
                except (WrongExpectedVersion, DuplicateEvent):  # another kernel of this learner was faster
                    self._look()
                except psycopg.errors.InvalidParameterValue:  # the room is of another version of the kit
                    self.refused.add(recorded.version)
                    break
                else:
                    self._version = row[0]  # type: ignore[index]
                    self._known.add(recorded.id)
                    self.refused.discard(recorded.version)
            with self._moved:
                self.sent = recorded.version
                self._moved.notify_all()

    def _connect(self) -> psycopg.Connection:
        """Connect to the room, and see what it has: it may have been made anew."""
        assert self._log.room  # or there would be nobody to send to
        database = group_of(self._log.room)
        self._room = open_connection(
            make_conninfo(self._log.url, dbname=database, application_name="outbox", tcp_user_timeout="5000")
        )
        self._room.execute("SET statement_timeout = '5s'")
        self._look()
        self.sent = 0
        return self._room

    def _look(self) -> None:
        rows = self._room.execute("SELECT id FROM room.my_attempts()").fetchall()  # type: ignore[union-attr]
        self._known = {event_id for (event_id,) in rows}
        self._version = len(rows)
