"""A session in a room: one learner alone, then all of them at once, then one alone again."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workshop.checks.exercise import Exercise
from workshop.dashboard.agenda import Agenda
from workshop.dashboard.live import Dashboard
from workshop.room import Room
from workshop.room.server import CONNECTIONS

from ...postgres import EmbeddedServer, Server
from .learner import Learner
from .measuring import Meter, memory
from .script import FAST_TRACK

ROOM = "load"
_STARTING = 4  # kernels at once
_ALONE = 10  # times faster than those who work at once: there is nobody to be disturbed by that
_MORE = 30  # connections beside the learners': the dashboard's, the meter's, those that PostgreSQL reserves


@dataclass
class Session:
    """What came of it.

    Attributes:
        exercises: what everybody solved.
        learners: who worked at once; `alone` those who worked alone, before and after.
        seconds, server_cpu: how long the learners worked, and the processor's seconds that the server used meanwhile.
        away: for how long the server was away when it crashed.
        connections: the most that were open at once; `of_one_learner` the most of one.
        memory, kernel: what the server's processes took at most, and a kernel at the end of its work; in bytes.
        sizes: of the learners' databases, in bytes; `log_size` that of the log.
    """

    server: Server
    room: Room
    board: Dashboard
    exercises: Sequence[Exercise]
    learners: list[Learner] = field(default_factory=list)
    alone: list[Learner] = field(default_factory=list)
    seconds: float = 0.0
    server_cpu: float = 0.0
    away: float = 0.0
    connections: int = 0
    of_one_learner: int = 0
    memory: float = 0.0
    kernel: float = 0.0
    sizes: list[int] = field(default_factory=list)
    log_size: int = 0

    @property
    def all(self) -> list[Learner]:
        return [*self.alone, *self.learners]


@contextmanager
def session(
    count: int,
    pace: float,
    *,
    exercises: Sequence[Exercise] = FAST_TRACK,
    alone: bool = True,
    seed: str = "thirty",
    crash: bool = True,
) -> Iterator[Session]:
    """Have learners work in a room, and keep the room until it has been looked at.

    Args:
        count: how many learners at once.
        pace: how many times faster than real learners; infinite for no time to think.
        exercises: what each of them solves.
        alone: whether one works alone before, and another one after.
        crash: whether the server crashes when half of the work is done.
    """
    names = [f"Learner {number:02}" for number in range(1, count + 1)]
    names_alone = ["Early", "Late"] if alone else []
    with _server((count + len(names_alone)) * CONNECTIONS + _MORE) as server, tempfile.TemporaryDirectory() as folder:
        room = Room(ROOM, server.url)
        assert not [note for note in room.advice([*names, *names_alone]) if "at once" in note]
        seats = {seat.name: seat for seat in room.make([*names, *names_alone])}
        with server.connect() as connection:
            connection.execute("VACUUM ANALYZE")
        board = Dashboard(ROOM, server.url, Agenda("one hour"))
        done = Session(server, room, board, exercises)
        done.alone = [Learner(seats[name], Path(folder), seed, exercises) for name in names_alone]
        for number, name in enumerate(names):
            killed_at = exercises[1 + number // 5 % (len(exercises) - 2)].id if number % 5 == 1 else None
            learner = Learner(seats[name], Path(folder), seed, exercises, killed_at=killed_at, abandons=number % 3 == 0)
            done.learners.append(learner)
        try:
            for learner in done.alone[:1]:
                _alone(learner, pace)
            _at_once(done, pace, crash)
            for learner in done.alone[1:]:
                _alone(learner, pace)
            yield done
        finally:
            board.stop()
            for learner in done.all:
                learner.leave()


def _alone(learner: Learner, pace: float) -> None:
    learner.arrive()
    learner.work(_ALONE * pace)
    learner.leave()


def _at_once(done: Session, pace: float, crash: bool) -> None:
    with ThreadPoolExecutor(_STARTING) as threads:
        list(threads.map(Learner.arrive, done.learners))
    meter = Meter(done.server)
    steps = sum(len(learner.script) for learner in done.learners)
    with ThreadPoolExecutor(len(done.learners)) as threads:
        working = [threads.submit(learner.work, pace) for learner in done.learners]
        while crash and not all(each.done() for each in working):
            if sum(len(learner.notes.seen) for learner in done.learners) >= steps / 2:
                done.away = meter.crash()
                break
            time.sleep(0.05)
        for each in as_completed(working):
            each.result()
    done.seconds, done.server_cpu = meter.stop()
    done.connections, done.of_one_learner, done.memory = meter.connections, meter.of_one_learner, meter.memory
    kernels = [learner.kernel.process for learner in done.learners if learner.kernel]
    done.kernel = memory(kernels) / len(kernels)
    done.sizes = [learner.size for learner in done.room.learners()]
    with done.server.connect() as connection:
        (done.log_size,) = connection.execute("SELECT pg_database_size(%s)", (done.room.role,)).fetchone()  # type: ignore[misc]
    for learner in done.learners:
        learner.leave()


@contextmanager
def _server(connections: int) -> Iterator[EmbeddedServer]:
    """A server of its own that lets in so many, and asks learners for their passwords as one for a room does."""
    server = EmbeddedServer(max_connections=str(connections))
    try:
        with server.connect() as connection:
            file = Path(connection.execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]
            file.write_text(f'local all "/^{ROOM}_" scram-sha-256\n{file.read_text()}')
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.remove()
