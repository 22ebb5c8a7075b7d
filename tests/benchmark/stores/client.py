"""What is asked of every store, and how it is timed. One module beside this one for each store."""

import gc
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ClassVar

from tests.benchmark.place import Place
from tests.benchmark.rows import balance, history
from workshop.bank import DepositRecorded, RecordDeposit

STREAM_LENGTH = 20  # appends to one stream before the next one begins
PAGE = 1_000  # events at a time, where a log is read in pages


class Conflict(Exception):
    """Somebody else appended first.

    Attributes:
        actual: the version that the stream is at, where the store says so with its refusal.
    """

    def __init__(self, actual: int | None = None):
        super().__init__(actual)
        self.actual = actual


class Client(ABC):
    """One process's use of a store.

    The timing is here, the same for all; what a store does is in its own class, written as its documentation says.

    Args:
        settings: what `running` yielded.

    Attributes:
        name: the head of the store's column.
        role: "limit", "own" or "peer".
        on_postgresql: whether it keeps its events there.
        used: how it is used here, and where that is documented.
        flushes: how an append gets to the disk before it returns.
        rebuilds_at_most: how many events to rebuild from, where all would take minutes.
    """

    name: ClassVar[str]
    role: ClassVar[str] = "peer"
    on_postgresql: ClassVar[bool] = True
    used: ClassVar[str]
    flushes: ClassVar[str] = "PostgreSQL's commit: the write-ahead log is flushed before the call returns"
    rebuilds_at_most: ClassVar[int] = 10**9

    @staticmethod
    def missing() -> str | None:
        """Return why the store cannot be used here, or None where it can."""
        return None

    @staticmethod
    def version() -> str:
        """Return the version of what is measured."""
        return ""

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        """Have the store ready to be used, and yield what a client needs to find it; called once, before any client."""
        yield {"url": place.url}

    @abstractmethod
    def __init__(self, settings: dict[str, Any]): ...

    @abstractmethod
    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        """Append to a stream that is expected to be at this version, or raise Conflict."""

    @abstractmethod
    def current_version(self, stream_id: str) -> int:
        """Return the version of a stream, in the cheapest way that there is."""

    @abstractmethod
    def read_stream(self, stream_id: str) -> list[Any]:
        """Return the domain events of a stream."""

    @abstractmethod
    def handle(self, stream_id: str, command: object) -> None:
        """Load an account, decide, and append the outcome."""

    @abstractmethod
    def read_log(self, count: int) -> int:
        """Read the first events of the log, and return how many they were."""

    @abstractmethod
    def rebuild_balances(self, count: int) -> None:
        """Make the table account_balances anew, in PostgreSQL, from the first events of the log."""

    @abstractmethod
    def total(self) -> Decimal:
        """Return the sum of account_balances."""

    def close(self) -> None:  # noqa: B027 -- most have nothing to end that does not end with the process
        """End what the client started."""

    # What is measured: each returns a number a second.

    def measure(self, task: str, arguments: dict[str, Any]) -> float:
        """Do one of the tasks below."""
        gc.collect()
        return getattr(self, task)(**arguments)

    def fill(self, accounts: int, events: int) -> float:
        if self.current_version("account-0"):
            return 0  # for an earlier row
        for number in range(accounts):
            account_id = f"account-{number}"
            self.append_events(account_id, history(account_id, events), 0)
        return 0

    def fill_stream(self, length: int) -> float:
        self.append_events(f"account-read-{length}", history("account-read", length), 0)
        return 0

    def append(self, label: str, batch: int, calls: int) -> float:
        taken = []
        for call in range(calls):
            stream_id, version = f"account-{label}-{call // STREAM_LENGTH}", call % STREAM_LENGTH * batch
            events: list[object] = [deposit(stream_id) for _ in range(batch)]
            taken.append(seconds(lambda s=stream_id, e=events, v=version: self.append_events(s, e, v)))
        return batch / statistics.median(taken)

    def together(self, label: str, writer: int, seconds: float, shared: bool) -> float:
        """Append one event at a time for a while; where the stream is shared, others do the same to it."""
        stream_id = f"account-{label}" if shared else f"account-{label}-{writer}"
        version = done = 0
        start = now = time.perf_counter()
        while now - start < seconds:
            try:
                self.append_events(stream_id, [deposit(stream_id)], version)
            except Conflict as conflict:
                version = self.current_version(stream_id) if conflict.actual is None else conflict.actual
            else:
                version += 1
                done += 1
            now = time.perf_counter()
        return done / (now - start)

    def read(self, label: str, length: int, calls: int) -> float:
        stream_id = f"account-read-{length}"
        assert len(self.read_stream(stream_id)) == length, "not what was appended"
        return length / statistics.median(seconds(lambda: self.read_stream(stream_id)) for _ in range(calls))

    def command(self, label: str, length: int, calls: int) -> float:
        stream_id = f"account-{label}"
        self.append_events(stream_id, history(stream_id, length), 0)
        command = RecordDeposit(Decimal("1.00"), "cashier-7")
        rate = 1 / statistics.median(seconds(lambda: self.handle(stream_id, command)) for _ in range(calls))
        assert len(self.read_stream(stream_id)) == length + calls, "not what was appended"
        return rate

    def log(self, label: str, count: int) -> float:
        start = time.perf_counter()
        read = self.read_log(count)
        taken = time.perf_counter() - start
        assert read == count, f"{read} events in the log, not {count}"
        return count / taken

    def rebuild(self, label: str, count: int, account_events: int) -> float:
        count = min(count, self.rebuilds_at_most)
        rate = count / seconds(lambda: self.rebuild_balances(count))
        expected = count // account_events * balance(account_events)
        assert self.total() == expected, f"the balances add up to {self.total()}, not to {expected}"
        return rate


def deposit(account_id: str) -> DepositRecorded:
    return DepositRecorded(account_id, Decimal("100.00"), "cashier-7")


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
