"""Which guarantees an event store keeps, yours or the reference: the conformance tests, told in a learner's words.

In a notebook, `from workshop.my_store.conformance import conformance` and then `conformance()`; in a shell,
`python -m workshop.my_store.conformance`, or the same with `eventstore` behind it. It takes about a minute.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal
from uuid import uuid4

from ..bank import event_types
from ..checks import kept
from ..checks.course import EXERCISES
from ..display import Box, Line, Shown, count
from ..errors import WorkshopError
from ..files import CHECKOUT
from ..interrupts import Interrupted
from ..server.database import Database, server_url
from .guarantees import ADDITIONS, GUARANTEES, REQUIREMENTS, Guarantee, Requirement
from .parts import Part, Parts
from .store import open_store

_FOLDER = Path("tests", "conformance")
_LONGEST = 240  # seconds
_IN_ALL, _BRIEFLY = 590, 180  # tests, about: for whoever waits for them
# These wait more than they work, so they run beside the others.
_WAITING = (("test_g8_", "test_g10_"), ("test_g11_",))
_WITHOUT = "not killed"  # tests that kill processes or servers take long, and say nothing about the learner's parts
Outcome = Literal["met", "missed", "not tested"]


@dataclass(frozen=True)
class Row:
    """A guarantee or a requirement, and what came of it.

    Attributes:
        name: what it is, in plain words.
        outcome: whether it is met; "not tested" where no test ran.
        message: for a guarantee that is missed, what happened and where to look; its lines of code are indented.
    """

    name: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True)
class Conformance:
    """What came of the conformance tests. It shows itself as a table.

    Attributes:
        store: "my_eventstore" or "eventstore".
        guarantees: a row for each guarantee, by its key, "G1" and so on.
        requirements: a row for each of the nine requirements, by its number.
        parts: what the learner's store is made of; none for the reference.
    """

    store: str
    guarantees: dict[str, Row]
    requirements: dict[int, Row]
    parts: tuple[Part, ...]

    def __repr__(self) -> str:
        return repr(self._shown())

    def _repr_html_(self) -> str:
        return self._shown()._repr_html_()

    def _shown(self) -> Shown:
        whose = "Your event store" if self.store == "my_eventstore" else "The reference"
        met = sum(row.outcome == "met" for row in self.guarantees.values())
        total = len(self.guarantees)
        box = Box(f"{whose}: {met} of {count(total, 'guarantee')} met", "passed" if met == total else "failed")
        for key, row in self.guarantees.items():
            box.result(row.outcome, row.name if row.name.startswith(key) else f"{key} {row.name}", row.message)
        box.title("The nine requirements")
        for number, row in self.requirements.items():
            box.result(row.outcome, f"{number} {row.name}", row.message)
        for line in self._parts():
            box.prose(line, apart=True)
        return box.shown()

    def _parts(self) -> list[str]:
        """Return which parts of a store are the learner's, and which the reference's, and why."""
        if not self.parts:
            return []
        yours = [str(part) for part in self.parts if part.yours and part.tested]
        untested = [str(part) for part in self.parts if not part.tested]
        unsolved = [str(part) for part in self.parts if part.exercise and not part.yours]
        others = [str(part) for part in self.parts if not part.exercise and not part.yours]
        return [
            f"Yours: {', '.join(yours) or 'nothing yet'}.",
            *([f"Yours, and tested by their exercises alone: {', '.join(untested)}."] if untested else []),
            *([f"From the reference, until you solve the exercise: {', '.join(unsolved)}."] if unsolved else []),
            f"From the reference, because no exercise asks for it: {', '.join(others)}; and in Python what surrounds "
            "your functions: event types, arguments, errors, subscriptions.",
        ]


def conformance(
    store: Literal["my_eventstore", "eventstore"] = "my_eventstore", *only: str, brief: bool = False
) -> Conformance:
    """Run the conformance tests on an event store, and say which guarantees it keeps.

    They run in schemas of their own, which are gone afterwards.

    Args:
        store: "my_eventstore", what you have built, with the reference for what you have not; or "eventstore", the
            reference itself.
        only: the guarantees to test, "G1" and so on; all of them if none is named.
        brief: whether one case of each test is enough, which saves more than half of the time.

    Raises:
        WorkshopError: a file in my_eventstore/ does not load or run, or the tests cannot be run here.
    """
    if store not in ("my_eventstore", "eventstore") or (unknown := {*only} - {each.key for each in GUARANTEES}):
        what = f"store called {store!r}" if store not in ("my_eventstore", "eventstore") else f"guarantee {unknown}"
        raise WorkshopError(f"There is no {what}.", 'Call conformance(), or conformance("eventstore").')
    parts = Parts() if store == "my_eventstore" else None
    if parts:
        _try_out(parts)
    asked_for = [each for each in GUARANTEES if not only or each.key in only]
    ran = _run(store, [each.tests for each in asked_for if (CHECKOUT / _FOLDER / each.tests).is_file()], brief)
    by_file = {each.key: [test for test in ran if test["file"] == each.tests] for each in asked_for}
    rows = {each.key: _guarantee(each, by_file[each.key], parts) for each in asked_for}
    return Conformance(
        store,
        rows,
        {number: _requirement(each, rows, by_file.get("G1", [])) for number, each in enumerate(REQUIREMENTS, 1)},
        tuple(parts.listed) if parts else (),
    )


def _try_out(parts: Parts) -> None:
    """Raise WorkshopError where a learner's SQL does not run, before hundreds of tests say so."""
    database = Database(server_url(), f"check_{uuid4().hex[:16]}")
    try:
        database.reset()
        open_store(parts, database.connection, event_types()).create_schema()
    finally:
        database.drop()


class _Progress:
    """How far the tests are: known to those who run them, and to whoever waits; an interrupt ends them."""

    def __init__(self) -> None:
        self.ran: Counter[Path] = Counter()
        self.interrupted = Event()


def _run(store: str, files: list[str], brief: bool) -> list[dict[str, Any]]:
    """Run files of tests; return for each test its file, its name, its outcome and its message."""
    groups = [[file for file in files if file.startswith(waiting)] for waiting in _WAITING]
    groups.append([file for file in files if not any(file in group for group in groups)])
    groups = [group for group in groups if group]
    progress, begin = _Progress(), time.monotonic()
    line = Line()
    with ThreadPoolExecutor(len(groups) or 1) as pool:
        running = [pool.submit(_run_group, store, group, progress, brief=brief) for group in groups]
        try:
            while wait(running, timeout=0.5).not_done:
                ran, seconds = progress.ran.total(), time.monotonic() - begin
                line.show(
                    f"{count(ran, 'test')} of some {_BRIEFLY if brief else _IN_ALL} have run, in {seconds:.0f} s."
                )
        except KeyboardInterrupt:
            progress.interrupted.set()
            raise Interrupted("Interrupted: the conformance tests were stopped.") from None
    return [test for group in running for test in group.result()]


def _run_group(store: str, files: Iterable[str], progress: _Progress, brief: bool = False) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        outcomes, said = Path(folder, "outcomes.json"), Path(folder, "said")
        command = [sys.executable, "-m", "pytest", *arguments(store, files, outcomes), *(["--brief"] if brief else [])]
        environment = os.environ | {"DATABASE_URL": server_url(), "MY_EVENTSTORE": str(kept.folder().resolve())}
        give_up = time.monotonic() + _LONGEST  # what ran until then counts
        with said.open("w") as output:
            process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=output, stderr=output)
        while process.poll() is None:
            progress.ran[outcomes] = len(read_outcomes(outcomes))
            if time.monotonic() > give_up or progress.interrupted.wait(0.2):
                process.kill()
                process.wait()
        tests = read_outcomes(outcomes)
        if not tests and time.monotonic() < give_up and not progress.interrupted.is_set():
            lines = said.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise WorkshopError(
                f"The conformance tests do not run here; pytest says: {lines[-1]}.",
                "`python -m pytest tests/conformance`, in the kit's folder, says more.",
            )
        return tests


def arguments(store: str, files: Iterable[str], outcomes: Path) -> list[str]:
    """Return pytest's arguments to test a store on the server at DATABASE_URL."""
    return [
        "-q", "--color=no", "--continue-on-collection-errors", "-p", "no:cacheprovider", "-k", _WITHOUT,
        "-p", "tests.conformance.outcomes", f"--outcomes={outcomes}", f"--store={store}", "--postgres=url",
        *(str(CHECKOUT / _FOLDER / file) for file in files),
    ]  # fmt: skip


def read_outcomes(path: Path) -> list[dict[str, Any]]:
    """Return for each test that ran its file, its name, its outcome and its message."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be being written


def _guarantee(guarantee: Guarantee, tests: list[dict[str, Any]], parts: Parts | None) -> Row:
    name = guarantee.promise
    failed = [test for test in tests if test["outcome"] == "failed"]
    if failed:
        happened = [f"{_sentence(failed[0]['test'])}: this failed, with", f"    {failed[0]['message']}"]
        return Row(name, "missed", "\n".join(happened + (_where_to_look(guarantee, parts) if parts else [])))
    if any(test["outcome"] == "passed" for test in tests):
        return Row(name, "met")
    reasons = [test["message"] for test in tests if test["message"]]
    return Row(name, "not tested", reasons[0] if reasons else "No test of it ran.")


def _where_to_look(guarantee: Guarantee, parts: Parts) -> list[str]:
    """Return what a learner can do about a guarantee that is missed."""
    yours = {part.file: part for part in parts.listed if part.yours}
    advice = [
        f"{each.without} Exercise {each.exercise} adds that."
        for each in ADDITIONS
        if guarantee.key in each.guarantees and (part := yours.get(EXERCISES[each.exercise].keeps))
        if part.exercise < each.exercise
    ]
    files = dict.fromkeys(EXERCISES[number].keeps for number in guarantee.exercises)
    if look := ", ".join(str(yours[file]) for file in files if file in yours):
        advice.append(f"{'Or look' if advice else 'Look'} at {look}.")
    advice = advice or ["No part of yours is known to bear on it."]
    return [*advice, f"Notebook {guarantee.notebook} explains it."]


def _requirement(requirement: Requirement, rows: dict[str, Row], g1: list[dict[str, Any]]) -> Row:
    outcomes: list[Outcome] = [rows[key].outcome if key in rows else "not tested" for key in requirement.guarantees]
    for name in requirement.tests:
        came_of_it = {test["outcome"] for test in g1 if test["test"] == name}
        outcomes.append("missed" if "failed" in came_of_it else "met" if came_of_it else "not tested")
    bad: tuple[Outcome, ...] = ("missed", "not tested")
    return Row(requirement.name, next((outcome for outcome in bad if outcome in outcomes), "met"))


def _sentence(test: str) -> str:
    """Return the name of a test as the sentence that it is."""
    words = test.removeprefix("test_").replace("_", " ")
    return words[:1].upper() + words[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m workshop.my_store.conformance", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("store", nargs="?", default="my_eventstore", help="my_eventstore, or eventstore: the reference")
    parser.add_argument("only", nargs="*", metavar="G1", help="the guarantees to test; all of them if none is named")
    given = parser.parse_args()
    try:
        report = conformance(given.store, *given.only)
    except WorkshopError as error:
        sys.exit(str(error))
    print(report)
    sys.exit(any(row.outcome == "missed" for row in report.guarantees.values()))


if __name__ == "__main__":
    main()
