"""What an append costs beside the bare INSERT of the same rows: `python -m tests.benchmark.append [URL]`.

Both write to tables with the same columns and indexes, through psycopg, each on an autocommit connection of its own,
in turn, so that a busy moment of the machine hits both. The bare INSERT has no stream to lock, no version to check and
no event to encode: its JSON is ready. It is the limit, not a rival.
"""

import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import psycopg

from eventstore import EventStore, EventTypes
from tests.bank import DepositRecorded
from tests.benchmark.scratch import scratch_database

STREAM_LENGTH = 20  # appends to one stream before the next one begins


def main() -> None:
    with scratch_database() as database:
        store = EventStore(database.connection, EventTypes(DepositRecorded))
        database.connection.prepare_threshold = 5  # psycopg's own default
        store.create_schema()
        bare = database.connect()
        bare.prepare_threshold = 5
        bare.execute("CREATE TABLE bare (LIKE events INCLUDING ALL)")
        print(f"PostgreSQL {bare.info.server_version // 10000}, medians of the rounds, kit and bare INSERT in turn")
        print("events   kit (µs)   bare (µs)   bare / kit")
        for batch, rounds in ((1, 3000), (100, 400)):
            kit, limit = measure(rounds, batch, append_to(store), insert_into(bare))
            print(f"{batch:6} {kit * 1e6:10.0f} {limit * 1e6:11.0f} {limit / kit:12.2f}")


Writer = Callable[[str, int, int], None]  # stream id, version before, number of events


def append_to(store: EventStore) -> Writer:
    event = DepositRecorded("account-1", Decimal("100.00"), "cashier-7")

    def append(stream_id: str, version: int, batch: int) -> None:
        store.append(stream_id, [event] * batch, expected_version=version)

    return append


def insert_into(connection: psycopg.Connection) -> Writer:
    data = '{"account_id": "account-1", "amount": "100.00", "cashier_id": "cashier-7"}'
    columns = "stream_id, version, id, type, data, metadata, recorded_at"
    row = "(%s, %s, %s, 'DepositRecorded', %s, '{}', clock_timestamp())"

    def insert(stream_id: str, version: int, batch: int) -> None:
        values = [value for n in range(1, batch + 1) for value in (stream_id, version + n, uuid4(), data)]
        connection.execute(f"INSERT INTO bare ({columns}) VALUES {', '.join([row] * batch)}", values)

    return insert


def measure(rounds: int, batch: int, *writers: Writer) -> list[float]:
    """Return the median seconds of a call of each writer."""
    seconds: list[list[float]] = [[] for _ in writers]
    for number in range(rounds):
        version = number % STREAM_LENGTH * batch
        for writer, taken in zip(writers, seconds, strict=True):
            start = time.perf_counter()
            writer(f"account-{batch}-{number // STREAM_LENGTH}", version, batch)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    main()
