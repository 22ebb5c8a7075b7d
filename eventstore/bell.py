"""The bell: how a reader of the log sleeps without missing an event, and without asking for it."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer

import psycopg

from .log import Log
from .records import LogPosition

# In seconds
_HELD_BACK = 0.02  # between two looks at an append that is under way: if it is rolled back, nobody is told
_NAP = 0.1  # until `rest` returns, so that a thread can be stopped; nothing is sent to the server
_SILENCE = 4.0  # until somebody who heard nothing asks
PATIENCE = 2.0  # for the answer


class Bell:
    """What wakes the one who works under a name. It knows what is of one connection, and ends with it.

    Args:
        log: on an autocommit connection of the reader's own.
        name: under which the checkpoint is kept, in the table subscriptions.

    Attributes:
        asleep: whether the table says that the reader sleeps, so that appends ring. To move the checkpoint unsays it.
    """

    def __init__(self, log: Log, name: str):
        self.log = log
        self.name = name
        self.asleep = False
        self._heard = 0.0  # when the server last gave a sign, by time.monotonic()

    def take_over(self) -> bool:
        """Become the one who works under the name, and hear of new events from then on, unless another one does."""
        # 64 bits, so that no two names share a lock; in two halves, for locks on one number are announcements.
        # It goes with the connection: let the server notice within half a minute that we are gone without a word.
        ours = (
            "SELECT pg_try_advisory_lock((hash >> 32)::int, (hash << 32 >> 32)::int),"
            " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
            " set_config('tcp_keepalives_count', '4', false)"
            " FROM hashtextextended(%s, 'subscriptions'::regclass::oid::bigint) hash"
        )
        with self._patiently():
            taken, *_ = self.log.one_row(ours, (self.name,))
            if taken:  # Before the first look at the log, so that nothing falls between the two.
                self._listen()
        return bool(taken)

    def rest(self, position: LogPosition) -> bool:
        """Wait for new events, though not for long, once all that could be read is handled.

        Args:
            position: how far the log could be read.

        Returns:
            Whether to look again.
        """
        if position.settled < position.drawn:
            self._rings(_HELD_BACK)
        elif not self.asleep:
            # An append that did not see this tells nobody, so look once more before you sleep.
            self.log.execute("UPDATE subscriptions SET asleep = true WHERE name = %s", (self.name,))
            self.asleep, self._heard = True, time.monotonic()
        elif self._rings(_NAP) or (time.monotonic() - self._heard > _SILENCE and not self._is_calm()):
            self.asleep = False  # whoever woke it may have said so in its row
        else:
            return False
        return True

    def end(self) -> None:
        """Have nobody ring any more."""
        self.log.execute("UPDATE subscriptions SET asleep = false WHERE name = %s", (self.name,))

    def hang_up(self) -> None:
        """End the connection, from another thread: whoever waits for an answer on it gets an error."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.log.connection.fileno())) as link:
            link.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        self.log.execute("DO $$ BEGIN EXECUTE format('LISTEN %I', events_channel()); END $$")

    def _rings(self, seconds: float) -> bool:
        return any(self.log.connection.notifies(timeout=seconds, stop_after=1))

    def _is_calm(self) -> bool:
        """Whether nothing has happened that nobody rang for. A handler may have said UNLISTEN; or tables were restored:
        there is another channel now, and no row that says that we sleep."""
        with self._patiently():
            self._listen()
            row = self.log.execute(
                "SELECT asleep AND checkpoint = drawn FROM subscriptions, settled_position() WHERE name = %s",
                (self.name,),
            ).fetchone()
        self._heard = time.monotonic()
        return row == (True,)

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        """Wait for an answer, but not for ever: a link that went dead without a word will bring none."""
        watchdog = Timer(PATIENCE, self.hang_up)
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()
