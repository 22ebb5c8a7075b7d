"""The learner's own event store, made of the learner's parts and of the reference's where there are none."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from eventstore import ANY, Appended, EventStore, EventTypes, Projection, WrongExpectedVersion
from eventstore.arguments import AnyVersion, check_stream_id, expected_value
from eventstore.errors import own_errors
from eventstore.log import Log
from eventstore.reader import checkpoint_of, handle_next, position_from
from eventstore.records import LogPosition

from ..errors import WorkshopError
from .parts import Parts, broken


def open_store(
    parts: Parts, connection: psycopg.Connection, types: EventTypes, projections: Iterable[Projection] = ()
) -> EventStore:
    """Return the learner's store on a connection; with nothing solved, the reference itself."""
    if not parts.own_scripts and not parts.functions:
        return EventStore(connection, types, projections)
    return YourStore(parts, connection, types, projections)


def handle_next_of(parts: Parts) -> Callable:
    """Return what subscriptions read with: the reference's handle_next, or the learner's in its place."""
    own = parts.functions.get("handle_next")
    if own is None:
        return handle_next

    def own_handle_next(log: Log, name: str, handler: Any, size: int, **wanted: Any) -> tuple[int, LogPosition]:
        # Before, so that nothing that comes meanwhile seems handled.
        position = position_from(log, name, checkpoint_of(log, name))
        return own(log, name, handler, size, **wanted), position

    return own_handle_next


class YourStore(EventStore):
    """An event store made of the learner's parts, and of the reference's where there are none.

    Where the learner's functions take less than the reference's, the reference's is called: their `append` knows
    neither metadata nor event ids.

    Args:
        parts: what it is made of.
    """

    def __init__(
        self, parts: Parts, connection: psycopg.Connection, types: EventTypes, projections: Iterable[Projection] = ()
    ):
        super().__init__(connection, types, projections)
        self.parts = parts

    def create_schema(self) -> None:
        """Create tables and functions in an empty schema, unless they are there: learners write CREATE, and no more.

        Raises:
            WorkshopError: an SQL file does not run, and which one.
        """
        with self.connection.transaction():
            if self.execute("SELECT to_regclass('events')").fetchone() == (None,):
                self._run_scripts()
            for projection in self.projections:
                projection.create(self.connection)

    def _run_scripts(self) -> None:
        for name, text in self.parts.scripts.items():
            if name == "32_no_fact_is_lost.sql" and not self._wall_is_whole():
                continue
            self._run(name, text)

    def append(
        self,
        stream_id: str,
        events: Iterable[object],
        *,
        expected_version: int | AnyVersion = ANY,
        metadata: Any = None,
        event_ids: Any = None,
    ) -> Appended:
        """Append as EventStore.append does, by the learner's functions where they can do what is asked for."""
        how = {"expected_version": expected_version, "metadata": metadata, "event_ids": event_ids}
        project = self.parts.functions.get("append_and_project")
        append = self.parts.functions.get("append")
        if self.projections and project:
            if isinstance(events, Iterator):
                events = list(events)
            self.begin()
            bare = YourStore(self.parts, self.connection, self.types)
            return project(bare, self.projections, stream_id, events, **how)
        if not append or self.projections or metadata is not None or event_ids is not None:
            return super().append(stream_id, events, **how)
        return self._append(append, stream_id, events, expected_version)

    def _append(
        self, append: Callable, stream_id: str, events: Iterable[object], expected_version: int | AnyVersion
    ) -> Appended:
        """Append by the learner's function, which takes dicts, None and -1, and returns the version alone."""
        check_stream_id(stream_id)
        expected = expected_value(expected_version)
        plain = msgspec.json.decode(msgspec.json.encode(self.types.encode_batch(events)))
        with own_errors(stream_id, expected_version):
            try:
                version = append(self.connection, stream_id, plain, expected)
            except WrongExpectedVersion as error:
                if error.expected != expected:
                    raise
                raise WrongExpectedVersion(error.stream_id, expected_version, error.actual) from None
        # This look is ours, not a statement of the learner's append: it is made past the connection's own cursors.
        look = psycopg.Cursor(self.connection, row_factory=tuple_row)
        row = look.execute("SELECT position FROM events WHERE (stream_id, version) = (%s, %s)", (stream_id, version))
        return Appended(version, *(row.fetchone() or (None,)))

    def _wall_is_whole(self) -> bool:
        """Whether one trigger refuses UPDATE, DELETE and TRUNCATE, as exercise 01.3 asks; if so, name it as asked.

        The door that archiving needs is put into a wall: where there is none, the tests are to find that.
        """
        # In tgtype, 8, 16 and 32 stand for DELETE, UPDATE and TRUNCATE, and 1 for FOR EACH ROW.
        wall = self.execute(
            "SELECT tgname, proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
            " WHERE tgrelid = 'events'::regclass AND NOT tgisinternal AND tgtype & 57 = 56"
        ).fetchone()
        if wall is None:
            return False
        trigger, function = map(sql.Identifier, wall)
        if wall[0] != "facts_stay":
            self.execute(sql.SQL("ALTER TRIGGER {} ON events RENAME TO facts_stay").format(trigger))
        if wall[1] != "refuse_change":
            self.execute(sql.SQL("ALTER FUNCTION {}() RENAME TO refuse_change").format(function))
        return True

    def _run(self, name: str, text: str) -> None:
        try:
            self.execute(text.encode())
        except psycopg.Error as error:
            if name in self.parts.own_scripts:
                raise broken(f"schema/{name}", f"does not run: {error.diag.message_primary or error}") from None
            raise WorkshopError(
                f"{name} of the reference does not run on top of your files: {error.diag.message_primary or error}.",
                "Does one of yours give a table or function another name? Compare my_eventstore/schema/ with "
                "eventstore/schema/.",
            ) from None
