"""The processes that use the stores. Several writers are several processes: threads would share Python's one lock.

They are started before anything is timed, keep their connections, and begin together, at a barrier.
"""

import gc
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from tests.benchmark.stores import client_class


class Failed(Exception):
    """A store could not do its task; the message says why."""


class Crew:
    """Some processes, each with a client of every store that it was asked to use."""

    def __init__(self, size: int, timeout: float = 180):
        self._context = multiprocessing.get_context("spawn")  # nothing inherited: neither connections nor imports
        self._size = size
        self._timeout = timeout
        self._members: list[tuple[Any, Connection]] = []
        self._barriers: dict[int, Any] = {}

    def measure(
        self, store: str, settings: dict[str, Any], task: str, arguments: dict[str, Any], writers: int = 1
    ) -> float:
        """Have a number of processes do a task at the same time, and return the sum of what they measured.

        Raises:
            Failed: one of them could not, or took too long. In that case all were ended; new ones begin afresh.
        """
        if not self._members:
            self._start()
        each = arguments
        for number, (_, pipe) in enumerate(self._members[:writers]):
            if task == "together":
                each = arguments | {"writer": number}
            pipe.send((store, settings, task, each, writers))
        answers: list[Any] = []
        for _, pipe in self._members[:writers]:
            try:
                answers.append(pipe.recv() if pipe.poll(self._timeout) else f"no answer within {self._timeout:.0f} s")
            except EOFError:
                answers.append("the process ended")
        if failures := [answer for answer in answers if isinstance(answer, str)]:
            self.close()
            raise Failed(failures[0])
        return sum(answers)

    def _start(self) -> None:
        self._barriers = {n: self._context.Barrier(n) for n in range(2, self._size + 1)}
        for _ in range(self._size):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_work, args=(theirs, self._barriers), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def close(self) -> None:
        """End all processes: those that are idle see that their pipe is closed, the others are stopped."""
        for _, pipe in self._members:
            pipe.close()
        for process, _ in self._members:
            process.join(3)
            if process.is_alive():
                process.kill()
        self._members.clear()


def _work(pipe: Connection, barriers: dict[int, Any]) -> None:
    """Do the tasks that come through the pipe, until it is closed."""
    clients: dict[str, Any] = {}
    while True:
        try:
            store, settings, task, arguments, writers = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            if store not in clients:
                clients[store] = client_class(store)(settings)
                gc.freeze()  # what was imported is not to be looked through at each collection
            if writers > 1:
                barriers[writers].wait(30)
            pipe.send(clients[store].measure(task, arguments))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0])
    for client in clients.values():
        client.close()
