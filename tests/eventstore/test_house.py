"""The house rules of the package: small files, few imports, one way in."""

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

import eventstore

HOUSE = Path(eventstore.__file__).parent
FILES = sorted([*HOUSE.rglob("*.py"), *HOUSE.rglob("*.sql")])
NAMES = [str(file.relative_to(HOUSE)) for file in FILES]


def lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def code_lines(file):
    """How many lines hold code: no comments, docstrings or blank lines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".sql":
        return sum(bool(line.strip()) and not line.strip().startswith("--") for line in text.splitlines())
    prose = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            prose.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {number for each in tokens if each.type not in layout for number in range(each.start[0], each.end[0] + 1)}
    return len(code - prose)


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_longer_than_200_lines(name):
    assert lines(HOUSE / name) <= 200


def test_the_whole_package_is_read_in_an_evening():
    assert len(FILES) > 5, "looked in the wrong place"
    assert sum(map(code_lines, FILES)) <= 1493  # 95 of them for Citus alone


def test_the_package_says_in_which_order_it_is_read():
    order = eventstore.__doc__
    modules = {file.stem for file in HOUSE.glob("*.py")} - {"__init__"}
    assert [name for name in modules if f"{name}.py" not in order] == []


def imported(file):
    """The top-level names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "eventstore" if node.level else node.module.partition(".")[0]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".py")])
def test_it_imports_the_standard_library_psycopg_msgspec_and_itself_only(name):
    strangers = {*imported(HOUSE / name)} - sys.stdlib_module_names - {"psycopg", "msgspec", "eventstore"}
    assert not strangers


def test_all_that_is_public_is_there_and_listed_in_order():
    assert all(hasattr(eventstore, name) for name in eventstore.__all__)
    assert len(set(eventstore.__all__)) == len(eventstore.__all__)
    assert not any(name.startswith("_") for name in eventstore.__all__)


def test_every_error_of_the_package_is_an_event_store_error():
    from eventstore import errors

    classes = [
        each
        for each in vars(errors).values()
        if getattr(each, "__module__", "") == errors.__name__ and isinstance(each, type)
    ]
    assert len(classes) > 4
    assert all(issubclass(each, eventstore.EventStoreError) for each in classes)
    assert all(each.__name__ in eventstore.__all__ for each in classes)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".sql")])
def test_an_sql_file_says_what_it_is_for_before_it_says_it(name):
    assert (HOUSE / name).read_text(encoding="utf-8").startswith("-- ")
