"""notebooks/ is what is left of solutions/ without its answers."""

import json
from pathlib import Path

import pytest

from workshop.checks.answers import answer_in
from workshop.checks.course import EXERCISES
from workshop.files import CHECKOUT

generate = pytest.importorskip("workshop.making.generate", reason="nbgrader comes with requirements-dev.txt")

SOLVED = sorted((CHECKOUT / "solutions").glob("*.ipynb"))
GIVEN = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))


def test_the_two_folders_hold_the_same_notebooks() -> None:
    assert [path.name for path in GIVEN] == [path.name for path in SOLVED], "run `make notebooks`"


@pytest.mark.parametrize("solved", SOLVED, ids=lambda path: path.stem)
def test_notebooks_are_up_to_date(solved: Path) -> None:
    given = CHECKOUT / "notebooks" / solved.name
    same = given.read_text(encoding="utf-8") == generate.without_answers(solved)
    assert same, f"notebooks/{solved.name} is not what solutions/{solved.name} gives: run `make notebooks`"


@pytest.mark.parametrize("given", GIVEN, ids=lambda path: path.stem)
def test_no_answer_and_no_output_is_given_away(given: Path) -> None:
    text = given.read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" not in text and "END SOLUTION" not in text
    for cell in json.loads(text)["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")
        if "nbval-skip" in cell["metadata"].get("tags", ()):
            assert "..." not in "".join(cell["source"]), "what a learner has to solve is to run unsolved"
        assert "nbgrader" not in cell["metadata"] and "workshop.making.grading" not in "".join(cell["source"])


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_a_stub_stands_where_the_answer_stood(exercise_id: str) -> None:
    assert answer_in(CHECKOUT / "notebooks", exercise_id).count("...") == 1
    assert "..." not in answer_in(CHECKOUT / "solutions", exercise_id)


def test_a_notebook_without_a_source_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "CHECKOUT", tmp_path)
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions/one.ipynb").write_bytes(SOLVED[0].read_bytes())
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/stray.ipynb").write_text("{}")
    (tmp_path / "notebooks/AGENTS.md").write_text("for an assistant")
    generate.main()
    assert {path.name for path in (tmp_path / "notebooks").iterdir()} == {"AGENTS.md", "one.ipynb"}
    assert "removed notebooks/stray.ipynb" in capsys.readouterr().err


def test_a_region_that_is_not_closed_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text(SOLVED[0].read_text(encoding="utf-8").replace("# END SOLUTION", "# END"), encoding="utf-8")
    with pytest.raises(RuntimeError):
        generate.without_answers(broken)
