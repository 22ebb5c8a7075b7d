"""Points for the exercises, and a course directory for nbgrader.

`grade` stands below each exercise in solutions/, in a cell that nbgrader locks and takes the points from.
`python -m workshop.making.grading COURSE` lays out the course directory that nbgrader's commands work in.
"""

import argparse
import os
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import kept
from ..checks.checking import run_checks
from ..checks.course import EXERCISES, NOTEBOOKS
from ..checks.exercise import Exercise
from ..errors import WorkshopError
from ..files import CHECKOUT
from ..server.database import open_connection, server_url
from ..server.url_source import being_graded

# What a notebook of solutions/ says to start(), so that its answers are not taken for a learner's.
IS_SOLUTION = ", solution=True)"
_POINTS = {"easy": 1, "medium": 2, "hard": 3}
_CONFIG = '''\
"""nbgrader's settings for "Build your own event store". nbgrader reads them when it is run in this folder."""

import os

c = get_config()  # noqa: F821

# A submission is somebody's program, and inherits what is set here: not what opens the room, or the hub.
for secret in ("WORKSHOP_ADMIN_URL", "WORKSHOP_HUB_SECRET"):
    os.environ.pop(secret, None)
# What stands where an answer stood: the checks know by it that nobody has started.
c.ClearSolutions.code_stub = {"python": "..."}
# Seconds that a cell may take: a few measure something, and take longer where a machine is busy.
c.Execute.timeout = 120
# What nbgrader and a kernel say to each other goes encrypted, or each kernel warns that it does not.
c.KernelManager.transport_encryption = "auto"
# Whoever hands in a notebook as it comes with the kit, or with a cell copied, is graded all the same.
c.Autograde.sanitize_preprocessors.prepend(["workshop.making.grade_cells.MendMarks"])
'''


@dataclass(frozen=True)
class Points:
    """What an answer earned. nbgrader reads the number that this shows as text."""

    earned: int
    possible: int

    def __repr__(self) -> str:
        return str(self.earned)

    def __str__(self) -> str:
        return f"{self.earned} of {self.possible} point{'' if self.possible == 1 else 's'}"

    def _repr_html_(self) -> str:
        return str(self)


class NotSolved(AssertionError):
    """An answer that earned nothing, with what its checks say."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what the checks say is all there is to see."""
        return str(self).splitlines()


def points_for(exercise: Exercise) -> int:
    """Return what an exercise is worth: 1 point if it is easy, 2 if it is medium, 3 if it is hard."""
    return _POINTS[exercise.difficulty]


def grade(exercise_id: str, answer: Any = ...) -> Points:
    """Run an exercise's checks on an answer, and return its points: all of them if every check passes, else none.

    There is nothing in between: the checks stop at the first that fails, so how many passed says little.

    Args:
        exercise_id: the number of the exercise, such as "02.1".
        answer: the SQL as a text, or the function itself; without one, what this kernel checked last.

    Raises:
        NotSolved: nbgrader is grading, and the answer earned nothing.
        KeyError: there is no such exercise.
        WorkshopError: there is no PostgreSQL to check on. While nbgrader is grading, the kernel ends instead: a server
            that is down must not cost a learner points.
    """
    exercise = EXERCISES[exercise_id]
    answer = kept.checked.get(exercise_id, ...) if answer is ... else answer
    try:
        url = server_url()
        with redirect_stderr(sys.stdout):  # a word on stderr, and nbgrader would take a right answer for a failure
            report = run_checks(exercise, answer, url)
        if report.started and not report.passed:
            open_connection(url).close()  # did the answer fail, or was the server gone?
    except WorkshopError as error:
        if being_graded():
            _end_kernel(exercise, error)
        raise
    points = Points(points_for(exercise) if report.passed else 0, points_for(exercise))
    if being_graded() and not report.passed:
        raise NotSolved(f"{points}. {report.shown()!r}")
    return points


def _end_kernel(exercise: Exercise, error: WorkshopError) -> None:
    """End this kernel, so that nbgrader reports a submission that it could not grade, and stores no points for it."""
    # Past IPython, which would make it part of the notebook, to where nbgrader itself writes.
    os.write(2, f"Exercise {exercise.id} cannot be graded. {error}\n".encode())
    os._exit(1)


def lay_out(course: Path, notebooks: list[str]) -> list[str]:
    """Make a course directory, or bring one up to date: an assignment a notebook, and nbgrader's settings.

    Settings that are there already stay as they are; so do submissions and grades.

    Args:
        course: the folder; it is made if need be.
        notebooks: names such as "02_appending"; none means all.

    Returns:
        The names of the assignments.

    Raises:
        WorkshopError: there is no such notebook, or the folder cannot be written.
    """
    if unknown := [name for name in notebooks if name not in NOTEBOOKS]:
        raise WorkshopError(f"There is no notebook {unknown[0]!r}.", f"These are: {', '.join(NOTEBOOKS)}.")
    if course.resolve().is_relative_to(CHECKOUT):
        raise WorkshopError(
            f"{course} lies within the kit itself.",
            "Choose a folder outside: submissions and grades are nobody's but yours.",
        )
    names = notebooks or list(NOTEBOOKS)
    try:
        for name in names:
            assignment = course / "source" / name
            assignment.mkdir(parents=True, exist_ok=True)
            solved = (CHECKOUT / "solutions" / f"{name}.ipynb").read_text(encoding="utf-8")
            # Learners work in what nbgrader makes of it.
            (assignment / f"{name}.ipynb").write_text(solved.replace(IS_SOLUTION, ")"), encoding="utf-8")
        config = course / "nbgrader_config.py"
        if not config.exists():
            config.write_text(_CONFIG, encoding="utf-8")
    except OSError as error:
        raise WorkshopError(
            f"{course} cannot be written: {error.strerror}.", "Choose a folder that is yours, or that is not there yet."
        ) from None
    return names


def main(arguments: list[str] | None = None) -> None:
    """Lay out a course directory, and say what to do next."""
    parser = argparse.ArgumentParser(
        prog="python -m workshop.making.grading", description=(lay_out.__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("course", type=Path, help="the folder; it is made if need be")
    parser.add_argument("notebooks", nargs="*", help='such as "02_appending"; without any, all of them')
    given = parser.parse_args(arguments)
    try:
        names = lay_out(given.course, given.notebooks)
    except WorkshopError as error:
        sys.exit(str(error))
    print(f"{given.course}: {len(names)} assignment{'s' if len(names) > 1 else ''}, {names[0]} to {names[-1]}.")
    print(f"Next, in that folder: nbgrader generate_assignment {names[0]}")


if __name__ == "__main__":
    main()
