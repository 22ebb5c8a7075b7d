"""Which PostgreSQL a notebook talks to, and the notebook's own schema in it.

`DATABASE_URL` names any server; without it an embedded one is started. Each notebook works in a PostgreSQL schema
of its own, emptied by the set-up cell, so notebooks never meet, and running one again starts from nothing.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg import errors as postgres
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from .embedded import EmbeddedServerError, running_server
from .errors import WorkshopError

CHECKOUT = Path(__file__).resolve().parent.parent
OLDEST_VERSION = 15

# A cell that got stuck ends in an error, and never keeps a neighbour waiting.
_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10min",
    "timezone": "UTC",  # so that what is shown is the same on every machine
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
        self._settings = {**_LIMITS, "search_path": f'"{schema}"', "application_name": schema, **settings}
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
        settings = {**self._settings, **settings}
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
        for connection in self._connections[1:]:
            connection.close()
        del self._connections[1:]
        if self.connection.closed:  # the server was restarted, or the learner closed it
            self._connections.clear()
            self.connection = self.connect()
        self.connection.rollback()
        self.connection.autocommit = True
        name = sql.Identifier(self.schema)
        with self.connection.transaction():
            self.execute("SET LOCAL client_min_messages = warning")  # no word of what the cascade drops
            self.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
            self.execute(sql.SQL("CREATE SCHEMA {}").format(name))

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
        if connection.info.server_version < OLDEST_VERSION * 10000:
            raise WorkshopError(
                f"The server is PostgreSQL {_version(connection)}, and the kit needs {OLDEST_VERSION} or newer.",
                "Unset DATABASE_URL to use the embedded server, or point it at a newer one.",
            )
        role, dbname = connection.info.user, connection.info.dbname
        # On a server that learners share, each has a role, and with it schemas of their own.
        schema = notebook if role == "postgres" else f"{notebook}_{role}"
        if being_graded():  # a room as the checks have it: whoever grades may have this notebook open
            schema = f"check_{uuid4().hex[:16]}"
        _end_abandoned_transactions(connection, schema)
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
            f"{_where(url)} lets {role} create no schema: {error.diag.message_primary}.",
            f'Ask its owner for: GRANT CREATE ON DATABASE "{dbname}" TO "{role}";',
        ) from None
    source = "from DATABASE_URL" if os.environ.get("DATABASE_URL") else "embedded"
    return database, f"PostgreSQL {_version(database.connection)} ({source}), schema {schema}, empty."


def server_url() -> str:
    """Return the URL of the server to use: DATABASE_URL, or the embedded one, which is started if need be.

    Raises:
        WorkshopError: the embedded server does not start.
    """
    if url := os.environ.get("DATABASE_URL"):
        return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", url)  # SQLAlchemy's way to write it
    try:
        return running_server(CHECKOUT / ".postgresql" / "data")
    except EmbeddedServerError as error:
        problem, _, remedy = str(error).partition("\n")
        raise WorkshopError(problem, remedy) from None


def being_graded() -> bool:
    """Whether this kernel grades somebody's submission, at the command of nbgrader, and not a learner at work."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"


def open_connection(url: str) -> psycopg.Connection:
    """Return an autocommit connection.

    Raises:
        WorkshopError: the URL is none, or no server answers there.
    """
    try:
        parts = conninfo_to_dict(url)
        # A password with a slash in it ends up here: as the port, and as the name of the database.
        if not str(parts.get("port", "5432")).isdigit() or "@" in str(parts.get("dbname", "")):
            raise psycopg.ProgrammingError("port or database")
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.ProgrammingError:  # its message would quote the password
        raise WorkshopError(
            "DATABASE_URL is no PostgreSQL URL. It looks like postgresql://USER:PASSWORD@HOST:5432/DATABASE.",
            "Mend it (in a password, write % as %25, / as %2F, @ as %40), or unset it to use the embedded server.",
        ) from None
    except psycopg.OperationalError as error:
        # "connection failed: connection to server at ..., port ... failed: FATAL: the reason", then libpq's guesses
        reasons = re.findall(r"failed: (?!.*failed: )(.+)", str(error)) or [str(error).strip()]
        raise WorkshopError(
            f"No PostgreSQL let us in at {_where(url)}: {reasons[-1].removeprefix('FATAL:').strip()}.",
            "Start it (with Docker: docker compose up -d), mend DATABASE_URL, or unset it to use the embedded server."
            if os.environ.get("DATABASE_URL")
            else "Run this cell again; it starts the embedded server if it is down.",
        ) from None


def drop_schemas(url: str, schemas: Iterable[str]) -> None:
    """Drop schemas with all that is in them."""
    with open_connection(url) as connection:
        connection.execute("SET client_min_messages = warning; SET synchronous_commit = off")
        for schema in schemas:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def drop_abandoned_rooms(database: Database) -> None:
    """Drop the schemas that no open connection is named after any more: of checks whose kernel was killed, and of
    notebooks that were graded (with what a library made beside them)."""
    rooms = database.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(eventsourcing_)?check_'"
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


def _version(connection: psycopg.Connection) -> str:
    return connection.info.parameter_status("server_version").split()[0]  # type: ignore[union-attr]


def _where(url: str) -> str:
    """Return the address in a URL, without its password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
