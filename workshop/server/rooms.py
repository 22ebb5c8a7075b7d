"""Rooms as a server knows them: what is called how, and by which comments it is known.

A room called oslo is a role `room_oslo` that its learners are members of, and a database of that name for its log. A
learner of it is a role, such as `oslo_ada`, with a database of that name and a stream `learner-oslo_ada` in the log.
Who may make roles writes the comments that mark these roles; learners cannot change them.
"""

import psycopg

ROOM_MARK = "event store workshop, room "  # then the room's name
LEARNER_MARK = "event store workshop, learner "  # then the learner's, as it was given

STREAM_PREFIX = "learner-"


def group_of(room: str) -> str:
    """Return what the role of a room, and the database of its log, is called."""
    return f"room_{room}"


def stream_of(role: str) -> str:
    """Return the stream of a learner's attempts."""
    return STREAM_PREFIX + role


def learner_of(stream_id: str) -> str:
    """Return whose stream it is: the learner's role."""
    return stream_id.removeprefix(STREAM_PREFIX)


def rooms_on(connection: psycopg.Connection) -> list[str]:
    """Return the names of the rooms on a connection's server, also of those that are half made."""
    marks = connection.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles"
        " WHERE starts_with(shobj_description(oid, 'pg_authid'), %s) ORDER BY 1",
        (ROOM_MARK,),
    )
    return [mark.removeprefix(ROOM_MARK) for (mark,) in marks]


def room_of(connection: psycopg.Connection) -> str | None:
    """Return the name of the room that the role of a connection is a learner of, None where it is none."""
    row = connection.execute(
        "SELECT shobj_description(room.oid, 'pg_authid') FROM pg_auth_members JOIN pg_roles room ON room.oid = roleid"
        " JOIN pg_roles learner ON learner.oid = member AND learner.rolname = session_user"
        " WHERE starts_with(shobj_description(learner.oid, 'pg_authid'), %s)"
        " AND starts_with(shobj_description(room.oid, 'pg_authid'), %s)",
        (LEARNER_MARK, ROOM_MARK),
    ).fetchone()
    return row[0].removeprefix(ROOM_MARK) if row else None
