"""What is said about an answer that does not run: PostgreSQL's or Python's own words, and the line they are about."""

import re
from dataclasses import replace
from typing import Any

import pytest

from workshop.checks import sandbox
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES

from ..exercises.mistakes import IT_RUNS
from ..postgres import Server
from .answers import checked, defined_in, failed, right_answer

APPEND_EVENT = right_answer("02.1")
NO_ANSWER = "The answer can be checked"


def message(exercise_id: str, given: Any, postgres: Server) -> str:
    return failed(checked(exercise_id, given, postgres.url)).message


def test_a_syntax_error_is_marked_in_its_line(postgres: Server) -> None:
    report = checked("01.2", "\nCREATE TABLE streams (\n    id text PRIMARY,\n    version bigint\n)", postgres.url)
    assert failed(report).label == IT_RUNS
    said, advice, *where = failed(report).message.splitlines()
    assert said == 'PostgreSQL says: syntax error at or near ","'
    assert advice.startswith("Up to the mark it could be read.")
    assert where == ["line 3:     id text PRIMARY,", "                           ^"]


def test_an_error_in_the_first_line_is_marked_too(postgres: Server) -> None:
    said = message("01.2", "CREATE TABEL streams (id text)", postgres).splitlines()
    assert said[2:] == ["line 1: CREATE TABEL streams (id text)", "               ^"]


def test_an_error_at_the_end_is_marked_too(postgres: Server) -> None:
    said = message("01.2", "CREATE TABLE streams (id text", postgres).splitlines()
    assert said[0] == "PostgreSQL says: syntax error at end of input"
    assert said[2:] == ["line 1: CREATE TABLE streams (id text", "                                     ^"]


def test_a_misspelt_column_is_marked_in_its_line(postgres: Server) -> None:
    said = message("02.5", right_answer("02.5").replace("e.version >=", "e.versoin >="), postgres).splitlines()
    assert said[0] == "PostgreSQL says: column e.versoin does not exist"
    assert said[1:3] == ["line 11:       AND e.versoin >= from_version", "                   ^"]
    assert said[3].startswith("Hint: Perhaps you meant")


def test_an_unknown_type_in_the_second_statement_is_marked(postgres: Server) -> None:
    text = "CREATE TABLE one (id text);\nCREATE TABLE streams (\n    id txt\n);"
    said = message("01.2", text, postgres).splitlines()
    assert said == ['PostgreSQL says: type "txt" does not exist', "line 3:     id txt", "               ^"]


def test_a_runtime_error_names_the_line_of_the_function(postgres: Server) -> None:
    text = APPEND_EVENT.replace("'{}', clock_timestamp()", "NULL, clock_timestamp()")
    said = message("02.1", text, postgres).splitlines()
    assert said[0].startswith('PostgreSQL says: null value in column "metadata" of relation "events" violates not-null')
    line = text.splitlines().index("    INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)")
    assert said[-1] == f"line {line + 1}: {text.splitlines()[line]}"


def test_a_misspelt_column_in_a_function_names_its_line(postgres: Server) -> None:
    text = APPEND_EVENT.replace("INSERT INTO events (stream_id, version", "INSERT INTO events (stream_id, versoin")
    said = message("02.1", text, postgres)
    assert 'column "versoin" of relation "events" does not exist' in said
    line, mark = said.splitlines()[-2:]
    assert line[mark.index("^") :].startswith("versoin, id")


@pytest.mark.parametrize(
    ("exercise_id", "old", "new", "advice", "marked"),
    [
        ("01.2", "char_length(id) BETWEEN 1 AND 255", "1 <= char_length(id) <= 255", "x BETWEEN 1 AND 255", "<= 255"),
        ("01.1", "CHECK (version >= 1)", 'CHECK (stream_id <> "")', "An empty text is two single quotes", '"")'),
        ("01.3", "one.';", "one.'", "Its semicolon is missing", ""),
        ("01.3", "', TG_OP, TG_TABLE_NAME\n", "', TG_OP\n", "for each %", None),
        ("01.3", "'Events are facts: % on % is refused'", '"% on %"', "in single quotes, '% on %'", None),
        ("01.3", "'Events are facts: % on % is refused'", "f'{TG_OP} on %'", "SQL has no f-strings", None),
        ("01.3", "'ES002'", "'GU0001'", "a code of five digits or capitals", None),
        ("01.3", "RAISE EXCEPTION", "RAISE NOTICE", "RAISE EXCEPTION is an error", False),
        ("02.1", " INTO new_version", "", "needs a place: INTO", None),
        ("02.1", "ON CONFLICT (id)", "ON CONFLICT (stream_id)", "That of streams is id", None),
        ("02.3", "event -> 'data'", "event ->> 'data'", "as JSON, `->>` takes it as a text", "event ->> 'data'"),
        ("02.3", "(event ->> 'id')::uuid", "(event -> 'id')::uuid", "::uuid makes a uuid", "::uuid, gen"),
        ("02.3", "RETURNING events.version, ", "RETURNING version, ", "the column, put the name", "version, events"),
        ("02.4", "append_to_stream.stream_id AND", "stream_id AND", "append_to_stream.stream_id.", "stream_id AND"),
        ("02.4", "(event ->> 'id')::uuid;", "event ->> 'id';", "the other a text", "= event"),
        ("02.4", "(event ->> 'id')::uuid;", "event -> 'id';", "as JSON, `->>` takes it as a text", "= event"),
        ("02.5", "e.stream_id = ", "e.stream_id == ", "SQL compares with =, <>", "== read"),
    ],
)  # fmt: skip
def test_what_postgresql_leaves_open_is_said(
    exercise_id: str, old: str, new: str, advice: str, marked: str | None, postgres: Server
) -> None:
    """Args: marked: what stands at the mark; None where the line alone is known, False where not even that."""
    assert old in right_answer(exercise_id)
    said = message(exercise_id, right_answer(exercise_id).replace(old, new), postgres).splitlines()
    assert any(advice in line for line in said[1:3]), said
    assert not any(line.startswith("Hint:") for line in said), said
    if marked is None:
        assert re.match(r"line \d+: ", said[-1]), said
    elif marked is not False:
        assert said[-2][said[-1].index("^") :].startswith(marked), said


def test_a_trigger_before_its_function_is_told(postgres: Server) -> None:
    function, _, trigger = right_answer("01.3").partition("CREATE TRIGGER")
    said = message("01.3", f"CREATE TRIGGER{trigger};\n{function}", postgres)
    assert "make the function first" in said


def test_a_misspelt_function_is_not_marked_in_an_innocent_line(postgres: Server) -> None:
    said = message("02.1", APPEND_EVENT.replace("FUNCTION append_event(", "FUNCTION apend_event("), postgres)
    assert "^" not in said


def test_a_statement_that_never_ends_runs_into_the_limit(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "STATEMENT_TIMEOUT", "150ms")
    text = APPEND_EVENT.replace("BEGIN\n", "BEGIN\n    PERFORM pg_sleep(60);\n")
    said = message("02.1", text, postgres)
    assert "canceling statement due to statement timeout" in said
    assert "does it wait for something, or loop?" in said
    assert "PERFORM pg_sleep(60);" in said


def test_a_python_function_that_raises_is_quoted(postgres: Server) -> None:
    balance = defined_in("def balance(history):\n    prices = {}\n    return prices['x']\n")
    assert message("00.1", balance, postgres).splitlines() == [
        "Your function raised KeyError: 'x'",
        "line 3 of the cell: return prices['x']",
    ]


def test_what_cannot_be_looked_at_was_not_raised_by_the_function(postgres: Server) -> None:
    looking = replace(EXERCISES["00.1"], checks=(lambda sandbox: sandbox.answer([]).amount,))
    report = run_checks(looking, defined_in("def balance(history):\n    return 7\n"), postgres.url)
    assert failed(report).message == (
        "What your function returned cannot be looked at (AttributeError: 'int' object has no attribute 'amount'). "
        "Is it what is asked for?"
    )


def test_the_line_is_the_one_of_the_function_not_of_what_it_calls(postgres: Server) -> None:
    balance = defined_in("import json\n\n\ndef balance(history):\n    return json.loads('{')\n")
    assert message("00.1", balance, postgres).endswith("line 5 of the cell: return json.loads('{')")


def test_a_function_with_other_parameters_is_told(postgres: Server) -> None:
    said = message("00.1", defined_in("def balance():\n    return 0\n"), postgres)
    assert "balance() takes 0 positional arguments but 1 was given" in said


def test_wrong_sql_in_a_python_function_is_explained(postgres: Server) -> None:
    append = defined_in("def append(connection, *given):\n    return connection.execute('SELECT versoin')\n")
    assert 'column "versoin" does not exist' in message("02.6", append, postgres)


def test_wrong_sql_in_a_python_function_names_its_line(postgres: Server) -> None:
    append = defined_in("def append(connection, *given):\n    return connection.execute('SELECT versoin')\n")
    assert "line 2 of the cell" in message("02.6", append, postgres)


FUNCTION = pytest.param(defined_in("def events_table():\n    pass\n"), id="a function")


@pytest.mark.parametrize("given", [FUNCTION, 1, b"SELECT", ["SELECT"]], ids=repr)
def test_what_is_no_text_is_no_sql(given: Any, postgres: Server) -> None:
    report = checked("01.1", given, postgres.url)
    assert failed(report).label == NO_ANSWER
    assert f"wants SQL, as a text. You passed {type(given).__name__}." in failed(report).message


def test_a_text_is_no_function(postgres: Server) -> None:
    report = checked("00.1", "def balance(history): ...", postgres.url)
    assert failed(report).label == NO_ANSWER
    assert "wants your function itself: its name, without brackets" in failed(report).message


def test_a_result_is_no_function(postgres: Server) -> None:
    assert "its name, without brackets. You passed 70" in message("00.1", 70, postgres)


@pytest.mark.parametrize("exercise_id", ["00.1", "01.1"])
def test_the_stub_itself_is_no_attempt(exercise_id: str, postgres: Server) -> None:
    assert not checked(exercise_id, ..., postgres.url).started


@pytest.mark.parametrize("exercise_id", ["00.1", "01.1"])
def test_none_is_the_outcome_of_a_call_and_no_answer(exercise_id: str, postgres: Server) -> None:
    assert "You passed None" in message(exercise_id, None, postgres)


@pytest.mark.parametrize("given", ["", " \n", "-- I will begin here", "CREATE TABLE events (\n    ...\n);"])
def test_sql_without_a_word_or_with_its_stub_is_no_attempt(given: str, postgres: Server) -> None:
    assert not checked("01.1", given, postgres.url).started


def test_a_function_whose_source_is_lost_is_checked_all_the_same(postgres: Server) -> None:
    variables: dict[str, Any] = {}
    exec("def balance(history):\n    return 0\n", variables)
    assert failed(checked("00.1", variables["balance"], postgres.url)).label == "Deposits add up"


def test_create_if_not_exists_is_an_answer(postgres: Server) -> None:
    text = right_answer("01.2").replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    assert checked("01.2", text, postgres.url).passed


def test_an_answer_may_have_several_statements(postgres: Server) -> None:
    text = f"DROP TABLE IF EXISTS streams;\n{right_answer('01.2')}\nCOMMENT ON TABLE streams IS '100 % mine';"
    assert checked("01.2", text, postgres.url).passed


def test_an_answer_may_be_a_transaction(postgres: Server) -> None:
    assert checked("01.2", f"BEGIN;\n{right_answer('01.2')}\nCOMMIT;", postgres.url).passed
    assert checked("02.1", f"BEGIN;\n{right_answer('02.1')}\nCOMMIT;", postgres.url).passed


def test_an_answer_that_is_rolled_back_is_none(postgres: Server) -> None:
    assert "There is no table called streams" in message("01.2", f"{right_answer('01.2')}\nROLLBACK;", postgres)


def test_a_transaction_that_is_left_open_is_told(postgres: Server) -> None:
    assert "COMMIT" in message("01.2", f"BEGIN;\n{right_answer('01.2')}", postgres)


def test_of_all_checks_is_told_how_many_passed(postgres: Server) -> None:
    """Those that come along from an answer that is replaced count too."""
    solved = checked("02.2", right_answer("02.2"), postgres.url)
    assert f"solved, {len(solved.results)} checks passed" in repr(solved.shown())
    for text, passed in ((right_answer("02.2").replace("'ES001'", "'ES009'"), 2), ("SELECT 1 +", 0)):
        assert f"not yet, {passed} of {len(solved.results)} checks" in repr(checked("02.2", text, postgres.url).shown())


def test_what_comes_after_a_failure_is_not_reached(postgres: Server) -> None:
    report = checked("01.1", right_answer("01.1").replace("version >= 1", "version >= 0"), postgres.url)
    outcomes = [result.outcome for result in report.results]
    passed, not_reached = outcomes.count("passed"), outcomes.count("not reached")
    assert outcomes == ["passed"] * passed + ["failed"] + ["not reached"] * not_reached and passed and not_reached
    assert report.started and not report.passed
