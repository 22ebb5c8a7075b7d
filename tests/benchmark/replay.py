"""What a snapshot saves: the time to the state of a stream, `python -m tests.benchmark.replay [URL]`.

One stream of each length is folded whole, and from its snapshot. The snapshot is the one that a reader with every=100
left, and the tail behind it has 50 events, as it has on average. Both reads take turns, so that a busy moment of the
machine hits both. The last column is the one read that found no snapshot, and kept one.
"""

import statistics
import time
from collections.abc import Callable

from eventstore import EventStore, aggregate_stream, aggregate_with_snapshots
from tests.benchmark.scratch import scratch_database
from workshop.bank import BankAccount, event_types, evolve

LENGTHS = (100, 1_000, 10_000, 100_000)
EVERY, TAIL = 100, 50


def main() -> None:
    with scratch_database() as database:
        store = EventStore(database.connection, event_types())
        store.create_schema()
        print(f"PostgreSQL {database.connection.info.server_version // 10000}, medians, both reads in turn")
        print("events   whole (ms)   from a snapshot (ms)   times faster   first read, keeps it (ms)")
        for length in LENGTHS:
            whole, snapshot, first = measure(store, length)
            print(f"{length:6} {whole * 1e3:12.2f} {snapshot * 1e3:22.2f} {whole / snapshot:14.1f} {first * 1e3:27.2f}")


def measure(store: EventStore, length: int) -> tuple[float, float, float]:
    """Return the seconds of a whole replay, of a read from a snapshot, and of the read that keeps the snapshot."""
    stream_id = f"account-{length}"
    fill(store, stream_id, 1, length - TAIL)
    store.execute("ANALYZE")

    def whole() -> object:
        return aggregate_stream(store, stream_id, BankAccount(), evolve)

    def snapshot(every: int = EVERY) -> object:
        return aggregate_with_snapshots(store, stream_id, BankAccount(), evolve, every=every)

    whole()  # the cache is warm for all of them
    first = seconds(lambda: snapshot(every=1))  # also of the shortest stream, to compare like with like
    fill(store, stream_id, length - TAIL + 1, length)
    assert snapshot() == whole(), "a snapshot must change nothing but time"
    rounds = max(3, min(200, 100_000 // length))
    pairs = [(seconds(whole), seconds(snapshot)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), first


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def fill(store: EventStore, stream_id: str, first: int, last: int) -> None:
    """Store deposits of 1.00 as these versions of a stream: in one statement, as a backup would be restored."""
    store.execute(
        "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
        " SELECT %(id)s, n, gen_random_uuid(), 'DepositRecorded',"
        " jsonb_build_object('account_id', %(id)s::text, 'amount', '1.00', 'cashier_id', 'cashier-7'), '{}',"
        " clock_timestamp() FROM generate_series(%(first)s::bigint, %(last)s) AS n ORDER BY n",
        {"id": stream_id, "first": first, "last": last},
    )
    store.execute(
        "INSERT INTO streams (id, version) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET version = excluded.version",
        (stream_id, last),
    )


if __name__ == "__main__":
    main()
