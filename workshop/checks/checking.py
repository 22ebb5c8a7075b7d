"""Run an exercise's checks against an answer, and say what came of each."""

import ast
import inspect
import re
import reprlib
import textwrap
from pathlib import Path
from typing import Any

import psycopg

from ..errors import WorkshopError
from .answers import name_of_answer, reference_function
from .course import EXERCISES
from .exercise import Check, Exercise, is_on_stage, label_of
from .guard import Endless, came_of_the_call, line_of, plain
from .report import CAN_BE_CHECKED, SQL_RUNS, Report, Result
from .sandbox import AnswerDoesNotRun, Sandbox, is_servers_fault
from .source import NoSource, is_same_code, load, source_of
from .sql_errors import advice_on, place_in


def run_checks(exercise: Exercise, answer: Any, url: str) -> Report:
    """Run the checks one after the other, up to the first that fails.

    One thing at a time: what comes after the first failure is often its consequence, and only confuses.

    Raises:
        WorkshopError: PostgreSQL lets us in no more, went away meanwhile or lacks something: that says nothing about
            the answer. Or Python leaves out what the checks are made of.
    """
    if not __debug__:
        raise WorkshopError(
            "Python was started with -O (or PYTHONOPTIMIZE): each assert is left out, and the checks are made of them.",
            "Start JupyterLab without that, then run this notebook again.",
        )
    if is_untouched(exercise, answer):
        return Report(exercise, ())
    checks = _all_checks(exercise)
    if message := _wrong_kind(exercise, answer):
        not_reached = (Result(label, "not reached") for label, *_ in checks)
        return Report(exercise, (Result(CAN_BE_CHECKED, "failed", message), *not_reached))
    results: list[Result] = []
    with Sandbox(url, exercise, answer) as sandbox:
        for label, check, part in checks:
            if results and results[-1].outcome != "passed":
                results.append(Result(label, "not reached"))
                continue
            try:
                sandbox.run(check, part)
            except AnswerDoesNotRun as error:
                _must_be_the_answers(error.__cause__, sandbox)
                results.append(Result(SQL_RUNS, "failed", explain_sql_error(error.__cause__, answer, ran=True)))
                results.append(Result(label, "not reached"))
            except WorkshopError:
                raise
            except (Exception, Endless, SystemExit) as error:  # whatever an answer does is explained
                _must_be_the_answers(error, sandbox)
                results.append(Result(label, "failed", _explained(error, answer)))
            else:
                results.append(Result(label, "passed"))
    return Report(exercise, tuple(results))


def _all_checks(exercise: Exercise) -> list[tuple[str, Check, str]]:
    """Return the checks of an exercise, and the examples of those whose answers it replaces: it has to do all of that.

    Scenes come last. Those of earlier exercises are not played again: this one has its own, with what it adds.

    Returns:
        Of each, its name, the check, and the function in the answer's cell that it is about; "" for the answer.
    """
    earlier = _replaced_by(exercise)
    part = ""
    if earlier and not exercise.is_sql:  # 07.3 keeps what it is about beside the function that 07.2 asked for
        cell = reference_function(exercise.id).__globals__
        names = (name_of_answer(each.id) for each in earlier)
        part = next((name for name in names if name in cell and name != name_of_answer(exercise.id)), "")
    own = [(label_of(check), check, "") for check in exercise.checks]
    lasting = [(label, check, part) for each in earlier for label, check in _lasting(each)]
    return [
        *(each for each in own if not is_on_stage(each[1])),
        *lasting,
        *(each for each in own if is_on_stage(each[1])),
    ]


def _replaced_by(exercise: Exercise) -> list[Exercise]:
    return [each for each in EXERCISES.values() if each.keeps == exercise.keeps and each.id < exercise.id]


def _lasting(earlier: Exercise) -> list[tuple[str, Check]]:
    """Return the checks of an exercise that are made of what replaces its answer, too, each with its name there."""
    return [(f"As in {earlier.id}: {label_of(check)}", check) for check in earlier.checks if not is_on_stage(check)]


def names_of_checks(exercise: Exercise) -> set[str]:
    """Return all that a report on an exercise can name."""
    earlier = {label for each in _replaced_by(exercise) for label, _ in _lasting(each)}
    return {CAN_BE_CHECKED, SQL_RUNS, *map(label_of, exercise.checks), *earlier}


def _must_be_the_answers(error: BaseException | None, sandbox: Sandbox) -> None:
    """Raise WorkshopError where an error says nothing about the answer."""
    if error and is_servers_fault(error):
        raise WorkshopError(
            f"The server could not do its work, so that was no attempt. PostgreSQL says: {error.diag.message_primary}.",  # type: ignore[attr-defined]
            "Whoever runs the server has to see to that: is its disk full? Then run this cell again.",
        )
    if sandbox.is_cut_off():
        raise WorkshopError(
            "The connection to PostgreSQL was lost while your answer was checked, so that was no attempt.",
            "Run this cell again.",
        )


def check_and_read(exercise: Exercise, answer: Any, url: str) -> tuple[Report, str, str]:
    """Run an exercise's checks against an answer and against its text, loaded by itself: that is what can be kept.

    Returns:
        What came of the checks, the text, and why there is none that passes: one of the two is empty.

    Raises:
        WorkshopError: as run_checks does.
    """
    if not callable(answer) or is_untouched(exercise, answer):
        return run_checks(exercise, answer, url), answer if isinstance(answer, str) else "", ""
    loaded: Any = None
    text = why = ""
    try:
        text = source_of(answer, exercise)
        loaded = load(text, name_of_answer(exercise.id), f"my_eventstore.{Path(exercise.keeps).stem}")
    except NoSource as error:
        why = str(error)
    except Exception as error:  # whatever the learner's text does by itself
        why = f"by itself it does not load, {type(error).__name__}: {error}"
    if loaded is not None and is_same_code(answer, loaded):  # else the answer itself has to pass, too
        report = run_checks(exercise, loaded, url)
        if report.passed:
            return report, text, ""
    report = run_checks(exercise, answer, url)
    if report.passed and loaded is not None:
        again = run_checks(exercise, loaded, url)
        message = next((result.message for result in again.results if result.outcome == "failed"), "")
        if not again.passed:
            why = f"by itself, without the other cells, it does not pass. {message}"
    return report, "" if why else text, why


def is_untouched(exercise: Exercise, answer: Any) -> bool:
    """Whether the stub is still as it was given: its place for the answer holds nothing but `...`."""
    if exercise.is_sql:
        if not isinstance(answer, str):
            return answer is ...
        code = re.sub(r"--[^\n]*", "", answer)
        return not code.strip() or bool(re.search(r"^\s*\.\.\.\s*$", code, re.MULTILINE))
    if not callable(answer):
        return answer is ...
    try:
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(plain(answer)))).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return False
    return any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
        for node in getattr(function, "body", [])  # deeper, it is a learner's own word for "nothing"
    )


def explain_sql_error(error: Any, answer: Any, ran: bool = False) -> str:
    """Return PostgreSQL's own message and, where it is about the learner's text, that line with a mark under it.

    Args:
        error: psycopg's error.
        answer: the text, or the function, of the learner.
        ran: whether the statement that failed is that text itself, and not one that calls what it made.
    """
    diag, text = error.diag, answer if isinstance(answer, str) else ""
    lines = [f"PostgreSQL says: {diag.message_primary}" if diag.message_primary else f"psycopg says: {error}"]
    if diag.message_detail:
        lines.append(diag.message_detail)
    advice = advice_on(error, text)
    lines += [*advice, *(place_in(text, diag, ran) if text else line_of(error, answer))]
    if diag.message_hint and not advice:
        lines.append(f"Hint: {diag.message_hint}")
    return "\n".join(lines)


def _explained(error: BaseException, answer: Any) -> str:
    """Return what a learner is told of an error, with the line of theirs in which it was raised."""
    if isinstance(error, AssertionError):
        return str(error) or "This check says no more."
    if isinstance(error, psycopg.ProgrammingError) and "forbidden within a Transaction" in str(error):
        said = (
            "The caller is inside a transaction of its own, and your function would end it. Leave commit and rollback "
            "to the caller."
        )
    elif isinstance(error, psycopg.OperationalError) and "the connection is closed" in str(error):
        said = (
            "The connection is closed, and its owner goes on with it. `with connection:` closes it at its end, and "
            "`with connection.transaction():` ends a transaction alone."
        )
    elif isinstance(error, psycopg.Error):
        return explain_sql_error(error, answer)
    elif isinstance(error, Endless):
        said = f"Your function {error}. Does a loop never end?"
    elif isinstance(error, SystemExit):
        said = "Your function ended the program (exit). It should return, or raise an error that its caller can catch."
    elif came_of_the_call(error):
        said = f"Your function raised {type(error).__name__}: {error}"
    else:  # a check of ours did not find what it looks at
        made, what = (
            ("What your SQL made", "Are all rows and columns there?")
            if isinstance(answer, str)
            else ("What your function returned", "Is it what is asked for?")
        )
        said = f"{made} cannot be looked at ({type(error).__name__}: {error}). {what}"
    return "\n".join([said, *line_of(error, answer)])


def _wrong_kind(exercise: Exercise, answer: Any) -> str:
    """Return what is wrong with the kind of an answer, nothing if it is the right one."""
    if exercise.is_sql:
        is_text = isinstance(answer, str)
        return "" if is_text else f"This exercise wants SQL, as a text. You passed {type(answer).__name__}."
    if inspect.isbuiltin(answer) or not callable(answer):
        return (
            f"This exercise wants your function itself: its name, without brackets. You passed {reprlib.repr(answer)}."
        )
    return ""
