"""The log of a room: the database in which the learners' progress is kept, with the kit's own event store."""

import psycopg

from ..attempts import create_room_log


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
