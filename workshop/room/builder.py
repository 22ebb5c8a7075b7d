"""The steps by which a room is made and dropped.

CREATE DATABASE cannot be undone by a transaction, so each step can be repeated: until the last one a role cannot log in
and a database lets nobody in, and both are known to be half made by that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import LiteralString

import psycopg
from psycopg import errors as postgres
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ..errors import WorkshopError
from ..server.rooms import LEARNER_MARK
from .catalog import RoomCatalog
from .log import create_room_log
from .right_of_way import RightOfWay
from .server import CONNECTIONS, Rights, connect

_DEFAULTS = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10min",
    # A laptop that was closed or lost the network is missed after two minutes, and its connections are free again.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
}
_LARGEST_FILES = "1GB"
_AGAIN = 20  # times: whoever changes a row at the same time, again and again, is not always faster


class RoomBuilder:
    """What makes and drops a room, on the connection of its catalog.

    Args:
        catalog: what is there of the room.
        admin_url: where that connection leads to.
        way: what it has, wherever it has to wait.
        rights: what its role may do.
        connections: how many each learner may have at once; None for what the room has.
    """

    def __init__(self, catalog: RoomCatalog, admin_url: str, way: RightOfWay, rights: Rights, connections: int | None):
        self.catalog = catalog
        self.connection = catalog.connection
        self._group = catalog.group
        self._admin_url = admin_url
        self._way = way
        self._rights = rights
        self._connections = connections

    def run(self, statement: str, *names: str, **literals: object) -> None:
        """Run a statement, its {} being names of roles, databases and settings, and its {literals} values."""
        quoted = {key: sql.Literal(value) for key, value in literals.items()}
        self.connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names), **quoted))

    @property
    def limit(self) -> int:
        """How many connections a learner may have. The role that all are members of carries the number."""
        row = self.connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (self._group,)).fetchone()
        return self._connections or (row[0] if row and row[0] > 0 else CONNECTIONS)

    def make_room(self, *, renew: bool) -> None:
        """Make the role that all learners are members of, and the log, or whatever of that is missing.

        Args:
            renew: whether a log that is there is brought up to date.
        """
        if not self.catalog.exists():
            with self.connection.transaction():
                self.run("CREATE ROLE {} NOLOGIN", self._group)
                self.run("COMMENT ON ROLE {} IS {mark}", self._group, mark=self.catalog.mark)
        self._insist(partial(self.run, "ALTER ROLE {} CONNECTION LIMIT {limit}", self._group, limit=self.limit))
        self._make_database(self._group)
        # Until it is opened, it lets nobody in, though PUBLIC still has the right; then its learners', who get it last.
        done = "SELECT datallowconn AND has_database_privilege(%s, oid, 'CONNECT') FROM pg_database WHERE datname = %s"
        if renew or self.connection.execute(done, (self._group, self._group)).fetchone() != (True,):
            self._insist(partial(self._open_database, self._group))
            with self._inside(self._group) as inside:
                self._insist(partial(create_room_log, inside, self._group))

    def make_learner(self, role: str, name: str, password: str | None, *, exists: bool) -> None:
        """Make a learner, or whatever of one is missing.

        Args:
            password: None to leave it as it is.
            exists: whether the role is there.
        """
        if not exists:
            with self.connection.transaction():
                self.run("CREATE ROLE {} NOLOGIN IN ROLE {}", role, self._group)
                self.run("COMMENT ON ROLE {} IS {mark}", role, mark=LEARNER_MARK + name)
                self._take_rights(role)
        self._make_database(role)
        self._insist(partial(self._let_in, role, password))

    def _let_in(self, role: str, password: str | None) -> None:
        """Give a learner what is the learner's, and take back what the learner may have changed of it."""
        defaults = _DEFAULTS | ({"temp_file_limit": _LARGEST_FILES} if self._rights.limits_files else {})
        # A learner may set defaults of their own role, in every database or in one.
        places = self.connection.execute(
            "SELECT datname FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole JOIN pg_database d"
            " ON d.oid = setdatabase WHERE r.rolname = %s",
            (role,),
        ).fetchall()
        with self.connection.transaction():
            self.run("ALTER ROLE {} RESET ALL", role)
            for (database,) in places:
                self.run("ALTER ROLE {} IN DATABASE {} RESET ALL", role, database)
            for setting, value in defaults.items():
                self.run("ALTER ROLE {} SET {} = {value}", role, setting, value=value)
            self._open_database(role)
            self.run("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}", role, role)
            self.run("ALTER ROLE {} LOGIN CONNECTION LIMIT {limit}", role, limit=self.limit)
            if password:
                # Hashed here: what the server may write into its log is not the password.
                hashed = self.connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
                self.run("ALTER ROLE {} PASSWORD {hashed}", role, hashed=hashed.decode())

    def end_connections(self, roles: list[str]) -> None:
        """Let roles in no more, end their connections and prepared transactions, and wait until they have ended."""
        self._end("usename = ANY(%s)", roles)  # what they hold may be what the next step needs
        for role in roles:
            self._insist(partial(self.run, "ALTER ROLE {} NOLOGIN", role))
        self._end("usename = ANY(%s)", roles)
        if self._rights.superuser:
            prepared = "SELECT database, gid FROM pg_prepared_xacts WHERE owner = ANY(%s)"
            for database, gid in self.connection.execute(prepared, (roles,)).fetchall():
                with self._inside(database) as inside:
                    inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))

    def drop_database(self, name: str) -> bool:
        """Drop a database of this room; return whether there was one.

        Raises:
            WorkshopError: somebody is in it whom we may not end.
        """
        if not self.catalog.owns_database(name):
            return False
        self._insist(partial(self.run, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name))
        self._end("datname = %s AND pg_has_role(usesysid, 'USAGE')", name)
        try:  # WITH (FORCE) would be refused to who is no superuser, while autovacuum is at work there
            self._insist(partial(self.run, "DROP DATABASE {}", name))
        except postgres.ObjectInUse as error:
            self._tell_who_is_in(name, error)
        return True

    def drop_roles(self, learners: list[str]) -> None:
        """Drop the roles of the room, whose databases are gone, with what is theirs in other databases."""
        self._take_rights(self._group)
        roles = [*learners, self._group]  # the room's own last: by it the others are known
        # Everybody may make a large object, and change what others get by default, in every database that lets them in.
        elsewhere = self.connection.execute(
            "SELECT DISTINCT datname, rolname FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid"
            " JOIN pg_database d ON d.oid = dbid OR (dbid = 0 AND d.datname = current_database())"
            " WHERE refclassid = 'pg_authid'::regclass AND r.rolname = ANY(%s)",
            (roles,),
        ).fetchall()
        for database, role in elsewhere:  # one role a statement: PostgreSQL fails where one has given to another
            with self._inside(database) as inside:
                inside.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        for role in roles:
            self.run("DROP ROLE {}", role)

    @contextmanager
    def _inside(self, database: str) -> Iterator[psycopg.Connection]:
        """Connect to another database of the server, with the right of way there, too."""
        with connect(make_conninfo(self._admin_url, dbname=database)) as connection, self._way.of(connection):
            yield connection

    def _insist(self, step: Callable[[], None]) -> None:
        """Do something again where somebody changed the same row at the same time, or each waited for the other."""
        for _ in range(_AGAIN):
            with suppress(postgres.InternalError_, postgres.DeadlockDetected):
                return step()
        return step()

    def _end(self, whose: LiteralString, what: object) -> None:
        """End sessions, all at once, and only then wait for each: that takes a tenth of a second."""
        for end in ("pg_terminate_backend(pid)", "pg_terminate_backend(pid, 5000)"):
            self.connection.execute(
                f"SELECT {end} FROM pg_stat_activity WHERE {whose} AND pid <> pg_backend_pid()", (what,)
            )

    def _tell_who_is_in(self, database: str, error: psycopg.Error) -> None:
        rows = self.connection.execute(
            "SELECT format('the role %%s (process %%s)', usename, pid) FROM pg_stat_activity WHERE datname = %(name)s"
            " UNION ALL SELECT format('%%s, by a prepared transaction (%%L)', owner, gid) FROM pg_prepared_xacts"
            " WHERE database = %(name)s",
            {"name": database},
        )
        who = " and ".join(each for (each,) in rows) or str(error.diag.message_detail)
        raise WorkshopError(
            f"The database {database} cannot be dropped: it is used by {who}.",
            "Have a superuser run SELECT pg_terminate_backend(PROCESS); or, in that database, ROLLBACK PREPARED '...'; "
            "then run the same command again.",
        ) from None

    def _make_database(self, name: str) -> None:
        """Make a database that lets nobody in yet, unless it is there."""
        there = self.connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if there is None:
            # Of template0, since learners can log in to template1, and who does so keeps others from copying it.
            self.run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false", name)

    def _open_database(self, name: str) -> None:
        """Let its owner into a database, and nobody else; mark it as this room's."""
        with self.connection.transaction():
            self.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
            self.run("COMMENT ON DATABASE {} IS {mark}", name, mark=self.catalog.mark)
            self.run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", name)

    def _take_rights(self, role: str) -> None:
        """Take the rights of a role of the room: who has them may end its connections, and drop what it owns."""
        if not self._rights.superuser:
            named = " WITH INHERIT TRUE, SET FALSE" if self._rights.names_its_grants else ""
            self.run("GRANT {} TO CURRENT_USER" + named, role)
