"""Points for exercises: the cells that give them, and nbgrader's own commands, from the release to the gradebook."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from traitlets.config import Config

from workshop import classroom
from workshop.checks import kept
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.making.grade_cells import add_grade_cells
from workshop.making.grading import NotSolved, grade, lay_out, main

from ..postgres import Server
from .answers import defined_in, right_answer, wrong_answer

POINTS = {"easy": 1, "medium": 2, "hard": 3}
SOLVED = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)


def number_of(exercise_id: str) -> str:
    return exercise_id.replace(".", "-")


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def cell(notebook: nbformat.NotebookNode, grade_id: str) -> Any:
    (found,) = [each for each in notebook.cells if each.metadata.get("nbgrader", {}).get("grade_id") == grade_id]
    return found


class TestMarksInSolutions:
    @each_notebook
    def test_each_exercise_has_an_answer_and_below_it_a_locked_cell_with_its_points(self, path: Path) -> None:
        marked = [each for each in read(path).cells if "nbgrader" in each.metadata]
        marks = [each.metadata["nbgrader"] for each in marked]
        expected: list[tuple] = []
        for exercise in NOTEBOOKS[path.stem]:
            number = number_of(exercise.id)
            expected.append((f"answer-{number}", True, False, False, None))
            expected.append((f"grade-{number}", False, True, True, POINTS[exercise.difficulty]))
        keys = ("grade_id", "solution", "grade", "locked", "points")
        got = [tuple(map(each.get, keys)) for each in marks]
        assert got == expected, "run `make outputs`"
        for answer, grading, exercise in zip(marked[::2], marked[1::2], NOTEBOOKS[path.stem], strict=True):
            assert "BEGIN SOLUTION" in answer.source
            call = grading.source.splitlines()[-1]
            if exercise.is_sql:
                assert answer.source.startswith(f"%%sql {exercise.id}\n") and call == f'grade("{exercise.id}")'
            else:
                assert call.replace("grade(", "check(") in answer.source and f'grade("{exercise.id}", ' in call
            assert grading.outputs[0]["data"]["text/plain"] == str(POINTS[exercise.difficulty])

    @each_notebook
    def test_nbgrader_accepts_them(self, path: Path) -> None:
        nbgraderformat = pytest.importorskip("nbgrader.nbgraderformat", reason="nbgrader: requirements-dev.txt")
        nbgraderformat.MetadataValidator().validate_nb(read(path))

    @each_notebook
    def test_bringing_them_up_to_date_changes_nothing(self, path: Path) -> None:
        notebook = read(path)
        add_grade_cells(notebook)
        assert nbformat.writes(notebook) + "\n" == path.read_text(encoding="utf-8"), "run `make outputs`"

    def test_what_is_missing_or_wrong_is_mended(self) -> None:
        good, notebook = read(SOLVED[2]), read(SOLVED[2])
        cell(notebook, "grade-02-1").metadata["nbgrader"]["points"] = 100
        cell(notebook, "grade-02-2").source = "2"
        notebook.cells = [each for each in notebook.cells if each.id != "grade-02-3"]
        stale = nbformat.v4.new_code_cell("grade('02.9', x)", id="grade-02-9")
        stale.metadata["nbgrader"] = {**cell(good, "grade-02-1").metadata["nbgrader"], "grade_id": "grade-02-9"}
        notebook.cells.append(stale)
        add_grade_cells(notebook)
        assert [(each.id, each.source, each.metadata) for each in notebook.cells] == [
            (each.id, each.source, each.metadata) for each in good.cells
        ]


class TestGrade:
    @pytest.mark.parametrize("exercise_id", ["00.1", "02.1", "02.3"])
    def test_all_points_or_none_and_nothing_is_raised_where_a_learner_works(self, exercise_id: str) -> None:
        possible = POINTS[EXERCISES[exercise_id].difficulty]
        right, wrong = grade(exercise_id, right_answer(exercise_id)), grade(exercise_id, wrong_answer(exercise_id))
        assert (right.earned, right.possible, repr(right)) == (possible, possible, str(possible))
        assert (wrong.earned, wrong.possible, repr(wrong)) == (0, possible, "0")
        assert str(wrong).startswith(f"0 of {possible} point")

    def test_an_untouched_exercise_earns_nothing_and_raises_nothing(self) -> None:
        assert grade("02.1", "SELECT\n...").earned == 0
        assert grade("00.1", ...).earned == 0
        assert grade("02.1").earned == 0

    def test_without_an_answer_it_is_the_one_that_was_checked_last(self) -> None:
        for answer, earned in ((right_answer("02.1"), 2), (wrong_answer("02.1"), 0)):
            classroom.check("02.1", answer)
            assert grade("02.1").earned == earned

    def test_what_an_answer_says_on_stderr_stays_off_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """To nbgrader, a cell that wrote anything there has failed."""
        talkative = defined_in(
            "import sys\n\nSIGNS = {'DepositRecorded': 1, 'CashWithdrawn': -1}\n\n\n"
            "def balance(history):\n    print('working', file=sys.stderr)\n"
            "    return sum((SIGNS.get(type, 0) * amount for type, amount in history if amount), 0)\n"
        )
        assert grade("00.1", talkative).earned == 1
        said = capsys.readouterr()
        assert "working" in said.out and said.err == ""

    def test_nothing_is_kept_or_recorded(self, my_eventstore: Path) -> None:
        grade("02.1", right_answer("02.1"))
        assert not my_eventstore.exists()


@pytest.fixture
def being_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as nbgrader's kernel."""
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    kept.folder.cache_clear()


@pytest.mark.usefixtures("being_graded")
class TestBeingGraded:
    def test_an_answer_that_earns_nothing_fails_its_cell_and_says_why(self) -> None:
        assert grade("02.1", right_answer("02.1")).earned == 2
        with pytest.raises(NotSolved, match=r"^0 of 2 points\. 02\.1 Append one event: not yet, (?s:.)*✗ failed: "):
            grade("02.1", wrong_answer("02.1"))
        with pytest.raises(NotSolved, match=r"^0 of 1 point\. 00\.1 .*: not started"):
            grade("00.1", ...)

    def test_answers_are_kept_apart_from_those_of_whoever_grades(self, my_eventstore: Path) -> None:
        assert kept.folder() != my_eventstore
        classroom.check("02.1", right_answer("02.1"))
        assert kept.answer_to(EXERCISES["02.1"]) and not my_eventstore.exists()

    def test_a_notebook_that_the_grader_has_open_stays_as_it_is(
        self, notebook: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NBGRADER_EXECUTION")
        open_elsewhere = classroom.start(notebook)
        open_elsewhere.execute("CREATE TABLE mine ()")
        monkeypatch.setattr(classroom, "_started", None)
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
        graded = classroom.start(notebook)
        try:
            assert graded.schema != open_elsewhere.schema
            beside = f"eventsourcing_{graded.schema}"  # as the library of notebook 10 makes it
            graded.execute(f"CREATE SCHEMA {beside}")
            open_elsewhere.execute("SELECT FROM mine")
            graded.close()
            again = classroom.start(notebook)
            left = again.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname IN (%s, %s)", (graded.schema, beside)
            ).fetchall()
            assert left == []
        finally:
            open_elsewhere.drop()

    def test_a_server_that_is_down_costs_nobody_points(self) -> None:
        nobody = "postgresql://postgres@127.0.0.1:1/postgres"
        code = 'from workshop.making.grading import grade\nprint("before")\ngrade("02.1", "SELECT 1")\nprint("graded")'
        ran = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"DATABASE_URL": nobody}, capture_output=True, text=True
        )
        assert ran.returncode == 1 and "graded" not in ran.stdout
        assert "Exercise 02.1 cannot be graded. No PostgreSQL let us in at 127.0.0.1:1" in ran.stderr

    def test_a_server_that_goes_down_during_the_checks_costs_nobody_points(self, server_of_its_own: Server) -> None:
        code = (
            "from workshop.making import grading\nrun_checks = grading.run_checks\n"
            "def wait_and_run_checks(*given):\n    print('ready', flush=True)\n    input()\n"
            "    return run_checks(*given)\n"
            "grading.run_checks = wait_and_run_checks\ngrading.grade('02.1', 'SELECT 1')\nprint('graded')"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | {"DATABASE_URL": server_of_its_own.url}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as grading:  # fmt: skip
            assert grading.stdout.readline() == "ready\n"
            server_of_its_own.kill()
            out, err = grading.communicate("\n", timeout=60)
        assert grading.returncode == 1 and not out
        assert "Exercise 02.1 cannot be graded. No PostgreSQL let us in" in err


def as_an_assignment(path: Path) -> str:
    """Return a solved notebook as learners get to work in it: what it keeps is theirs."""
    return path.read_text("utf-8").replace(", solution=True)", ")")


class TestLayingOutACourse:
    def test_an_assignment_a_notebook_and_settings_that_stay(self, tmp_path: Path) -> None:
        course = tmp_path / "course"
        assert lay_out(course, []) == list(NOTEBOOKS)
        for path in SOLVED:
            assert (course / "source" / path.stem / path.name).read_text("utf-8") == as_an_assignment(path)
        (course / "nbgrader_config.py").write_text("# mine\n")
        (course / "source/01_tables/01_tables.ipynb").write_text("an older kit")
        assert lay_out(course, ["01_tables"]) == ["01_tables"]
        assert (course / "nbgrader_config.py").read_text() == "# mine\n"
        assert (course / "source/01_tables/01_tables.ipynb").read_text("utf-8") == as_an_assignment(SOLVED[1])

    def test_a_submission_inherits_no_key_to_the_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        keys = ("WORKSHOP_ADMIN_URL", "WORKSHOP_HUB_SECRET")
        for key in keys:
            monkeypatch.setenv(key, "of the instructor's")
        lay_out(tmp_path, ["00_welcome"])
        exec((tmp_path / "nbgrader_config.py").read_text(), {"get_config": Config})  # as nbgrader reads it
        assert not any(key in os.environ for key in keys) and "PATH" in os.environ

    def test_bad_arguments_get_a_clear_error_and_nothing_is_made(self, tmp_path: Path) -> None:
        course = tmp_path / "course"
        with pytest.raises(WorkshopError, match="There is no notebook '2_appending'.\nThese are: 00_welcome, "):
            lay_out(course, ["01_tables", "2_appending"])
        assert not course.exists()
        for inside in (CHECKOUT, CHECKOUT / "course", CHECKOUT / "tests/.."):
            with pytest.raises(WorkshopError, match="lies within the kit itself"):
                lay_out(inside, [])
        (tmp_path / "file").write_text("")
        with pytest.raises(SystemExit, match="cannot be written: "):
            main([str(tmp_path / "file")])


def nbgrader(course: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run one of nbgrader's commands in a course, as an instructor would whose shell has the kit's venv activated."""
    programs = str(Path(sys.executable).parent)
    of_the_tests = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    own = {
        "PATH": programs + os.pathsep + os.environ["PATH"],
        "JUPYTER_CONFIG_DIR": str(course / ".jupyter"),
        "IPYTHONDIR": str(course / ".ipython"),
    }
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course, env=of_the_tests | own | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def make_course(folder: Path, *notebooks: str) -> Path:
    """Lay out a course and release its assignments, with nbgrader's own command."""
    lay_out(folder, list(notebooks))
    for name in notebooks:
        released = nbgrader(folder, "generate_assignment", name)
        assert released.returncode == 0, released.stderr
    return folder


def submit(course: Path, student: str, name: str, notebook: nbformat.NotebookNode) -> None:
    folder = course / "submitted" / student / name
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")


def solve(notebook: nbformat.NotebookNode, solved: nbformat.NotebookNode, *exercise_ids: str) -> None:
    """Write the reference answers into a learner's copy."""
    sources = {each.id: each.source for each in solved.cells}
    wanted = {cell(solved, f"answer-{number_of(exercise_id)}").id for exercise_id in exercise_ids}
    for each in notebook.cells:
        if each.id in wanted:
            each.source = sources[each.id]


def scores(course: Path, assignment: str) -> dict[str, tuple[dict[str, float | None], float]]:
    """Return, from the gradebook, each student's points for each graded cell, and what could be had in all."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {
            submission.student.id: (
                {grade.name: grade.auto_score for book in submission.notebooks for grade in book.grades},
                submission.max_score,
            )
            for submission in gradebook.assignment_submissions(assignment)
        }


def shown(course: Path, student: str, name: str) -> str:
    """Return all that the cells of a graded submission printed or raised."""
    outputs = [out for each in read(course / "autograded" / student / name / f"{name}.ipynb").cells
               for out in each.get("outputs", ())]  # fmt: skip
    return "\n".join(out.get("text", "") + out.get("evalue", "") for out in outputs)


def faked(notebook: nbformat.NotebookNode) -> None:
    """Do what a learner may think of who wants points and no work.

    The kit is told that it was solved, and that the reference answer is theirs; check and grade are other functions.
    """
    for place, each in reversed([*enumerate(notebook.cells)]):
        if each.cell_type == "code" and each.metadata.get("nbgrader", {}).get("solution"):
            below = nbformat.v4.new_code_cell(
                "check = lambda *given: print('solved')\ngrade = lambda *given: 3"
                "\nfrom workshop.attempts import recording\nfrom workshop.checks import answers, course, kept"
                "\nrecording.record('02.1', None)"
                "\nkept.keep(course.EXERCISES['02.1'], answers.reference_answer('02.1'))"
                "\nprint('faked:', kept.answer_to(course.EXERCISES['02.1']) is not None)"
            )
            notebook.cells.insert(place + 1, below)
    cell(notebook, "grade-02-1").source = "2"
    cell(notebook, "grade-02-2").metadata["nbgrader"]["points"] = 100
    cell(notebook, "grade-02-3").source = "grade('02.3', append_to_stream)"
    notebook.cells = [each for each in notebook.cells if each.id != "grade-02-4"]
    notebook.cells.insert(2, nbformat.v4.new_code_cell("def grade(exercise_id, answer=None):\n    return 3"))


@pytest.mark.long
def test_right_half_right_untouched_and_faked_submissions_get_their_points(tmp_path: Path, my_eventstore: Path) -> None:
    pytest.importorskip("nbgrader", reason="nbgrader comes with requirements-dev.txt")
    name = "02_appending"
    course = make_course(tmp_path / "course", name)
    released, solved = course / "release" / name / f"{name}.ipynb", read(CHECKOUT / "solutions" / f"{name}.ipynb")
    assert "SOLUTION" not in released.read_text(encoding="utf-8")

    decoy = my_eventstore / EXERCISES["02.1"].keeps
    decoy.parent.mkdir(parents=True, exist_ok=True)
    decoy.write_text("-- Your answer to exercise 02.1: Append one event.\nthis is no SQL\n")
    before = {path: path.stat().st_mtime_ns for path in my_eventstore.rglob("*")}

    submit(course, "a_right", name, solved)
    half = read(released)
    solve(half, solved, "02.1", "02.2", "02.5")
    cell(half, "answer-02-3").source = cell(solved, "answer-02-3").source.replace("ES001", "ES002")
    copied = deepcopy(cell(half, "answer-02-6"))  # as JupyterLab pastes it: with another id, and the same marks
    copied.id, copied.source = "a-copy", "append = None"
    half.cells.insert(4, copied)
    submit(course, "b_half_right", name, half)
    submit(course, "c_untouched", name, read(released))
    fake = read(released)
    faked(fake)
    submit(course, "d_faked", name, fake)
    as_it_comes = read(CHECKOUT / "notebooks" / f"{name}.ipynb")
    solve(as_it_comes, solved, "02.1", "02.5")
    as_it_comes.cells.insert(3, nbformat.v4.new_code_cell("this is (no Python\ncheck('99.9', x)"))
    submit(course, "e_as_it_comes", name, as_it_comes)

    graded = nbgrader(course, "autograde", name)
    assert graded.returncode == 0, graded.stderr

    full = {f"grade-{number_of(each.id)}": float(POINTS[each.difficulty]) for each in NOTEBOOKS[name]}
    nothing = dict.fromkeys(full, 0.0)
    assert sum(full.values()) == 13
    assert scores(course, name) == {
        "a_right": (full, 13),
        "b_half_right": (nothing | {each: full[each] for each in ("grade-02-1", "grade-02-2", "grade-02-5")}, 13),
        "c_untouched": (nothing, 13),
        "d_faked": (nothing | {"grade-02-4": None}, 13),  # for a cell that is gone nbgrader asks the instructor
        "e_as_it_comes": (nothing | {each: full[each] for each in ("grade-02-1", "grade-02-5")}, 13),
    }
    faking = shown(course, "d_faked", name)  # it came to its end, each time
    assert faking.count("faked: True") == len(NOTEBOOKS[name]) and "AttributeError" not in faking
    # No submission builds on the answers of another, nor on those of whoever grades.
    assert "02.1 (yours)" in shown(course, "a_right", name)
    assert "02.1 (the reference)" in shown(course, "c_untouched", name)
    assert "does not run" not in shown(course, "c_untouched", name)
    assert {path: path.stat().st_mtime_ns for path in my_eventstore.rglob("*")} == before


@pytest.mark.long
def test_a_submission_that_no_server_could_check_gets_no_points_and_no_zero(tmp_path: Path) -> None:
    pytest.importorskip("nbgrader", reason="nbgrader comes with requirements-dev.txt")
    course = make_course(tmp_path / "course", "01_tables")
    submit(course, "ada", "01_tables", read(CHECKOUT / "solutions/01_tables.ipynb"))
    cells = ("grade-01-1", "grade-01-2", "grade-01-3")
    graded = nbgrader(course, "autograde", "01_tables", DATABASE_URL="postgresql://postgres@127.0.0.1:1/postgres")
    assert graded.returncode != 0 and "Exercise 01.1 cannot be graded. No PostgreSQL let us in" in graded.stderr
    assert scores(course, "01_tables") == {"ada": (dict.fromkeys(cells), 4)}
    graded = nbgrader(course, "autograde", "01_tables")
    assert graded.returncode == 0, graded.stderr
    assert scores(course, "01_tables") == {"ada": ({"grade-01-1": 1.0, "grade-01-2": 1.0, "grade-01-3": 2.0}, 4)}


@pytest.mark.parametrize(
    "path",
    [SOLVED[0], *(pytest.param(path, marks=pytest.mark.long) for path in SOLVED[1:])],
    ids=lambda path: path.stem,
)
def test_every_notebook_can_be_graded(path: Path, tmp_path: Path) -> None:
    name = path.stem
    course = make_course(tmp_path / "course", name)
    released = read(course / "release" / name / path.name)
    submit(course, "right", name, read(path))
    submit(course, "untouched", name, released)
    graded = nbgrader(course, "autograde", name)
    assert graded.returncode == 0, graded.stderr
    full = {f"grade-{number_of(each.id)}": float(POINTS[each.difficulty]) for each in NOTEBOOKS[name]}
    possible = sum(full.values())
    assert scores(course, name) == {"right": (full, possible), "untouched": (dict.fromkeys(full, 0.0), possible)}
