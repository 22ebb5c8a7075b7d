"""What growth costs: `python -m tests.benchmark.growth [EVENTS ...]`, by default 10,000, a million and ten million.

Two stores grow side by side on the embedded server, or the one at DATABASE_URL: one with the table as create_schema
makes it, one with the same table in hash partitions by stream. Streams have 100 events, and grow at the same time, as
they would in life: the events of one stream lie far apart. At each size, appends of one event and reads of a stream
hit streams at random, in both stores in turn. It writes growth.json and growth.md into .benchmark/.

Ten million events twice are about 9 GB, and take some ten minutes.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import psycopg
from tqdm import tqdm

from eventstore import EventStore
from tests.benchmark.place import Place, describe, new_place
from tests.benchmark.stores.client import deposit
from workshop.bank import event_types
from workshop.files import CHECKOUT
from workshop.server.database import server_url

SIZES = (10_000, 1_000_000, 10_000_000)
STREAM = 100  # events of each stream
PARTITIONS = 16
ROUNDS, CALLS = 15, 40  # of each measurement; a round is the median of its calls
STORES = {"one table": 0, f"{PARTITIONS} partitions": PARTITIONS}


def main() -> None:
    sizes = [int(size.replace(",", "")) for size in sys.argv[1:]] or list(SIZES)
    results = grow(server_url(), sizes)
    folder = CHECKOUT / ".benchmark"
    folder.mkdir(exist_ok=True)
    (folder / "growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "growth.md").write_text(markdown(results), encoding="utf-8")
    print(markdown(results))


def grow(server: str, sizes: list[int], rounds: int = ROUNDS, calls: int = CALLS) -> dict[str, Any]:
    """Let the stores grow from size to size, and measure them at each.

    Args:
        server: the URL of a PostgreSQL server.
        sizes: numbers of events, rising, multiples of 100.
        rounds: how often each thing is measured.
        calls: how many calls a round has.

    Returns:
        What is known about it, ready for JSON: for each size and store the events a second, and megabytes.
    """
    with new_place(server) as place:
        about = describe(place)
        stores = {name: new_store(place, partitions) for name, partitions in STORES.items()}
        versions: dict[str, dict[str, int]] = {name: {} for name in stores}
        measured: list[dict[str, Any]] = []
        streams = 0
        with tqdm(total=sizes[-1] * len(stores), unit="events", unit_scale=True, disable=None) as bar:
            for size in sizes:
                fill([store.connection for store in stores.values()], streams, size // STREAM, bar)
                streams = size // STREAM
                measured.append({"events": size, "stores": measure(stores, versions, streams, rounds, calls)})
    return {"about": about, "stream": STREAM, "sizes": measured}


def new_store(place: Place, partitions: int) -> EventStore:
    """Return a store in a schema of its own; with partitions, the package's own table is made with them."""
    url = place.schema(f"growth_{partitions}")
    connection = psycopg.connect(url, autocommit=True)
    if partitions:
        table = files("eventstore").joinpath("schema", "20_events.sql").read_text(encoding="utf-8").rstrip().rstrip(";")
        connection.execute(f"{table} PARTITION BY HASH (stream_id)")  # type: ignore[arg-type]
        for number in range(partitions):
            connection.execute(
                f"CREATE TABLE events_{number} PARTITION OF events"  # type: ignore[arg-type]
                f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
            )
    store = EventStore(connection, event_types())
    store.create_schema()
    return store


def fill(connections: list[psycopg.Connection], first: int, last: int, bar: tqdm) -> None:
    """Add streams to each of the stores, all of them growing at the same time."""
    for connection in connections:
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "INSERT INTO streams (id, version)"
            " SELECT 'account-' || n, %s::int FROM generate_series(%s::int, %s::int) n",
            (STREAM, first + 1, last),
        )
    for version in range(1, STREAM + 1):
        for connection in connections:  # in turn, so that the machine's memory holds as much of one as of the other
            connection.execute(
                "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
                " SELECT 'account-' || n, %s::int, gen_random_uuid(), 'DepositRecorded',"
                " jsonb_build_object('account_id', 'account-' || n, 'amount', '100.00', 'cashier_id', 'cashier-7'),"
                " '{}', clock_timestamp() FROM generate_series(%s::int, %s::int) n",
                (version, first + 1, last),
            )
            bar.update(last - first)
    for connection in connections:
        connection.execute("SET synchronous_commit = on")
        connection.execute("VACUUM (ANALYZE) events")  # what autovacuum would do meanwhile
    connections[0].execute("CHECKPOINT")  # so that what was filled is not written while it is measured
    for connection in connections:
        connection.execute("SELECT count(recorded_at) FROM events")  # reads every page once


def measure(
    stores: dict[str, EventStore], versions: dict[str, dict[str, int]], streams: int, rounds: int, calls: int
) -> dict[str, dict[str, Any]]:
    """Measure the stores in turn; the first round warms up, and does not count.

    Args:
        versions: for each store, the versions of the streams that were appended to.
    """

    def append(name: str, stream_id: str) -> None:
        version = versions[name].get(stream_id, STREAM)
        appended = stores[name].append(stream_id, [deposit(stream_id)], expected_version=version)
        versions[name][stream_id] = appended.version

    def read(name: str, stream_id: str) -> None:
        assert len(stores[name].read_stream(stream_id, to_version=STREAM)) == STREAM

    rates: dict[str, dict[str, list[float]]] = {name: {"append": [], "read": []} for name in stores}
    chance = random.Random(streams)
    for number in range(-1, rounds):
        picked = [f"account-{chance.randint(1, streams)}" for _ in range(calls)]
        for name in sorted(stores, reverse=number % 2 == 0):
            for task, events, call in (("append", 1, append), ("read", STREAM, read)):
                rate = events / median_seconds(call, name, picked)
                if number >= 0:
                    rates[name][task].append(rate)
    return {
        name: {task: statistics.median(each) for task, each in rates[name].items()}
        | {"megabytes": megabytes(store.connection)}
        for name, store in stores.items()
    }


def median_seconds(call: Callable[[str, str], None], name: str, picked: list[str]) -> float:
    taken = []
    for stream_id in picked:
        start = time.perf_counter()
        call(name, stream_id)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def megabytes(connection: psycopg.Connection) -> float:
    """Return what the events take on the disk, with their indexes, in all partitions."""
    row = connection.execute(
        "SELECT sum(pg_total_relation_size(part)) / 1e6 FROM (SELECT 'events'::regclass UNION ALL"
        " SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass) AS parts (part)"
    ).fetchone()
    return float(row[0])  # type: ignore[index]


def markdown(results: dict[str, Any]) -> str:
    """Return the results as a table."""
    lines = [
        f"Streams of {results['stream']} events, hit at random. Events a second: more is better.",
        "",
        "| events | store | append 1 | read a stream | MB |",
        "| ---: | --- | ---: | ---: | ---: |",
    ]
    for size in results["sizes"]:
        for name, cell in size["stores"].items():
            numbers = " | ".join(f"{cell[what]:,.0f}" for what in ("append", "read", "megabytes"))
            lines.append(f"| {size['events']:,} | {name} | {numbers} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
