"""A room made by hand, as the tests of the learners' side and of the dashboard need it: roles, databases, the log."""

from collections.abc import Iterable
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop.room.log import create_room_log
from workshop.server.database import LEARNER_MARK, ROOM_MARK

from ..postgres import Server


class ScratchRoom:
    """A room on a server, with learners; each has a role, and a database of their own where that was asked for.

    Attributes:
        name: the name of the room.
        database: the name of the room's own database.
        url: the URL of that database, for its owner.
    """

    def __init__(self, server: Server, learners: Iterable[str], databases: bool = True):
        with server.connect() as connection:
            if connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() != (True,):
                pytest.skip("the server at DATABASE_URL is not ours to make roles and databases on")
        self._server = server
        self.name = f"t{uuid4().hex[:8]}"
        self.database = f"room_{self.name}"
        self.group = self.database  # one name for both: so a kernel finds its room
        self.url = make_conninfo(server.url, dbname=self.database)
        self._roles: list[str] = []
        self._databases: list[str] = []
        self._execute("CREATE ROLE {} NOLOGIN", self.group)
        self._execute("COMMENT ON ROLE {} IS {}", self.group, sql.Literal(ROOM_MARK + self.name))
        self._make_database(self.database)
        self.create_log()
        for learner in learners:
            self.add(learner, databases)

    def create_log(self) -> None:
        with self.connect() as connection:
            create_room_log(connection, self.group)

    def add(self, learner: str, database: bool = True) -> None:
        role = self.role(learner)
        self._execute("CREATE ROLE {} LOGIN PASSWORD 'secret'", role)
        self._roles.append(role)
        self._execute("GRANT {} TO {}", self.group, role)
        if database:
            self._make_database(role, owner=role)
            self._execute("COMMENT ON ROLE {} IS {}", role, sql.Literal(LEARNER_MARK + learner))

    def role(self, learner: str) -> str:
        return f"{self.name}_{learner}"

    def learners_url(self, learner: str, database: str | None = None) -> str:
        """Return what a learner connects with: to their own database, unless another is named."""
        role = self.role(learner)
        return make_conninfo(self._server.url, user=role, password="secret", dbname=database or role)

    def connect(self, learner: str | None = None) -> psycopg.Connection:
        """Connect to the room's database, as a learner or as the owner."""
        url = self.learners_url(learner, self.database) if learner else self.url
        return psycopg.connect(url, autocommit=True)

    def close_doors(self) -> None:
        """Let no learner into the room's database any more, and throw out who is in."""
        self._execute("REVOKE CONNECT ON DATABASE {} FROM {}", self.database, self.group)
        with self._server.connect() as connection:
            for role in self._roles:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
                    (self.database, role),
                )

    def open_doors(self) -> None:
        self._execute("GRANT CONNECT ON DATABASE {} TO {}", self.database, self.group)

    def remove(self) -> None:
        for database in self._databases:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
        for role in [*self._roles, self.group]:
            self._execute("DROP ROLE IF EXISTS {}", role)

    def _make_database(self, name: str, owner: str | None = None) -> None:
        self._execute("CREATE DATABASE {}" + (" OWNER {}" if owner else ""), *filter(None, (name, owner)))
        self._databases.append(name)

    def _execute(self, statement: str, *names: str | sql.Literal) -> None:
        parts = [sql.Identifier(name) if isinstance(name, str) else name for name in names]
        with self._server.connect() as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(sql.SQL(statement).format(*parts))
