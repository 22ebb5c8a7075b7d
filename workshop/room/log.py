"""The log of a room: the kit's own event store in the room's database, and the two functions that learners may call."""

from importlib.resources import files

import psycopg
from psycopg import sql

from eventstore import EventStore

from ..attempts.events import EVENT_TYPES, LONGEST_ANSWER, LONGEST_CHECK, LONGEST_OUTCOME
from ..server.rooms import LEARNER_MARK, STREAM_PREFIX


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
    filled_in = {
        "database": sql.Identifier(connection.info.dbname),
        "learners": sql.Identifier(learners_role),
        "learner_mark": sql.Literal(LEARNER_MARK),
        "stream_prefix": sql.Literal(STREAM_PREFIX),
        "longest_check": sql.Literal(LONGEST_CHECK),
        "longest_outcome": sql.Literal(LONGEST_OUTCOME),
        "longest_answer": sql.Literal(LONGEST_ANSWER),
    }
    scripts = sorted(files(__package__).joinpath("schema").iterdir(), key=lambda file: file.name)
    with connection.transaction():
        connection.execute("SET LOCAL client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS room")
        connection.execute("SET LOCAL search_path = room")
        EventStore(connection, EVENT_TYPES).create_schema()
        for script in scripts:
            text = script.read_text(encoding="utf-8")
            for name, value in filled_in.items():
                text = text.replace(f"{{{name}}}", value.as_string(connection))
            connection.execute(text.encode())
