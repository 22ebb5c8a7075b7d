"""What the server and the kernels use, as the system counts it."""

import threading
import time
from pathlib import Path

import psutil
import psycopg

from ...postgres import Server


def memory(processes: list[psutil.Process]) -> float:
    """Return how much memory processes take, in bytes: what they share is counted once (PSS), where the system says."""
    return sum(map(_proportional, processes))


def _proportional(process: psutil.Process) -> float:
    try:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            return int(rollup.partition("\nPss:")[2].split()[0]) * 1024
        except (OSError, ValueError, IndexError):
            return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0


class Meter:
    """Measures a server from now on, through crashes of it.

    Attributes:
        connections: the most that were open at once; `learners` the most of one learner.
        memory: the most that the server's processes took at once, in bytes.
    """

    def __init__(self, server: Server):
        self._server = server
        self._gone = 0.0  # seconds of a processor, of servers that crashed
        self._lock = threading.Lock()
        self._done = threading.Event()
        self.connections = self.of_one_learner = 0
        self.memory = 0.0
        self._postmaster = self._find()
        self._begin = (time.monotonic(), self._used())
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def crash(self) -> float:
        """Crash the server and start it again; return for how many seconds it was away."""
        with self._lock:
            self._gone += self._used()
            begin = time.monotonic()
            self._server.kill()
            self._server.start()
            away = time.monotonic() - begin
            self._postmaster = self._find()
        return away

    def stop(self) -> tuple[float, float]:
        """Return how many seconds it was measured, and how many of a processor the server used."""
        self._done.set()
        self._thread.join()
        with self._lock:
            return time.monotonic() - self._begin[0], self._gone + self._used() - self._begin[1]

    def _find(self) -> psutil.Process:
        with self._server.connect() as connection:
            return psutil.Process(psutil.Process(connection.info.backend_pid).ppid())

    def _used(self) -> float:
        """Return the processor's seconds of the server: those of its ended processes are kept by the first of them."""
        first = self._postmaster.cpu_times()
        total = first.user + first.system + first.children_user + first.children_system
        for process in self._postmaster.children(recursive=True):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def _watch(self) -> None:
        looks = 0
        while not self._done.wait(0.5):
            with self._lock:
                try:
                    with self._server.connect() as connection:
                        counts = [count for (count,) in connection.execute(_CONNECTIONS)]
                except psycopg.OperationalError:
                    continue
                self.connections = max(self.connections, sum(counts))
                self.of_one_learner = max(self.of_one_learner, *counts, 0)
                if looks % 20 == 0:
                    family = [self._postmaster, *self._postmaster.children(recursive=True)]
                    self.memory = max(self.memory, memory(family))
                looks += 1


_CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY usename
"""
