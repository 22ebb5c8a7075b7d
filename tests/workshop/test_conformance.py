"""Which guarantees a store keeps: learners are told what theirs misses, in their words, and what of it is theirs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workshop import check
from workshop.checks import kept
from workshop.checks.answers import reference_answer
from workshop.checks.course import EXERCISES
from workshop.classroom import Classroom
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.my_store.conformance import Conformance, arguments, conformance, main, read_outcomes
from workshop.my_store.guarantees import ADDITIONS, GUARANTEES, REQUIREMENTS
from workshop.my_store.parts import FUNCTIONS, Parts

from .answers import right_answer

CONFORMANCE = CHECKOUT / "tests" / "conformance"
BUILT = ["01.1", "01.2", "01.3", "02.4", "02.5", "08.2", "09.1", *FUNCTIONS]
ADDED = [each.exercise for each in ADDITIONS]


@pytest.fixture
def solve(my_eventstore: Path) -> Callable[..., None]:
    """Put the reference answers to exercises into my_eventstore/."""

    def solve(*exercise_ids: str) -> None:
        for exercise_id in exercise_ids:
            kept.keep(EXERCISES[exercise_id], reference_answer(exercise_id))

    return solve


@pytest.fixture
def change(my_eventstore: Path) -> Callable[[str, str, str], None]:
    """Replace some text in a file of my_eventstore/."""

    def change(file: str, old: str, new: str) -> None:
        text = (my_eventstore / file).read_text(encoding="utf-8")
        assert old in text, f"{file} does not say {old!r}"
        (my_eventstore / file).write_text(text.replace(old, new), encoding="utf-8")

    return change


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Conformance]:
    """Report on the learner's store, in this process, which saves the start of another.

    Of each test one case runs, which is enough where no single case matters; with `says`, the tests that say so.
    """

    def report(*only: str, says: str = "") -> Conformance:
        def in_this_process(store: str, files: list[str], progress: object, brief: bool = False) -> list[dict]:
            outcomes = tmp_path / f"outcomes-{'-'.join(files)}.json"
            narrowed = ["-k", says.lower().replace(" ", "_")] if says else ["--brief"]
            pytest.main([*arguments(store, files, outcomes), *narrowed])
            return read_outcomes(outcomes)

        monkeypatch.setattr("workshop.my_store.conformance._run_group", in_this_process)
        return conformance("my_eventstore", *only)

    return report


# A store that is right


def test_the_answers_of_the_course_meet_the_guarantees(solve, report) -> None:
    solve(*BUILT, *ADDED)
    told = report("G1", "G2", "G3", "G4", "G5", "G6", "G7", "G9", "Archiving")
    assert {key for key, row in told.guarantees.items() if row.outcome != "met"} == set()
    assert {part.file for part in told.parts if part.yours} == {EXERCISES[each].keeps for each in BUILT}
    assert {number for number, row in told.requirements.items() if row.outcome == "met"} == {2, 3, 4, 5, 9}
    assert told.requirements[6].outcome == "not tested"  # it was not asked for


@pytest.mark.long
def test_who_solves_every_exercise_has_a_store_that_meets_every_guarantee(db: Classroom, said) -> None:
    for exercise_id in EXERCISES:
        check(exercise_id, right_answer(exercise_id))
        assert f"{exercise_id} {EXERCISES[exercise_id].title}: solved" in said()
    report = conformance()
    assert {row.outcome for row in report.guarantees.values()} == {"met"}, repr(report)
    assert {row.outcome for row in report.requirements.values()} == {"met"}, repr(report)
    assert all(part.yours for part in report.parts if part.exercise), repr(report)


@pytest.mark.parametrize(
    ("key", "exercise_id", "adds", "says"),
    [
        ("G8", "02.4", "08.5", "does not announce its positions"),
        pytest.param("G11", "02.4", "08.5", "wakes nobody", marks=pytest.mark.long),  # it waits for what never comes
        ("Archiving", "08.5", "09.3", "does not look whether the stream is archived"),
        ("Archiving", "06.4", "09.4", "reads the table events"),
    ],
)
def test_what_a_later_exercise_adds_is_named(key: str, exercise_id: str, adds: str, says: str, solve, report) -> None:
    solve(exercise_id)
    row = report(key).guarantees[key]
    assert row.outcome == "missed"
    assert says in row.message and f"Exercise {adds} adds that." in row.message
    assert "\n".join(row.message.splitlines()[2:]).count("Exercise") == 1, "another one is named, too"


def test_a_handle_next_that_passes_by_open_appends_is_found(solve, change, report) -> None:
    solve("08.3")
    assert report("G10").guarantees["G10"].outcome == "met"
    change("reader.py", ".settled\n", ".drawn\n")
    row = report("G10").guarantees["G10"]
    assert row.outcome == "missed" and "Look at reader.py: handle_next (08.3)." in row.message


def test_refusals_in_the_learners_own_words_count(solve, change, report) -> None:
    solve("08.2")
    refusal = "IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN RAISE EXCEPTION 'not here'; END IF;"
    change("schema/70_settled_position.sql", "BEGIN\n", f"BEGIN\n    {refusal}\n")
    assert report("G8").guarantees["G8"].outcome == "met"


def test_answers_that_are_no_part_of_a_store_are_told(solve, report) -> None:
    solve("02.5", "09.2")
    told = repr(report("G2"))
    assert "Yours: schema/50_read_stream.sql (02.5)." in told
    assert "Yours, and tested by their exercises alone: close_books.py (09.2)." in told


def test_what_a_learner_installs_is_enough() -> None:
    lines = (CHECKOUT / "requirements-dev.txt").read_text().splitlines()
    for_developers = {line.split("~=")[0] for line in lines if "~=" in line}
    assert for_developers
    imports = (line for file in (*CONFORMANCE.glob("*.py"), *CONFORMANCE.parent.glob("*.py"))
               for line in file.read_text().splitlines() if line.startswith(("import ", "from ")))  # fmt: skip
    assert not for_developers & {line.split()[1].split(".")[0] for line in imports}


def test_with_nothing_solved_all_is_the_reference(report) -> None:
    told = report("G2")
    assert told.guarantees["G2"].outcome == "met"
    assert not any(part.yours for part in told.parts)
    assert {part.exercise for part in told.parts if part.exercise} == set(BUILT)
    assert "Yours: nothing yet." in repr(told)


def test_an_answer_to_an_earlier_exercise_does_not_stand_for_a_later_one(solve) -> None:
    solve("02.3", "03.2", "07.2")
    parts = Parts()
    assert not parts.own_scripts and not parts.functions


def test_a_trigger_and_a_function_of_other_names_are_as_good(solve, change, report) -> None:
    solve("01.3")
    change("schema/30_facts_stay.sql", "refuse_change", "no_way")
    change("schema/30_facts_stay.sql", "facts_stay", "history")
    told = report("G7", "Archiving")
    assert {row.outcome for row in told.guarantees.values()} == {"met"}


# Weak stores: for each guarantee a mistake, the words that tell of it, and the exercise to look at

LISTENS_FIRST = """
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    while not stopped():
        while step():
            pass
"""
LOOKS_FIRST = """
    while not stopped():
        while step():
            pass
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
"""
WEAK = [
    ("G1", "02.5", "ORDER BY e.version", "", "The order of reading does not hang on how the table lies on disk"),
    ("G2", "02.6", "    return row[0]", "    connection.commit()\n    return row[0]", "visible to others only after"),
    ("G3", "02.6", "        row = connection", "        for event in events[:-1]:\n            connection.execute("
     "'SELECT append_to_stream(%s, NULL, %s)', (stream_id, Jsonb([event])))\n        events = events[-1:]\n"
     "        row = connection", "An append is a transaction of its own"),
    ("G4", "02.4", "actual <> expected_version", "actual < expected_version", "exactly one wins"),
    ("G4", "02.6", "raise WrongExpectedVersion(stream_id, expected_version, actual)", "raise ValueError(actual)",
     "Another version than the streams own is refused"),
    ("G4", "04.2", "attempts -= 1", "attempts = 0", "each decides on what the others did"),
    ("G4", "02.6", "return row[0]", "return connection.execute('SELECT count(*) FROM events WHERE stream_id = %s', "
     "(stream_id,)).fetchone()[0]", "The version of its own event"),
    ("G5", "02.4", "IF in_place = added", "IF known = added", "Ids of which some are known or misplaced"),
    ("G6", "02.4", "SELECT greatest(clock_timestamp(), max(e.recorded_at))", "SELECT coalesce(max(now()), now())",
     "A transaction that began first and appends last does not turn time back"),
    ("G6", "05.1", "until=until", "", "The state at a version and at a moment"),
    ("G6", "07.3", "OR recorded_at <= %(until)s)", "OR true)", "A snapshot does not change the state"),
    ("Archiving", "09.1", "FOR UPDATE", "FOR SHARE", "Two who archive at once"),
    ("Archiving", "09.3", "IF archived IS NOT NULL", "IF false AND archived IS NULL",
     "Nothing is appended to an archived"),
    ("G7", "01.3", "UPDATE OR DELETE OR TRUNCATE", "UPDATE OR DELETE", "What changes or removes events is refused"),
    ("G7", "01.3", "RAISE EXCEPTION 'Events are facts", "RETURN NULL; RAISE EXCEPTION 'Events are facts",
     "What changes or removes events is refused"),
    ("G9", "06.3", "with store.connection.transaction():", "if True:", "Raises leaves no event and no row"),
    ("G9", "06.4", 'sql.SQL("DELETE FROM {}")', 'sql.SQL("ANALYZE {}")', "made anew from the log"),
    ("G8", "09.3", "    PERFORM announce_append();", "", "is not skipped"),
    ("G8", "08.2", "least(drawn, min(", "least(drawn, max(", "What lies before an open append"),
    ("G10", "08.3", " FOR UPDATE", "", "Two who read under one name"),
    ("G11", "08.4", LISTENS_FIRST, LOOKS_FIRST, "Misses none"),
    ("G12", "02.6", "append_to_stream(%s, %s, %s)\",\n            (stream_id, expected",
     "append_to_stream('\" + stream_id + \"', %s, %s)\",\n            (expected", "Unusual stream ids are fine"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "exercise_id", "old", "new", "says"), WEAK, ids=[f"{w[0]} {w[1]}" for w in WEAK])
def test_a_weak_store_is_told_what_it_misses(key, exercise_id, old, new, says, solve, change, report) -> None:
    solve(exercise_id)
    change(EXERCISES[exercise_id].keeps, old, new)
    row = report(key, says=says).guarantees[key]
    assert row.outcome == "missed"
    assert says.lower() in row.message.lower()
    assert exercise_id in row.message, "it does not say where to look"


def test_a_look_before_the_lock_is_found(solve, change, report) -> None:
    solve("02.4")
    file = "schema/40_append_to_stream.sql"
    change(file, "    stamp    timestamptz;", "    stamp    timestamptz;\n    seen bigint;")
    change(file, "    INSERT INTO streams", "    SELECT coalesce(max(s.version), 0) INTO seen FROM streams s"
           " WHERE s.id = append_to_stream.stream_id;\n    INSERT INTO streams")  # fmt: skip
    change(file, "actual <> expected_version", "seen <> expected_version")
    assert report("G4", says="exactly one wins").guarantees["G4"].outcome == "missed"


# Files that are broken


@pytest.mark.parametrize(
    ("exercise_id", "old", "new", "problem"),
    [
        ("02.5", "SELECT e.*", "SELEC e.*", 'schema/50_read_stream.sql does not run: syntax error at or near "SELEC".'),
        ("02.6", "def append(", "def append((", "store.py does not load: invalid syntax"),
        ("02.6", "import psycopg\n", "import psychopg\n", "store.py does not load: ModuleNotFoundError: No module"),
        ("05.1", "def aggregate_stream", "def my_own", "aggregation.py defines no function aggregate_stream."),
    ],
)
def test_a_broken_file_is_named_and_what_to_do(exercise_id, old, new, problem, solve, change, report) -> None:
    solve(exercise_id)
    change(EXERCISES[exercise_id].keeps, old, new)
    with pytest.raises(WorkshopError) as caught:
        report("G2")
    said, remedy = str(caught.value).splitlines()
    assert said.startswith(f"my_eventstore/{problem}")
    assert remedy == f"Solve exercise {exercise_id} again, or remove that file, and the reference stands in."


def test_a_table_of_another_name_is_told_without_a_traceback(solve, change, report) -> None:
    solve("01.1")
    change("schema/20_events.sql", "CREATE TABLE events", "CREATE TABLE happenings")
    with pytest.raises(WorkshopError, match="of the reference does not run on top of your files"):
        report("G2")


@pytest.mark.parametrize("given", [("theirs",), ("eventstore", "G99")])
def test_what_there_is_not_is_refused(given) -> None:
    with pytest.raises(WorkshopError, match="There is no"):
        conformance(*given)


# The report itself


def test_in_a_shell_it_prints_text_and_says_by_its_exit_code_whether_all_is_met(
    solve, change, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    solve("02.5")
    change("schema/50_read_stream.sql", "ORDER BY e.version", "ORDER BY e.version DESC")
    monkeypatch.setattr("sys.argv", ["conformance", "my_eventstore", "G2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    shown = said()
    assert shown.startswith("Your event store: 0 of 1 guarantee met\n  ✗ missed: G2 Read your writes:")
    assert "Look at schema/50_read_stream.sql (02.5)." in shown
    assert "Traceback" not in shown


def test_in_jupyterlab_it_is_a_table_with_words_and_signs(solve, change, report) -> None:
    solve("02.6")
    change("store.py", "Jsonb(events)", "Jsonb(list(reversed(events)))")
    html = report("G1", "G2")._repr_html_()
    assert "✗</b> missed:" in html and "✓</b> met:" in html
    assert "<pre" in html and "The nine requirements" in html


def test_each_guarantee_and_requirement_rests_on_tests_that_are_there() -> None:
    assert len(REQUIREMENTS) == 9
    assert {key for each in REQUIREMENTS for key in each.guarantees} <= {each.key for each in GUARANTEES}
    files = {each.tests for each in GUARANTEES}
    assert {path.name for path in CONFORMANCE.glob("test_*.py")} <= files
    for name in {name for each in REQUIREMENTS for name in each.tests}:
        assert f"def {name}(" in (CONFORMANCE / "test_g1_order.py").read_text(encoding="utf-8")
    assert {exercise_id for each in GUARANTEES for exercise_id in each.exercises} <= EXERCISES.keys()
