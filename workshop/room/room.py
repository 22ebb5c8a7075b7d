"""A room: made, added to, listed, reset and taken down.

A room called oslo is a role `room_oslo` that nobody can log in as, a member of it and a database for each learner, both
called `oslo_ada`, and a database `room_oslo` for the log. Comments mark them as this room's.

A database each, because PostgreSQL keeps databases apart by itself: a learner can neither read a neighbour's rows and
functions, nor meet a neighbour's locks and notifications. It belongs to whoever made the room, and its learner may make
schemas in it: so a learner can neither drop it nor let others in.

What is a limit, and what only a default: the number of connections is a limit, and so is the size of temporary files
where whoever made the room may set one (a superuser may; `make` says what another role needs). The timeouts are
defaults, since PostgreSQL lets everybody change their own: they end accidents, not attacks. There is no limit in
PostgreSQL on how much a learner stores, calculates, locks or holds in memory, and the server's disk, memory and table
of locks are one for all. `list` shows sizes and connections, and `reset` ends whatever a learner is running, unless the
table of locks is full: then nobody gets a connection, whoever asks.

The names of roles and databases, and their comments, can be read by everybody on a server, so by all learners. So can,
in PostgreSQL's statistics, who is connected to what, under which application_name, which says what notebook a neighbour
has open, and how busy a database is. What a neighbour runs, and what comes of it, is hidden.

A command waits for no learner, whatever a learner holds: see right_of_way.py.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import Connection

from ..errors import WorkshopError
from ..server.rooms import group_of
from ..server.url_source import in_libpqs_words
from . import server
from .builder import RoomBuilder
from .catalog import Learner, RoomCatalog
from .names import check_room, plain, plain_names
from .right_of_way import RightOfWay

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that is taken for another one


@dataclass(frozen=True)
class Seat:
    """What a learner gets.

    Attributes:
        name: the learner's name, as it was given.
        role: what PostgreSQL calls the learner, and the learner's database.
        url: with the password, which PostgreSQL keeps in a form that cannot be shown again. None for a learner who was
            there before, and whose password stays.
    """

    name: str
    role: str
    url: str | None = field(repr=False)

    @property
    def line(self) -> str:
        """What the learner pastes into a notebook; empty where the password stays. It needs no quoting in CSV."""
        return f"from workshop import join; join('{self.url}')" if self.url else ""


class Room:
    """A room on a PostgreSQL server. Each method connects, and may be called from any thread.

    Args:
        name: a small letter, then up to 20 small letters, digits and underscores.
        admin_url: the server, and a role there that may make roles and databases, or a superuser.
        host, port: what the learners' machines call that server, where it is not what `admin_url` says.
        connections: how many connections each learner may have at once. The room remembers it, so that it need be named
            only once.
        tell: called with what an instructor should hear of, such as whose connection was in the way.

    Raises:
        WorkshopError: the name is none. From each method: what it is that PostgreSQL, or the network, refuses.
    """

    def __init__(
        self,
        name: str,
        admin_url: str,
        *,
        host: str | None = None,
        port: int | None = None,
        connections: int | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ):
        self.name = check_room(name)
        self.role = group_of(name)
        self._admin_url = in_libpqs_words(admin_url)
        self._host, self._port = host, port
        self._connections = connections
        self._tell = tell

    def advice(self, names: Iterable[str] = ()) -> list[str]:
        """Return what to know of the server before these learners come, beside those who are there."""
        with self._work() as builder:
            there = {*builder.catalog.learners(), *(builder.catalog.role(plain(name)) for name in names)}
            return server.advice(builder.connection, max(len(there), 1), builder.limit)

    def make(self, names: Iterable[str]) -> Iterator[Seat]:
        """Make the room and its learners, or whatever of that is not there yet; bring the log up to date.

        Yields:
            A seat for each name as soon as it is ready. Learners who were there before keep their password.

        Raises:
            WorkshopError: a name cannot be used, a right is missing, or something of that name is on the server that is
                not of this room; nothing was made then.
        """
        wanted = plain_names(names)
        with self._work() as builder:
            learners = builder.catalog.learners()
            builder.catalog.refuse_strangers(wanted, learners)
            builder.make_room(renew=True)
            for plain_name, name in wanted.items():
                role = builder.catalog.role(plain_name)
                ready = role in learners and learners[role].ready
                yield self._seat(builder, role, name, None if ready else _new_password(), exists=role in learners)

    def add(self, name: str) -> Seat:
        """Make one more learner in a room that is there.

        Raises:
            WorkshopError: there is no such room, the learner is there already, or the name cannot be used.
        """
        wanted = plain_names([name])
        with self._work() as builder:
            builder.catalog.require()
            learners = builder.catalog.learners()
            ((plain_name, name),) = wanted.items()
            role = builder.catalog.role(plain_name)
            if role in learners and learners[role].ready:
                raise WorkshopError(
                    f"{learners[role].name} is in the room {self.name} already, as {role}.",
                    "Somebody else needs a second name or a number; for a password that was lost, use reset.",
                )
            builder.catalog.refuse_strangers(wanted, learners)
            return self._seat(builder, role, name, _new_password(), exists=role in learners)

    def admit(self, name: str, password: str | None = None) -> str:
        """Let a learner in, late or again, and return the URL to use: for a hub that starts the learner's server.

        Who is not there yet is added, and the room made if need be. The password becomes the one that is given, or a
        new one; open connections stay.

        Args:
            name: the learner's name. Two names that would be kept alike are refused, whoever comes second.
            password: letters, digits, hyphens and underscores. A hub that derives it from a secret of its own and the
                name can give the same URL again.

        Raises:
            WorkshopError: the name or the password cannot be used, or a right is missing.
        """
        if password is not None and not re.fullmatch(r"[A-Za-z0-9_-]{12,}", password):
            raise WorkshopError("That password cannot be used.", "Take 12 or more of A-Z, a-z, 0-9, - and _.")
        wanted = plain_names([name])
        with self._work() as builder:
            learners = builder.catalog.learners()
            builder.catalog.refuse_strangers(wanted, learners)
            builder.make_room(renew=False)
            ((plain_name, name),) = wanted.items()
            role = builder.catalog.role(plain_name)
            seat = self._seat(builder, role, name, password or _new_password(), exists=role in learners)
        assert seat.url is not None  # there is a password
        return seat.url

    def reset(self, name: str, *, empty: bool = False) -> Seat:
        """Give a learner a new password, and end whatever the learner is running.

        Should this be stopped half way, the learner cannot log in until reset, or make, is run again.

        Args:
            empty: whether the database is made anew, too: all that the learner has stored in it is gone.

        Raises:
            WorkshopError: there is no such learner.
        """
        with self._work() as builder:
            learner = builder.catalog.find(name)
            builder.catalog.refuse_strangers(
                {learner.role.removeprefix(f"{self.name}_"): learner.name}, {learner.role: learner}
            )
            builder.end_connections([learner.role])
            if empty:
                builder.drop_database(learner.role)
            return self._seat(builder, learner.role, learner.name, _new_password(), exists=True)

    def learners(self) -> list[Learner]:
        """Return the learners of the room, by name.

        Raises:
            WorkshopError: there is no such room.
        """
        with self._connected() as (connection, _):
            catalog = RoomCatalog(connection, self.name)
            catalog.require()
            return list(catalog.learners().values())

    def take_down(self) -> list[str]:
        """Drop the room: its databases with all that is in them, its roles, and nothing else.

        Returns:
            The names of the databases, then of the roles, that were dropped.

        Raises:
            WorkshopError: there is no such room.
        """
        with self._work() as builder:
            builder.catalog.require()
            learners = list(builder.catalog.learners())
            builder.end_connections(learners)
            databases = [name for name in (*learners, builder.catalog.group) if builder.drop_database(name)]
            builder.drop_roles(learners)
        return [*databases, *learners, builder.catalog.group]

    @contextmanager
    def _work(self) -> Iterator[RoomBuilder]:
        """Connect with the right to work on the room."""
        with self._connected() as (connection, way):
            catalog, rights = RoomCatalog(connection, self.name), server.rights(connection)
            yield RoomBuilder(catalog, self._admin_url, way, rights, self._connections)

    @contextmanager
    def _connected(self) -> Iterator[tuple[Connection, RightOfWay]]:
        """Connect, keep others from the room meanwhile, and tell whose connection was in the way."""
        with server.admin_connection(self._admin_url, self.name) as (connection, way):
            try:
                yield connection, way
            finally:
                for learner in sorted(way.ended):
                    self._tell(f"A connection of {learner} was in the way of this, and has been ended.")

    def _seat(self, builder: RoomBuilder, role: str, name: str, password: str | None, *, exists: bool) -> Seat:
        builder.make_learner(role, name, password, exists=exists)
        url = server.learners_url(self._admin_url, role, password, self._host, self._port) if password else None
        return Seat(name, role, url)


def _new_password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(20))
