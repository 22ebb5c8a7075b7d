"""The log of a room: the kit's own event store in the room's database, and the two functions that learners may call."""

from importlib.resources import files

import psycopg
from psycopg import sql

from eventstore import EventStore

from ..attempts.events import EVENT_TYPES


def create_room_log(connection: psycopg.Connection, learners_role: str) -> None:
    """Install the log of a room in the schema `room` of the connection's database, or bring it up to date.

    From then on the members of a role may connect to this database, and execute `room.record_attempt` and
    `room.my_attempts` in it. Nobody but the owner may do anything else. Safe to call again.

    Args:
        connection: to the room's own database, as its owner.
        learners_role: the role whose members are the learners of the room.

    Raises:
        psycopg.Error: the connection's role may not do that, or there is no role of that name. Nothing was changed.
    """
    learners = sql.Identifier(learners_role)
    database = sql.Identifier(connection.info.dbname)
    with connection.transaction():
        connection.execute("SET LOCAL client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS room")
        connection.execute("SET LOCAL search_path = room")
        EventStore(connection, EVENT_TYPES).create_schema()
        for script in sorted(files(__package__).joinpath("schema").iterdir(), key=lambda file: file.name):
            connection.execute(script.read_bytes())
        for statement in (
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA room FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO {learners}",
            "GRANT USAGE ON SCHEMA room TO {learners}",
            "GRANT EXECUTE ON FUNCTION record_attempt, my_attempts TO {learners}",
        ):
            connection.execute(sql.SQL(statement).format(database=database, learners=learners))


def furnish_log(connection: psycopg.Connection, learners_role: str) -> None:
    """Make the log of a room in its database, or bring it up to date, and let learners log in there.

    Args:
        connection: to that database, as its owner.
        learners_role: the role that all learners are members of.
    """
    # Functions that would have an effect on others are not theirs to call. They are PostgreSQL's own: only a superuser
    # can take them away. An advisory lock would keep readers of the log waiting.
    if connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,):
        connection.execute(_TAKE_AWAY)
    create_room_log(connection, learners_role)


_TAKE_AWAY = r"""
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(pg_(try_)?advisory_|lo_|lowrite)'
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
    END LOOP;
END
$$
"""
