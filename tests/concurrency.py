"""What tests of concurrent writers share: tasks that start together, and a look at who waits for whom."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import psycopg


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run each task in a thread of its own, all released together; return their results, or what they raised."""
    barrier = Barrier(len(tasks), timeout=30)

    def run(task: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return task()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@contextmanager
def waiting(task: Callable[[], Any], connection: psycopg.Connection, observer: psycopg.Connection) -> Iterator[Future]:
    """Start a task on `connection` in a thread, and go on once it waits for a lock that somebody else holds."""
    process = connection.info.backend_pid
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(task)
        deadline = time.monotonic() + 10
        while not is_blocked(process, observer):
            assert not future.done(), f"it did not wait: {future.exception() or future.result()!r}"
            assert time.monotonic() < deadline, "it neither waits for a lock nor ends"
            time.sleep(0.005)
        yield future


def is_blocked(process: int, observer: psycopg.Connection) -> bool:
    """Whether the server's process waits for a lock of another one's; on Citus that may be the lock of a worker."""
    waits = "SELECT cardinality(pg_blocking_pids(%(pid)s)) > 0"
    if observer.execute("SELECT to_regclass('citus_lock_waits')").fetchone() != (None,):
        waits += " OR EXISTS (SELECT FROM citus_lock_waits WHERE citus_pid_for_gpid(waiting_gpid) = %(pid)s)"
    return observer.execute(waits, {"pid": process}).fetchone() == (True,)
