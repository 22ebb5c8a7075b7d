"""A room as an instructor makes it, and what the tests of the learners' side and of the dashboard do to it."""

from collections.abc import Iterable
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop.room import Room
from workshop.server.rooms import LEARNER_MARK


class ScratchRoom(Room):
    """A room on a server, under a name that nobody has.

    Args:
        admin_url: the server, and a role that may make rooms.
        learners: those who have a role and a database, as in every room.
        bare: learners with a role alone; thirty databases take their time.
    """

    def __init__(self, admin_url: str, learners: Iterable[str], bare: Iterable[str] = ()):
        super().__init__(f"t{uuid4().hex[:8]}", admin_url)
        self._log_url = make_conninfo(admin_url, dbname=self.role)
        self._urls = {seat.name: seat.url or "" for seat in self.make(learners)}
        for name in bare:
            role = self.role_of(name)
            self.execute("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE {}", role, self.role)
            self.execute("COMMENT ON ROLE {} IS {}", role, sql.Literal(LEARNER_MARK + name))
            self._urls[name] = make_conninfo(admin_url, user=role, password="secret")

    def role_of(self, learner: str) -> str:
        return f"{self.name}_{learner}"

    def learners_url(self, learner: str) -> str:
        """Return what a learner connects with."""
        return self._urls[learner]

    def connect(self, learner: str | None = None) -> psycopg.Connection:
        """Connect to the room's log, as a learner or as its owner."""
        url = make_conninfo(self._urls[learner], dbname=self.role) if learner else self._log_url
        return psycopg.connect(url, autocommit=True)

    def execute(self, statement: str, *names: str | sql.Literal) -> None:
        """Run a statement in the room's log, as its owner, its {} being names."""
        parts = [sql.Identifier(name) if isinstance(name, str) else name for name in names]
        with self.connect() as owner:
            owner.execute(sql.SQL(statement).format(*parts))  # type: ignore[arg-type]

    def drop(self, learner: str) -> None:
        """Have it as if there never was such a learner."""
        for what in ("DATABASE", "ROLE"):
            self.execute(f"DROP {what} {{}}", self.role_of(learner))

    def empty_log(self) -> None:
        """Have it as if nobody had tried anything. Facts stay, but for whoever may switch off what keeps them."""
        self.execute("SET session_replication_role = replica; DELETE FROM room.events; DELETE FROM room.streams")

    def close_doors(self) -> None:
        """Let no learner into the room's log any more, and throw out who is in."""
        self.execute("REVOKE CONNECT ON DATABASE {0} FROM {0}", self.role)
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = {} AND usename IN (SELECT name FROM room.learners)",
            sql.Literal(self.role),
        )

    def open_doors(self) -> None:
        self.execute("GRANT CONNECT ON DATABASE {0} TO {0}", self.role)
