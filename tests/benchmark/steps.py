"""Where the time of an append and of a read goes: `python -m tests.benchmark.steps [URL]`.

An append is measured as a program sees it, and then in the server alone, where no other process disturbs: whole, and
with one of its steps left out; what it is faster by is the price of that step. The disk is left out, too: with
synchronous_commit = off nobody waits for a flush, which costs the same with and without a step. A read is measured from
the bare SELECT upwards, one step more each time.
"""

import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files

import psycopg

from eventstore import EventStore
from eventstore.log import RECORDED
from tests.benchmark.rows import history
from tests.benchmark.scratch import scratch_database
from workshop.bank import DepositRecorded, event_types
from workshop.server.database import Database

ROUNDS, CALLS = 60, 50
STREAM_LENGTH = 20  # appends to one stream before the next one begins
READ = 1_000  # events

FUNCTION = files("eventstore").joinpath("schema", "40_append_to_stream.sql").read_text(encoding="utf-8")
LEFT_OUT = {
    "the stream's row: lock and version": (
        "    IF expected_version > 0", "    IF archived IS NOT NULL", "    actual := expected_version;\n"
    ),
    "the clock under the lock": ("    SELECT greatest(", "    PERFORM announce", "    stamp := clock_timestamp();\n"),
    "announcing the position, for readers of the log": ("    PERFORM announce", "    RETURN QUERY\n    WITH", ""),
    "looking for subscribers to wake": ("    PERFORM notify", "END\n$$;", ""),
}  # fmt: skip

INSERT = """
    INSERT INTO bare (stream_id, version, id, type, data, metadata, recorded_at)
    SELECT %s, %s + n, gen_random_uuid(), event ->> 'type', event -> 'data', '{}', clock_timestamp()
    FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (event, n)
"""
CALL = "PERFORM append_to_stream(%s, %s, %s, '{}')"
# One after the other, each in a transaction of its own.
LOOP = """
    DO $$ BEGIN
        FOR turn IN 0..{last} LOOP
            {statement};
            COMMIT;
        END LOOP;
    END $$
"""
EVENT = DepositRecorded("account-1", Decimal("100.00"), "cashier-7")
JSON = (
    '[{"type": "DepositRecorded", "data": {"account_id": "account-1", "amount": "100.00", "cashier_id": "cashier-7"}}]'
)


def main() -> None:
    with scratch_database() as database:
        store = EventStore(connect(database), event_types())
        store.create_schema()
        appends(database, store)
        reads(store)


def connect(database: Database) -> psycopg.Connection:
    connection = database.connect(synchronous_commit="off")
    connection.prepare_threshold = 5  # psycopg's own default
    return connection


def appends(database: Database, store: EventStore) -> None:
    bare = connect(database)
    bare.execute("CREATE TABLE bare (LIKE events INCLUDING ALL)")
    seen = in_turn({
        "insert": lambda label: bare.execute(INSERT, (*place(label), JSON)),
        "append": lambda label: store.append(place(label)[0], [EVENT], expected_version=place(label)[1]),
    })  # fmt: skip
    print(f"append 1 event, without the flush: {seen['append']:.0f} µs; a bare INSERT: {seen['insert']:.0f} µs.")

    rivals = {"bare": in_a_loop(bare, INSERT), "whole": in_a_loop(with_function(database, 0, FUNCTION), CALL)}
    for number, (step, (begins, ends, instead)) in enumerate(LEFT_OUT.items(), 1):
        a, b = FUNCTION.index(begins), FUNCTION.index(ends, FUNCTION.index(begins))
        rivals[step] = in_a_loop(with_function(database, number, FUNCTION[:a] + instead + FUNCTION[b:]), CALL)
    micros = {name: taken / CALLS for name, taken in in_turn(rivals, calls=1).items()}
    for number in range(len(LEFT_OUT) + 1):
        database.execute(f"DROP SCHEMA {database.schema}_{number} CASCADE")
    print(f"In the server alone: {micros['whole']:.0f} µs; a bare INSERT: {micros['bare']:.0f} µs. Of these")
    for step in LEFT_OUT:
        print(f"{micros['whole'] - micros[step]:6.0f} µs  {step}")


def place(label: tuple[str, int]) -> tuple[str, int]:
    """Return to which stream a call appends, and at which version that is."""
    return f"{label[0]}-{label[1] // STREAM_LENGTH}", label[1] % STREAM_LENGTH


def with_function(database: Database, number: int, function: str) -> psycopg.Connection:
    """Return a connection where append_to_stream is another function, and all else is as it is."""
    connection = connect(database)
    schema = f"{database.schema}_{number}"
    connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[arg-type]
    connection.execute(f"SET search_path = {schema}, {database.schema}")  # type: ignore[arg-type]
    connection.execute(function.encode())
    return connection


def in_a_loop(connection: psycopg.Connection, statement: str) -> Callable[[tuple[str, int]], object]:
    """Return what runs a statement in the server, again and again, with another place each time."""

    def run(label: tuple[str, int]) -> object:
        where = (f"'{label[0]}-' || turn / {STREAM_LENGTH}", f"turn % {STREAM_LENGTH}", f"'{JSON}'::jsonb")
        return connection.execute(LOOP.format(last=CALLS - 1, statement=statement.replace("%s::jsonb", "%s") % where))

    return run


def reads(store: EventStore) -> None:
    store.append("account-1", history("account-1", READ))
    select = RECORDED + "events WHERE stream_id = %s ORDER BY version"

    def rows(query: str) -> list[tuple]:
        return store.connection.cursor(binary=True).execute(query, ("account-1",)).fetchall()

    plain = RECORDED.replace(" uuid_send(id),", "").replace(", recorded_at", "")
    decode = {name: reader for name, reader in store.types._readers.items()}
    micros = in_turn({
        "bare SELECT, without ids and moments": lambda _: rows(plain + "events WHERE stream_id = %s ORDER BY version"),
        "ids, and moments as datetime": lambda _: rows(select),
        "JSON into events": lambda _: [(row, decode[row[4]](row[5])) for row in rows(select)],
        "RecordedEvents, by read_stream": lambda _: store.read_stream("account-1"),
    }, calls=3)  # fmt: skip
    print(f"\nread a stream of {READ:,} events: {micros['RecordedEvents, by read_stream']:.0f} µs. Of these")
    before = 0.0
    for step, taken in micros.items():
        print(f"{taken - before:6.0f} µs  {step}")
        before = taken


def in_turn(rivals: dict[str, Callable[[tuple[str, int]], object]], calls: int = CALLS) -> dict[str, float]:
    """Return the microseconds of a call of each, the median of the rounds; the first rounds warm up."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(-3, ROUNDS):
        for name, call in rivals.items():
            start = time.perf_counter()
            for n in range(calls):
                call((f"{name[:8]}-{number}", n))
            if number >= 0:
                taken[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}


if __name__ == "__main__":
    main()
