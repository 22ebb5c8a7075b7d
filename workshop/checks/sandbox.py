"""The sandbox in which checks meet an answer: a PostgreSQL schema of its own, gone afterwards."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg.pq import TransactionStatus

from eventstore import EventStore, EventTypes, Log, Projection

from ..bank import event_types
from ..server.database import Database, drop_schemas
from . import arranged
from .answers import reference_answer, reference_function
from .exercise import Check, Exercise, is_on_stage
from .given import reference_sql
from .guard import Guard
from .watched import Watched

Task = str | Callable[[psycopg.Connection], Any]
SomeLog = TypeVar("SomeLog", bound=Log)

STATEMENT_TIMEOUT = "5s"  # a statement of an answer takes milliseconds
_ENDED = (
    "Your function was called inside a transaction of its caller's, and ended that: a COMMIT, or ROLLBACK, is about "
    "all of it. `with connection.transaction():` is a transaction where there is none, and else a part of the caller's."
)


class AnswerDoesNotRun(Exception):
    """The learner's SQL was refused by PostgreSQL before any check could begin. The cause is psycopg's error."""


def is_servers_fault(error: BaseException) -> bool:
    """Whether the server lacks something (its disk is full, say), or broke down: that says nothing about an answer."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    return sqlstate[:2] in ("53", "58", "XX") or sqlstate == psycopg.errors.ReadOnlySqlTransaction.sqlstate


def _is_slip(error: psycopg.Error) -> bool:
    """Whether a function of the learner's cannot be run as it is written: that is no refusal."""
    kinds = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable)
    return isinstance(error, kinds) and "PL/pgSQL function" in (error.diag.context or "")


class Broken(Exception):
    """What a projection, a handler or a store raises where a check has it break down."""


def own_sandbox(check: Check) -> Check:
    """Mark a check that commits, or uses several connections: the tables are emptied after it.

    All other checks run in a transaction that is rolled back.
    """
    check.own_sandbox = True  # type: ignore[attr-defined]
    return check


@contextmanager
def expect(error: type[Exception], otherwise: str, *, instead: dict[type[Exception], str] | None = None) -> Iterator:
    """Raise AssertionError unless an error of this kind is raised.

    Args:
        otherwise: what is told where nothing is raised.
        instead: what is told where one of these is raised instead; {error} stands for it. Every other one gets through.
    """
    with tell(instead or {}):
        try:
            yield
        except error:
            return
        except Exception as other:
            inner = other.__context__
            if not isinstance(inner, error):
                raise
            raise AssertionError(
                f"An error was raised, {type(inner).__name__}: {inner}, and the caller got another one, "
                f"{type(other).__name__}: {other}. A caller waits for the very error: let it through as it is."
            ) from None
    raise AssertionError(otherwise)


@contextmanager
def tell(errors: dict[type[Exception], str]) -> Iterator:
    """Turn errors of these kinds into a message for the learner; {error} in it stands for the error."""
    try:
        yield
    except tuple(errors) as error:
        message = next(text for kind, text in errors.items() if isinstance(error, kind))
        raise AssertionError(message.replace("{error}", f"{type(error).__name__}: {error}")) from None


def interrupted(log: SomeLog, **meanwhile: Callable[[], object]) -> SomeLog:
    """Have somebody do something right after each call of a method: interrupted(store, read_stream=append)."""

    def followed(method: Callable, act: Callable) -> Callable:
        def with_somebody(*args: Any, **how: Any) -> Any:
            result = method(*args, **how)
            act()
            return result

        return with_somebody

    for name, act in meanwhile.items():
        setattr(log, name, followed(getattr(log, name), act))
    return log


class Sandbox:
    """Where the checks of an exercise meet an answer: a PostgreSQL schema of its own, gone afterwards.

    Args:
        url: the server.
        exercise: the exercise; its `given` is there before the answer.
        answer: the learner's function, or the text of their SQL.

    Attributes:
        exercise: the exercise.
        answer: the learner's function, guarded, or the text of their SQL.
    """

    def __init__(self, url: str, exercise: Exercise, answer: Any):
        self._url = url
        self._database: Database | None = None
        self._schemas: list[str] = []
        self._clear = ""
        self._check: ExitStack | None = None  # of a check whose transaction begins where it is needed
        self.stage: Any = None  # where scenes are played, once there is one
        self.trial: Any = None  # of a hunt
        self.exercise = exercise
        self.answer = Guard(answer) if callable(answer) else answer

    @property
    def database(self) -> Database:
        """The database of this sandbox, ready. Only those who ask for it pay for it."""
        if self._database is None:
            self._database = self._prepared()
        if self._check is not None:
            check, self._check = self._check, None
            check.enter_context(self._database.connection.transaction(force_rollback=True))
        return self._database

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.answer, Guard):
            self.answer.close()
        if self._database:
            self._database.close()
            drop_schemas(self._url, self._schemas)

    def run(self, check: Check, part: str = "") -> None:
        """Run one check; whatever it stores is gone afterwards.

        Args:
            part: the name of a function beside the answer, in its cell, that is checked; without one it passes.

        Raises:
            AnswerDoesNotRun: the answer is SQL, and PostgreSQL refuses it.
            Exception: whatever the check raises.
        """
        if part:
            if callable(function := self.answer.cell.get(part)):
                whole, self.answer = self.answer, Guard(function)
                self.run(check)
                self.answer.close()
                self.answer = whole
            return None
        if self.exercise.is_sql:
            self.database  # noqa: B018  # an answer that does not run is told before any check begins
        if is_on_stage(check):  # which clears it itself
            return check(self)
        if getattr(check, "own_sandbox", False):
            check(self)
            return self.clear()
        with ExitStack() as self._check:
            try:
                check(self)
            finally:
                is_inside, self._check = self._check is None, None
                if is_inside and self.database.connection.info.transaction_status == TransactionStatus.IDLE:
                    raise AssertionError(_ENDED)  # whatever else it led to

    def _prepared(self) -> Database:
        name = f"check_{uuid4().hex[:16]}"
        database = Database(self._url, name, synchronous_commit="off", statement_timeout=STATEMENT_TIMEOUT)
        self._database, self._schemas = database, [name]  # whatever comes, it is dropped
        database.reset()
        if self.exercise.given:  # all at once: that is twice as fast as file by file
            database.execute("\n".join(map(reference_sql, self.exercise.given)))
        if self.exercise.is_sql:
            try:
                database.execute(self.answer)
            except psycopg.Error as error:
                raise AnswerDoesNotRun from error
            if database.connection.info.transaction_status != TransactionStatus.IDLE:
                raise AssertionError(
                    "Your SQL leaves a transaction open, so nobody else will see what it made: COMMIT what you BEGIN, "
                    "or leave both out."
                )
        return database

    @cached_property
    def reference(self) -> Any:
        """The reference's answer: a function, or the search_path on which stands what its SQL makes.

        What it makes stands beside the learner's: functions, on the same tables; else with tables of its own.
        """
        if not self.exercise.is_sql:
            return reference_function(self.exercise.id)
        text = reference_answer(self.exercise.id)
        name, path = f"reference_{self.database.schema}", f'"reference_{self.database.schema}"'
        if re.search(r"CREATE (TABLE|TRIGGER)", text):
            text = "\n".join([*map(reference_sql, self.exercise.given), text])
        else:
            path += f', "{self.database.schema}"'
        self._schemas.append(name)
        self.execute(f'CREATE SCHEMA "{name}"; SET search_path = {path}; {text};')
        self.execute(f'SET search_path = "{self.database.schema}"')
        return path

    def clear(self) -> None:
        """Empty the tables, and let positions begin with 1 again: much faster than making the schema anew."""
        if self._database is None:
            return
        self._database.close_others()
        self.execute(self.clear_script())

    def clear_script(self, anew: bool = False) -> str:
        """Return the SQL that does so, as one script; tables that were made since are in it only if it is made anew.

        Triggers that keep events from being deleted are told to let this one pass. To disable them, and to enable them
        again, would have every function planned anew.
        """
        if anew or not self._clear:
            tables = self.execute(
                "SELECT quote_ident(relname),"
                " (SELECT string_agg(pg_get_serial_sequence(quote_ident(relname), attname), ' ') FROM pg_attribute"
                " WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND (attidentity <> '' OR atthasdef))"
                " FROM pg_class c WHERE relkind = 'r' AND relnamespace = to_regnamespace(quote_ident(%s))",
                (self.database.schema,),
            ).fetchall()
            triggers = self.values(
                "SELECT replace(pg_get_triggerdef(t.oid), ' EXECUTE', $$ WHEN (current_setting('sandbox.clears', true)"
                " IS DISTINCT FROM 'on') EXECUTE$$) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid"
                " WHERE NOT tgisinternal AND tgqual IS NULL AND relnamespace = to_regnamespace(quote_ident(%s))",
                (self.database.schema,),
            )
            self.execute(
                ";".join(it.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER") for it in triggers) or "SELECT"
            )
            self._clear = (
                "SET LOCAL sandbox.clears = 'on';"
                + "".join(
                    f"DELETE FROM {name};"
                    + "".join(f"SELECT setval('{it}', 1, false);" for it in (sequences or "").split())
                    for name, sequences in tables
                )
                + "SET LOCAL sandbox.clears = 'off';"
            )
        return f"BEGIN; {self._clear} COMMIT;"

    def store(
        self,
        *projections: Projection,
        connection: psycopg.Connection | None = None,
        types: EventTypes | None = None,
        kind: Any = EventStore,
    ) -> Any:
        """Return an event store, or a log, for the events of the bank.

        Args:
            projections: read models to register.
            connection: where; without one, the sandbox's own, so that what is stored is gone with the check.
        """
        more = (projections,) if projections else ()
        return kind(connection or self.database.connection, types or event_types(), *more)

    def put(self, stream_id: str, *events: Any, **how: Any) -> None:
        """Put events into the table as they are to be found: see arranged.put."""
        self.execute(arranged.put(stream_id, *events, **how))

    def stream(self, stream_id: str = "account-1") -> list[tuple[int, str]]:
        """Return the versions and types of a stream's events."""
        return self.execute(
            "SELECT version, type FROM events WHERE stream_id = %s ORDER BY version", (stream_id,)
        ).fetchall()

    def execute(self, query: str, params: Any = None) -> psycopg.Cursor:
        """Run SQL in the sandbox."""
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
            if is_servers_fault(error) or _is_slip(error):
                raise
            return error
        return None

    def is_cut_off(self) -> bool:
        """Whether the server went away: a check that failed says nothing about the answer then."""
        if self._database is None:
            return False
        with suppress(psycopg.Error):
            self._database.execute("SELECT")
        return self._database.connection.broken

    def while_open(self, first: Task, second: Task, then: Task = "") -> Any:
        """Run `first` in a transaction that is still open when another connection runs `second`, then commit it.

        With `then`, the first transaction runs that too, while the second one waits. It is a race with the luck taken
        out: the second writer always meets the first one half way.

        Returns:
            The rows of `second`, or what it returns where it is a function; the error if there is one.
        """
        one, other = self.database.connect(), Watched.of(self.database.connect())
        one.execute("BEGIN")
        run_task(first, one)

        def go_on() -> None:
            other.watch = None
            if then:
                run_task(then, one)
            one.commit()

        other.watch = _OnceItWaits(self, other, go_on)
        try:
            outcome = run_task(second, other)
        except Exception as error:
            outcome = error
        if other.watch:
            go_on()
        return outcome

    def is_blocked(self, connection: psycopg.Connection) -> bool:
        """Whether a connection waits for a lock that somebody else holds."""
        return self.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", (connection.info.backend_pid,))


class _OnceItWaits:
    """A watch that does something as soon as its connection waits for somebody else's lock."""

    def __init__(self, sandbox: Sandbox, connection: Watched, act: Callable[[], None]):
        self._sandbox, self._connection, self._act = sandbox, connection, act

    def before(self, statement: str) -> None:
        """Nobody comes in between."""

    def silence(self) -> None:
        if self._connection.watch is self and self._sandbox.is_blocked(self._connection):
            self._act()


def run_task(task: Task, connection: psycopg.Connection) -> Any:
    if callable(task):
        return task(connection)
    cursor = connection.execute(task)
    return cursor.fetchall() if cursor.description else None
