"""Who holds up the log of a room: readers wait for appends that are not committed yet, and somebody may not commit.

An append of the kit's own takes a few milliseconds. Whoever calls the room's functions by hand can leave a transaction
open, and PostgreSQL lets everybody change the timeouts that would end it.
"""

import time

import psycopg
from psycopg import errors as postgres

# In seconds
LOOK = 1.0  # between two looks
_NAMED, _ENDED = 2.0, 5.0  # after which who holds it is named, and ended: the kit itself gives up an append then


class HoldUps:
    """The learners of a room who hold a lock in its log, as they were seen at each look.

    Attributes:
        held_by: who has held one at each look for some time.
        may_end: whether we may end their sessions.
    """

    def __init__(self) -> None:
        self.held_by: list[str] = []
        self.may_end = True
        self._since: dict[str, float] = {}  # by learner, as another session may take over where one has ended

    def look(self, connection: psycopg.Connection) -> None:
        """See who holds a lock, and end the sessions of those who have held one for too long.

        Args:
            connection: to the room's log, as its owner.
        """
        now = time.monotonic()
        pids: dict[str, list[int]] = dict(connection.execute(_HOLDING).fetchall())
        self._since = {learner: self._since.get(learner, now) for learner in pids}
        self.held_by = sorted(learner for learner in pids if now - self._since[learner] >= _NAMED)
        for learner in self.held_by:
            if now - self._since[learner] >= _ENDED:
                try:
                    connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (pids[learner],))
                except postgres.InsufficientPrivilege:
                    self.may_end = False


# An announcement is an advisory lock, and a learner has no use for any other one in this database.
_HOLDING = """
SELECT session.usename::text, array_agg(DISTINCT session.pid)
FROM pg_locks held
JOIN pg_stat_activity session USING (pid)
WHERE held.locktype = 'advisory' AND held.granted
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND session.usename IN (SELECT name FROM room.learners)
GROUP BY session.usename
"""
