"""The right of way: where a command has to wait for a learner, the learner's session is ended.

A lock can be had in many ways: by hand, by an open transaction that changes one's own password or settings, by a grant
that grants nothing. So nobody guesses here what a command might wait for: PostgreSQL is asked whom it does wait for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psycopg

from ..errors import WorkshopError
from ..server.rooms import LEARNER_MARK

_LOOK = 0.3  # seconds: less than PostgreSQL takes to see a deadlock, and to choose who loses it


class RightOfWay:
    """What sees to it that a command need not wait for a learner, while it is entered.

    Args:
        connect: makes a connection to the server, with the role of the command.

    Attributes:
        ended: the learners whose sessions were in the way and are ended, as they are called.
        in_the_way: who was, when somebody was seen last: roles and processes.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]):
        self.ended: set[str] = set()
        self.in_the_way: list[str] = []
        self._connect = connect
        self._commands: list[int] = []  # the server's processes that work for the command
        self._over = Event()

    @contextmanager
    def of(self, connection: psycopg.Connection) -> Iterator[None]:
        """Give the right of way to what a connection does."""
        pid = connection.info.backend_pid
        self._commands.append(pid)
        try:
            yield
        finally:
            self._commands.remove(pid)

    def __enter__(self) -> "RightOfWay":
        self._thread = Thread(target=self._keep_clear, name="right of way", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _keep_clear(self) -> None:
        if not self._over.wait(_LOOK):  # most commands are through by then
            with suppress(WorkshopError, psycopg.Error), self._connect() as connection:
                self._look(connection)
                while not self._over.wait(_LOOK):
                    self._look(connection)

    def _look(self, connection: psycopg.Connection) -> None:
        blocking = connection.execute(_BLOCKING, {"mark": LEARNER_MARK, "commands": self._commands}).fetchall()
        if blocking:
            self.in_the_way = [f"the role {role} (process {pid})" for pid, role, _ in blocking]
        for pid, _, learner in blocking:
            if learner:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                self.ended.add(learner)


# A learner is named where we may end the session: those of whoever made the room, or any where a superuser asks.
_BLOCKING = """
SELECT DISTINCT pid, usename,
       CASE WHEN starts_with(comment, %(mark)s) AND pg_has_role(usesysid, 'USAGE')
            THEN substr(comment, length(%(mark)s) + 1) END
FROM unnest(%(commands)s::int[]) AS command
CROSS JOIN unnest(pg_blocking_pids(command)) AS blocking
JOIN pg_stat_activity ON pid = blocking
CROSS JOIN shobj_description(usesysid, 'pg_authid') AS comment
"""
