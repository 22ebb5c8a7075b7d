"""The stage: the answer is called in one scene after the other, and all that can be seen of that is noted.

One call in a scene is a play. What was there before is put into the tables, somebody may come in between, something may
break; afterwards others look. The same is played of the reference, and what can be seen of that is right.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import wraps
from typing import Any, Literal

import psycopg
from psycopg.pq import TransactionStatus

from eventstore import EventStore, EventTypes, Projection

from ..bank import event_types
from ..server.database import Database
from . import words
from .guard import Endless, Guard, quiet
from .sandbox import Sandbox, is_servers_fault
from .scene import Cases, Did, Scene
from .watched import Watched

MOST_PLACES = 150  # an answer that sends or calls more than this, in a scene of a few events, has no end
Side = Literal["answer", "reference"]
Mode = Literal["alone", "inside", "manual"]  # autocommit; in a transaction of the caller's; without autocommit
FAILED = "the caller's transaction has failed"
IDLE = "no transaction is under way"
CLOSED = "the connection is closed"
Setup = Callable[[psycopg.Connection], Any]

# Stops a function in the database at each of its writes: whoever holds the lock of that number keeps it there.
_GATE = """
CREATE SEQUENCE stage_place;
CREATE FUNCTION stage_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number int;
BEGIN
    IF current_setting('stage.caller', true) IS DISTINCT FROM 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_WHEN || TG_TABLE_NAME = current_setting('stage.place', true) THEN
        RETURN NULL;  -- ON CONFLICT DO UPDATE is an INSERT and an UPDATE, and one place
    END IF;
    PERFORM set_config('stage.place', TG_WHEN || TG_TABLE_NAME, false);
    number := nextval('stage_place');
    RAISE NOTICE 'stage: % % %', lower(TG_WHEN), TG_OP, TG_TABLE_NAME;
    IF number::text = current_setting('stage.breaks', true) THEN
        RAISE EXCEPTION 'no space left on the stage' USING ERRCODE = 'disk_full';
    END IF;
    PERFORM pg_advisory_lock_shared({gates}, number), pg_advisory_unlock_shared({gates}, number);
    RETURN NULL;
END
$$;
"""


Rows = dict[str, list[str]] | None


@dataclass(frozen=True)
class Seen:
    """What can be seen of a play, in words.

    Attributes:
        outcome: what was returned or raised.
        rows: those of each table, by its name; None where none of them was touched.
        left: what else is not as it was: a transaction, a setting, an argument, somebody who waited.
        error: what was raised.
        places: where somebody could have come in.
        waited: whether somebody had to wait for the answer, and so came after it.
    """

    outcome: str
    rows: Rows
    left: tuple[str, ...] = ()
    error: BaseException | None = field(default=None, compare=False)
    places: tuple[str, ...] = field(default=(), compare=False)
    waited: bool = field(default=False, compare=False)


class Tables:
    """The tables of a sandbox, as others see them."""

    def __init__(self, database: Database):
        rows = database.execute(
            "SELECT relname, quote_ident(relname),"
            " coalesce(array_agg(attname) FILTER (WHERE atttypid = 'timestamptz'::regtype), '{}'),"
            " coalesce(array_agg(attname) FILTER (WHERE attidentity <> ''), '{}'), array_agg(attname)"
            " FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0"
            " WHERE relkind = 'r' AND relnamespace = to_regnamespace(quote_ident(%s)) GROUP BY 1 ORDER BY 1",
            (database.schema,),
        ).fetchall()
        self.names = [row[1] for row in rows]
        self.sequences = [
            name
            for table, quoted, _, columns, _ in rows
            for column in columns
            for (name,) in database.execute("SELECT pg_get_serial_sequence(%s, %s)", (quoted, column))
        ]
        self._moments = {row[0]: row[2] for row in rows}
        drawn = {column for row in rows for column in row[3]}  # events take theirs along into the archive
        self._positions = {row[0]: drawn.intersection(row[4]) if "stream_id" in row[4] else row[3] for row in rows}
        self._told: dict[tuple[str, str], list[str]] = {}  # the same is seen again and again
        # Changes whenever a row is inserted, updated or deleted, and is read much faster than the rows.
        counts = (f"(SELECT format('%s %s', count(*), max(xmin::text::bigint)) FROM {name})" for name in self.names)
        self.trace = f"SELECT pg_current_xact_id_if_assigned()::text, ARRAY[{', '.join(counts)}]::text"
        self.query = " UNION ALL ".join(
            f"SELECT '{name}', coalesce(json_agg(to_json(t)), '[]')::text FROM {quoted} t" for name, quoted, *_ in rows
        )

    def in_words(self, found: list[tuple[str, str]]) -> dict[str, list[str]]:
        """Return the rows of each table in words. Of positions that were drawn, their order in a stream counts."""
        return {name: self._told.get((name, text)) or self._tell(name, text) for name, text in found}

    def _tell(self, name: str, text: str) -> list[str]:
        rows = json.loads(text, parse_float=Decimal)
        for column in self._positions[name]:
            before: Counter = Counter()  # in its stream: streams may come in any order
            for row in sorted(rows, key=lambda row: row[column]):
                before[row.get("stream_id")] += 1
                row[column] = before[row.get("stream_id")]
        self._told[name, text] = told = words.rows_in_words(rows, self._moments[name])
        return told


class Nobody:
    """Who comes in between: nobody. Those who do are derived from this."""

    changes_rows = False

    def begin(self, play: "Play") -> None:
        """Be told that the call begins."""

    def at_place(self, play: "Play", number: int, is_call: bool) -> Exception | None:
        """Be told of a place, counted from 1, before what is sent or called there; return what is raised instead."""

    def at_gate(self, play: "Play", number: int) -> None:
        """Be told that a function in the database has come to a place, and stops there if its gate is held."""

    def silence(self, play: "Play") -> None:
        """Be told that the server has not answered yet."""

    def end(self, play: "Play") -> None:
        """Be told that the call has ended."""


class Play:
    """One call, under way: the watch of its connection, and of the functions that are called."""

    def __init__(self, stage: "Stage", who: Nobody):
        self.stage = stage
        self.who = who
        self.places: list[str] = []
        self.left: list[str] = []
        self.waited = False
        self.fault: Exception | None = None

    def before(self, statement: str) -> None:
        if not self.stage.gates:  # else its writes are the places, and the call itself is none
            self.reach(statement)

    def reach(self, place: str, is_call: bool = False) -> None:
        self.places.append(place)
        if len(self.places) > MOST_PLACES:
            raise Endless
        if error := self.ask(self.who.at_place, self, len(self.places), is_call):
            raise error

    def silence(self) -> None:
        self.ask(self.who.silence, self)

    def notice(self, diag: psycopg.errors.Diagnostic) -> None:
        """Hear of a write within a function of the database: that is a place, too."""
        text = diag.message_primary or ""
        if text.startswith("stage: "):
            when, operation, table = text.split()[1:]
            self.places.append(f"{when} {operation} on {table}")
            self.ask(self.who.at_gate, self, len(self.places))

    def ask(self, act: Callable, *about: Any) -> Any:
        """Have somebody act. Where they fail, it is our fault, and never an error of the answer's."""
        try:
            return act(*about)
        except Exception as error:
            self.fault = self.fault or error


class Stage:
    """The tables of a sandbox, and the connections of those who meet there.

    Attributes:
        connection: the caller's, on which the answer is called.
        somebody: that of somebody else, who waits for nobody longer than a millisecond.
        gates: the number with which the locks begin at which functions in the database stop; 0 where none do.
    """

    def __init__(self, sandbox: Sandbox, *, setup: Setup | None, in_database: bool, gates: bool):
        self._functions = {"answer": sandbox.answer, "reference": sandbox.reference}
        self._play: Play | None = None
        self._named: Scene | None = None  # whose ids are known
        self._undisturbed: dict[tuple[Side, int, Mode], Seen] = {}
        self._since = datetime.now(UTC)
        self._is_ended = False  # whether the caller's connection is, whether it knows or not
        if not in_database:
            return
        self._database = database = sandbox.database
        if setup:
            setup(database.connection)
        self._tables = Tables(database)
        # Their advisory locks begin with this number: others check their answers in this database at the same time.
        self.gates = database.connection.info.backend_pid if gates else 0
        if gates:
            database.execute(_GATE.format(gates=self.gates) + "".join(map(_gated, self._tables.names)))
        reference = sandbox.reference if sandbox.exercise.is_sql else f'"{database.schema}"'
        self._paths = {"answer": f'"{database.schema}"', "reference": reference}
        shared = self._paths["answer"] in reference  # else each has tables of its own, and nothing is ever committed
        self._clear = sandbox.clear_script(anew=setup is not None) if shared else ""
        self.connection = self._new_caller()
        # Who arranges, and who comes in between, does so by the reference's functions.
        self.somebody = database.connect(lock_timeout="1ms", search_path=reference)
        self._observer = database.connect(lock_timeout="1ms", search_path=reference)
        self._since = self._observer.execute("SELECT clock_timestamp()").fetchone()[0]  # type: ignore[index]

    # What a scene's call asks for

    def store(self, *projections: Projection, types: EventTypes | None = None, kind: type = EventStore) -> Any:
        """Return an event store, or a log, on the caller's connection."""
        return kind(self.connection, types or event_types(), *((projections,) if projections else ()))

    def place(self, function: Callable) -> Callable:
        """Return a function whose calls are places: somebody may come in between, or an error may rise."""

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            if self._play:
                self._play.reach(function.__name__, is_call=True)
            return function(*args, **kwargs)

        return called

    # Plays

    def play(self, side: Side, scene: Scene, mode: Mode = "alone", who: Nobody | None = None) -> Seen:
        """Call the answer, or the reference, in a scene; return what can be seen of that."""
        self._arrange(scene.before)
        before = self._trace(self._observer) if mode != "alone" else None
        self._ready(side)
        self.connection.autocommit = mode != "manual"
        number = self._begin() if mode == "inside" else None
        play = Play(self, who or Nobody())
        outcome, error = self._call(side, scene, scene.given, play)
        rows: dict[str, list[str]] = {}
        status = self.connection.info.transaction_status
        changed_by_others = play.who.changes_rows
        if self.connection.closed:
            play.left.append(CLOSED)
        elif mode == "alone":
            if status != TransactionStatus.IDLE:
                play.left.append("a transaction is left open")
        elif status == TransactionStatus.INTRANS and (mode == "manual" or self._trace(self.connection)[0] == number):
            rows = self._inside()
            if not changed_by_others and self._trace(self._observer) != before:
                play.left.append("others see it before the caller commits")
        elif status == TransactionStatus.INERROR:
            play.left.append(FAILED)
        elif mode == "inside":
            play.left.append("the caller's transaction has ended")
        else:
            rows = self.look()
            play.left.append(IDLE if changed_by_others or self._trace(self._observer) == before else "it is committed")
        if not self.connection.closed and status != TransactionStatus.IDLE:
            self.connection.rollback()
        if mode == "alone":
            rows = self.look()
        elif not changed_by_others and self._trace(self._observer) != before:
            play.left.append("something stays when the caller rolls back")
        return self._seen(scene, outcome, rows, play, error)

    def undisturbed(self, side: Side, scene: Scene, mode: Mode) -> Seen:
        """Return what can be seen of a play in which nobody comes in between; it is played once."""
        key = (side, id(scene), mode)
        if key not in self._undisturbed:
            self._undisturbed[key] = self.play(side, scene, mode)
        return self._undisturbed[key]

    def each(self, side: Side, cases: Cases, chosen: list[tuple], elsewhere: bool = False) -> list[Seen]:
        """Call the answer, or the reference, with one list of arguments after the other, each undone before the next.

        It is called inside a transaction of the caller's. Where that is over after a call, no further one is made.

        Args:
            elsewhere: whether the caller's session has another time zone, and another isolation level.
        """
        if not cases.in_database:
            return [self._called(side, cases, given) for given in chosen]
        self._arrange("")
        self._ready(side)
        isolated, abroad = (
            "SET LOCAL transaction_isolation = 'repeatable read';",
            "SET LOCAL TIME ZONE 'Asia/Kathmandu';",
        )
        self._begin(" ".join([isolated * elsewhere, cases.before, abroad * elsewhere, "SAVEPOINT stage_case;"]))
        again = f"ROLLBACK TO stage_case; {self._drawn()}"
        untouched = self._trace(self.connection)
        seen = []
        for given in chosen:
            play = Play(self, Nobody())
            outcome, error = self._call(side, cases, given, play)
            rows: dict[str, list[str]] | None = None
            status = self.connection.info.transaction_status
            is_over = self.connection.closed or status == TransactionStatus.IDLE
            trace = self._trace(self.connection) if status == TransactionStatus.INTRANS else untouched
            if status == TransactionStatus.INERROR:
                play.left.append(FAILED)
            elif is_over or trace[0] != untouched[0]:
                is_over = True
                play.left.append("the caller's transaction has ended")
            elif trace != untouched:
                rows = self._inside()
            seen.append(self._seen(cases, outcome, rows, play, error))
            if is_over:
                break
            self.connection.unwatched(again)
        if not self.connection.closed:
            self.connection.rollback()
        return seen

    def before(self, scene: Scene) -> Seen:
        """Return what can be seen before the call."""
        self._arrange(scene.before)
        return self._seen(scene, "", self.look(), Play(self, Nobody()), None)

    def look(self) -> dict[str, list[str]]:
        """Return the rows of all tables, as others see them.

        Raises:
            LockNotAvailable: who wants to read has to wait.
        """
        return self._tables.in_words(self._observer.execute(self._tables.query).fetchall())

    def _inside(self) -> dict[str, list[str]]:
        """Return the rows of all tables, as the caller sees them."""
        return self._tables.in_words(self.connection.unwatched(self._tables.query).fetchall())

    def is_idle(self) -> bool:
        """Whether the caller is in no transaction."""
        return self.connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)

    def is_blocked(self) -> bool:
        """Whether the caller waits for somebody."""
        pids = (self.connection.info.backend_pid, self.somebody.info.backend_pid)
        return self._observer.execute("SELECT %s = ANY (pg_blocking_pids(%s))", pids[::-1]).fetchone()[0]  # type: ignore[index]

    def end_connection(self) -> None:
        """End the caller's connection, as a server does that is shut down, and wait until it has ended."""
        pid, self._is_ended = self.connection.info.backend_pid, True
        self._observer.execute("SELECT pg_terminate_backend(%s)", (pid,))
        deadline = time.monotonic() + 5  # pg_terminate_backend itself looks only every 100 milliseconds
        while self._observer.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
            assert time.monotonic() < deadline, "a connection that was ended goes on"

    def settings(self) -> list[str]:
        """Return the settings of the caller's session, and of its connection."""
        rows = self.connection.unwatched("SELECT name, setting FROM pg_settings WHERE source = 'session'").fetchall()
        own = ("autocommit", "row_factory", "isolation_level", "read_only", "prepare_threshold")
        return [*(f"{name} {value}" for name, value in rows), *(f"{it} {getattr(self.connection, it)}" for it in own)]

    def _arrange(self, before: str) -> None:
        self.somebody.rollback()
        first = "SELECT setval('stage_place', 1, false);" if self.gates else ""
        self._observer.execute(f"SET lock_timeout = '5s'; {first} {self._clear} {before} SET lock_timeout = '1ms'")

    def _ready(self, side: Side) -> None:
        if self.connection.closed or self._is_ended:
            self.connection.close()
            self.connection, self._is_ended = self._new_caller(), False
        if not self.is_idle():
            self.connection.rollback()
        self.connection.autocommit = True
        if self._paths["answer"] != self._paths["reference"]:
            path = f"SET search_path = {self._paths[side]};"
            gates = " SET stage.breaks = ''; SET stage.place = ''; SET stage.caller = 'on'" if self.gates else ""
            self.connection.unwatched(path + gates)

    def _new_caller(self) -> Watched:
        return Watched.of(self._database.connect())

    def _drawn(self) -> str:
        """Return the SQL that brings the sequences of positions back to where they are now."""
        return "".join(
            self.connection.unwatched(
                f"SELECT format('SELECT setval(%L, %s, %L);', '{it}', last_value, is_called) FROM {it}"
            ).fetchone()[0]  # type: ignore[index]
            for it in self._tables.sequences
        )

    def _begin(self, first: str = "") -> str:
        """Begin the caller's transaction; return its number."""
        self.connection.unwatched(f"BEGIN; {first} SELECT pg_current_xact_id()")
        return self._trace(self.connection)[0]

    def _trace(self, connection: psycopg.Connection) -> tuple[str, str]:
        """Return the number of a connection's transaction, and what changes with each row that it sees change."""
        text = self._tables.trace
        cursor = connection.unwatched(text) if isinstance(connection, Watched) else connection.execute(text)
        return cursor.fetchone()  # type: ignore[return-value]

    def _call(self, side: Side, scene: Scene, given: tuple, play: Play) -> tuple[str, BaseException | None]:
        function = self._functions[side]
        copy = deepcopy(given)
        if scene.call.own_classes:
            cell = function.cell if isinstance(function, Guard) else function.__globals__
            copy = tuple(_own(value, cell) for value in copy)
        was = words.words(copy)
        error: BaseException | None = None
        with self._watching(play), quiet(function):
            try:
                came = scene.call.run(function, self, *copy)
                outcome = str(came) if isinstance(came, Did) else f"returned {words.words(came)}"
            except Endless as endless:
                assert side == "answer", "the reference did not end"
                many = len(play.places) > MOST_PLACES
                error, outcome = endless, f"went on after {MOST_PLACES} statements and calls" if many else "did not end"
            except (Exception, SystemExit) as raised:
                error, outcome = raised, f"raised {words.error_in_words(raised)}"
        if play.fault:
            raise play.fault
        if error and is_servers_fault(error) and "on the stage" not in str(error):
            raise error
        if (now := words.words(copy)) != was:
            play.left.append(f"what it was given is changed, from {words.short(was)} to {words.short(now)}")
        return outcome, error

    @contextmanager
    def _watching(self, play: Play) -> Iterator[None]:
        """Have a play watch the caller's connection, and whoever comes in between be told of its begin and end."""
        if "connection" not in self.__dict__:
            yield
            return
        play.ask(play.who.begin, play)
        if self.gates:
            self.connection.add_notice_handler(play.notice)
        self._play = self.connection.watch = play
        try:
            yield
        finally:
            self._play = self.connection.watch = None
            if self.gates:
                self.connection.remove_notice_handler(play.notice)
            play.ask(play.who.end, play)

    def _called(self, side: Side, scene: Scene, given: tuple) -> Seen:
        play = Play(self, Nobody())
        outcome, error = self._call(side, scene, given, play)
        return self._seen(scene, outcome, None, play, error)

    def _seen(
        self, scene: Scene, outcome: str, rows: dict[str, list[str]] | None, play: Play, error: BaseException | None
    ) -> Seen:
        """Return what was seen, with the ids and moments that nobody gave made alike."""
        if self._named is not scene:
            self._named = scene
            self._naming = words.Naming(f"{scene.before} {scene.given} {scene.somebody}", self._since)
        ordered = {table: sorted(found, key=words.masked) for table, found in (rows or {}).items()}
        outcome, *named = self._naming.apply([outcome, *(text for found in ordered.values() for text in found)])
        texts = iter(named)
        told = {table: [next(texts) for _ in found] for table, found in ordered.items()}
        return Seen(outcome, told if rows else None, tuple(play.left), error, tuple(play.places), play.waited)


def _gated(table: str) -> str:
    """Return the SQL of the gates of a table: just before each write to it, and just after."""
    return "".join(
        f"CREATE TRIGGER {name} {when} INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION stage_gate();"
        for name, when in (("a_stage_gate", "BEFORE"), ("z_stage_gate", "AFTER"))
    )


def _own(value: Any, cell: dict[str, Any]) -> Any:
    """Return a value made of the classes of the same names that a cell defines, where it does."""
    if isinstance(value, (list, tuple)):
        return type(value)(_own(item, cell) for item in value)
    kind = cell.get(type(value).__name__)
    if is_dataclass(value) and isinstance(kind, type):
        return kind(**{each.name: _own(getattr(value, each.name), cell) for each in fields(value)})
    return value
