"""Subscriptions: readers of the log that stay: they catch up, sleep until notified, and outlive failures."""

from collections.abc import Callable, Iterable
from threading import Condition, Event, Thread, current_thread

import psycopg

from .arguments import check_name, check_version
from .events import EventTypes
from .log import names_of
from .projections import Projection
from .reader import Handler, Reader

# In seconds
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0  # until the next attempt, doubled each time
_STANDBY = 1.0  # between two looks whether the process that works under our name has ended


class Subscription:
    """A named reader of the log, on a connection of its own.

    It catches up from its checkpoint, then sleeps until PostgreSQL notifies it of new events. Of several processes
    that use one name, one works; another takes over when that one ends. A lost connection is made again.

    An event whose handler keeps raising is parked with the error, in the table parked_events, and the log goes on;
    later events of the same stream do not wait for it.

    Use it in a `with` block; `run()` is for a process of its own.
    Args:
        name: under which the checkpoint is kept.
        connect: makes a new psycopg connection, straight to the server: a pooler may pass on no notifications.
        types: the event types that can be read.
        handler: called with the connection, in an open transaction that it must not end, and with the next events in
            the order of the log. A projection's `project` is one.
        category: handle only streams whose id has this before its first dash.
        handles: handle only events of these classes. A projection's `handles` says which.
        batch: how many events at most the handler is given at once.
        attempts: how often an event is tried before it is parked.

    Raises:
        InvalidArgument: the name, the category, `batch` or `attempts` cannot be what it is.
        UnknownEventType: none of the classes in `handles` is registered.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], psycopg.Connection],
        types: EventTypes,
        handler: Handler,
        *,
        category: str | None = None,
        handles: Iterable[type] | None = None,
        batch: int = 1000,
        attempts: int = 3,
    ):
        check_name("a subscription's name", name, such_as="cashier_dashboard")
        wanted = {"category": category, "event_types": None if handles is None else tuple(handles)}
        names_of(types, **wanted)
        self.name = name
        self.connect = connect
        self.checkpoint = 0  # the last position that is handled, as far as this object knows
        self._reader = lambda: Reader(connect(), types, name, handler, wanted)
        self._batch = check_version("batch", batch, lowest=1)
        self._attempts = check_version("attempts", attempts, lowest=1)
        self._stopping = Event()
        self._moved = Condition()
        self._thread: Thread | None = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to handle events in a thread, unless it has begun.

        Raises:
            psycopg.Error: there is no connection to be had, or no schema in it.
        """
        if self._thread is None:
            reader = self._begin()
            self._thread = Thread(target=self._in_thread, args=[reader], name=self.name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let the handler finish what it is at, then end the thread and its connection; raise what had ended it."""
        self._stopping.set()
        if self._thread is not None and self._thread is not current_thread():  # a handler may end its subscription
            self._thread.join()
            self._thread = None
        if self._failure:
            raise self._failure

    def __enter__(self) -> "Subscription":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def run(self) -> None:
        """Handle events in this thread, until another one calls stop(), or the process ends."""
        self._live(self._begin())

    def wait_for(self, position: int, timeout: float = 10.0) -> None:
        """Wait until the events up to a position are handled, so that one can read what one has written.

        Args:
            timeout: in seconds.

        Raises:
            TimeoutError: they were not, in that time.
        """
        with self._moved:
            self._moved.wait_for(lambda: self.checkpoint >= position or self._failure, timeout)
        if self._failure:
            raise self._failure
        if self.checkpoint < position:
            raise TimeoutError(
                f"after {timeout:g} seconds {self.name!r} has come to position {self.checkpoint}, not to {position}: "
                "is it running, and does no other process work under its name?"
            )

    def retry_parked(self) -> int:
        """Hand each parked event to the handler once more; return how many stay parked."""
        with self._reader() as reader:
            return reader.retry_parked()

    def replay(self, projection: Projection) -> None:
        """Make a read model anew: empty its table, and begin again at the beginning of the log.

        Until it has caught up, readers see the past. `projection` is the one whose `project` is the handler.
        """
        running = self._thread is not None
        self.stop()
        with self._reader() as reader:
            reader.replay(projection.table)
        if running:
            self.start()

    def _begin(self) -> Reader:
        self._stopping.clear()
        self._failure = None
        reader = self._reader()
        self.checkpoint = reader.register()
        return reader

    def _in_thread(self, reader: Reader) -> None:
        try:
            self._live(reader)
        except BaseException as error:  # for whoever calls stop() or wait_for()
            with self._moved:
                self._failure = error
                self._moved.notify_all()

    def _live(self, reader: Reader | None) -> None:
        """Work until stop() is called, on a new connection after one was lost."""
        while reader:
            with reader:
                try:
                    self._work(reader)
                except Exception:
                    if not reader.log.connection.broken:  # by the server or the network
                        raise
            reader = self._reconnected()

    def _reconnected(self) -> Reader | None:
        """Return a reader as soon as there is a connection to be had, or None once stop() is called."""
        delay = _FIRST_DELAY
        while not self._stopping.wait(delay):
            try:
                return self._reader()
            except Exception:  # whatever `connect` raises while the server is down
                delay = min(2 * delay, _LONGEST_DELAY)
        return None

    def _work(self, reader: Reader) -> None:
        while not reader.take_over():
            if self._stopping.wait(_STANDBY):
                return
        size, failures = self._batch, 0
        while not self._stopping.is_set():
            try:
                checkpoint, position = reader.handle_next(size)
            except Exception as error:
                if reader.log.connection.closed:
                    raise
                if size > 1:
                    size, failures = 1, 0  # one after the other, to see which it is
                    continue
                if failures < self._attempts - 1:
                    self._stopping.wait(_FIRST_DELAY * 2**failures)
                    failures += 1
                    continue
                checkpoint, position = reader.park(error), None
            with self._moved:
                self.checkpoint = checkpoint
                self._moved.notify_all()
            if position and checkpoint >= position.settled:
                while not (reader.rest(position) or self._stopping.is_set()):
                    pass
            size, failures = min(2 * size, self._batch), 0
        reader.end()
