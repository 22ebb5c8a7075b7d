"""The server that a room is on: the right to make one there, and how much it can carry."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import psycopg
from psycopg import errors as postgres
from psycopg.conninfo import conninfo_to_dict

from ..errors import WorkshopError
from ..server.database import OLDEST_VERSION, open_connection, refuse_old_server
from ..server.url_source import Source
from .right_of_way import RightOfWay

ADMIN_URL = "WORKSHOP_ADMIN_URL"
# Of one learner at once. Measured: a kernel opens up to 9 in notebooks 00 to 09, and 34 in notebook 10, which has the
# conformance tests in it; kernels that were left open keep theirs.
CONNECTIONS = 50
FEWEST_CONNECTIONS = 12
_OWN_CONNECTIONS = 10  # the dashboard's, the hub's, these commands'
PATIENCE = "30s"  # with whoever is in the way and is no learner

ADMIN = Source(
    ADMIN_URL,
    "",
    f"Put the URL of a role that may make roles and databases into {ADMIN_URL}, or after --server "
    "(in a password, write % as %25, / as %2F, @ as %40).",
    f"Mend the URL in {ADMIN_URL}, or the one after --server.",
    f"Use a server with PostgreSQL {OLDEST_VERSION} or newer.",
)


@dataclass(frozen=True)
class Rights:
    """What the role that makes a room may do beyond making roles and databases.

    Attributes:
        superuser: whether it may do everything.
        limits_files: whether it may limit the temporary files of a role.
        names_its_grants: whether a membership says what it is good for (PostgreSQL 16 and newer).
    """

    superuser: bool
    limits_files: bool
    names_its_grants: bool


@contextmanager
def admin_connection(url: str, room: str) -> Iterator[tuple[psycopg.Connection, RightOfWay]]:
    """Connect as the role that makes rooms; one at a time is busy with a room, and waits for no learner.

    Raises:
        WorkshopError: no connection is to be had, somebody else is busy with the room, or PostgreSQL refuses something.
    """
    with connect(url) as connection, RightOfWay(lambda: connect(url)) as way, way.of(connection):
        try:
            # Until no other command is busy with this room. It ends with the connection.
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"event store workshop, {room}",))
            yield connection, way
        except postgres.LockNotAvailable:
            raise WorkshopError(
                f"The room {room} has been locked for half a minute, by {' and '.join(way.in_the_way) or 'somebody'}.",
                "Where another command is busy with it, wait, then try again; else have a superuser run "
                "SELECT pg_terminate_backend(PROCESS);",
            ) from None
        except postgres.InsufficientPrivilege as error:
            raise WorkshopError(
                f"PostgreSQL refuses this to {connection.info.user}: {error.diag.message_primary}.",
                "Use the role that made the room, or a superuser; then run the same command again.",
            ) from None
        except postgres.OperationalError as error:  # it went down, or the disk is full
            raise WorkshopError(
                f"PostgreSQL stopped half way: {error.diag.message_primary or str(error).strip()}.",
                "Put that right, then run the same command again: it goes on where this one stopped.",
            ) from None
        except postgres.DatabaseError as error:
            raise WorkshopError(
                f"PostgreSQL refuses: {error.diag.message_primary} {error.diag.message_detail or ''}".strip() + ".",
                "Put that right, then run the same command again.",
            ) from None


def connect(url: str) -> psycopg.Connection:
    """Connect as the role that makes rooms.

    Raises:
        WorkshopError: no connection is to be had, or the server is too old.
    """
    try:
        connection = open_connection(url, ADMIN)
    except WorkshopError as error:
        problem, remedy = str(error).splitlines()
        if closed := re.search('permission denied for database ("[^"]+")', problem):
            role = conninfo_to_dict(url).get("user")
            remedy = (
                f'Have its owner run GRANT CONNECT ON DATABASE {closed[1]} TO "{role}"; then the same command again.'
            )
        raise WorkshopError(problem, remedy) from None
    refuse_old_server(connection, ADMIN)
    # Learners may be able to log in to this database, too, and have something of a name that PostgreSQL uses.
    connection.execute("SET client_min_messages = error; SET search_path = pg_catalog; SET statement_timeout = '5min'")
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (PATIENCE,))
    return connection


def rights(connection: psycopg.Connection) -> Rights:
    """Return what the role of a connection may do.

    Raises:
        WorkshopError: it may not make roles, or databases.
    """
    superuser, roles, databases, files = connection.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, has_parameter_privilege('temp_file_limit', 'SET')"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()  # type: ignore[misc]
    if not superuser and not (roles and databases):
        missing = " and ".join(what for what, given in (("roles", roles), ("databases", databases)) if not given)
        raise WorkshopError(
            f"The role {connection.info.user} may not make {missing}, and a room is made of both.",
            f'Have a superuser run: ALTER ROLE "{connection.info.user}" CREATEROLE CREATEDB;',
        )
    return Rights(superuser, files, connection.info.server_version >= 160000)


def advice(connection: psycopg.Connection, learners: int, connections: int) -> list[str]:
    """Return what an instructor should know of this server before learners come, a sentence or two each."""
    return [
        *_capacity(connection, learners, connections),
        *_no_limit_on_files(connection),
        *_open_databases(connection),
        *_prepared_transactions(connection),
    ]


def enough_connections(learners: int, connections: int = CONNECTIONS) -> int:
    """Return the max_connections with which a server has enough for a room, and some for whoever looks after it."""
    return learners * connections + _OWN_CONNECTIONS + 20


def _capacity(connection: psycopg.Connection, learners: int, connections: int) -> list[str]:
    most = connection.execute(
        "SELECT sum(setting::int * CASE name WHEN 'max_connections' THEN 1 ELSE -1 END)::int FROM pg_settings"
        " WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
    ).fetchone()[0]  # type: ignore[index]
    needed = learners * connections + _OWN_CONNECTIONS
    if needed <= most:
        return []
    share = (most - _OWN_CONNECTIONS) // learners
    return [
        f"This server lets in {most} connections at once, and {learners} learners with up to {connections} each can "
        f"ask for {needed}: when it is full, it is full for all of them. Have a superuser run "
        f"ALTER SYSTEM SET max_connections = {enough_connections(learners, connections)}; and restart the server"
        + (f", or run make again with --connections {share}." if share >= FEWEST_CONNECTIONS else ".")
    ]


def _no_limit_on_files(connection: psycopg.Connection) -> list[str]:
    if rights(connection).limits_files:
        return []
    return [
        f"The role {connection.info.user} may not limit the temporary files of learners, so one query can fill the "
        "server's disk. Have a superuser run "
        f'GRANT SET ON PARAMETER temp_file_limit TO "{connection.info.user}"; and then run make again.'
    ]


def _open_databases(connection: psycopg.Connection) -> list[str]:
    names = [
        name
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datallowconn"
            " AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))"
            " WHERE grantee = 0 AND privilege_type = 'CONNECT') ORDER BY 1"
        )
    ]
    if not names:
        return []
    listed = ", ".join(f'"{name}"' for name in names)
    remedy = f"REVOKE CONNECT, TEMPORARY ON DATABASE {listed} FROM PUBLIC;"
    if connection.info.dbname in names and not rights(connection).superuser:  # or these commands would be shut out, too
        remedy += f' GRANT CONNECT ON DATABASE "{connection.info.dbname}" TO "{connection.info.user}";'
    return [
        f"Every role of this server, and so every learner, may log in to {listed}. What is in them keeps its own "
        f"rights, but where nobody needs that, have the owner run: {remedy}"
    ]


def _prepared_transactions(connection: psycopg.Connection) -> list[str]:
    if connection.execute("SHOW max_prepared_transactions").fetchone() == ("0",):
        return []
    return [
        "This server takes prepared transactions, and one of a learner's holds up the room until somebody ends it. "
        "Where nobody needs them, have a superuser run ALTER SYSTEM SET max_prepared_transactions = 0; and restart the "
        "server."
    ]


def learners_url(admin: str, role: str, password: str, host: str | None, port: int | None) -> str:
    """Return the URL that a learner uses: the admin's server, as the learner's machine calls it.

    Args:
        host, port: what the learner's machine calls the server, where that is not what the admin's URL says.
    """
    parts = conninfo_to_dict(admin)
    where = host or str(parts.get("host") or parts.get("hostaddr") or "localhost")
    number = port or parts.get("port") or 5432
    # How to reach the server is the same for all; files and names that only the admin has are left out.
    more = {key: value for key in ("sslmode", "channel_binding") if (value := parts.get(key))}
    if "/" in where or where.startswith("@"):  # a socket: this machine alone
        more["host"], where = where, ""
    if ":" in where and not where.startswith("["):
        where = f"[{where}]"  # IPv6
    query = f"?{urlencode(more, quote_via=quote)}" if more else ""
    return f"postgresql://{role}:{password}@{where}:{number}/{role}{query}"


def is_this_machine(url: str) -> bool:
    """Whether a URL means the machine that it is used on, so that nobody else can use it."""
    host = str(conninfo_to_dict(url).get("host", ""))
    return not host or "/" in host or host in ("localhost", "::1") or host.startswith("127.")
