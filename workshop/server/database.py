"""Which PostgreSQL a notebook talks to, and the notebook's own schema in it.

`DATABASE_URL` names any server; without it, the one of the room that was joined is used; without that, an embedded one
is started. Each notebook works in a PostgreSQL schema of its own, emptied by the set-up cell, so notebooks never meet,
and running one again starts from nothing.
"""

import os
import re
import time
from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg import errors as postgres
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ..errors import WorkshopError
from ..files import learners_folder
from . import url_source
from .embedded import running_server
from .programs import EmbeddedServerError
from .rooms import room_of

OLDEST_VERSION = 15

# A cell that got stuck ends in an error, and never keeps a neighbour waiting. The rest is pinned so that what is shown,
# and whether an answer is right, is the same whatever a server, a database, a role or the environment brings along.
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10min",
}
# What a server, a database or a role may bring along, and answers and their checks depend on: the same everywhere.
_PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "client_encoding": "UTF8",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "check_function_bodies": "on",
    "client_min_messages": "notice",
    "row_security": "on",
    "plan_cache_mode": "auto",
    "constraint_exclusion": "partition",
    "idle_session_timeout": "0",
}
_TO_UNDO = {"transaction_timeout": (170000, "0")}  # by the version of PostgreSQL that knows it first
_A_MOMENT = 1.0  # seconds: a connection that was closed just now counts until its server process has ended
_WHEN_FULL = {
    "too many connections for role": "Shut down the kernels you do not need (Kernel > Shut Down All Kernels).",
    "too many clients": "The server is full. Shut down the kernels you do not need, then try again.",
    "connection slots are reserved": "The server is full. Shut down the kernels you do not need, then try again.",
    "out of shared memory": "Its table of locks is full. On its machine, end the process that filled it (the server's "
    "log names it; kill, never kill -9), or restart PostgreSQL.",
}


class Database:
    """A notebook's database: its connection, and more of them where several writers meet.

    Attributes:
        schema: the name of the notebook's own PostgreSQL schema.
        connection: an autocommit connection to it.
    """

    def __init__(self, url: str, schema: str, **settings: str):
        self.url = url
        self.schema = schema
        self._settings = {**_LIMITS, **_PINNED, "search_path": f'"{schema}"', "application_name": schema, **settings}
        self._connections: list[psycopg.Connection] = []
        self.connection = self.connect()

    def connect(self, *, autocommit: bool = True, **settings: str) -> psycopg.Connection:
        """Return another connection to the same schema, as a second program would have.

        Args:
            autocommit: False to commit, or roll back, yourself.
            settings: settings of the connection, such as lock_timeout="1s".

        Raises:
            WorkshopError: the server cannot be reached.
        """
        connection = open_connection(self.url)
        version = connection.info.server_version
        newer = {name: value for name, (since, value) in _TO_UNDO.items() if version >= since}
        settings = {**newer, **self._settings, **settings}
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
            (list(settings), list(settings.values())),
        )
        connection.autocommit = autocommit
        # Tables are dropped and made again all the time here, and a prepared statement remembers the old ones.
        connection.prepare_threshold = None
        self._connections.append(connection)
        return connection

    def execute(self, query: Any, params: Any = None) -> psycopg.Cursor:
        """Run SQL on the notebook's connection."""
        return self.connection.execute(query, params)

    def reset(self) -> None:
        """Empty the schema, or create it; close the connections but the first, and roll back what was left open."""
        self.close_others()
        name = sql.Identifier(self.schema)
        with self.connection.transaction():
            self.execute("SET LOCAL client_min_messages = warning")  # no word of what the cascade drops
            self.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
            self.execute(sql.SQL("CREATE SCHEMA {}").format(name))

    def close_others(self) -> None:
        """Close the connections but the first, and roll back what was left open."""
        for connection in self._connections[1:]:
            connection.close()
        del self._connections[1:]
        if self.connection.closed:  # the server was restarted, or the learner closed it
            self._connections.clear()
            self.connection = self.connect()
        self.connection.rollback()
        self.connection.autocommit = True

    def close(self) -> None:
        """Close the connections; transactions that were left open are rolled back."""
        for connection in self._connections:
            connection.close()

    def drop(self) -> None:
        """Close the connections and drop the schema with all that is in it."""
        self.close()
        drop_schemas(self.url, [self.schema])


SomeDatabase = TypeVar("SomeDatabase", bound=Database)


def open_database(notebook: str, kind: type[SomeDatabase]) -> tuple[SomeDatabase, str]:
    """Return a notebook's database, its schema empty, and a line that says which server answered.

    Args:
        notebook: the name of the notebook, after which the schema is called.
        kind: the class of what is returned.

    Raises:
        WorkshopError: no server could be reached, it is too old, or it refuses to make a schema.
    """
    url = server_url()
    with open_connection(url) as connection:
        refuse_unfit_server(connection, url_source.current())
        role, dbname, room = connection.info.user, connection.info.dbname, room_of(connection)
        # On a server that learners share, each has a role, and with it schemas of their own; in a room, a database.
        schema = notebook if role == "postgres" or room else f"{notebook}_{role}"
        if url_source.being_graded():  # as the checks have it: whoever grades may have this notebook open
            schema = f"check_{uuid4().hex[:16]}"
        _end_abandoned_transactions(connection, schema)
        crowded = _is_open_elsewhere(connection, schema)
    database = kind(url, schema)
    try:
        database.reset()
    except postgres.LockNotAvailable:
        database.close()
        raise WorkshopError(
            f"Another kernel is busy in the schema of this notebook, {schema}.",
            "Shut that kernel down (in JupyterLab: Kernel > Shut Down All Kernels), then run this cell again.",
        ) from None
    except postgres.InsufficientPrivilege as error:
        database.close()
        raise WorkshopError(
            f"{address(url)} lets {role} create no schema: {error.diag.message_primary}.",
            f'Ask its owner for: GRANT CREATE ON DATABASE "{dbname}" TO "{role}";',
        ) from None
    said = url_source.current().said
    if room and said == url_source.JOINED.said:
        said = f"room {room}, as {role}"
    line = f"PostgreSQL {_version(database.connection)} ({said}), schema {schema}, empty."
    if crowded:
        line += (
            "\nAnother kernel has this notebook open, and what it had stored is gone, too: shut one of the two down."
        )
    return database, line


def server_url() -> str:
    """Return the URL of the server to use: DATABASE_URL, or the room that was joined, or the embedded server.

    The embedded server is started if need be.

    Raises:
        WorkshopError: room.json is broken, or the embedded server does not start.
    """
    source = url_source.current()
    if source is url_source.ENVIRONMENT:
        return url_source.in_libpqs_words(os.environ["DATABASE_URL"])
    if source is url_source.JOINED:
        return url_source.joined_url()
    try:
        return running_server(learners_folder() / ".postgresql" / "data")
    except EmbeddedServerError as error:
        problem, _, remedy = str(error).partition("\n")
        raise WorkshopError(problem, remedy) from None


def open_connection(url: str, source: url_source.Source | None = None) -> psycopg.Connection:
    """Return an autocommit connection.

    Args:
        source: where the URL came from, for the messages; that of server_url() unless told otherwise.

    Raises:
        WorkshopError: the URL is none, or no server answers there.
    """
    source = source or url_source.current()
    give_up = time.monotonic() + _A_MOMENT
    while True:
        try:
            parts = conninfo_to_dict(url)
            # A password with a slash in it ends up here: as the port, and as the name of the database.
            if not str(parts.get("port", "5432")).isdigit() or "@" in str(parts.get("dbname", "")):
                raise psycopg.ProgrammingError("port or database")
            return psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.ProgrammingError as error:  # its message may quote the password
            unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
            if unknown and "@" not in url.partition("?")[2]:
                problem = f"{source.name} has the parameter {unknown[1]}, which PostgreSQL's own client does not know."
            else:
                problem = f"{source.name} is no PostgreSQL URL."
                problem += " It looks like postgresql://USER:PASSWORD@HOST:5432/DATABASE."
            raise WorkshopError(problem, source.mend) from None
        except psycopg.OperationalError as error:
            # "connection failed: connection to server at ..., port ... failed: FATAL: the reason", then libpq's guesses
            reasons = re.findall(r"failed: (?!.*failed: )(.+)", str(error)) or [str(error).strip()]
            reason = reasons[-1].removeprefix("FATAL:").strip()
            full = next((remedy for said, remedy in _WHEN_FULL.items() if said in reason), None)
            if not full or time.monotonic() > give_up:
                raise WorkshopError(
                    f"No PostgreSQL let us in at {address(url)}: {reason}.", full or source.knock
                ) from None
            time.sleep(0.02)


def refuse_old_server(connection: psycopg.Connection, source: url_source.Source) -> None:
    """Raise WorkshopError where the server is too old for the kit."""
    if connection.info.server_version < OLDEST_VERSION * 10000:
        raise WorkshopError(
            f"The server is PostgreSQL {_version(connection)}, and the kit needs {OLDEST_VERSION} or newer.",
            source.change,
        )


def refuse_unfit_server(connection: psycopg.Connection, source: url_source.Source) -> None:
    """Raise WorkshopError where a learner cannot work: on an old server, and where what it brings along is in the way
    and cannot be pinned."""
    refuse_old_server(connection, source)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise WorkshopError(
            f"The database is encoded in {encoding}, and the kit needs UTF8. It is chosen when a database is made:"
            " ENCODING 'UTF8' TEMPLATE template0.",
            source.change,
        )
    if "on" in map(connection.info.parameter_status, ("default_transaction_read_only", "in_hot_standby")):
        raise WorkshopError("The server lets this role read, and not write.", source.change)
    if connection.execute("SHOW session_replication_role").fetchone() != ("origin",):
        raise WorkshopError(
            "No trigger fires here: session_replication_role is set for this server, database or role.", source.change
        )


def drop_schemas(url: str, schemas: Iterable[str]) -> None:
    """Drop schemas with all that is in them."""
    with open_connection(url) as connection:
        connection.execute("SET client_min_messages = warning; SET synchronous_commit = off")
        for schema in schemas:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def drop_abandoned_sandboxes(database: Database) -> None:
    """Drop the schemas that no open connection is named after any more: of checks whose kernel was killed, and of
    notebooks that were graded (with what a library made beside them)."""
    rooms = database.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(eventsourcing_|reference_)?check_'"
        " AND pg_get_userbyid(nspowner) = current_user AND NOT EXISTS"
        " (SELECT FROM pg_stat_activity WHERE application_name = substring(nspname FROM 'check_.*'))"
    )
    drop_schemas(database.url, [name for (name,) in rooms])


def _end_abandoned_transactions(connection: psycopg.Connection, schema: str) -> None:
    """End what a killed kernel or an open transaction left in this notebook's schema: it would block the set-up."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"
        " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'",
        (schema,),
    )


def _is_open_elsewhere(connection: psycopg.Connection, schema: str) -> bool:
    """Whether another kernel works in this schema: one that ended a moment ago is given time to go."""
    give_up = time.monotonic() + _A_MOMENT
    while True:
        (others,) = connection.execute(  # type: ignore[misc]
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"
            " AND pid <> pg_backend_pid()",
            (schema,),
        ).fetchone()
        if not others or time.monotonic() > give_up:
            return bool(others)
        time.sleep(0.05)


def _version(connection: psycopg.Connection) -> str:
    return connection.info.parameter_status("server_version").split()[0]  # type: ignore[union-attr]


def address(url: str) -> str:
    """Return the address in a URL, without its password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
