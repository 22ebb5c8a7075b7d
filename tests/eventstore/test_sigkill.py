"""A server that is killed in the middle of appends: what was acknowledged is there, and nothing is there in part."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg

from eventstore import EventStore, EventTypes
from tests import bank
from tests.bank import deposits

WRITERS = 4
STREAMS = 3


def write_until_the_server_is_gone(store, number, enough):
    """Append batches; return those that were acknowledged, and how the last one ended."""
    choose = random.Random(number)
    acknowledged = {}
    try:
        while True:
            batch, size = f"{number}-{len(acknowledged)}", choose.randint(1, 20)
            stream_id = f"account-{choose.randrange(STREAMS)}"
            end = store.append(stream_id, deposits(*range(size)), metadata={"batch": batch, "size": size})
            acknowledged[batch] = (stream_id, size, end)
            if len(acknowledged) == 25:
                enough.release()
    except psycopg.OperationalError as error:
        return acknowledged, error


def test_a_killed_server_keeps_each_acknowledged_append_and_no_part_of_another(server_of_its_own):
    types = EventTypes(*bank.EVENT_TYPES)
    with server_of_its_own.connect() as connection:
        EventStore(connection, types).create_schema()
    connections = [server_of_its_own.connect() for _ in range(WRITERS)]
    enough = threading.Semaphore(0)
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [
            pool.submit(write_until_the_server_is_gone, EventStore(connection, types), number, enough)
            for number, connection in enumerate(connections)
        ]
        in_time = all([enough.acquire(timeout=20) for _ in writers])
        time.sleep(0.1)
        server_of_its_own.kill()
        outcomes = [writer.result(timeout=30) for writer in writers]
    assert in_time, "the writers did not get under way"
    for connection in connections:
        connection.close()
    acknowledged = {batch: ack for acks, _ in outcomes for batch, ack in acks.items()}
    assert len(acknowledged) >= 25 * WRITERS

    server_of_its_own.start()

    with server_of_its_own.connect() as connection:
        store = EventStore(connection, types)
        stored = Counter()
        for stream_id in (f"account-{number}" for number in range(STREAMS)):
            recorded = store.read_stream(stream_id)
            assert [each.version for each in recorded] == list(range(1, len(recorded) + 1)), "a gap"
            assert store.stream_info(stream_id).version == len(recorded)
            sizes = Counter((each.metadata["batch"], each.metadata["size"]) for each in recorded)
            assert all(count == size for (_, size), count in sizes.items()), "a batch is there in part"
            stored.update(batch for batch, _ in sizes)
            for batch, (stream, size, end) in acknowledged.items():
                if stream == stream_id:
                    assert sizes[batch, size] == size, f"the acknowledged batch {batch} is lost"
                    mine = recorded[end.version - size : end.version]
                    assert {each.metadata["batch"] for each in mine} == {batch}
                    assert mine[-1].position == end.position
        assert set(stored.values()) == {1}, "a batch is in two streams"
        unanswered = len(stored) - len(acknowledged)
        assert 0 <= unanswered <= WRITERS, "more was stored than was ever tried"
        assert connection.execute("SELECT count(*) FROM streams").fetchone() == (STREAMS,)
        total = connection.execute("SELECT sum(version) FROM streams").fetchone()[0]
        assert connection.execute("SELECT count(*) FROM events").fetchone()[0] == total
        after = store.append("account-0", deposits(1))
        assert after.position > max(end.position for _, _, end in acknowledged.values())
