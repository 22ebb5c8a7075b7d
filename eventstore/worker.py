"""The worker of a subscription: from start to stop it reads the log, on one connection after the other.

Of all that goes wrong it tells apart what is an event's own fault, what is nobody's, and what is the end.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Condition, Event, RLock
from typing import Any

import psycopg

from .arguments import check_name, check_version
from .bell import Bell
from .errors import InvalidEvent, UnknownEventType
from .events import EventTypes
from .log import Log, names_of
from .reader import Handler, checkpoint_of, handle_next, park
from .records import RecordedEvent

# In seconds
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0  # until the next attempt, doubled each time
_STANDBY = 1.0  # between two looks whether the process that works under our name has ended


class Worker:
    """What a Subscription does while it runs; what the arguments are, is said there.

    Here is the state that outlives a connection. That of one is in the Bell, and what outlives the process in the
    database.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], psycopg.Connection[Any]],
        types: EventTypes,
        handler: Handler,
        *,
        category: str | None = None,
        handles: Iterable[type] | None = None,
        batch: int = 1000,
        attempts: int = 3,
    ):
        check_name("a subscription's name", name, such_as="cashier_dashboard")
        event_types = None if handles is None else tuple(handles)
        names_of(types, category, event_types)
        self._wanted: dict[str, Any] = {"category": category, "event_types": event_types}
        self.name, self.connect, self.checkpoint = name, connect, 0
        self._types, self._handler = types, handler
        self._batch = check_version("batch", batch, lowest=1)
        self._attempts = check_version("attempts", attempts, lowest=1)
        self._stopping = Event()
        self._turn = RLock()  # of those who start it and stop it
        self._moved = Condition()  # the checkpoint has, or there is a failure
        self._failure: BaseException | None = None  # what has ended it
        self._bell: Bell | None = None  # of the connection of now
        self._stage = "reading"  # or "handling", or "handled", in the transaction of now
        self._all_is_well(self._batch)

    def _all_is_well(self, size: int) -> None:
        """Suspect no event, and hand over so many at once."""
        self._size = size
        self._failures = self._losses = 0  # in a row: at one event alone; of connections while one was handled
        self._at_fault: Exception | None = None  # what the next event raised at the last attempt
        self._pause = 0.0  # seconds, before the next attempt

    def _begin(self) -> Log:
        """Return the log, on the first connection, with a checkpoint under our name from now on."""
        self._stopping.clear()
        self._failure = None
        self._all_is_well(self._batch)
        return self._connected(register=True)

    def _connected(self, *, register: bool = False) -> Log:
        """Return the log on a new connection, for nobody else."""
        log = Log(self.connect(), self._types)
        try:
            log.connection.autocommit = True
            if register:
                log.execute("INSERT INTO subscriptions (name) VALUES (%s) ON CONFLICT DO NOTHING", (self.name,))
                self.checkpoint = checkpoint_of(log, self.name)
        except BaseException:  # it is in a transaction, or there is no schema
            log.connection.close()
            raise
        return log

    def _live(self, log: Log) -> None:
        """Work until it is to stop, on a new connection after one was lost."""
        try:
            while not self._stopping.wait(self._pause):
                try:
                    self._stage = "reading"
                    if log.connection.closed:
                        log = self._connected()
                    self._work(log)
                except Exception as error:
                    self._sort_out(error, log.connection)
        finally:
            log.connection.close()

    def _work(self, log: Log) -> None:
        self._bell = bell = Bell(log, self.name)
        while not bell.take_over():
            if self._stopping.wait(_STANDBY):
                return
        while not self._stopping.is_set():
            self._stage, position = "reading", None
            if self._at_fault:
                checkpoint = park(log, self.name, self._at_fault, **self._wanted)
            else:
                handler = partial(self._handle, log)
                checkpoint, position = handle_next(log, self.name, handler, self._size, **self._wanted)
            self._all_is_well(min(2 * self._size, self._batch))
            bell.asleep = bell.asleep and checkpoint == self.checkpoint
            with self._moved:
                self.checkpoint = checkpoint
                self._moved.notify_all()
            if position and checkpoint >= position.settled:
                self._stage = "reading"
                while not (bell.rest(position) or self._stopping.is_set()):
                    pass
        bell.end()

    def _handle(self, log: Log, connection: psycopg.Connection[Any], events: Sequence[RecordedEvent]) -> None:
        with log.guard("the handler"):
            self._stage = "handling"
            try:
                self._handler(connection, events)
            finally:
                self._stage = "handled"

    def _sort_out(self, error: Exception, connection: psycopg.Connection[Any]) -> None:
        """Say what comes of an error: another attempt, in a while; that the next event is suspected; or the end."""
        lost, reading = connection.broken, self._stage == "reading"
        if (lost and reading) or (not lost and _is_nobodys_fault(error, reading)):
            self._pause = min(2 * self._pause or _FIRST_DELAY, _LONGEST_DELAY)
        elif (connection.closed and not lost) or (reading and not isinstance(error, (UnknownEventType, InvalidEvent))):
            raise error
        elif lost and not self._losses:  # once is no fault of the event
            self._losses, self._pause = 1, _FIRST_DELAY
        elif self._size > 1:  # one event after the other, to see which it is
            self._size, self._pause = 1, 0.0
        elif self._failures < self._attempts - 1:
            self._failures, self._pause = self._failures + 1, _FIRST_DELAY * 2**self._failures
        else:
            self._at_fault, self._pause = error, 0.0


def _is_nobodys_fault(error: BaseException | None, reading: bool) -> bool:
    """Whether PostgreSQL says that it was busy, or full: not with what was asked, but with what else was going on."""
    while error and not isinstance(error, psycopg.Error):
        error = error.__cause__
    state = (isinstance(error, psycopg.Error) and error.sqlstate) or ""
    if state == "57014":  # a statement that was ended: that of a handler takes too long, and will again
        return reading
    return state == "55P03" or state[:2] in ("40", "53", "57")
