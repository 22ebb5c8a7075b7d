"""The dashboard: right numbers from a scripted room of thirty, at once, and whatever becomes of its connection."""

import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import nbformat
import psycopg
import pytest
from nbclient import NotebookClient
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from workshop import check
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.dashboard.agenda import Agenda
from workshop.dashboard.live import Dashboard, dashboard
from workshop.dashboard.page import View, show_room
from workshop.dashboard.read_model import CHECKS, FailedCheck, RoomModel, Stuck
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.server.database import server_url
from workshop.server.rooms import ROOM_MARK

from ..postgres import Server
from ..subscribing import eventually
from .answers import right_answer, wrong_answer
from .rooms import ScratchRoom
from .simulated_room import FAST_TRACK, LEARNERS, Outcome, label, play, script

Open = Callable[..., Dashboard]


@pytest.fixture(scope="module")
def room(postgres: Server) -> Iterator[ScratchRoom]:
    """The scripted room; its learners go on in the tests, each test with learners of its own."""
    room = ScratchRoom(postgres.url, LEARNERS[:1], bare=LEARNERS[1:])
    room.now = play(room, script())  # type: ignore[attr-defined]
    yield room
    room.take_down()


@pytest.fixture(scope="module")
def used(postgres: Server) -> Iterator[ScratchRoom]:
    room = ScratchRoom(postgres.url, ["ada"], bare=["bo"])
    yield room
    room.take_down()


@pytest.fixture
def small(room: ScratchRoom, used: ScratchRoom) -> ScratchRoom:
    """A room with two learners, in which nothing has happened yet."""
    used.empty_log()
    return used


@pytest.fixture
def look(postgres: Server) -> Iterator[Open]:
    """Open dashboards; they end with the test."""
    opened = []

    def look(room: ScratchRoom, agenda: Any = "one hour", began: Any = None, names: str = "shown") -> Dashboard:
        board = Dashboard(room.name, postgres.url, Agenda(agenda), began, names)
        opened.append(board)
        with room.connect() as owner:
            (last,) = owner.execute("SELECT coalesce(max(position), 0) FROM room.events").fetchone()
        eventually(lambda: board.model.position >= last)
        return board

    yield look
    for board in opened:
        board.stop()


def attempt(room: ScratchRoom, learner: str, exercise_id: str, failed_check: str | None = None) -> None:
    """Record an attempt as a learner does, on a connection of theirs."""
    with room.connect(learner) as connection:
        (version,) = connection.execute("SELECT count(*) FROM room.my_attempts()").fetchone()
        data = {"exercise_id": exercise_id, "attempt": version + 1}
        data |= {"failed_check": failed_check} if failed_check else {}
        kind = "ExerciseFailed" if failed_check else "ExercisePassed"
        connection.execute("SELECT room.record_attempt(gen_random_uuid(), %s, %s, %s)", (kind, Jsonb(data), version))


def line_of(board: Dashboard, learner: str) -> str:
    """Return a learner's line of the grid."""
    return next(line[16:] for line in str(board.page()).splitlines() if line.startswith(f"{learner} "))


# The numbers


def test_the_grid_says_what_each_learner_passed_and_how_often_they_failed(room: ScratchRoom, look: Open) -> None:
    board = look(room)
    for number, learner in enumerate(LEARNERS):
        done = number // 5 if number < 28 else 0
        signs = ["✓"] * done + ["·"] * (len(FAST_TRACK) - done)
        if number < 10:
            signs[done] = f"✗{(4 + number + 1) // 2}"
        assert line_of(board, learner).split() == signs, learner


def test_who_has_been_stuck_on_what_for_how_long(room: ScratchRoom, look: Open) -> None:
    now = room.now  # type: ignore[attr-defined]
    stuck = look(room).model.stuck(now, now - timedelta(minutes=36))
    assert stuck == [
        Stuck(
            learner=room.role_of(LEARNERS[number]), exercise_id=FAST_TRACK[number // 5], minutes=4 + number,
            failed_check=label(FAST_TRACK[number // 5], 1), failures=(5 + number) // 2, quiet=1 if number % 2 else 2,
        )
        for number in reversed(range(10))
    ]  # fmt: skip


def test_the_most_failed_check_of_the_moment(room: ScratchRoom, look: Open) -> None:
    """Failures that are older than ten minutes do not count, and a learner counts once."""
    model = look(room).model
    now = room.now  # type: ignore[attr-defined]
    lately = [each for each in script() if each.failed_check and each.minutes_ago <= 10]
    expected = [
        FailedCheck(exercise_id, check, len({each.learner for each in these}), len(these))
        for exercise_id, check in {(each.exercise_id, each.failed_check) for each in lately}
        if (these := [each for each in lately if (each.exercise_id, each.failed_check) == (exercise_id, check)])
    ]
    found = model.most_failed(now)
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert [each.learners for each in found] == sorted((each.learners for each in expected), reverse=True)
    assert found[0].learners == 5
    assert model.most_failed(now + timedelta(minutes=11)) == []


def test_the_pace_against_the_agenda(room: ScratchRoom, look: Open) -> None:
    """After 45 minutes of the hour, 03.1 and all before it are due; the learner in the middle has done two of them."""
    now = room.now  # type: ignore[attr-defined]
    board = look(room, began=now - timedelta(minutes=45))
    shown = str(show_room(board.view(now)))
    assert "Pace: 18 min behind" in shown  # 02.1, the third one, was to end at minute 27
    assert "Minute 45 of 60: 03.2" in shown and "Due by now: 6 of 9 exercises." in shown
    assert "Half of those at work have 2 or more." in shown
    assert "28 of 30 learners have tried something, since " in shown


def test_a_failure_after_the_pass_changes_nothing(small: ScratchRoom, look: Open) -> None:
    attempt(small, "ada", "01.2")
    attempt(small, "ada", "01.2", "A check")
    model = look(small).model
    assert model.work(small.role_of("ada"), "01.2").passed
    now = datetime.now(UTC)
    assert model.stuck(now, model.began(now)) == [] and model.most_failed(now) == []


def test_events_that_are_handed_over_twice_count_once(room: ScratchRoom, look: Open) -> None:
    once, twice = look(room).model, RoomModel()
    with room.connect() as owner:
        from eventstore import Log
        from workshop.attempts.events import EVENT_TYPES

        owner.execute("SET search_path = room")
        events = Log(owner, EVENT_TYPES).read_all(limit=10_000)
        twice.project(owner, events[:30])
        twice.project(owner, events)
    assert twice.learners == once.learners and twice._work == once._work


def test_a_rehearsal_is_not_the_beginning(small: ScratchRoom, look: Open) -> None:
    """The day before, somebody tried whether it works, and left a failure; the course begins with the next attempt."""
    play(small, [Outcome("ada", 960, "01.1"), Outcome("ada", 951, "01.2", "A check")])
    model = look(small).model

    def shown(now: datetime, began: datetime | None = None) -> str:
        return str(show_room(View(small.name, model, Agenda("half a day"), began, now)))

    now = datetime.now(UTC)
    early = shown(now)
    assert "0 of 2 learners have tried something, not begun" in early
    assert "Minute 0 of 210" in early and "Pace: on time" in early
    assert "Stuck, the longest first: 0" in early
    attempt(small, "bo", "00.1", "A check")
    model = look(small).model
    now = model.began(datetime.now(UTC)) + timedelta(minutes=12)
    late = shown(now)
    assert "1 of 2 learners have tried something, since " in late and "Minute 12 of 210" in late
    assert "Pace: 2 min behind" in late and "Stuck, the longest first: 1\n  bo  00.1  12 min" in late
    assert "Minute 36 of 210: notebook 02\n" in shown(now + timedelta(minutes=24))
    # A break is no end, and what the instructor says goes; who came early is there all the same.
    assert "Minute 119 of 210" in shown(now + timedelta(minutes=107))
    said = shown(now, now - timedelta(minutes=5))
    assert "Minute 5 of 210" in said and "1 of 2 learners" in said and "Stuck, the longest first: 1" in said
    assert "2 of 2 learners" in shown(now, now - timedelta(minutes=1000))


# Live


def test_an_attempt_shows_within_a_second_and_nobody_polls(small: ScratchRoom, look: Open) -> None:
    board = look(small)
    assert line_of(board, "ada").split()[0] == "·"
    with small.connect() as observer:

        def activity() -> list:
            return observer.execute(
                "SELECT query_start, state FROM pg_stat_activity WHERE application_name = %s", (board._label,)
            ).fetchall()

        eventually(lambda: observer.execute("SELECT asleep FROM room.subscriptions").fetchall() == [(True,)])
        time.sleep(0.2)
        before = activity()
        time.sleep(1)
        assert activity() == before and len(before) == 1
    attempt(small, "ada", "01.1", "A check")
    eventually(lambda: line_of(board, "ada").split()[0] == "✗1", within=1)
    attempt(small, "ada", "01.1")
    eventually(lambda: line_of(board, "ada").split()[0] == "✓", within=1)


def test_a_late_learner_and_a_second_dashboard(small: ScratchRoom, look: Open) -> None:
    one, other = look(small), look(small)
    small.add("late")
    attempt(small, "bo", "01.1")
    for board in (one, other):
        eventually(lambda board=board: "late" in str(board.page()) and line_of(board, "bo").split()[0] == "✓")
        assert set(line_of(board, "late").split()) == {"·"}
    small.drop("late")


def test_a_lost_connection_is_told_and_made_again(small: ScratchRoom, look: Open, postgres: Server) -> None:
    board = look(small)
    attempt(small, "ada", "01.1")
    eventually(lambda: line_of(board, "ada").split()[0] == "✓")
    with postgres.connect() as owner:
        owner.execute(f"ALTER DATABASE {small.role} ALLOW_CONNECTIONS false")
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (small.role,))
        eventually(lambda: "· not live ·" in str(board.page()))
        shown = str(board.page())
        assert "Reconnecting: No PostgreSQL let us in" in shown and "not currently accepting connections" in shown
        assert "What is shown is what was known before." in shown
        assert line_of(board, "ada").split()[0] == "✓"
        owner.execute(f"ALTER DATABASE {small.role} ALLOW_CONNECTIONS true")
    attempt(small, "bo", "01.1")
    eventually(lambda: "· live ·" in str(board.page()) and line_of(board, "bo").split()[0] == "✓")


def test_a_new_kernel_makes_it_anew_from_the_log(room: ScratchRoom, look: Open) -> None:
    now = datetime.now(UTC)
    one, other = look(room), look(room)
    shown = [str(show_room(board.view(now))) for board in (one, other)]
    assert shown[0] == shown[1]


def test_a_room_that_is_made_anew_begins_anew(small: ScratchRoom, look: Open, postgres: Server) -> None:
    attempt(small, "ada", "01.1")
    board = look(small)
    with postgres.connect() as owner:
        owner.execute(f"DROP DATABASE {small.role} WITH (FORCE)")
        eventually(lambda: "· not live ·" in str(board.page()) and "The room is gone" in str(board.page()))
    list(small.make(["ada"]))
    attempt(small, "bo", "01.1")
    eventually(lambda: line_of(board, "bo").split()[0] == "✓" and line_of(board, "ada").split()[0] == "·")


def test_a_subscription_that_ended_is_told(small: ScratchRoom, look: Open) -> None:
    """Where its row is removed, a subscription has nothing to go on from."""
    board = look(small)
    with small.connect() as owner:
        owner.execute("SET search_path = room; DELETE FROM subscriptions")
        owner.execute("DO $$ BEGIN EXECUTE format('NOTIFY %I', events_channel()); END $$")
    attempt(small, "ada", "01.1")
    eventually(lambda: "Ended: there is no subscription" in str(board.page()) and "not live" in str(board.page()))


def test_dashboards_leave_nothing_in_the_log(small: ScratchRoom, look: Open) -> None:
    with small.connect() as owner:
        owner.execute("INSERT INTO room.subscriptions VALUES ('dashboard_killed', 0, true), ('somebodys', 0, false)")
        board = look(small)
        names = "SELECT name FROM room.subscriptions ORDER BY 1"
        assert owner.execute(names).fetchall() == [(board._label,), ("somebodys",)]
        board.stop()
        board.stop()
        assert "· not live ·" in str(board.page()) and "Stopped." in str(board.page())
        assert owner.execute(names).fetchall() == [("somebodys",)]


# Without a room


def test_without_a_room_it_shows_what_you_have_tried(said: Callable[[], str]) -> None:
    """From your own log, live; it leaves nothing there, and goes on where it is called again."""
    check("01.2", wrong_answer("01.2"))
    board = dashboard(agenda="a full day")
    eventually(lambda: line_of(board, "you").split()[2] == "✗1")
    shown = str(board.page())
    assert shown.startswith("Your attempts · live · ") and "Stuck, the longest first: 1" in shown
    assert "learners have" not in shown and "those at work" not in shown
    check("01.2", right_answer("01.2"))
    eventually(lambda: line_of(board, "you").split()[2] == "✓", within=1)
    assert str(board.answers()) == "Nobody has shared an answer."
    again = dashboard()
    eventually(lambda: line_of(again, "you").split()[1] == "✓")
    assert "Stopped." in str(board.page())
    again.stop()
    with psycopg.connect(again._url) as connection:
        again._use_schema(connection)
        assert connection.execute("SELECT name FROM subscriptions").fetchall() == []


def test_without_a_room_and_an_attempt_you_are_there(said: Callable[[], str]) -> None:
    board = dashboard()
    assert "· not begun" in str(board.page()) and set(line_of(board, "you").split()) == {"·"}
    board.stop()


# How it is shown


def test_names_can_be_hidden(room: ScratchRoom, look: Open) -> None:
    for names, first in (("shown", ["ada", "alan"]), ("initials", ["A", "A2"]), ("numbers", ["1", "2"])):
        board = look(room, names=names)
        page = board.page()
        shown = re.findall(r'<th class="name" title="\w+">(\w+)</th>', page._repr_html_())
        assert shown[:2] == first and len(set(shown)) == 30
        for word in ("margaret", room.role_of("margaret")):
            assert (word in str(page)) == (word in page._repr_html_()) == (names == "shown" and word == "margaret")


def share(room: ScratchRoom, learner: str, exercise_id: str, answer: str) -> None:
    """Share an answer as a learner does who has recorded nothing else."""
    data = Jsonb({"exercise_id": exercise_id, "answer": answer})
    with room.connect(learner) as connection:
        (version,) = connection.execute("SELECT count(*) FROM room.my_attempts()").fetchone()
        connection.execute("SELECT room.record_attempt(gen_random_uuid(), 'AnswerShared', %s, %s)", (data, version))


def test_a_check_is_told_by_its_name_in_full_and_only_if_the_kit_has_it(small: ScratchRoom, look: Open) -> None:
    """What learners send by hand is shown to a room: no text of their own gets there, nor an exercise of their own."""
    longest = max((label(exercise_id, 0) for exercise_id in EXERCISES), key=len)
    exercise_id = next(each for each in EXERCISES if label(each, 0) == longest)
    attempt(small, "ada", exercise_id, longest)
    attempt(small, "bo", "01.1", r"$\rule{50em}{60em}$")
    attempt(small, "bo", "99.99", "<script>alert(1)</script>")
    board = look(small)
    for shown in (str(board.page()), board.page()._repr_html_()):
        assert longest in shown and "a check that this kit does not have" in shown
        assert not any(word in shown for word in ("rule{", "script", "99.99"))


def test_the_kit_has_each_check_that_a_report_names() -> None:
    reports = [run_checks(EXERCISES[each], 7, server_url()) for each in ("01.1", "02.5")]
    reports.append(run_checks(EXERCISES["01.1"], "SELEC", server_url()))
    told = {(report.exercise.id, report.failed_check) for report in reports}
    for notebook in NOTEBOOKS:
        mistakes = import_module(f"tests.exercises.test_ex{notebook}").MISTAKES
        told |= {(mistake.exercise_id, mistake.label) for mistake in mistakes}
    assert len(told) > 100 and not [each for each in told if each[1] not in CHECKS[each[0]]]


def test_nothing_is_typeset(small: ScratchRoom, look: Open) -> None:
    """JupyterLab takes what stands between dollar signs for LaTeX, unless a class forbids it."""
    share(small, "bo", "01.1", "$x$")
    board = look(small)
    for shown in (board.page(), board.answers()):
        assert '<div class="room mathjax_ignore">' in shown._repr_html_()


def test_an_answer_that_is_shared_is_announced_until_it_was_looked_at(small: ScratchRoom, look: Open) -> None:
    assert str(look(small).answers()) == "Nobody has shared an answer."
    share(small, "bo", "01.1", "SELECT '<b>' -- \u202ednif")
    board = look(small)
    assert re.search(r"Shared, for board.answers\(\): bo 01.1 \d\d:\d\d \(new\)\.\n", str(board.page()))
    answers = board.answers()
    assert re.fullmatch(r"bo, 01.1, \d\d:\d\d\nSELECT '<b>' -- \\u202ednif\n", str(answers))
    assert "&#x27;&lt;b&gt;" in answers._repr_html_() and "<b>" not in answers._repr_html_()
    assert re.search(r"Shared, for board.answers\(\): bo 01.1 \d\d:\d\d\.\n", str(board.page()))


def test_who_never_connected_is_told(small: ScratchRoom, look: Open) -> None:
    """As against who is connected and quiet."""
    board = look(small)
    late = small.add("Cleo Zoë")
    eventually(lambda: re.search("Never connected: .*, Cleo Zoë", str(board.page())))
    psycopg.connect(late.url).close()
    eventually(lambda: "Never connected: ada, bo." in str(board.page()))
    small.drop("cleo_zoe")


def test_thirty_names_are_a_number(room: ScratchRoom, look: Open) -> None:
    view = dataclasses.replace(look(room).view(), away=frozenset(room.role_of(each) for each in LEARNERS[18:]))
    assert "Never connected: wanda, zoe." in str(show_room(view))  # the others have tried something
    view = View(view.room, RoomModel(), Agenda("one hour"), None, view.now, away=frozenset(view.model.learners))
    view.model.learners.update(look(room).model.learners)
    assert "Never connected: ada, alan, amina, barbara, bo, carla, chen, dana and 22 more." in str(show_room(view))


def test_an_empty_room(small: ScratchRoom, look: Open) -> None:
    shown = str(look(small).page())
    assert "0 of 2 learners have tried something, not begun" in shown and "Stuck, the longest first: 0" in shown
    assert "Failed most in the last 10 minutes: nothing" in shown


# The agenda


@pytest.mark.parametrize(("name", "minutes"), [("one hour", 60), ("half a day", 210), ("a full day", 420)])
def test_the_agendas_add_up(name: str, minutes: int) -> None:
    agenda = Agenda(name)
    assert agenda.minutes == minutes and len(set(agenda.exercises)) == len(agenda.exercises)
    if name == "one hour":
        assert tuple(agenda.exercises) == FAST_TRACK


@pytest.mark.parametrize(
    ("minute", "done", "behind"),
    [
        (0, [], 0), (9, [0], 0), (10, [0], 0), (10.5, [0], 1), (16, [0], 6), (16, [0, 1], 6), (16, [0, 1, 1], 0),
        (16, [2, 2], -12), (31, [3], -1), (40, [1, 1], 12), (100, [3], 0), (100, [2], 68),
    ],
)  # fmt: skip
def test_behind_and_ahead(minute: float, done: list[int], behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two exercises share their minutes as they share the work."""
    for exercise_id, minutes in (("01.1", 8), ("01.2", 4)):
        monkeypatch.setitem(EXERCISES, exercise_id, replace(EXERCISES[exercise_id], minutes=minutes))
    agenda = Agenda([(10, "00.1"), (10, "break"), (12, "01.1 01.2"), (8, "questions")])
    assert [(step.what, step.ends) for step in agenda.steps] == [
        ("00.1", 10), ("break", 20), ("01.1", 28), ("01.2", 32), ("questions", 40)
    ]  # fmt: skip
    assert [agenda.at(minute) for minute in (0, 10, 19.9, 31, 40)] == ["00.1", "break", "break", "01.2", "over"]
    assert agenda.behind(minute, done) == behind


@pytest.mark.parametrize("agenda", ["two hours", [], [(0, "00.1")], [("x", "00.1")], [5], 5, [(5, "00.1", 2)]])
def test_what_is_no_agenda_is_told(agenda: Any) -> None:
    with pytest.raises(WorkshopError, match="no agenda"):
        Agenda(agenda)


# Mistakes of the instructor's


def test_a_room_that_does_not_exist_is_told(room: ScratchRoom, postgres: Server) -> None:
    for name in ("nowhere", room.role, "", "x' OR true --"):
        with pytest.raises(WorkshopError, match="There is no room") as caught:
            dashboard(name, postgres.url)
        assert room.name in str(caught.value) and "python -m workshop.room make" in str(caught.value)


def test_a_learner_cannot_open_it(room: ScratchRoom) -> None:
    with pytest.raises(WorkshopError, match="cannot be read: permission denied"):
        dashboard(room.name, make_conninfo(room.learners_url("ada"), dbname=room.role))


def test_a_database_without_a_log_is_told(postgres: Server) -> None:
    with postgres.connect() as owner:
        owner.execute(f"CREATE ROLE room_half_made; COMMENT ON ROLE room_half_made IS '{ROOM_MARK}half_made'")
        owner.execute("CREATE DATABASE room_half_made")
        try:
            with pytest.raises(WorkshopError, match="cannot be read: .* does not exist"):
                dashboard("half_made", postgres.url)
        finally:
            owner.execute("DROP DATABASE room_half_made WITH (FORCE)")
            owner.execute("DROP ROLE room_half_made")


@pytest.mark.parametrize(
    "wrong", [{"names": "some"}, {"began": "soon"}, {"began": "25:00"}, {"began": 5}, {"agenda": "a week"}]
)
def test_a_wrong_argument_is_told(wrong: dict[str, Any], room: ScratchRoom, postgres: Server) -> None:
    with pytest.raises(WorkshopError):
        dashboard(room.name, postgres.url, **wrong)


def test_a_beginning_that_is_still_to_come_is_told(room: ScratchRoom, look: Open) -> None:
    board = look(room, agenda="half a day")
    shown = str(show_room(dataclasses.replace(board.view(), began=datetime.now(UTC) + timedelta(minutes=85.5))))
    assert "Pace: begins in 86 min" in shown and "Minute" not in shown and "28 of 30 learners" in shown


def test_the_beginning_can_be_said(room: ScratchRoom, postgres: Server) -> None:
    began = datetime.now().astimezone() - timedelta(minutes=5)
    for said in (began, began.strftime("%H:%M")):
        board = dashboard(room.name, postgres.url, began=said)  # the one before ends
        assert re.search(r"Minute [56] of 60", str(board.page()))
    board.stop()


def test_the_notebook_runs(room: ScratchRoom, postgres: Server) -> None:
    notebook = nbformat.read(CHECKOUT / "instructors/dashboard.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"oslo",', f'"{room.name}", {postgres.url!r},')
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": CHECKOUT / "instructors"}}).execute()
    board, answers, code = (cell.outputs[0] for cell in notebook.cells if cell.cell_type == "code")
    assert "of 30 learners have tried something" in board.data["text/html"]
    assert answers.data["text/plain"] == "Nobody has shared an answer."
    assert code.text.lstrip().startswith("def apply(self")
