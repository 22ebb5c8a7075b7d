"""Who holds up the log of a room: readers wait for appends that are not committed yet, and somebody may not commit.

An append of the kit's own takes a few milliseconds. Whoever calls the room's functions by hand can leave a transaction
open, and PostgreSQL lets everybody change the timeouts that would end it. The same can fill the queue in which the
server keeps notifications, one for all databases: when it is full, no append that notifies anybody is committed.
"""

import time

import psycopg
from psycopg import errors as postgres
from psycopg import sql

from ..server.rooms import LEARNER_MARK

# In seconds
LOOK = 1.0  # between two looks
_NAMED, _ENDED = 2.0, 5.0  # after which who holds it is named, and ended: the kit itself gives up an append then
FULL = 0.5  # how full the queue may be before whoever keeps it from being emptied is in the way


class HoldUps:
    """The learners of a room who hold up its log, as they were seen at each look.

    Attributes:
        held_by: who has done so at each look for some time.
        may_end: whether we may end what they do.
        queue: how full the server's queue of notifications is, from 0 to 1.
    """

    def __init__(self) -> None:
        self.held_by: list[str] = []
        self.may_end = True
        self.queue = 0.0
        self._since: dict[str, float] = {}  # by learner, as another session may take over where one has ended

    def look(self, connection: psycopg.Connection) -> None:
        """See who holds up the log, and end the sessions of those who have done so for too long.

        Args:
            connection: to the room's log, as its owner.
        """
        now = time.monotonic()
        # To ask has the server forget what everybody has heard: else it stays full where nobody listens any more.
        (self.queue,) = connection.execute("SELECT pg_notification_queue_usage()").fetchone()  # type: ignore[misc]
        holding: dict[str, list[int]] = dict(connection.execute(_HOLDING).fetchall())
        if self.queue >= FULL:
            holding |= dict(connection.execute(_LISTENING, (LEARNER_MARK,)).fetchall())
        prepared = connection.execute(_PREPARED).fetchall()
        learners = {*holding, *(learner for learner, _ in prepared)}
        self._since = {learner: self._since.get(learner, now) for learner in learners}
        self.held_by = sorted(learner for learner in learners if now - self._since[learner] >= _NAMED)
        for learner in self.held_by:
            if now - self._since[learner] >= _ENDED:
                try:
                    connection.execute("SELECT pg_terminate_backend(unnest(%s::int[]))", (holding.get(learner, []),))
                    for name in [name for owner, name in prepared if owner == learner]:
                        connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(name)))
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

# Whoever listens, in any database, hears nothing before the transaction has ended, and so long the queue keeps it. Who
# does is not known to others, so it is whoever has had a transaction open for long, of the learners that are ours.
_LISTENING = """
SELECT usename::text, array_agg(pid)
FROM pg_stat_activity
WHERE xact_start < clock_timestamp() - interval '2 seconds'
  AND starts_with(shobj_description(usesysid, 'pg_authid'), %s)
GROUP BY usename
"""

# What a transaction holds that was prepared, it holds without a session.
_PREPARED = """
SELECT owner::text, gid
FROM pg_prepared_xacts
WHERE database = current_database() AND owner IN (SELECT name FROM room.learners)
"""
