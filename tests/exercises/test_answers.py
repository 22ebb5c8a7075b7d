"""Every exercise: right answers pass, the untouched stub is no attempt, each check has a mistake that fails it."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from workshop.checks import answers
from workshop.checks.answers import answer_in, reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.checks.exercise import Exercise, label_of
from workshop.checks.given import reference_sql, whole_schema
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT

from ..postgres import Server
from .mistakes import Mistake, answer, failures, must_be_told

SECONDS = 0.6  # a learner waits no longer than this for the answer to an answer, and half as long for most
each_notebook = pytest.mark.parametrize("notebook", [name for name, group in NOTEBOOKS.items() if group])
each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


def mistakes_of(notebook: str) -> tuple[Mistake, ...]:
    return import_module(f"{__package__}.test_ex{notebook}").MISTAKES


MISTAKES = [mistake for notebook, group in NOTEBOOKS.items() if group for mistake in mistakes_of(notebook)]


@pytest.mark.alone
@each_exercise
def test_the_reference_answer_passes_in_time(exercise: Exercise, postgres: Server) -> None:
    reference = answer(exercise, reference_answer(exercise.id))
    seconds = []
    for attempt in range(10):  # the machine may be busy: the fastest of ten counts, the later ones at another moment
        time.sleep(0.5 * (attempt > 4))
        begin = time.perf_counter()
        report = run_checks(exercise, reference, postgres.url)
        seconds.append(time.perf_counter() - begin)
        assert report.passed, failures(report)
        if seconds[-1] < SECONDS:
            return
    pytest.fail(f"ten times over {SECONDS} s: {', '.join(f'{second:.2f}' for second in seconds)}")


@pytest.mark.parametrize("exercise_id", [id for id, exercise in EXERCISES.items() if exercise.keeps[:7] == "schema/"])
def test_the_file_of_the_reference_package_passes(exercise_id: str, postgres: Server) -> None:
    exercise = EXERCISES[exercise_id]
    if "30_facts_stay.sql" in exercise.given:  # later notebooks add to what follows: it needs what they bring
        exercise = replace(exercise, given=whole_schema())
    report = run_checks(exercise, reference_sql(exercise.keeps.removeprefix("schema/")), postgres.url)
    assert report.passed, failures(report)


@pytest.mark.parametrize("change", [("\n", "<<<<<<< HEAD\n"), ("02.3", "02.9"), ('"cells"', '"rows"')])
def test_a_reference_that_was_changed_is_told(
    change: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by somebody who opens solutions/ in an editor, or by a conflict of git's."""
    (tmp_path / "solutions").mkdir()
    text = (CHECKOUT / "solutions/02_appending.ipynb").read_text(encoding="utf-8")
    (tmp_path / "solutions/02_appending.ipynb").write_text(text.replace(*change), encoding="utf-8")
    monkeypatch.setattr(answers, "CHECKOUT", tmp_path)
    with pytest.raises(WorkshopError, match="02.3 cannot be read from .*solutions.*\n.*install the kit again"):
        answers.reference_answer("02.3")


def test_a_try_beside_the_reference_is_not_the_reference(tmp_path: Path) -> None:
    notebook = json.loads((CHECKOUT / "solutions/02_appending.ipynb").read_text(encoding="utf-8"))
    attempt = {"cell_type": "code", "source": 'mine = "SELECT 1"\ncheck("02.3", mine)'}
    (tmp_path / "02_appending.ipynb").write_text(json.dumps({"cells": [attempt, *notebook["cells"]]}), encoding="utf-8")
    assert answer_in(tmp_path, "02.3") == reference_answer("02.3")


@pytest.mark.parametrize("exercise_id", ["01.1", "01.2", "01.3", "02.5", "09.1"])
def test_the_file_of_the_reference_package_is_the_answer(exercise_id: str) -> None:
    reference = code(reference_sql(EXERCISES[exercise_id].keeps.removeprefix("schema/")))
    assert [line for line, _ in reference] == [line for line, _ in code(reference_answer(exercise_id))]


def test_lines_that_a_later_notebook_adds_are_marked_with_its_number() -> None:
    reference = code(reference_sql("40_append_to_stream.sql"))
    # Two lines are not new, but longer: what the lock returns, and what a retry sets back.
    shorter = {
        "09: what of the archive": "RETURNING s.version - added INTO actual;",
        "10: not lost": "UPDATE streams SET version = actual WHERE id = append_to_stream.stream_id;",
    }
    for exercise_id, later in (("09.3", ("10",)), ("08.5", ("09", "10")), ("02.4", ("08", "09", "10"))):
        kept = [shorter.get(comment) if comment[:2] in later else line for line, comment in reference]
        assert [line for line in kept if line] == [line for line, _ in code(reference_answer(exercise_id))]


def code(sql: str) -> list[tuple[str, str]]:
    """Return the lines of SQL, and for each the comment behind it."""
    lines = [line.partition("--") for line in sql.replace("CREATE OR REPLACE", "CREATE").splitlines()]
    return [(" ".join(line.split()), comment.strip()) for line, _, comment in lines if line.strip()]


AT_ONCE = """
import sys
from workshop.checks.answers import reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
for number in 2 * sys.argv[2:]:
    report = run_checks(EXERCISES[number], reference_answer(number), sys.argv[1])
    print(number, report.failed_check or "passed")
"""


def test_who_checks_at_the_same_time_is_in_nobodys_way(postgres: Server) -> None:
    """The kernels of several notebooks share a database."""
    numbers = ["02.1", "02.3", "09.1"]
    command = [sys.executable, "-c", AT_ONCE, postgres.url, *numbers]
    kernels = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) for _ in range(3)]
    said = [kernel.communicate()[0].splitlines() for kernel in kernels]
    assert said == 3 * [2 * [f"{number} passed" for number in numbers]]


@each_exercise
def test_the_untouched_stub_is_not_started(exercise: Exercise, postgres: Server) -> None:
    stub = answer(exercise, answer_in(CHECKOUT / "notebooks", exercise.id))
    assert not run_checks(exercise, stub, postgres.url).started


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_classic_mistake_is_told(mistake: Mistake, postgres: Server) -> None:
    must_be_told(mistake, postgres.url)


@each_notebook
def test_every_check_has_a_mistake_that_fails_it(notebook: str) -> None:
    """A check that no mistake fails is no check."""
    failed = {(mistake.exercise_id, mistake.label) for mistake in mistakes_of(notebook)}
    checks = {(exercise.id, label_of(check)) for exercise in NOTEBOOKS[notebook] for check in exercise.checks}
    assert checks - failed == set()


@each_notebook
def test_every_exercise_has_its_classic_mistakes(notebook: str) -> None:
    count = Counter(mistake.exercise_id for mistake in mistakes_of(notebook))
    assert all(count[exercise.id] >= 4 for exercise in NOTEBOOKS[notebook]), count
    names = Counter(map(str, mistakes_of(notebook)))
    assert max(names.values()) == 1, names.most_common(1)


SHAPES: dict[str, Callable[[Any], Any]] = {
    "a number": lambda _: 7,
    "turned round": lambda result: result[::-1] if isinstance(result, (tuple, list)) else (result, result),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("exercise", [each for each in EXERCISES.values() if not each.is_sql], ids=lambda it: it.id)
def test_what_returns_something_else_has_raised_nothing(exercise: Exercise, shape: str, postgres: Server) -> None:
    reference = answers.reference_function(exercise.id)
    report = run_checks(exercise, lambda *args, **how: SHAPES[shape](reference(*args, **how)), postgres.url)
    assert "raised" not in "".join(failures(report)).partition(". ")[0]
    assert "cannot be looked at" not in "".join(failures(report)), "a message of its own is better"


def test_who_writes_dots_for_nothing_has_begun(postgres: Server) -> None:
    def balance(history):
        total = 0
        for type, amount in history:
            if type == "DepositRecorded":
                total += amount
            elif type == "CashWithdrawn":
                total -= amount
            else:
                ...
        return total

    report = run_checks(EXERCISES["00.1"], balance, postgres.url)
    assert report.passed, failures(report)
