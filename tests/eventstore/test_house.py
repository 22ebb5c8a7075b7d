"""The house rules of the package: small files, few imports, one way in."""

import ast
import sys
from pathlib import Path

import pytest

import eventstore

HOUSE = Path(eventstore.__file__).parent
FILES = sorted([*HOUSE.rglob("*.py"), *HOUSE.rglob("*.sql")])
NAMES = [str(file.relative_to(HOUSE)) for file in FILES]


def lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_longer_than_200_lines(name):
    assert lines(HOUSE / name) <= 200


def test_the_whole_package_is_read_in_an_evening():
    assert len(FILES) > 5, "looked in the wrong place"
    assert sum(map(lines, FILES)) <= 2100


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
