"""Push, and catching up: `python -m tests.benchmark.subscriptions [URL]`.

Push: one event at a time is appended to an otherwise idle store; measured is the time from the return of the append
(its commit) to the handler's first line, beside the time of the append itself. Catching up: the events a second that a
subscription with an empty handler gets through, beside a bare SELECT of the same rows in the same order, in turn.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from uuid import uuid4

import psycopg

from eventstore import EventStore, EventTypes, Subscription
from eventstore.log import RECORDED
from tests.bank import DepositRecorded
from tests.benchmark.scratch import scratch_database
from workshop.server.database import Database

PUSHED = 1_000  # events
LOGGED = 100_000  # events
ROUNDS = 5


def main() -> None:
    with scratch_database() as database:
        store = EventStore(database.connection, EventTypes(DepositRecorded))
        database.connection.prepare_threshold = 5  # psycopg's own default
        store.create_schema()
        print(f"PostgreSQL {store.connection.info.server_version // 10000}")
        push(database, store)
        catch_up(database, store)


def connect(database: Database) -> psycopg.Connection:
    connection = database.connect()
    connection.prepare_threshold = 5
    return connection


def push(database: Database, store: EventStore) -> None:
    handled: list[float] = []
    returned: list[float] = []
    appends: list[float] = []
    with Subscription(
        "push", lambda: connect(database), store.types, lambda *_: handled.append(time.perf_counter())
    ) as subscription:
        for number in range(PUSHED):
            time.sleep(0.002)  # so that the subscriber sleeps, too
            start = time.perf_counter()
            appended = store.append("account-1", [DepositRecorded("1", Decimal(1), "7")], expected_version=number)
            returned.append(time.perf_counter())
            appends.append(returned[-1] - start)
            subscription.wait_for(appended.position)
    latencies = [seen - known for seen, known in zip(handled, returned, strict=True)]
    print(f"\n{PUSHED} events, one at a time   p50 (ms)   p99 (ms)")
    for what, seconds in (("append, commit included", appends), ("commit to handler", latencies)):
        p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
        print(f"{what:30} {p50 * 1e3:6.2f} {p99 * 1e3:10.2f}")


def catch_up(database: Database, store: EventStore) -> None:
    event = DepositRecorded("account-1", Decimal("100.00"), "cashier-7")
    for number in range(LOGGED // 1000):
        store.append(f"account-{number % 40 + 2}", [event] * 1000)
    last = store.settled_position().settled
    rivals: dict[str, Callable[[], object]] = {
        "bare SELECT": lambda: select(store, lambda row: row),
        "SELECT, decoded": lambda: select(store, store.types.record),
        "subscription": lambda: subscribe(database, store, last),
    }
    seconds: dict[str, list[float]] = {what: [] for what in rivals}
    for _ in range(ROUNDS):
        for what, run in rivals.items():
            start = time.perf_counter()
            run()
            seconds[what].append(time.perf_counter() - start)
    medians = {what: statistics.median(taken) for what, taken in seconds.items()}
    print("\ncatching up       events/s   beside a bare SELECT")
    for what, median in medians.items():
        print(f"{what:15} {(LOGGED + PUSHED) / median:10.0f} {medians['bare SELECT'] / median:12.2f}")


def select(store: EventStore, record: Callable[[Sequence], object]) -> None:
    with store.connection.transaction(), store.connection.cursor("bare", row_factory=lambda _: record) as cursor:
        cursor.execute(RECORDED + "events ORDER BY position", binary=True)
        while cursor.fetchmany(500):
            pass


def subscribe(database: Database, store: EventStore, last: int) -> None:
    with Subscription(uuid4().hex, lambda: connect(database), store.types, lambda *_: None) as subscription:
        subscription.wait_for(last, timeout=60)


if __name__ == "__main__":
    main()
