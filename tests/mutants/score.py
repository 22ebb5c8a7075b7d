"""Try all mutants, and write how many are refused into docs/mutation-score.md: `make mutants`.

It takes some ten minutes for the answers, and about an hour for the package; with `answers` or `package` behind it, one
of them is tried, and what the page says of the other stays.
"""

import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from os import cpu_count

from workshop.checks.course import EXERCISES
from workshop.files import CHECKOUT
from workshop.server.database import server_url

from . import package
from .answers import Mutant, equivalents, mutants, outcome
from .tests_as_answers import is_as_good

PAGE = CHECKOUT / "docs" / "mutation-score.md"
_PARTS = ("answers", "package")
_HEAD = """\
# What the checks catch

A *mutant* is a right answer in which one thing was changed: an operator, a bound, a constant, a condition, a line, a
lock, an order, a clock, an argument; or what people do who nearly got it: a second look instead of the first, a loop of
single calls instead of one batch, a count instead of a number, an error that is swallowed. `make mutants` makes them of
what a learner writes of each reference answer, has the checks look at each, and writes this page. A check that lets one
pass has a hole; unless the mutant does all that was asked. Those stand in `tests/mutants/equivalents.toml`, with their
reasons. Mutants that PostgreSQL or Python do not even take are not counted.

Of answers that are tests, one that still tells all that the reference answer tells is as good: 04.3 is held against the
mutants of the bank, 10.2 against stores, a hunt against its suspects.
"""


def verdict(mutant: Mutant, url: str) -> str:
    """Return what came of a mutant: "refused", "equivalent", "survived" or "does not run"."""
    warnings.simplefilter("ignore")
    if (mutant.exercise_id, mutant.was, mutant.now) in equivalents():
        return "equivalent"
    came = outcome(mutant, url)
    if came != "passed":
        return came
    return "equivalent" if is_as_good(mutant, url) else "survived"


def of_answers() -> str:
    """Try the mutants of all reference answers; return the page's part about them."""
    found = defaultdict(Counter)
    survivors = []
    every = [mutant for exercise_id in EXERCISES for mutant in mutants(exercise_id)]
    with ProcessPoolExecutor(cpu_count()) as pool:
        for mutant, came in zip(every, pool.map(partial(verdict, url=server_url()), every), strict=True):
            found[mutant.exercise_id][came] += 1
            if came == "survived":
                survivors.append(mutant)
    rows = [_row(f"{it} {EXERCISES[it].title}", found[it]) for it in EXERCISES]
    return "\n".join(
        [
            "## The exercises",
            "",
            *_table("exercise", "refused", rows, _row("all", sum(found.values(), Counter()))),
            *_listed("What passes, and should not", survivors),
        ]
    )


def of_the_package() -> str:
    """Try a sample of the mutants of the package; return the page's part about them."""
    found = defaultdict(Counter)
    survivors = []
    for mutant, told in package.tried(package.sample()):
        came = {True: "refused", False: "survived", None: "does not run"}[told]
        if came == "survived" and ("eventstore", mutant.was, mutant.now) in equivalents():
            came = "equivalent"
        found[mutant.path][came] += 1
        if came == "survived":
            survivors.append(mutant)
    rows = [_row(f"`{path}`", counts) for path, counts in sorted(found.items())]
    return "\n".join(
        [
            "## The package",
            "",
            "The same of `eventstore/`, against `tests/conformance`: a sample, always the same one.",
            "",
            *_table("file", "told", rows, _row("all", sum(found.values(), Counter()))),
            *_listed("What is not told", survivors),
        ]
    )


def _row(name: str, counts: Counter) -> str:
    counted = counts["refused"] + counts["survived"]
    score = f"{100 * counts['refused'] / counted:.1f} %" if counted else "–"
    cells = (name, counted + counts["equivalent"], counts["refused"], counts["equivalent"], counts["survived"], score)
    return f"| {' | '.join(map(str, cells))} |"


def _table(what: str, refused: str, rows: Iterable[str], whole: str) -> list[str]:
    return [
        f"| {what} | mutants | {refused} | equivalent | left | score |",
        "|:---|---:|---:|---:|---:|---:|",
        *rows,
        whole,
    ]


def _listed(title: str, mutants: Iterable[object]) -> list[str]:
    lines = list(chain.from_iterable(str(mutant).splitlines() for mutant in mutants))
    return (
        ["", f"{title}:", "", "```diff", *(line.removeprefix("    ")[:200] for line in lines), "```"] if lines else []
    )


def main(*parts: str) -> None:
    measured = {part: of() for part, of in zip(_PARTS, (of_answers, of_the_package), strict=True) if part in parts}
    before = PAGE.read_text(encoding="utf-8").split("\n## ")[1:] if PAGE.exists() else []
    there = {part: f"## {text.strip()}" for part, text in zip(_PARTS, before, strict=False)}
    PAGE.write_text("\n\n".join([_HEAD.strip(), *(there | measured).values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(sys.argv[1:] or _PARTS))
