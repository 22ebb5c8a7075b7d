"""Subscriptions: readers of the log that stay: they catch up, sleep until notified, and outlive failures."""

from functools import partial
from threading import Thread, current_thread

from .bell import PATIENCE
from .log import Log
from .projections import Projection
from .reader import replay, retry_parked
from .worker import Worker


class Subscription(Worker):
    """A named reader of the log, on a connection of its own.

    It catches up from its checkpoint, then sleeps until PostgreSQL notifies it of new events; after some seconds of
    silence it asks. Of several processes that use one name, one works; another takes over when that one ends. A lost
    connection is made again.

    An event whose handler keeps raising, or keeps losing its connection, is parked with the error, in the table
    parked_events, and the log goes on; later events of the same stream do not wait for it. What is not the event's
    fault is waited out: a deadlock, a lock that is not to be had, a server that is full or ends statements.

    Use it in a `with` block; `run()` is for a process of its own. Any thread may call its methods.

    Args:
        name: under which the checkpoint is kept.
        connect: makes a new psycopg connection, straight to the server: a pooler may pass on no notifications. Over a
            network, have it notice a link that has gone dead:
            `partial(psycopg.connect, url, connect_timeout=10, keepalives_idle=10, tcp_user_timeout=20_000)`.
        types: the event types that can be read.
        handler: called with the connection, in an open transaction that it must not end, and with the next events in
            the order of the log. A projection's `project` is one.
        category: handle only streams whose id has this before its first dash.
        handles: handle only events of these classes. A projection's `handles` says which.
        batch: how many events at most the handler is given at once.
        attempts: how often an event is tried before it is parked.

    Attributes:
        checkpoint: the position of the last event that is handled, as far as this object knows.

    Raises:
        InvalidArgument: the name, the category, `batch` or `attempts` cannot be what it is.
        UnknownEventType: one of the classes in `handles` is not registered.
    """

    _thread: Thread | None = None  # that of start(), until stop() has seen its end

    def start(self) -> None:
        """Begin to handle events in a thread, unless it has begun.

        Raises:
            psycopg.Error: there is no connection to be had, or no schema in it.
            BaseException: what had ended it, before anybody called stop(). Called once more, it begins.
        """
        if self._thread is current_thread():
            self._stopping.clear()  # a handler that had stopped it
            return
        with self._turn:
            if self._thread is None or self._stopping.is_set() or not self._thread.is_alive():
                if self._thread:
                    self.stop()
                self._thread = Thread(target=self._in_thread, args=[self._begin()], name=self.name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Let the handler finish what it is at, then end the thread and its connection.

        Raises:
            BaseException: what had ended it.
        """
        if self._thread is current_thread():  # a handler may end its subscription
            self._stopping.set()
            return
        with self._turn:
            self._stopping.set()
            if self._thread:
                self._thread.join(PATIENCE)
                while self._thread.is_alive():
                    if self._bell and self._stage != "handling":
                        self._bell.hang_up()  # it waits for a lock, or for an answer that may never come
                    self._thread.join(PATIENCE)
                self._thread = None
            if self._failure:
                raise self._failure

    def __enter__(self) -> "Subscription":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def run(self) -> None:
        """Handle events in this thread, until another one calls stop(), or the process ends.

        Raises:
            psycopg.Error: there is no connection to be had, or no schema in it.
            BaseException: what ended it.
        """
        self._live(self._begin())

    def wait_for(self, position: int, timeout: float = 10.0) -> None:
        """Wait until the events up to a position are handled, so that one can read what one has written.

        Args:
            position: that of an event.
            timeout: in seconds.

        Raises:
            TimeoutError: they were not, in that time.
            BaseException: what has ended the subscription.
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
        """Hand each parked event to the handler once more; return how many stay parked.

        Raises:
            psycopg.Error: there is no connection to be had, or it was lost.
        """
        log = self._connected()
        with log.connection:
            return retry_parked(log, self.name, partial(self._handle, log))

    def replay(self, projection: Projection) -> None:
        """Make a read model anew: empty its table, and begin again at the beginning of the log.

        Until it has caught up, readers see the past. Where it fails, the read model is as it was.

        Args:
            projection: the one whose `project` is the handler.

        Raises:
            InvalidArgument: nothing has subscribed under this name.
            psycopg.Error: there is no connection to be had, or no such table.
            BaseException: what had ended the subscription.
        """
        running = self._thread is not None and self._thread.is_alive()
        self.stop()
        log = self._connected()
        with log.connection:
            replay(log, self.name, projection.table)
        if running:
            self.start()

    def _in_thread(self, log: Log) -> None:
        try:
            self._live(log)
        except BaseException as error:  # for whoever calls stop() or wait_for()
            with self._moved:
                self._failure = error
                self._moved.notify_all()
