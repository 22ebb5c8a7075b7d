"""What an exercise is, and the room in which its checks run."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Literal
from uuid import uuid4

import psycopg
from psycopg.pq import TransactionStatus

from eventstore import EventStore, Projection

from ..bank import event_types
from ..database import Database

Check = Callable[["Room"], None]


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: the number of its notebook and its place in it, such as "02.1".
        title: what is built, in a few words.
        minutes: how long a learner takes, reading its paragraph included.
        difficulty: as shown above the exercise.
        keeps: where in my_eventstore/ a passed answer is kept; its ending says whether the answer is SQL or Python.
        checks: plain functions that raise AssertionError with a message for the learner. The first line of a check's
            docstring is what it is called.
        hints: from a nudge to nearly the answer.
        given: the files of eventstore/schema that stand before the answer.
        fast_track: whether it belongs to the hour of the talk.
    """

    id: str
    title: str
    minutes: int
    difficulty: Literal["easy", "medium", "hard"]
    keeps: str
    checks: tuple[Check, ...]
    hints: tuple[str, ...]
    given: tuple[str, ...] = ()
    fast_track: bool = False

    @property
    def is_sql(self) -> bool:
        return self.keeps.endswith(".sql")


class AnswerDoesNotRun(Exception):
    """The learner's SQL was refused by PostgreSQL before any check could begin. The cause is psycopg's error."""


def own_room(check: Check) -> Check:
    """Mark a check that commits, or uses several connections: what it leaves behind is not shared.

    All other checks run in a transaction that is rolled back, which is much faster than making the schema anew.
    """
    check.own_room = True  # type: ignore[attr-defined]
    return check


class Room:
    """Where the checks meet an answer: a PostgreSQL schema of its own, gone afterwards.

    Attributes:
        answer: the learner's function, or the text of their SQL.
    """

    def __init__(self, url: str, exercise: Exercise, answer: Any):
        self._url = url
        self._exercise = exercise
        self._ready = False
        self.answer = answer

    @cached_property
    def database(self) -> Database:
        """The database of this room. Only those who ask for it pay for it."""
        return Database(self._url, f"check_{uuid4().hex[:16]}", synchronous_commit="off")

    def __enter__(self) -> "Room":
        return self

    def __exit__(self, *_: object) -> None:
        if "database" in self.__dict__:
            self.database.drop()

    def run(self, check: Check) -> None:
        """Run one check; whatever it stores is gone afterwards.

        Raises:
            AnswerDoesNotRun: the answer is SQL, and PostgreSQL refuses it.
            Exception: whatever the check raises.
        """
        if not self._ready:
            self._prepare()
        if getattr(check, "own_room", False):
            self._ready = False  # the next check needs the schema made anew
            check(self)
        else:
            with self.database.connection.transaction(force_rollback=True):
                check(self)

    def _prepare(self) -> None:
        self.database.reset()
        if self._exercise.given:  # all at once: that is twice as fast as file by file
            self.execute("\n".join(map(reference_sql, self._exercise.given)))
        if self._exercise.is_sql:
            try:
                self.execute(self.answer)
            except psycopg.Error as error:
                raise AnswerDoesNotRun from error
            if self.database.connection.info.transaction_status != TransactionStatus.IDLE:
                raise AssertionError(
                    "Your SQL leaves a transaction open, so nobody else will see what it made: COMMIT what you BEGIN, or "
                    "leave both out."
                )
        self._ready = True

    def is_cut_off(self) -> bool:
        """Whether the server went away: a check that failed says nothing about the answer then."""
        if "database" not in self.__dict__:
            return False
        with suppress(psycopg.Error):
            self.execute("SELECT")
        return self.database.connection.broken

    def store(self, *projections: Projection) -> EventStore:
        """Return an event store for the events of the bank, on a connection of its own."""
        return EventStore(self.database.connect(), event_types(), projections)

    def execute(self, query: str, params: Any = None) -> psycopg.Cursor:
        """Run SQL in the room."""
        return self.database.execute(query, params)

    def value(self, query: str, params: Any = None) -> Any:
        """Return the first column of the first row."""
        row = self.execute(query, params).fetchone()
        return row[0] if row else None

    def values(self, query: str, params: Any = None) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.execute(query, params)]

    def refused(self, query: str, params: Any = None) -> psycopg.Error | None:
        """Run SQL that should be refused; return PostgreSQL's error, or None where it was accepted."""
        try:
            with self.database.connection.transaction():
                self.execute(query, params)
        except psycopg.errors.QueryCanceled:
            raise  # not refused, but stuck
        except psycopg.Error as error:
            return error
        return None

    def while_open(self, first: str, second: str | Callable[[psycopg.Connection], Any], then: str = "") -> Any:
        """Run `first` in a transaction that is still open when another connection runs `second`, then commit it.

        With `then`, the first transaction runs that too, while the second one waits.

        This is a race with the luck taken out: the second writer always meets the first one half way.

        Returns:
            The rows of `second`, or what it returns where it is a function; the error if there is one.
        """
        one, other = self.database.connect(), self.database.connect()
        outcome: list[Any] = []

        def run_second() -> None:
            try:
                outcome.append(second(other) if callable(second) else other.execute(second).fetchall())
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=run_second, daemon=True)
        with one.transaction():
            one.execute(first)
            thread.start()
            self._wait_until_blocked_or_done(other, thread)
            if then:
                one.execute(then)
        thread.join()
        return outcome[0]

    def _wait_until_blocked_or_done(self, connection: psycopg.Connection, thread: threading.Thread) -> None:
        deadline = time.monotonic() + 5
        while thread.is_alive() and time.monotonic() < deadline:
            if self.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", (connection.info.backend_pid,)):
                return
            time.sleep(0.002)


def whole_schema() -> tuple[str, ...]:
    """Return the names of all files of eventstore/schema, for exercises that stand on a finished store on one machine."""
    names = {file.name for file in files("eventstore").joinpath("schema").iterdir()}
    return tuple(sorted(names - {"95_citus.sql"}))


def core_schema() -> tuple[str, ...]:
    """Return the same without those that only readers of the log and the archive need: that is made in half the time."""
    later = ("21", "32", "70", "72", "81", "83", "90", "91")
    return tuple(name for name in whole_schema() if not name.startswith(later))


def reference_sql(name: str) -> str:
    """Return the text of one file of eventstore/schema."""
    return files("eventstore").joinpath("schema", name).read_text()
