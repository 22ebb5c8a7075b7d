"""What growth costs: `python -m tests.benchmark.growth [EVENTS ...]`, by default 10,000, a million and ten million.

Two stores grow side by side on the embedded server, or the one at DATABASE_URL: one with the table as create_schema
makes it, one with the same table in hash partitions by stream. Streams have 100 events, and grow at the same time, as
they would in life: the events of one stream lie far apart. At each size, appends of one event and reads of a stream
hit streams at random, in both stores in turn; and so do a bare INSERT and SELECT, the limit, in the same tables, on
streams that the kit leaves alone. It writes growth.json and growth.md into .benchmark/.

Ten million events twice are about 9 GB, and take some ten minutes.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

import psycopg
from tqdm import tqdm

from tests.benchmark.place import Place, describe, new_place
from tests.benchmark.stores.client import Client, deposit
from tests.benchmark.stores.kit import Kit
from tests.benchmark.stores.limit import Limit
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
        What is known about it, ready for JSON: for each size and store the events a second, which share of the limit
        that is, and megabytes.
    """
    with new_place(server) as place:
        about = describe(place)
        clients = {name: new_clients(place, partitions) for name, partitions in STORES.items()}
        connections = [kit.store.connection for kit, _ in clients.values()]
        versions: dict[tuple[str, str], int] = {}
        measured: list[dict[str, Any]] = []
        streams = 0
        with tqdm(total=sizes[-1] * len(clients), unit="events", unit_scale=True, disable=None) as bar:
            for size in sizes:
                fill(connections, streams, size // STREAM, bar)
                streams = size // STREAM
                measured.append({"events": size, "stores": measure(clients, versions, streams, rounds, calls)})
    return {"about": about, "stream": STREAM, "sizes": measured}


def new_clients(place: Place, partitions: int) -> tuple[Kit, Limit]:
    """Return a store in a schema of its own, and the limit there; with partitions, the package's own table is made with
    them."""
    url = place.schema(f"growth_{partitions}")
    kit = Kit({"url": url})
    connection = kit.store.connection
    if partitions:
        table = files("eventstore").joinpath("schema", "20_events.sql").read_text(encoding="utf-8").rstrip().rstrip(";")
        connection.execute(f"{table} PARTITION BY HASH (stream_id)")  # type: ignore[arg-type]
        for number in range(partitions):
            connection.execute(
                f"CREATE TABLE events_{number} PARTITION OF events"  # type: ignore[arg-type]
                f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
            )
    kit.store.create_schema()
    return kit, Limit({"url": url})


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
    clients: dict[str, tuple[Kit, Limit]],
    versions: dict[tuple[str, str], int],
    streams: int,
    rounds: int,
    calls: int,
) -> dict[str, dict[str, Any]]:
    """Measure the stores in turn, each beside the limit; the first round warms up, and does not count.

    Args:
        versions: by store and id, those of the streams that were appended to.
    """

    def append(name: str, client: Client, stream_id: str) -> int:
        version = versions.get((name, stream_id), STREAM)
        client.append_events(stream_id, [deposit(stream_id)], version)
        versions[name, stream_id] = version + 1
        return 1

    def read(name: str, client: Client, stream_id: str) -> int:
        return len(client.read_stream(stream_id))

    rates: dict[str, dict[str, list[tuple[float, ...]]]] = {name: {"append": [], "read": []} for name in clients}
    chance = random.Random(streams)
    for number in range(-1, rounds):
        # Streams with an odd number are the kit's, the others the limit's: neither warms what the other one reads. For
        # neighbours lie on the same pages, each has its own choice.
        picked = [[f"account-{chance.randrange(first, streams + 1, 2)}" for _ in range(calls)] for first in (1, 2)]
        for name in sorted(clients, reverse=number % 2 == 0):
            for task, call in (("append", append), ("read", read)):
                rate = [0.0, 0.0]
                for who in (0, 1) if number % 4 < 2 else (1, 0):
                    rate[who] = events_a_second(partial(call, name, clients[name][who]), picked[who])
                if number >= 0:
                    rates[name][task].append(tuple(rate))
    return {
        name: {task: statistics.median(kit for kit, _ in pairs) for task, pairs in each.items()}
        | {f"{task}, of the limit": statistics.median(kit / limit for kit, limit in each[task]) for task in each}
        | {"megabytes": megabytes(clients[name][0].store.connection)}
        for name, each in rates.items()
    }


def events_a_second(call: Callable[[str], int], picked: list[str]) -> float:
    """Return the median of calls; each returns how many events it has handled."""
    taken = []
    for stream_id in picked:
        start = time.perf_counter()
        events = call(stream_id)
        taken.append((time.perf_counter() - start) / events)
    return 1 / statistics.median(taken)


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
        f"Streams of {results['stream']} events, hit at random. Events a second: more is better. The limit is a bare",
        "INSERT or SELECT in the same table; the median of the rounds' ratios.",
        "",
        "| events | store | append 1 | of the limit | read a stream | of the limit | MB |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in results["sizes"]:
        for name, cell in size["stores"].items():
            numbers = [f"{cell[task]:,.0f} | {cell[f'{task}, of the limit']:.0%}" for task in ("append", "read")]
            lines.append(f"| {size['events']:,} | {name} | {' | '.join(numbers)} | {cell['megabytes']:,.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
