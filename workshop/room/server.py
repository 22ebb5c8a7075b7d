"""The server that a room is on: the right to make one there, and how much it can carry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import psycopg
from psycopg import errors as postgres
from psycopg.conninfo import conninfo_to_dict

from ..errors import WorkshopError
from ..server.database import OLDEST_VERSION, open_connection, refuse_old_server
from ..server.rooms import LEARNER_MARK
from ..server.url_source import Source

ADMIN_URL = "WORKSHOP_ADMIN_URL"
# Of one learner at once. Measured: a kernel opens up to 9 in notebooks 00 to 09, and 34 in notebook 10, which has the
# conformance tests in it; kernels that were left open keep theirs.
CONNECTIONS = 50
FEWEST_CONNECTIONS = 12
_OWN_CONNECTIONS = 10  # the dashboard's, the hub's, these commands'
_TURNS, _TURN = 3, "10s"  # how often to wait for a turn, and how long: half a minute in all

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
def admin_connection(url: str, room: str) -> Iterator[psycopg.Connection]:
    """Connect as the role that makes rooms; one at a time is busy with a room.

    Raises:
        WorkshopError: no connection is to be had, somebody else is busy with the room, or PostgreSQL refuses something.
    """
    with open_connection(url, ADMIN) as connection:
        refuse_old_server(connection, ADMIN)
        connection.execute("SET client_min_messages = error; SET statement_timeout = '5min'")
        connection.execute("SET search_path = pg_catalog")  # learners may be able to log in to this database, too
        _take_turn(connection, room)
        connection.execute("SET lock_timeout = '30s'")
        try:
            yield connection
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


def _take_turn(connection: psycopg.Connection, room: str) -> None:
    """Wait until no other command is busy with a room.

    Raises:
        WorkshopError: one is, or somebody holds its lock, and that has not changed within half a minute.
    """
    key = (f"event store workshop, {room}",)
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (_TURN,))
    for _ in range(_TURNS):
        end_learners_who_lock(connection)
        try:
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", key)
            return
        except postgres.LockNotAvailable:
            pass
    holders = connection.execute(
        "SELECT DISTINCT usename, pid FROM pg_locks JOIN pg_stat_activity USING (pid) JOIN pg_database d"
        " ON d.oid = database AND d.datname = current_database() WHERE locktype = 'advisory' AND granted"
        " AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)",
        key,
    ).fetchall()
    raise WorkshopError(
        f"The room {room} has been locked for half a minute"
        + "".join(f", by the role {role} (process {pid})" for role, pid in holders)
        + ".",
        "Where another command is busy with it, wait, then try again; else have a superuser run "
        "SELECT pg_terminate_backend(PROCESS);",
    )


def end_learners_who_lock(connection: psycopg.Connection) -> None:
    """End the connections of learners that lock something in the connection's database, where all that is not theirs.

    Everybody may take an advisory lock, and leave a transaction open, in a database that lets them in; what is to be
    done there would wait for it. Only the learners of whoever made the room, or all for a superuser, can be ended.
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid IN (SELECT pid FROM pg_locks WHERE locktype IN ('advisory', 'relation'))"
        " AND starts_with(shobj_description(usesysid, 'pg_authid'), %s) AND pg_has_role(usesysid, 'USAGE')",
        (LEARNER_MARK,),
    )


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
    ]


def _capacity(connection: psycopg.Connection, learners: int, connections: int) -> list[str]:
    most = connection.execute(
        "SELECT sum(setting::int * CASE name WHEN 'max_connections' THEN 1 ELSE -1 END)::int FROM pg_settings"
        " WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
    ).fetchone()[0]  # type: ignore[index]
    needed = learners * connections + _OWN_CONNECTIONS
    if needed <= most:
        return []
    share = (most - _OWN_CONNECTIONS) // learners
    enough = needed + 20
    return [
        f"This server lets in {most} connections at once, and {learners} learners with up to {connections} each can "
        f"ask for {needed}: when it is full, it is full for all of them. Have a superuser run "
        f"ALTER SYSTEM SET max_connections = {enough}; and restart the server"
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
        f'"{name}"'
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datallowconn"
            " AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))"
            " WHERE grantee = 0 AND privilege_type = 'CONNECT') ORDER BY 1"
        )
    ]
    if not names:
        return []
    return [
        f"Every role of this server, and so every learner, may log in to {', '.join(names)}. What is in them keeps its "
        "own rights, but where nobody needs that, have the owner run: "
        f"REVOKE CONNECT, TEMPORARY ON DATABASE {', '.join(names)} FROM PUBLIC;"
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
