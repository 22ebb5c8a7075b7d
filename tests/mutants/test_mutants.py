"""The mutants, and the page that says how many are refused."""

import random
import re
from difflib import get_close_matches

import pytest

from workshop.checks.course import EXERCISES

from ..postgres import Server
from .answers import Mutant, equivalents, mutants
from .score import PAGE, verdict

LEAST, LEAST_OF_ALL, LEAST_OF_THE_PACKAGE = 97, 99, 90  # percent
SOME = 2  # of each exercise, in each run of the tests; all of them with -m long
each_exercise = pytest.mark.parametrize("exercise_id", EXERCISES)
_ROW = re.compile(r"^\| (.+?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+ %|–) \|$", re.MULTILINE)


def rows(part: str) -> dict[str, tuple[int, int, int, int]]:
    """Return what the page says, by exercise or file: mutants, refused ones, equivalent ones, those that are left."""
    text = PAGE.read_text(encoding="utf-8").split(f"## The {part}")[1].split("\n## ")[0]
    return {name.split()[0].strip("`"): tuple(map(int, numbers)) for name, *numbers, _ in _ROW.findall(text)}  # type: ignore[misc]


def score(row: tuple[int, int, int, int]) -> float:
    _, refused, _, left = row
    return 100 * refused / (refused + left) if refused + left else 100


@each_exercise
def test_the_page_knows_each_exercise_as_it_is(exercise_id: str) -> None:
    """Where an answer or the generator has changed, `make mutants` has to be run again."""
    every = len(mutants(exercise_id))
    counted = rows("exercises")[exercise_id][0]
    assert counted <= every <= 2 * counted + 5, f"{every} mutants, and the page says {counted}: run `make mutants`"


def test_the_score_does_not_fall() -> None:
    exercises, files = rows("exercises"), rows("package")
    assert {name: row for name, row in exercises.items() if score(row) < LEAST} == {}
    assert score(exercises["all"]) >= LEAST_OF_ALL
    assert score(files["all"]) >= LEAST_OF_THE_PACKAGE


def test_each_equivalent_is_a_mutant_and_says_why() -> None:
    there = {(mutant.exercise_id, mutant.was, mutant.now) for each in EXERCISES for mutant in mutants(each)}
    for key, why in equivalents().items():
        assert why.strip().endswith("."), f"{key} says no reason"
        if key[0] in EXERCISES:
            assert key in there, f"{key} is no mutant; close to it: {get_close_matches(str(key), map(str, there), 2)}"


@each_exercise
def test_some_mutants_are_refused(exercise_id: str, postgres: Server) -> None:
    every = mutants(exercise_id)
    some = random.Random(exercise_id).sample(every, min(SOME, len(every)))
    must_be_refused(some, postgres.url, allowed=rows("exercises")[exercise_id][3])


@pytest.mark.long
@each_exercise
def test_nearly_all_mutants_are_refused(exercise_id: str, postgres: Server) -> None:
    must_be_refused(mutants(exercise_id), postgres.url, allowed=rows("exercises")[exercise_id][3])


def must_be_refused(chosen: list[Mutant], url: str, allowed: int = 0) -> None:
    survivors = [mutant for mutant in chosen if verdict(mutant, url) == "survived"]
    assert len(survivors) <= allowed, "\n".join(map(str, survivors))
