"""What is kept is what was checked: the text of an answer, put together from a notebook's cells, works by itself."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from workshop import share
from workshop.checks import guard
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.source import load
from workshop.errors import WorkshopError

from ..exercises.mistakes import failures
from ..postgres import Server

Said = Callable[[], str]

# An answer to 02.6 and what it needs, in pieces that can stand in one cell or in several.
IMPORTS = "import psycopg\nfrom psycopg.types.json import Jsonb\nfrom eventstore import WrongExpectedVersion, NO_STREAM"
BODY = """    try:
        row = connection.execute(
            "SELECT version FROM append_to_stream(%s, %s, %s)", (stream_id, expected_version, Jsonb(events))
        ).fetchone()
    except psycopg.Error as error:
        if error.sqlstate != "ES001":
            raise
        raise WrongExpectedVersion(stream_id, expected_version, int(error.diag.message_detail)) from None
    return row[0]
"""
SIGNATURE = "(connection, stream_id, events, expected_version=None):\n"
APPEND = "def append" + SIGNATURE + BODY
REALLY = "def really_append" + SIGNATURE + BODY
CALLS_REALLY = "def append" + SIGNATURE + "    return really_append(connection, stream_id, events, expected_version)"
CHECK = "check('02.6', append)"
STATEMENT = '"SELECT version FROM append_to_stream(%s, %s, %s)"'
BY_NAME = APPEND.replace(STATEMENT, "f\"SELECT version FROM {NAMES['append']}(%s, %s, %s)\"")
OWN_DECORATOR = """
from functools import wraps

def loud(function):
    @wraps(function)
    def run(*given, **how):
        return function(*given, **how)
    return run
"""
METHOD = "class Store:\n    def add(self, connection, stream_id, events, expected_version=None):\n" + "".join(
    f"    {line}\n" for line in BODY.splitlines()
)
KEPT = {
    "all in one cell": [f"{IMPORTS}\n{APPEND}\n{CHECK}"],
    "imports in a cell above": [IMPORTS, f"{APPEND}\n{CHECK}"],
    "a helper in a cell above": [IMPORTS, REALLY, f"{CALLS_REALLY}\n{CHECK}"],
    "a helper that was mended": [
        IMPORTS, "def really_append(*given):\n    return 0", REALLY, f"{CALLS_REALLY}\n{CHECK}",
    ],
    "the check in a cell of its own": [f"{IMPORTS}\n{APPEND}", CHECK],
    "another name": [f"{IMPORTS}\n{APPEND.replace('append(', 'my_append(', 1)}\ncheck('02.6', my_append)"],
    "a lambda in the call": [IMPORTS, REALLY, "check('02.6', lambda *given: really_append(*given))"],
    "a lambda with a name": [IMPORTS, REALLY, "append = lambda *given: really_append(*given)\ncheck('02.6', append)"],
    "a partial": [
        IMPORTS,
        "from functools import partial\n" + REALLY.replace("(connection", "(sql, connection").replace(STATEMENT, "sql"),
        f"append = partial(really_append, {STATEMENT})\n{CHECK}",
    ],
    "a partial in the call": [
        IMPORTS, "import functools\n" + REALLY, "check('02.6', functools.partial(really_append))",
    ],
    "an object": [f"{IMPORTS}\n{METHOD.replace('def add', 'def __call__')}\nappend = Store()\n{CHECK}"],
    "a method": [f"{IMPORTS}\n{METHOD}\nappend = Store().add\n{CHECK}"],
    "a method in the call": [f"{IMPORTS}\n{METHOD}", "store = Store()\ncheck('02.6', store.add)"],
    "a decorator of one's own": [
        IMPORTS + OWN_DECORATOR,
        f"@loud\n{APPEND}\n{CHECK}",
    ],
    "a decorator that hides the function": [
        f"{IMPORTS}\ndef hide(f):\n    return lambda *a, **k: f(*a, **k)",
        f"@hide\n{APPEND}\n{CHECK}",
    ],
    "singledispatch": [f"from functools import singledispatch\n{IMPORTS}\n@singledispatch\n{APPEND}\n{CHECK}"],
    "a cache": [f"from functools import lru_cache\n{IMPORTS}\n@lru_cache(0)\n{REALLY}", f"{CALLS_REALLY}\n{CHECK}"],
    "a decorator from contextlib": [
        "from contextlib import ContextDecorator\nclass Quiet(ContextDecorator):\n    def __enter__(self):\n"
        "        return self\n    def __exit__(self, *_):\n        return False",
        f"{IMPORTS}\n@Quiet()\n{APPEND}\n{CHECK}",
    ],
    "a constant, filled in later": [
        "SQL = {}", f"SQL['a'] = {STATEMENT}",
        f"{IMPORTS}\n{APPEND.replace(STATEMENT, 'SQL[chr(97)]')}\n{CHECK}",
    ],
    "a magic in the cell": [f"%time\n{IMPORTS}\n{APPEND}\n{CHECK}"],
    "%%time": [f"%%time\n{IMPORTS}\n{APPEND}\n{CHECK}"],
    "from psycopg import *": ["from psycopg import *\nimport psycopg", f"{IMPORTS}\n{APPEND}\n{CHECK}"],
    "cells before it that could be read and not run": [
        "match 1:\n    case append:\n        pass\n    case 2:\n        pass", "return 5",
        f"{IMPORTS}\n{APPEND}\n{CHECK}",
    ],
    "a cell that failed above another helper": [
        f"{IMPORTS}\n{REALLY}", "1 / 0\ndef really_append(*given):\n    return 0", f"{CALLS_REALLY}\n{CHECK}",
    ],
    "a cell that failed in a helper, below one": [
        f"{IMPORTS}\ndef fails():\n    raise KeyError", f"{REALLY}\n(\n    fails()\n)\nreally_append = None",
        f"{CALLS_REALLY}\n{CHECK}",
    ],
    "a name that was deleted": [
        "len = str = None", "del len, str", f"{IMPORTS}\n{APPEND.replace('row[0]', 'row[len(str())]')}\n{CHECK}",
    ],
    "a dictionary that was begun anew": [
        "SQL = {}\nSQL['a'] = db = start('02_appending')", f"SQL = {{}}\nSQL['a'] = {STATEMENT}",
        f"{IMPORTS}\n{APPEND.replace(STATEMENT, 'SQL[chr(97)]')}\n{CHECK}",
    ],
    "a name that takes up what it was": [
        f"{IMPORTS}\ndef hide(f):\n    return lambda *a, **k: f(*a, **k)", f"{APPEND}\nappend = hide(append)\n{CHECK}",
    ],
    "a helper under a condition": [
        f"{IMPORTS}\n{REALLY}", "if not really_append:\n    really_append = None", f"{CALLS_REALLY}\n{CHECK}",
    ],
    "a name that the notebook has, too": ["connection = None", f"{IMPORTS}\n{APPEND}\n{CHECK}"],
    "a chain of calls that is passed one of its names": [
        IMPORTS, "str(NO_STREAM).join([str(WrongExpectedVersion)]).strip()", f"{IMPORTS}\n{APPEND}\n{CHECK}",
    ],
    "a dataclass, beside others": [
        "from dataclasses import asdict, dataclass\n@dataclass\nclass NO_STREAM:\n    pass",
        "@dataclass\nclass Names:\n    append: str = 'append_to_stream'\nNAMES = asdict(Names())",
        f"{IMPORTS}\n{BY_NAME}\n{CHECK}",
    ],
    "parameters with annotations": [
        f"{IMPORTS}\nfrom typing import Any",
        f"{APPEND.replace('events,', 'events: list[dict[str, Any]],')}\n{CHECK}",
    ],
}  # fmt: skip
NOT_KEPT = {
    "the notebook's connection": (
        ["db = start('02_appending')", f"{IMPORTS}\nhere = db.connection",
         APPEND.replace("connection.execute(", "(connection or here).execute(") + CHECK],
        "`here`, which only this notebook has",
    ),
    "a helper of nowhere": (
        [f"{IMPORTS}\nexec({REALLY!r})", f"{CALLS_REALLY}\n{CHECK}"],
        "`really_append`, which stands in no cell that could be found",
    ),
    "all of it from exec": ([f"{IMPORTS}\nexec({APPEND!r})\n{CHECK}"], "the text of `append` is in no cell"),
    "a state that another cell has changed": (
        ["NAMES = {}", "def register(names):\n    names['append'] = 'append_to_stream'\nregister(NAMES)",
         f"{IMPORTS}\n{BY_NAME}\n{CHECK}"],
        "by itself, without the other cells, it does not pass. Your function raised KeyError",
    ),
}  # fmt: skip


@pytest.fixture
def cells(notebook: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[list[str]], str]]:
    """Run cells as a kernel does; return what they showed."""
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_cell("from workshop import check, share, start", store_history=True)

    def run(sources: list[str]) -> str:
        capsys.readouterr()
        for source in sources:
            shell.run_cell(source.replace("02_appending", notebook), store_history=True)
        return capsys.readouterr().out

    yield run
    InteractiveShell.clear_instance()


def test_a_cell_that_is_run_without_a_history_is_kept(cells: Callable[[list[str]], str], my_eventstore: Path) -> None:
    cells([])
    InteractiveShell.instance().history_manager.input_hist_parsed = [""]
    InteractiveShell.instance().run_cell(f"{IMPORTS}\n{APPEND}\n{CHECK}", store_history=False)
    assert (my_eventstore / "store.py").read_text(encoding="utf-8").rstrip().endswith("return row[0]")


@pytest.mark.parametrize("name", KEPT)
def test_an_answer_is_kept_with_all_that_it_needs(
    name: str, cells: Callable[[list[str]], str], my_eventstore: Path, postgres: Server
) -> None:
    said = cells(KEPT[name])
    assert "solved" in said and "Kept as my_eventstore/store.py." in said, said
    text = (my_eventstore / "store.py").read_text(encoding="utf-8")
    append = load(text, "append", "a program of its own")
    report = run_checks(EXERCISES["02.6"], append, postgres.url)
    assert report.passed, failures(report)
    assert "check(" not in text and "NO_STREAM" not in text  # nothing that it does not need


@pytest.mark.parametrize("name", NOT_KEPT)
def test_what_cannot_be_kept_is_solved_all_the_same_and_says_why(
    name: str, cells: Callable[[list[str]], str], my_eventstore: Path
) -> None:
    sources, why = NOT_KEPT[name]
    said = cells(sources)
    assert "02.6 Append, from Python: solved" in said, said
    assert "It could not be kept in my_eventstore/: " in said and why in said, said
    assert not (my_eventstore / "store.py").exists()


def test_what_is_shared_is_what_would_be_kept(cells: Callable[[list[str]], str]) -> None:
    cells([IMPORTS, REALLY, f"{CALLS_REALLY}\n{CHECK}"])
    with pytest.raises(WorkshopError, match="no room"):  # it got as far as that
        share("02.6")


def test_a_module_that_changed_after_its_import_is_checked_as_it_is_now(
    cells: Callable[[list[str]], str], my_eventstore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / f"mine_{tmp_path.name}.py"
    module.write_text(f"{IMPORTS}\n\n\n{APPEND}", encoding="utf-8")
    name = module.stem
    assert "Kept as" in cells([f"from {name} import append\n{CHECK}"])
    assert "append_to_stream" in (my_eventstore / "store.py").read_text(encoding="utf-8")
    (my_eventstore / "store.py").unlink()
    module.write_text("\n\ndef append(*given):\n    return 0\n", encoding="utf-8")
    said = cells([CHECK])
    assert "solved" in said and "by itself, without the other cells, it does not pass" in said
    assert not (my_eventstore / "store.py").exists()


@pytest.mark.parametrize("answer", [print, dict, int.__add__, type("T", (), {})], ids=repr)
def test_a_callable_of_any_kind_is_an_answer_or_refused_with_a_sentence(answer: Any, postgres: Server) -> None:
    report = run_checks(EXERCISES["00.1"], answer, postgres.url)
    assert report.started and not report.passed and failures(report)


def test_what_never_ends_is_ended_and_told(cells: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LIMIT", 0.2)
    said = cells(["def balance(history):\n    while True:\n        pass\ncheck('00.1', balance)"])
    assert "was stopped. Does a loop never end?" in said and " of the cell: " in said


def test_a_bare_except_in_an_endless_loop_stops_nobody(
    cells: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LIMIT", 0.2)
    loop = "    while True:\n        try:\n            sum(range(100))\n        except:\n            pass\n"
    said = cells([f"def balance(history):\n{loop}check('00.1', balance)"])
    assert "was stopped. Does a loop never end?" in said


def test_who_ends_the_program_is_told(cells: Callable[[list[str]], str]) -> None:
    assert "ended the program (exit)" in cells(["def balance(history):\n    raise SystemExit\ncheck('00.1', balance)"])


def test_checks_do_not_sleep(cells: Callable[[list[str]], str]) -> None:
    naps = "    sleep(9)\n    time.sleep(9)\n"
    said = cells([f"from time import sleep\nimport time\ndef balance(history):\n{naps}check('00.1', balance)"])
    assert "Yours: None" in said


def test_the_guard_reaches_the_function_inside() -> None:
    assert inspect.isfunction(guard.plain(test_checks_do_not_sleep))
