"""The learner's own event store: what is in my_eventstore/, and the reference for the rest.

SQL files stand in for those of the same name in eventstore/schema/, and run in the order of their names; functions
stand in for the reference's. A part counts as the learner's once the last exercise about it is solved.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

import eventstore
from eventstore import ANY, Appended, EventStore, EventTypes, Projection, WrongExpectedVersion
from eventstore.arguments import AnyVersion, check_stream_id, expected_value
from eventstore.errors import own_errors
from eventstore.log import Log
from eventstore.reader import checkpoint_of, handle_next, position_from
from eventstore.records import LogPosition

from . import kept
from .errors import WorkshopError
from .exercises import EXERCISES
from .exercises.exercise import Exercise, reference_sql, whole_schema

# The functions that stand in for the reference's: what a learner calls them, and the reference's own name.
FUNCTIONS = {
    "02.6": ("append", "EventStore.append"),
    "04.2": ("handle", "handle"),
    "05.1": ("aggregate_stream", "aggregate_stream"),
    "06.3": ("append_and_project", "EventStore.append"),
    "06.4": ("rebuild_read_model", "rebuild"),
    "07.3": ("aggregate_with_snapshots", "aggregate_with_snapshots"),
    "08.3": ("handle_next", "handle_next"),
}


@dataclass(frozen=True)
class Part:
    """A part of the store, and whose it is.

    Attributes:
        file: where it is, or would be, in my_eventstore/.
        function: the function's name, "" for SQL.
        exercise: the last exercise about it, "" where no exercise asks for it.
        yours: whether it is the learner's.
        tested: whether the conformance tests run it; an answer that no part of a store is has its own check alone.
    """

    file: str
    function: str
    exercise: str
    yours: bool
    tested: bool = True

    def __str__(self) -> str:
        exercise = f" ({self.exercise})" if self.exercise else ""
        return f"{self.file}{': ' if self.function else ''}{self.function}{exercise}"


class YourStore(EventStore):
    """An event store made of the learner's parts, and of the reference's where there are none.

    Where the learner's functions take less than the reference's, the reference's is called: their `append` knows
    neither metadata nor event ids.

    Args:
        parts: what it is made of.
    """

    def __init__(
        self, parts: "Parts", connection: psycopg.Connection, types: EventTypes, projections: Iterable[Projection] = ()
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
        row = look.execute("SELECT position FROM log WHERE (stream_id, version) = (%s, %s)", (stream_id, version))
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
                raise _broken(f"schema/{name}", f"does not run: {error.diag.message_primary or error}") from None
            raise WorkshopError(
                f"{name} of the reference does not run on top of your files: {error.diag.message_primary or error}.",
                "Does one of yours give a table or function another name? Compare my_eventstore/schema/ with "
                "eventstore/schema/.",
            ) from None


class Parts:
    """What the learner's store is made of.

    Attributes:
        scripts: the SQL to run, by the names of the files, in their order.
        own_scripts: which of these are the learner's.
        functions: the learner's Python functions, by the names of FUNCTIONS.
        parts: all of them, and whose each of them is.

    Raises:
        WorkshopError: a Python file does not load.
    """

    def __init__(self) -> None:
        folder = kept.folder()
        self.scripts = {name: reference_sql(name) for name in whole_schema()}
        asked_for = {exercise.keeps.removeprefix("schema/"): exercise for exercise in _last_about("schema/")}
        self.own_scripts: set[str] = set()
        for path in sorted((folder / "schema").glob("*.sql")):
            if _is_finished(path, asked_for.get(path.name)):
                self.scripts[path.name] = _text(path)
                self.own_scripts.add(path.name)
        self.scripts = dict(sorted(self.scripts.items()))
        self.parts = [
            Part(f"schema/{name}", "", asked_for[name].id if name in asked_for else "", name in self.own_scripts)
            for name in self.scripts
        ]
        self.functions: dict[str, Callable] = {}
        for exercise_id, (name, _) in FUNCTIONS.items():
            exercise = EXERCISES[exercise_id]
            path = folder / exercise.keeps
            if path.is_file() and _is_finished(path, exercise):
                self.functions[name] = _load(path, name)
            self.parts.append(Part(exercise.keeps, name, exercise_id, name in self.functions))
        tested = {part.file for part in self.parts}
        for exercise in EXERCISES.values():
            if exercise.keeps not in tested and kept.exercise_of(folder / exercise.keeps) == exercise.id:
                self.parts.append(Part(exercise.keeps, "", exercise.id, yours=True, tested=False))

    def open(
        self, connection: psycopg.Connection, types: EventTypes, projections: Iterable[Projection] = ()
    ) -> EventStore:
        """Return the learner's store on a connection; with nothing solved, the reference itself."""
        if not self.own_scripts and not self.functions:
            return EventStore(connection, types, projections)
        return YourStore(self, connection, types, projections)

    def handle_next(self) -> Callable:
        """Return what subscriptions read with: the reference's handle_next, or the learner's in its place."""
        own = self.functions.get("handle_next")
        if own is None:
            return handle_next

        def own_handle_next(log: Log, name: str, handler: Any, size: int, **wanted: Any) -> tuple[int, LogPosition]:
            # Before, so that nothing that comes meanwhile seems handled.
            position = position_from(log, name, checkpoint_of(log, name))
            return own(log, name, handler, size, **wanted), position

        return own_handle_next

    def function(self, name: str) -> Callable:
        """Return a function of eventstore, or the learner's in its place."""
        own = {theirs: mine for mine, theirs in FUNCTIONS.values()}[name]
        return self.functions.get(own) or getattr(eventstore, name)


def _last_about(folder: str) -> list[Exercise]:
    """Return the exercises whose answer is kept in a folder: of several that keep one file, the last."""
    return list({each.keeps: each for each in EXERCISES.values() if each.keeps.startswith(folder)}.values())


def _is_finished(path: Path, exercise: Exercise | None) -> bool:
    """Whether a file is more than the answer to an earlier exercise; files that nobody asked for are."""
    there = kept.exercise_of(path)
    return exercise is None or there is None or there >= exercise.id


def _load(path: Path, name: str) -> Callable:
    """Return a function from a file of the learner's."""
    where = path.relative_to(kept.folder()).as_posix()
    module = ModuleType(f"my_eventstore.{path.stem}")
    try:
        exec(compile(_text(path), str(path), "exec"), module.__dict__)
    except SyntaxError as error:
        raise _broken(where, f"does not load: {error.msg}, in line {error.lineno}") from None
    except Exception as error:  # whatever the file does when it is loaded
        raise _broken(where, f"does not load: {type(error).__name__}: {error}") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise _broken(where, f"defines no function {name}")
    return function


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path.relative_to(kept.folder()).as_posix(), f"cannot be read: {error}") from None


def _broken(where: str, what: str) -> WorkshopError:
    known = [exercise.id for exercise in EXERCISES.values() if exercise.keeps == where]
    again = f"Solve exercise {known[-1]} again, or remove that file" if known else "Mend that file, or remove it"
    stands_in = ", and the reference stands in." if known else "."
    return WorkshopError(f"my_eventstore/{where} {what}.", again + stands_in)
