"""Mutants of the reference package, and whether the conformance tests tell them.

Each is tried on a copy of the checkout: most are told in seconds, one that is not runs all tests.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from workshop.files import CHECKOUT
from workshop.server.database import server_url

from .answers import changed

# What the guarantees are not about: words of errors, a cluster, and what stands beside tables that are there already.
LEFT_OUT = {"__init__.py", "errors.py", "95_citus.sql", "00_what_is_there.sql"}
COPIED = ("eventstore", "workshop", "tests", "conftest.py", "pyproject.toml", "solutions")
_LONGEST = 300  # seconds: who has not ended by then waits for something that never comes
SOME = 40
_TESTS = "tests/conformance"
_FAST = tuple(
    f"test_{name}.py"
    for name in (
        *("g1_order", "g12_bad_input", "g5_idempotent_retry", "g4_optimistic_concurrency", "g3_atomic", "archiving"),
        *("g6_time_is_a_prefix", "g7_facts_stay", "g9_strong_read_models"),
    )
)
_READERS = ("test_g10_exactly_once_effect.py", "test_g11_push.py")
_OF_READERS = ("bell", "worker", "reader", "subscri", "parked", "notify", "session")
# What PostgreSQL or Python do not even take says nothing about the tests.
_TRY_OUT = """
import os, psycopg, eventstore
connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
name = f"try_out_{os.getpid()}"
connection.execute(f"CREATE SCHEMA {name}; SET search_path = {name}")
try:
    eventstore.EventStore(connection, eventstore.EventTypes()).create_schema()
finally:
    connection.execute(f"DROP SCHEMA {name} CASCADE")
"""


@dataclass(frozen=True)
class PackageMutant:
    """A change of one file of eventstore/: its path, its text, the lines as they were and as they are."""

    path: str
    text: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.path}\n    - {self.was}\n    + {self.now}"


def mutants_of(path: Path) -> Iterator[PackageMutant]:
    """Return the mutants of a file, each once."""
    for mutated, lines in changed(path.read_text(encoding="utf-8"), path.suffix == ".sql"):
        yield PackageMutant(path.relative_to(CHECKOUT).as_posix(), mutated, *lines)


def sample(count: int = SOME) -> list[PackageMutant]:
    """Return some mutants, at most one a file, always the same ones."""
    files = sorted({*CHECKOUT.glob("eventstore/*.py"), *CHECKOUT.glob("eventstore/schema/*.sql")})
    found = []
    for path in (each for each in files if each.name not in LEFT_OUT):
        found += random.Random(path.name).sample(list(mutants_of(path)), 1)
    return sorted(found, key=lambda mutant: random.Random(mutant.path).random())[:count]


def is_told(mutant: PackageMutant, tree: Path) -> bool | None:
    """Whether the conformance tests fail on a copy of the checkout with this mutant in it; None where nothing runs."""
    path = tree / mutant.path
    shutil.copy(CHECKOUT / mutant.path, path.with_suffix(".right"))
    path.write_text(mutant.text, encoding="utf-8")
    try:
        if _run(tree, "-c", _TRY_OUT):
            return None
        first = _READERS if any(word in mutant.path for word in _OF_READERS) else _FAST
        rest = sorted({each.name for each in (tree / _TESTS).glob("test_*.py")} - {*first})
        runs = (
            [*first, "--brief"],
            [*rest, "--brief"],
            [*first, *rest],
        )  # what is likely to tell it, and is fast, first
        return any(_fails(tree, *run) for run in runs)
    finally:
        shutil.move(path.with_suffix(".right"), path)


def _fails(tree: Path, *what: str) -> bool:
    plugins = ("-p", "no:cacheprovider", "-p", "tests.conformance.outcomes")
    arguments = (each if each.startswith("--") else f"{_TESTS}/{each}" for each in what)
    return _run(tree, "-m", "pytest", "-x", "-q", *plugins, "--postgres=url", *arguments)


def _run(tree: Path, *command: str) -> bool:
    """Run Python on a copy of the checkout; return whether it fails."""
    environment = os.environ | {"PYTHONPATH": str(tree), "DATABASE_URL": server_url()}
    try:
        return bool(
            subprocess.run(
                [sys.executable, *command],
                cwd=tree,
                env=environment,
                capture_output=True,
                timeout=_LONGEST,
                check=False,
            ).returncode
        )
    except subprocess.TimeoutExpired:
        return True


def tried(mutants: list[PackageMutant], at_once: int = 2) -> Iterator[tuple[PackageMutant, bool | None]]:
    """Return each mutant, and whether it was told."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as pool:
        trees: Queue[Path] = Queue()
        for number in range(at_once):
            tree = Path(folder, str(number))
            for name in COPIED:
                source = CHECKOUT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                tree.mkdir(exist_ok=True)
                copy(source, tree / name)
            trees.put(tree)

        def one(mutant: PackageMutant) -> bool | None:
            tree = trees.get()
            try:
                return is_told(mutant, tree)
            finally:
                trees.put(tree)

        yield from zip(mutants, pool.map(one, mutants), strict=True)
