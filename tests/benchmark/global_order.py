"""What one order for the whole log costs those who append: `python -m tests.benchmark.global_order [URL]`.

Writers are processes, each with a connection and streams of its own; each appends one event a call, with the version it
expects, durably. Every design is the reference schema in a PostgreSQL schema of its own, with a function or two
replaced. Writers and PostgreSQL share the machine, and the designs take turns, so a busy moment hits all of them.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from uuid import uuid4

import psycopg

from eventstore import EventStore, EventTypes, Subscription
from tests.bank import DepositRecorded
from workshop.server.database import Database, server_url

WRITERS = (1, 4, 8)
ROUNDS = 15
SECONDS = 0.2  # for each design and number of writers, in each round
CALLS = 2_000  # of one writer that does not wait for the disk
STREAM_LENGTH = 20  # events in a stream before the next one begins
EVENT = (
    '[{"type": "DepositRecorded", "data": {"account_id": "account-1", "amount": "100.00", "cashier_id": "cashier-7"}}]'
)

APPEND = (files("eventstore") / "schema" / "40_append_to_stream.sql").read_text(encoding="utf-8")
ANNOUNCE = "    PERFORM announce_append();"
START = "\nBEGIN\n"


def replaced(*changes: tuple[str, str]) -> str:
    """Return append_to_stream with some of its lines replaced."""
    text = APPEND
    for was, becomes in changes:
        assert text.count(was) == 1, f"append_to_stream has changed: {was!r}"
        text = text.replace(was, becomes)
    return text


SILENT = (ANNOUNCE, "    --")
LOCK = "    PERFORM pg_advisory_xact_lock{}('events'::regclass::oid::bigint);\n"
NONE = "none: the log can skip events"
KEPT = "positions announced (kept)"
FOLLOWED = "one subscription that follows"
WOKEN = "a NOTIFY with every append"
DESIGNS = {
    NONE: replaced(SILENT),
    KEPT: APPEND,
    "horizon of transaction ids": replaced(SILENT)
    + """;
        ALTER TABLE events ADD COLUMN transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id();
        CREATE INDEX ON events (transaction_id, position);
        DROP INDEX events_position_idx;""",
    "shared lock, readers take it alone": replaced(SILENT, (START, START + LOCK.format("_shared"))),
    "lock around every append": replaced(SILENT, (START, START + LOCK.format(""))),
}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else server_url()
    name = f"benchmark_{uuid4().hex[:8]}"
    databases = {design: Database(url, f"{name}_{n}") for n, design in enumerate([*DESIGNS, FOLLOWED, WOKEN])}
    started = time.monotonic()
    try:
        for design, database in databases.items():
            database.reset()
            EventStore(database.connection, EventTypes()).create_schema()
            database.execute(DESIGNS.get(design, APPEND))
        with follower(databases[FOLLOWED]), sleeper(databases[WOKEN]), processes(url) as writers:
            run(writers, [database.schema for database in databases.values()], rounds=1, seconds=0.1)  # to warm up
            rates = run(writers, [database.schema for database in databases.values()], ROUNDS, SECONDS)
        report(dict(zip(databases, rates.values(), strict=True)), databases[KEPT].connection)
        none, kept = cost(databases[NONE], databases[KEPT])
        print(f"\nOne writer, not waiting for the disk: {none * 1e6:.0f} µs, announced {kept * 1e6:.0f} µs an append.")
        print(f"\nIn all {time.monotonic() - started:.0f} s.")
    finally:
        for database in databases.values():
            database.drop()


# ------------------------------------------------------------------------------------------------------------ measuring

Rates = dict[str, dict[int, list[float]]]  # of a schema, with a number of writers: events a second in each round


def run(writers: list[Connection], schemas: list[str], rounds: int, seconds: float) -> Rates:
    taken: Rates = {schema: {n: [] for n in WRITERS} for schema in schemas}
    for turn in range(rounds):
        for count in WRITERS:
            for schema in schemas[turn % len(schemas) :] + schemas[: turn % len(schemas)]:
                start = time.monotonic() + 0.02
                for writer in writers[:count]:
                    writer.send((schema, start, start + seconds))
                appended = sum(writer.recv() for writer in writers[:count])
                taken[schema][count].append(appended / seconds)
    return taken


@contextmanager
def processes(url: str) -> Iterator[list[Connection]]:
    """Start the writers, and give a pipe to each."""
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(max(WRITERS))]
    started = [context.Process(target=write, args=(url, theirs), daemon=True) for _, theirs in pipes]
    for process in started:
        process.start()
    ours = [pipe for pipe, _ in pipes]
    try:
        for pipe in ours:
            assert pipe.recv() == "ready"
        yield ours
    finally:
        for pipe in ours:
            pipe.send(None)
        for process in started:
            process.join()


def write(url: str, pipe: Connection) -> None:
    """Append in the schema, and for the time, that the pipe tells; answer with how many events."""
    connections: dict[str, psycopg.Connection] = {}
    pipe.send("ready")
    while task := pipe.recv():
        schema, start, end = task
        if schema not in connections:
            connections[schema] = psycopg.connect(url, autocommit=True)
            connections[schema].execute("SELECT set_config('search_path', %s, false)", (schema,))
        cursor = connections[schema].cursor()
        appended, prefix = 0, f"account-{uuid4()}"
        time.sleep(max(0.0, start - time.monotonic()))
        while time.monotonic() < end:
            append(cursor, prefix, appended)
            appended += 1
        pipe.send(appended)


def append(cursor: psycopg.Cursor, prefix: str, number: int) -> None:
    """Append an event: the first ones to one stream, then to the next."""
    stream, version = divmod(number, STREAM_LENGTH)
    query = "SELECT version, position FROM append_to_stream(%s, %s, %s)"
    cursor.execute(query, (f"{prefix}-{stream}", version, EVENT))


def cost(*databases: Database) -> list[float]:
    """Return the median seconds of a call in each, in turn."""
    seconds: list[list[float]] = [[] for _ in databases]
    cursors = [database.connect(synchronous_commit="off").cursor() for database in databases]
    for cursor in cursors:
        cursor.connection.prepare_threshold = 5
    for number in range(CALLS):
        for cursor, taken in zip(cursors, seconds, strict=True):
            start = time.perf_counter()
            append(cursor, "cost", number)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


@contextmanager
def follower(database: Database) -> Iterator[None]:
    """Have a subscription that reads every event, and does nothing about it."""
    with Subscription("follower", database.connect, EventTypes(DepositRecorded), lambda *_: None):
        yield


@contextmanager
def sleeper(database: Database) -> Iterator[None]:
    """Have somebody who is told of every append, as if it slept all the time."""
    database.execute("INSERT INTO subscriptions (name, asleep) VALUES ('sleeper', true)")
    listener = database.connect()
    (channel,) = listener.execute("SELECT events_channel()").fetchone()  # type: ignore[misc]
    listener.execute(f'LISTEN "{channel}"')
    over: list[bool] = []

    def listen() -> None:
        while not over:
            for _ in listener.notifies(timeout=0.2):
                pass

    thread = Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        over.append(True)
        thread.join()


# ------------------------------------------------------------------------------------------------------------ reporting


def report(rates: Rates, connection: psycopg.Connection) -> None:
    def setting(name: str) -> str:
        return connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]  # type: ignore[index]

    print(
        f"PostgreSQL {connection.info.server_version // 10000}, fsync {setting('fsync')}, synchronous_commit "
        f"{setting('synchronous_commit')}. Events appended a second, one a call; writers are processes;\n"
        f"medians of {ROUNDS} rounds of {SECONDS:g} s each, in turn; beside them the share of the first line's."
    )
    table({design: rates[design] for design in DESIGNS}, "Design")
    table({design: rates[design] for design in (KEPT, FOLLOWED, WOKEN)}, "Push")


def table(rates: Rates, title: str) -> None:
    heading = [f"{n} writer{'s' * (n > 1)}" for n in WRITERS]
    print(f"\n| {title} | {' | '.join(heading)} |\n|:--|{'--:|' * len(WRITERS)}")
    first = next(iter(rates.values()))
    for design, by in rates.items():
        cells = []
        for n in WRITERS:
            share = statistics.median(rate / of for rate, of in zip(by[n], first[n], strict=True))
            cells.append(f"{statistics.median(by[n]):,.0f} ({share:.0%})")
        print(f"| {design} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
