"""What a notebook calls: start, check, hint, solution, table, progress, share."""

import textwrap
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Event, Thread
from typing import Any

import pandas as pd
import psycopg
from IPython.display import Markdown, display
from psycopg import sql

from eventstore import EventStore

from .attempts import recording
from .bank import event_types
from .checks import answers, hunts, kept
from .checks.checking import check_and_read, explain_sql_error
from .checks.course import EXERCISES, NOTEBOOKS
from .checks.exercise import Exercise
from .checks.given import reference_sql
from .checks.source import NoSource, source_of
from .display import Box, count, say_where_names_are_made, show_figures_in_the_notebook
from .errors import WorkshopError
from .interrupts import Interrupted, end_thread
from .server.database import Database, drop_abandoned_sandboxes, open_database, server_url
from .sql_cells import register, rows_of

_SOMETHING_IS_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
)
_hints_shown: Counter[str] = Counter()
_started: "Classroom | None" = None


class Prose(Markdown):
    """Markdown that reads well as it is where nothing renders it."""

    def __repr__(self) -> str:
        return self.data


class Classroom(Database):
    """The database of a notebook, with what the learner has built so far at hand."""

    def begin_with(self, *exercise_ids: str) -> None:
        """Empty this notebook's schema, and install the SQL of exercises: yours where solved, else the reference's.

        An experiment that begins so can be run again. Connections that an earlier one opened are closed, and
        transactions that were left open are rolled back.

        Args:
            exercise_ids: exercises whose answer is SQL, in the order to run them.

        Raises:
            WorkshopError: there is no such exercise, or its answer is no SQL.
        """
        exercises = [_find(exercise_id) for exercise_id in exercise_ids]
        for exercise in exercises:
            if not exercise.is_sql:
                raise WorkshopError(f"The answer to {exercise.id} is no SQL.", "begin_with() takes exercises in SQL.")
        self.reset()
        installed = []
        there: set[str] = set()
        for exercise in exercises:
            own = kept.answer_to(exercise)
            try:
                if own:  # what a later notebook has added to it may need what that one brings
                    later = EXERCISES[kept.exercise_of(kept.folder() / exercise.keeps) or exercise.id].given
                    brought = [name for name in later if name not in (*exercise.given, *there)]
                    self.execute("\n".join(map(reference_sql, brought)) or "SELECT")
                    there.update(brought)
                self.execute(own or answers.reference_answer(exercise.id))
            except psycopg.Error as error:
                reason = error.diag.message_primary or error
                if own and not isinstance(error, _SOMETHING_IS_MISSING):
                    raise WorkshopError(
                        f"my_eventstore/{exercise.keeps} does not run: {reason}.",
                        f"Solve exercise {exercise.id} again, or remove that file, and the reference stands in.",
                    ) from None
                raise WorkshopError(
                    f"Exercise {exercise.id} stands on others: {reason}.",
                    "Name these before it, in the order to run them.",
                ) from None
            installed.append(f"{exercise.id} ({'yours' if own else 'the reference'})")
        if installed:
            print(f"An empty schema, with {', '.join(installed)}.")

    def race(self, writers: int, attempt: Callable[[psycopg.Connection, int], Any]) -> list[Any]:
        """Run `attempt(connection, number)` in several threads at once, each with a connection of its own.

        One barrier holds all of them back until the last is ready.

        Returns:
            For each writer, by number, what it returned, or the exception that it raised.
        """
        barrier = Barrier(writers)
        connections = [self.connect() for _ in range(writers)]  # where one is refused, nobody waits at the barrier
        outcomes: list[Any] = [None] * writers
        done = [Event() for _ in range(writers)]

        def run(number: int) -> None:
            try:
                with connections[number] as connection:
                    barrier.wait()
                    outcomes[number] = attempt(connection, number)
            except (Exception, SystemExit) as error:  # the loser's error is what the race is there to show
                outcomes[number] = error
            finally:
                done[number].set()

        threads = [Thread(target=run, args=(number,), daemon=True) for number in range(writers)]
        try:
            for thread in threads:
                thread.start()
            for each in done:
                while not each.wait(0.1):  # without a limit, Windows would let no interrupt through
                    pass
        except KeyboardInterrupt:
            for number, thread in enumerate(threads):
                if not done[number].is_set():
                    end_thread(thread, connections[number])
            raise
        return outcomes


def start(notebook: str, *, solution: bool = False) -> Classroom:
    """Connect a notebook to its database, give it an empty PostgreSQL schema of its own, and make `%%sql` known.

    Call it again to begin again: what the notebook had stored is dropped, connections it had left open are closed.

    Args:
        notebook: the name of the notebook, such as "02_appending".
        solution: whether the notebook is one of solutions/, whose answers are not the learner's work: they are kept as
            long as this kernel runs, and recorded nowhere.

    Returns:
        The notebook's database: `.connection`, `.connect()` for one more, `.execute(sql)`,
        `.begin_with(exercises)` for an experiment, `.race(writers, attempt)`.

    Raises:
        WorkshopError: no PostgreSQL can be reached, and what to do about it.
    """
    global _started
    if _started:
        _started.close()
        _started = None  # until there is another one
    kept.belongs_to_solution(solution)
    register(_notebooks_database, check)  # whoever grades knows the answers by it, though no server can be reached
    _started, line = open_database(notebook, Classroom)
    drop_abandoned_sandboxes(_started)
    recording.begin()
    _hints_shown.clear()
    show_figures_in_the_notebook()
    say_where_names_are_made()
    print(line)
    return _started


def check(exercise_id: str, answer: Any) -> None:
    """Check an answer, and show what came of it. A passed answer is kept in my_eventstore/.

    The checks run in a PostgreSQL schema of their own, which is gone afterwards: they never touch yours.

    Args:
        exercise_id: the number of the exercise, such as "02.1".
        answer: the SQL as a text, or the function itself.

    Raises:
        WorkshopError: there is no such exercise, or no PostgreSQL to check on.
    """
    exercise = _find(exercise_id)
    try:
        report, text, why = check_and_read(exercise, answer, server_url())
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted, so this was no attempt. What your answer had done in the check is undone."
        ) from None
    except WorkshopError:
        kept.checked[exercise_id] = answer  # nobody could check it, and it is the answer all the same
        raise
    note = sent = ""
    if report.started:
        kept.checked[exercise_id] = answer
        if report.passed:
            note = _keep(exercise, text, why)
        sent = recording.record(exercise_id, report.failed_check)
    display(report.shown(note, sent))


def suspect(exercise_id: str) -> Any:
    """Return what an exercise that is a hunt has you convict. It works on this notebook's schema, emptied for it.

    Raises:
        WorkshopError: there is no such exercise, or start() was not called yet.
    """
    exercise = _find(exercise_id)
    if exercise.hunt is None:
        raise WorkshopError(f"Exercise {exercise_id} is no hunt.", "Take the number that stands above the cell.")
    database = _notebooks_database()
    if exercise.given:
        database.begin_with()
        EventStore(database.connection, event_types()).create_schema()
    return exercise.hunt.suspect(database, hunts.hand_out(exercise_id, exercise.hunt))


def share(exercise_id: str) -> None:
    """Send an answer to the room, for its instructor to read: the one that was checked last, or the kept one.

    Raises:
        WorkshopError: there is no such exercise, no answer to it, or no room.
    """
    exercise = _find(exercise_id)
    checked = kept.checked.get(exercise_id, kept.answer_to(exercise))
    try:
        answer = source_of(checked, exercise).strip()
    except NoSource as error:
        raise WorkshopError(
            f"There is no answer to {exercise_id} whose text could be shared: {error}.",
            f'Check one first, written in a cell: check("{exercise_id}", answer).',
        ) from None
    line = recording.share(exercise_id, answer)
    display(Prose(f"{line}:\n\n```{'sql' if exercise.is_sql else 'python'}\n{answer}\n```"))


def hint(exercise_id: str) -> None:
    """Show the next hint of an exercise: first a nudge, at last nearly the answer.

    Raises:
        WorkshopError: there is no such exercise.
    """
    exercise = _find(exercise_id)
    last = len(exercise.hints) - 1
    number = min(_hints_shown[exercise_id], last)
    _hints_shown[exercise_id] += 1
    more = (
        f'`solution("{exercise_id}")` shows an answer.'
        if number == last
        else f'`hint("{exercise_id}")` shows one more.'
    )
    head = f"**{exercise_id} {exercise.title}**, hint {number + 1} of {last + 1}"
    display(Prose(f"{head}\n\n{exercise.hints[number]}\n\n{more}"))


def solution(exercise_id: str) -> None:
    """Show the reference answer of an exercise and, of a hard one, another way, and the classic choice that is wrong.

    Raises:
        WorkshopError: there is no such exercise.
    """
    exercise = _find(exercise_id)

    def code(text: str) -> str:
        return f"```{'sql' if exercise.is_sql else 'python'}\n{textwrap.dedent(text)}\n```"

    said = [f"**{exercise_id} {exercise.title}**, an answer:", code(answers.reference_answer(exercise_id))]
    for kind, way in answers.other_ways().get(exercise_id, {}).items():
        title = "**Another way.** In place of" if kind == "another" else "**But not so.** In place of"
        said += [title, code(way.instead_of), "one could write" if kind == "another" else "many write", code(way.write)]
        said.append(way.why)
    display(Prose("\n\n".join(said)))


def table(query_or_name: str, params: Any = None) -> pd.DataFrame:
    """Return the rows of a query, or of a whole table, as a data frame.

    Args:
        query_or_name: a SELECT, or the name of a table in this notebook's schema.
        params: the parameters of the query, if it has any.

    Raises:
        WorkshopError: the query fails, with PostgreSQL's message; or start() was not called yet.
    """
    database = _notebooks_database()
    if not isinstance(query_or_name, str):
        raise WorkshopError(
            f"table() takes a SELECT, or the name of a table, as a text, not {query_or_name!r}.",
            'Such as table("events").',
        )
    query_or_name = query_or_name.strip() if query_or_name.strip().isidentifier() else query_or_name
    query: Any = query_or_name
    if query_or_name.isidentifier():
        query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(query_or_name))
    try:
        with database.connection.transaction():
            cursor = database.execute(query, params)
            if cursor.description is None:  # raised inside the transaction, so it is undone
                raise WorkshopError(
                    "That statement returned no rows to show, and was undone.",
                    "Give table() a SELECT, or the name of a table; db.execute() runs every other statement.",
                )
    except psycopg.Error as error:
        if database.connection.closed:
            raise WorkshopError(
                "The connection to PostgreSQL is lost, and with it what was not committed.",
                "Run the first code cell of this notebook again: it connects anew.",
            ) from None
        text = query_or_name if query is query_or_name else None  # a name alone has no place to point at
        raise WorkshopError(explain_sql_error(error, text, ran=True), "Nothing was changed.") from None
    return rows_of(cursor)


def progress() -> None:
    """Show how many exercises of each notebook are solved, and which experiments were a surprise."""
    tried = recording.progress()

    def is_solved(exercise: Exercise) -> bool:
        # The log is lost with the server's data, the kept answers are not.
        return bool(exercise.id in tried and tried[exercise.id].solved_at) or kept.answer_to(exercise) is not None

    groups = {name: group for name, group in NOTEBOOKS.items() if group}
    solved = {name: sum(map(is_solved, group)) for name, group in groups.items()}
    total = sum(map(len, groups.values()))
    box = Box(f"{sum(solved.values())} of {count(total, 'exercise')} solved", "not started")
    for name, group in groups.items():
        box.progress(name, solved[name], len(group))
    seen = {name: each for name, each in recording.predictions().items() if each.came is not None}
    others = {name: each for name, each in seen.items() if each.came != each.expected}
    surprises = [f"{name} ({each.came}, not {each.expected})" for name, each in sorted(others.items())]
    if seen:
        box.prose(
            f"{len(seen) - len(surprises)} of {count(len(seen), 'experiment')} went as you expected."
            + (f" You were surprised by {', '.join(surprises)}." if surprises else "")
        )
    display(box.shown())


def _notebooks_database() -> Classroom:
    if _started is None:
        raise WorkshopError(
            "There is no database yet.", "Run the first code cell of this notebook, the one with start(...)."
        )
    return _started


def _keep(exercise: Exercise, text: str, why: str) -> str:
    """Keep an answer that passed; return a line that says where, or why not."""
    if why:
        return f"It could not be kept in my_eventstore/: {why}"
    try:
        return kept.keep(exercise, text)
    except OSError as error:
        return f"It could not be kept in my_eventstore/: {error}."


def _find(exercise_id: str) -> Exercise:
    if not isinstance(exercise_id, str):
        raise WorkshopError(
            f"The number of an exercise is a text, not {exercise_id!r}.", 'Write it so: check("02.1", answer).'
        )
    if exercise_id not in EXERCISES:
        known = ", ".join(EXERCISES)
        raise WorkshopError(f"There is no exercise {exercise_id!r}.", f"These are: {known}.")
    return EXERCISES[exercise_id]
