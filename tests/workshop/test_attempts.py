"""What check() records and sends: each outcome once, in order, whatever becomes of kernels, connections, the room."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from eventstore import Log, RecordedEvent
from workshop import check, outcome, predict, progress, share
from workshop.attempts import recording as attempts
from workshop.attempts.events import (
    EVENT_TYPES,
    AnswerShared,
    ExerciseFailed,
    ExercisePassed,
    OutcomePredicted,
    OutcomeSeen,
    RecordOutcome,
    Tried,
)
from workshop.attempts.log import LearnersLog
from workshop.checks import kept
from workshop.errors import WorkshopError
from workshop.server.database import server_url

from ..conformance.unreliable_network import UnreliableNetwork
from ..postgres import Server
from ..subscribing import eventually
from .answers import defined_in, right_answer, wrong_answer
from .conftest import forget
from .rooms import ScratchRoom

Said = Callable[[], str]
LIMIT = 0.3  # seconds: a learner waits no longer for the answer to an answer


class LosesAnAnswer(UnreliableNetwork):
    """A network that loses the answer to the next statement that holds a text, and the connection with it."""

    _text = b""

    def lose_the_answer_to(self, text: str) -> None:
        self._text = text.encode()

    def _forward_questions(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._text and self._text in data:
                    self._text = b""
                    self._lose.set()
                server.sendall(data)

    def _forward_answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self._lose.is_set():
                    self._lose.clear()
                    self.lost = True
                    break
                client.sendall(data)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def recorded() -> list[RecordedEvent]:
    """Return what the learner's own log holds."""
    return attempts._log(server_url()).read()


def events() -> list[Any]:
    return [each.event for each in recorded()]


@pytest.fixture(scope="module")
def rooms(postgres: Server) -> Iterator[ScratchRoom]:
    room = ScratchRoom(postgres.url, ["ada", "bo"])
    yield room
    room.take_down()


@pytest.fixture
def room(rooms: ScratchRoom, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScratchRoom]:
    """A room, in which this kernel is Ada's."""
    rooms.empty_log()
    monkeypatch.setenv("DATABASE_URL", rooms.learners_url("ada"))
    yield rooms
    rooms.open_doors()
    # What a test has not sent is not to be sent in the next one: its outbox would go on for as long as its kernel.
    for learner in ("ada", "bo"):
        with psycopg.connect(rooms.learners_url(learner), autocommit=True) as owner:
            owner.execute("SET client_min_messages = warning")
            logs = owner.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'workshop%'")
            for (schema,) in logs.fetchall():
                owner.execute(f"DROP SCHEMA {schema} CASCADE")


def known(room: ScratchRoom) -> list[RecordedEvent]:
    """Return what the room's log holds."""
    with room.connect() as owner:
        owner.execute("SET search_path = room")
        return Log(owner, EVENT_TYPES).read_all(limit=10_000)


def same(one: list[RecordedEvent], other: list[RecordedEvent]) -> bool:
    return [(each.id, each.event) for each in one] == [(each.id, each.event) for each in other]


def failing(exercise_id: str, times: int = 1) -> None:
    for _ in range(times):
        attempts.record(exercise_id, "A check")


# The learner's own log


def test_each_outcome_is_an_event(said: Said) -> None:
    check("01.2", "SELEC")
    check("01.2", wrong_answer("01.2"))
    check("01.2", "...")  # not started: no outcome
    check("00.1", 7)
    check("00.1", len)
    check("01.2", right_answer("01.2"))
    assert "sent" not in said().lower()
    first, *_ = events()
    assert first == ExerciseFailed("01.2", 1, "Your SQL runs")
    assert [type(event).__name__ for event in events()] == ["ExerciseFailed"] * 4 + ["ExercisePassed"]
    assert events()[2:] == [
        ExerciseFailed("00.1", 1, "The answer can be checked"),
        ExerciseFailed("00.1", 2, "The answer can be checked"),
        ExercisePassed("01.2", 3),
    ]


def test_progress_is_the_fold_of_the_events(said: Said) -> None:
    for given in (wrong_answer("01.2"), right_answer("01.2"), right_answer("01.2"), wrong_answer("01.2")):
        check("01.2", given)
    check("01.1", wrong_answer("01.1"))
    solved = {event.exercise_id for event in events() if isinstance(event, ExercisePassed)}
    assert attempts.progress() == {"01.2": Tried(4, 2), "01.1": Tried(1)}
    said()
    progress()
    assert said().startswith(f"{len(solved)} of ")


def test_kernels_of_one_learner_count_together() -> None:
    logs = [LearnersLog(server_url()) for _ in range(4)]
    with ThreadPoolExecutor(4) as kernels:
        list(kernels.map(lambda log: [log.record(RecordOutcome("01.2", "A check")) for _ in range(15)], logs))
    for log in logs:
        log.close()
    assert [event.attempt for event in events()] == list(range(1, 61))


def test_a_lost_connection_costs_nothing(postgres: Server) -> None:
    failing("01.2")
    with postgres.connect() as observer:
        log = attempts._log(server_url())
        pid = log._database.connection.info.backend_pid
        observer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    failing("01.2")
    assert [event.attempt for event in events()] == [1, 2]


def test_an_attempt_whose_answer_got_lost_is_recorded_once(postgres: Server) -> None:
    with postgres.connect() as connection, LosesAnAnswer(connection.info) as network:
        log = LearnersLog(make_conninfo(postgres.url, host=network.host, port=network.port))
        log.record(RecordOutcome("01.2", "A check"))
        network.lose_the_answer_to("append_to_stream")
        event, version = log.record(RecordOutcome("01.2", "A check"))
        log.close()
        assert network.lost
    assert (event, version) == (ExerciseFailed("01.2", 2, "A check"), 2)
    assert [event.attempt for event in events()] == [1, 2]


def test_a_check_whose_server_went_away_is_no_attempt() -> None:
    with pytest.raises(WorkshopError, match="lost while your answer was checked"):
        check("01.2", "SELECT pg_terminate_backend(pg_backend_pid())")
    check("01.2", right_answer("01.2"))
    assert events() == [ExercisePassed("01.2", 1)]


def test_what_cannot_be_recorded_is_a_line_and_no_error(said: Said, owner: psycopg.Connection) -> None:
    attempts.begin()
    owner.execute(f"DROP SCHEMA {attempts._log(server_url())._database.schema} CASCADE")
    check("01.2", right_answer("01.2"))
    shown = said()
    assert "01.2 The streams table: solved" in shown
    assert "This attempt could not be recorded: " in shown
    with pytest.raises(WorkshopError, match="The record of your attempts cannot be used: .*\nRestart the kernel"):
        progress()


def test_a_restart_of_the_server_costs_progress_nothing(postgres: Server) -> None:
    failing("01.2")
    with postgres.connect() as observer:
        for ask in (attempts.progress, lambda: attempts._log(server_url()).read()):
            pid = attempts._log(server_url())._database.connection.info.backend_pid
            observer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            assert len(ask()) == 1


# In a room


def test_the_room_hears_the_outcome_and_the_learner_sees_what_it_hears(room: ScratchRoom, said: Said) -> None:
    check("01.2", wrong_answer("01.2"))
    shown = said()
    label = events()[0].failed_check
    assert (
        f'Sent to the room {room.name}: exercise 01.2, attempt 1, failed on "{label}". Your answer stays with you; '
        '`share("01.2")` sends it, too.' in shown
    )
    check("01.2", right_answer("01.2"))
    assert f"Sent to the room {room.name}: exercise 01.2, attempt 2, passed. Your answer stays with you." in said()
    assert [each.event for each in known(room)] == [ExerciseFailed("01.2", 1, label), ExercisePassed("01.2", 2)]
    assert same(known(room), recorded())
    assert {each.stream_id for each in known(room)} == {f"learner-{room.role_of('ada')}"}


@pytest.mark.alone
def test_a_check_is_as_quick_as_ever(room: ScratchRoom) -> None:
    attempts.begin()
    began = time.perf_counter()
    for _ in range(10):
        check("01.2", right_answer("01.2"))
    assert (time.perf_counter() - began) / 10 < LIMIT / 2
    assert same(known(room), recorded())


@pytest.mark.alone
def test_a_room_that_is_gone_breaks_nothing_and_hears_it_all_when_it_is_back(room: ScratchRoom, said: Said) -> None:
    failing("01.2")
    room.close_doors()
    for n in range(3):
        began = time.perf_counter()
        check("01.2", right_answer("01.2") if n else wrong_answer("01.2"))
        assert time.perf_counter() - began < LIMIT
    assert said().count(f"Kept, to be sent to the room {room.name} when it answers: exercise 01.2, attempt") == 3
    assert len(known(room)) == 1 and len(recorded()) == 4
    room.open_doors()  # and no further check
    eventually(lambda: len(known(room)) == 4)
    assert same(known(room), recorded())
    check("01.2", right_answer("01.2"))
    assert f"Sent to the room {room.name}" in said()


@pytest.mark.alone
def test_a_slow_room_does_not_slow_down_a_check(room: ScratchRoom, said: Said) -> None:
    failing("01.2")
    with room.connect() as busy, busy.transaction():
        busy.execute("LOCK TABLE room.streams")
        began = time.perf_counter()
        check("01.2", right_answer("01.2"))
        assert time.perf_counter() - began < LIMIT
    assert "Kept, to be sent" in said()
    eventually(lambda: len(known(room)) == 2)
    assert same(known(room), recorded())


def test_the_next_kernel_sends_what_the_last_one_could_not(room: ScratchRoom) -> None:
    room.close_doors()
    failing("01.2", times=3)
    forget()  # that kernel's thread may go on, as another kernel of the same learner
    room.open_doors()
    attempts.begin()
    eventually(lambda: len(known(room)) == 3)
    assert same(known(room), recorded())


def test_two_kernels_send_everything_once_and_in_order(room: ScratchRoom) -> None:
    outboxes = [attempts.Outbox(LearnersLog(server_url())) for _ in range(2)]

    def work(outbox: attempts.Outbox) -> None:
        for _ in range(20):
            _, version = outbox._log.record(RecordOutcome("01.2", "A check"))
            outbox.send(version)

    with ThreadPoolExecutor(2) as kernels:
        list(kernels.map(work, outboxes))
    eventually(lambda: len(known(room)) == 40)
    assert same(known(room), recorded())


def test_an_answer_of_the_rooms_that_got_lost_doubles_nothing(
    room: ScratchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room.connect() as connection, LosesAnAnswer(connection.info) as network:
        url = make_conninfo(room.learners_url("ada"), host=network.host, port=network.port)
        monkeypatch.setenv("DATABASE_URL", url)
        failing("01.2")
        network.lose_the_answer_to("record_attempt")
        failing("01.2")
        assert network.lost
        failing("01.2")
        eventually(lambda: len(known(room)) == 3)
        assert same(known(room), recorded())
        forget()


def test_what_the_room_refuses_is_not_called_sent(room: ScratchRoom, said: Said) -> None:
    """A later version of the kit may have exercises, and events, that this room knows nothing of."""
    refused = f"Refused by the room {room.name}, which is of another version of this kit (tell your instructor)"
    assert attempts.record("100.1", None).startswith(f"{refused}: exercise 100.1, attempt 1, passed.")
    with pytest.raises(WorkshopError, match="Refused by the room .*\n.*your screen"):
        attempts.share("100.1", "SELECT 1")
    assert attempts.record("01.2", None).startswith(f"Sent to the room {room.name}: exercise 01.2")
    assert [each.event for each in known(room)] == [ExercisePassed("01.2", 1)]


def test_who_moves_from_a_laptop_to_a_hub_goes_on_there(room: ScratchRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a hub answers are kept in another folder; the learner's database, and so their attempts, are the same."""
    monkeypatch.delenv("MY_EVENTSTORE")
    kept.folder.cache_clear()
    failing("01.2")
    forget()
    monkeypatch.setenv("MY_EVENTSTORE", "/home/ada/event-store/my_eventstore")
    kept.folder.cache_clear()
    failing("01.2")
    assert [event.attempt for event in events()] == [1, 2]
    assert same(known(room), recorded())


def test_a_room_made_anew_hears_it_all_again(room: ScratchRoom) -> None:
    failing("01.2", times=2)
    room.close_doors()
    room.execute("DROP SCHEMA room CASCADE")
    list(room.make(["ada"]))
    failing("01.2")
    eventually(lambda: len(known(room)) == 3)
    assert same(known(room), recorded())


def test_learners_do_not_meet(room: ScratchRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    failing("01.2")
    monkeypatch.setenv("DATABASE_URL", room.learners_url("bo"))
    failing("01.2")
    assert [event.attempt for event in events()] == [1]
    assert [each.stream_id for each in known(room)] == [f"learner-{room.role_of(name)}" for name in ("ada", "bo")]


def test_a_solution_sends_nothing(room: ScratchRoom, said: Said) -> None:
    kept.belongs_to_solution(True)
    check("01.2", right_answer("01.2"))
    with pytest.raises(WorkshopError):
        share("01.2")
    assert "Sent" not in said() and known(room) == []


def test_what_is_expected_and_what_came_is_sent(room: ScratchRoom, said: Said) -> None:
    predict("02.A", 0, "What is the balance?")
    assert f"Sent to the room {room.name}: that you expect 0 in 02.A." in said()
    outcome("02.A", -100)
    assert f"Sent to the room {room.name}: that you saw -100 in 02.A." in said()
    assert [each.event for each in known(room)] == [OutcomePredicted("02.A", "0"), OutcomeSeen("02.A", "-100")]
    assert same(known(room), recorded())


# Sharing


def test_an_answer_is_sent_only_when_it_is_shared(room: ScratchRoom, said: Said) -> None:
    check("01.2", right_answer("01.2"))
    check("01.2", "SELECT 'my answer'")
    assert "my answer" not in str(known(room))
    said()
    share("01.2")  # the one that was checked last, not the one that was kept
    assert said() == (f"Sent to the room {room.name}, for its instructor to read:\n\n```sql\nSELECT 'my answer'\n```\n")
    assert known(room)[-1].event == AnswerShared("01.2", "SELECT 'my answer'")
    assert attempts.progress()["01.2"] == Tried(2, 1)


def test_after_a_restart_the_kept_answer_is_shared(room: ScratchRoom) -> None:
    check("01.2", right_answer("01.2"))
    forget()
    share("01.2")
    assert right_answer("01.2") in known(room)[-1].event.answer


def test_a_function_is_shared_with_its_helpers(room: ScratchRoom) -> None:
    check("00.1", defined_in("def helper():\n    return 1\n\n\ndef balance(history):\n    return helper()\n"))
    share("00.1")
    assert known(room)[-1].event.answer.startswith("def helper():") and "def balance" in known(room)[-1].event.answer


@pytest.mark.parametrize(
    ("given", "problem"),
    [(None, "There is no answer to 01.2"), (7, "There is no answer"), ("SELECT 1 --" + "x" * 20_000, "takes 20000")],
)
def test_what_cannot_be_shared_is_refused(given: Any, problem: str, room: ScratchRoom) -> None:
    if given is not None:
        check("01.2", given)
    with pytest.raises(WorkshopError, match=problem):
        share("01.2")
    assert not any(isinstance(each.event, AnswerShared) for each in known(room) + recorded())


def test_without_a_room_nothing_is_shared() -> None:
    check("01.2", right_answer("01.2"))
    with pytest.raises(WorkshopError, match="You are in no room"):
        share("01.2")
    assert len(events()) == 1
