"""What is there of a room on its server, and what only looks like it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from ..errors import WorkshopError
from ..server.rooms import LEARNER_MARK, ROOM_MARK, group_of, rooms_on
from .names import plain


@dataclass(frozen=True)
class Learner:
    """What the server knows of a learner.

    Attributes:
        name: the name, as it was given.
        role: what PostgreSQL calls the learner, and the learner's database.
        ready: whether the learner can come in. Else a command was stopped half way; make or reset completes it.
        connections: how many are open.
        size: of the learner's database, in bytes.
    """

    name: str
    role: str
    ready: bool
    connections: int
    size: int


class RoomCatalog:
    """A room as it is found through a connection.

    Attributes:
        group: the role that all learners of the room are members of, and the database of its log.
        mark: the comment that makes a role or a database this room's.
    """

    def __init__(self, connection: psycopg.Connection, name: str):
        self.connection = connection
        self.name = name
        self.group = group_of(name)
        self.mark = ROOM_MARK + name

    def role(self, plain_name: str) -> str:
        """Return what a learner's role, and database, is called."""
        return f"{self.name}_{plain_name}"

    def exists(self) -> bool:
        """Whether there is such a room, though perhaps half made."""
        return self.name in rooms_on(self.connection)

    def require(self) -> None:
        """Raise WorkshopError where there is no such room."""
        there = rooms_on(self.connection)
        if self.name not in there:
            raise WorkshopError(
                f"There is no room {self.name} on this server.",
                f"There is: {', '.join(there)}." if there else "There is none at all; make makes one.",
            )

    def learners(self) -> dict[str, Learner]:
        """Return the learners of the room by role."""
        rows = self.connection.execute(
            "SELECT substr(shobj_description(r.oid, 'pg_authid'), %s), r.rolname,"
            " coalesce(r.rolcanlogin AND d.datallowconn AND shobj_description(d.oid, 'pg_database') = %s, false),"
            " (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid),"
            " CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END"
            " FROM pg_roles r LEFT JOIN pg_database d ON d.datname = r.rolname"
            " WHERE EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles room ON room.oid = m.roleid"
            " WHERE m.member = r.oid AND room.rolname = %s)"
            " AND starts_with(shobj_description(r.oid, 'pg_authid'), %s) ORDER BY r.rolname",
            (len(LEARNER_MARK) + 1, self.mark, self.group, LEARNER_MARK),
        )
        return {row[1]: Learner(*row) for row in rows}

    def find(self, name: str) -> Learner:
        """Return a learner, by name or role.

        Raises:
            WorkshopError: there is no such room, or no such learner in it.
        """
        self.require()
        learners = self.learners()
        role = name if name in learners else self.role(plain(name))
        if role not in learners:
            close = difflib.get_close_matches(role, learners, n=3)
            raise WorkshopError(
                f"There is no learner {name!r} in the room {self.name}.",
                f"Is it {' or '.join(learners[each].name for each in close)}?" if close else "list shows who is there.",
            )
        return learners[role]

    def owns_database(self, name: str) -> bool:
        """Whether a database called as a role of this room is there, and is this room's, though perhaps half made."""
        row = self.connection.execute(
            "SELECT NOT datallowconn OR coalesce(shobj_description(oid, 'pg_database') = %s, false) FROM pg_database"
            " WHERE datname = %s",
            (self.mark, name),
        ).fetchone()
        return row == (True,)

    def refuse_strangers(self, wanted: Mapping[str, str], learners: Mapping[str, Learner]) -> None:
        """Refuse to make learners where something else would be taken for what is theirs.

        Args:
            wanted: their names, by what PostgreSQL keeps of them.
            learners: who is in the room, by role.

        Raises:
            WorkshopError: another learner, or a role or database that is not of this room, is called so.
        """
        for plain_name, name in wanted.items():
            there = learners.get(self.role(plain_name))
            if there and there.name != name:
                raise WorkshopError(
                    f"{name!r} would be called {there.role}, as {there.name!r} is in the room {self.name}.",
                    f"Where that is the same person, write {there.name!r}; else add a second name or a number.",
                )
        names = [self.group, *map(self.role, wanted)]
        ours = {*learners, *([self.group] if self.exists() else [])}
        roles = self.connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (names,))
        strangers = [f"the role {name}" for (name,) in roles if name not in ours]
        databases = self.connection.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", (names,))
        strangers += [
            f"the database {name}" for (name,) in databases if name not in ours or not self.owns_database(name)
        ]
        if strangers:
            raise WorkshopError(
                f"On the server already, and not of the room {self.name}: {', '.join(strangers)}.",
                "Give the room, or these learners, another name.",
            )
