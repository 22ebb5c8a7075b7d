"""G11: a subscriber hears of a new event without polling, and finds its way back when its connection is lost."""

import random
import threading
import time
from functools import partial
from itertools import chain, repeat

import psycopg
import pytest

from eventstore import EventStore
from tests.bank import deposits
from tests.concurrency import at_once
from tests.subscribing import (
    Deliveries,
    Notes,
    backends,
    checkpoint,
    eventually,
    last_position,
    logged,
    look_again,
    parked,
    subscription,
)
from workshop.bank import event_types

from .unreliable_network import UnreliableNetwork


def asleep(observer, reader, calm=0.05):
    """Return the one process of a subscription once it has done nothing for so many seconds."""

    def is_calm():
        before = backends(observer, reader)
        time.sleep(calm)
        return [row[1] for row in before] == ["idle"] and backends(observer, reader) == before

    eventually(is_calm)
    return backends(observer, reader)[0]


# Pushed


def test_while_idle_nothing_is_sent_to_the_server(store, connect):
    observer = connect()
    store.append("account-1", deposits(1))
    notes = Notes()
    with subscription(connect, notes) as reader:
        reader.wait_for(1)
        before = asleep(observer, reader, calm=0.3)
        time.sleep(1.5)  # what is looked for is what does not happen in this time
        assert backends(observer, reader) == [before], "something was sent while there was nothing to do"
        store.append("account-1", deposits(2))
        reader.wait_for(2)
        assert asleep(observer, reader) != before, "this test could not have seen it"
    assert notes.positions == [1, 2]


def test_who_sleeps_until_the_bell_rings_misses_none(store, connect, new_store, follow):
    """One event comes right after a look, one while it sleeps, and then several at once."""
    reader, seen, stop = new_store(), [], threading.Event()
    reader.execute("INSERT INTO subscriptions (name, asleep) VALUES ('mine', true)")
    (channel,) = reader.execute("SELECT events_channel()").fetchone()

    def step():
        found = reader.read_all(after=len(seen), limit=1)
        seen.extend(recorded.position for recorded in found)
        if not found and not seen and not stop.is_set() and not store.stream_info("account-1"):
            store.append("account-1", deposits(1))
        return bool(found)

    thread = threading.Thread(target=follow, args=(connect(), channel, step, stop.is_set), daemon=True)
    thread.start()
    try:
        eventually(lambda: seen == [1], within=3)
        time.sleep(0.1)  # it sleeps
        store.append("account-1", deposits(2))
        eventually(lambda: seen == [1, 2], within=3)
        store.append("account-1", deposits(3, 4, 5))
        eventually(lambda: seen == [1, 2, 3, 4, 5], within=3)
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive(), "it was told to end, and goes on"


def test_others_notifications_and_appends_that_are_rolled_back_do_not_keep_it_awake(store, connect, new_store):
    observer, writer = connect(), new_store()
    with subscription(connect, Notes()) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        writer.execute("BEGIN")
        writer.append("account-1", deposits(2))
        store.append("account-2", deposits(3))  # wakes it, and it is held back
        look_again(observer, reader)
        writer.execute("ROLLBACK")
        reader.wait_for(3)
        before = asleep(observer, reader, calm=0.3)
        writer.execute("BEGIN")
        writer.append("account-1", deposits(2))
        writer.execute("ROLLBACK")
        store.execute("NOTIFY something_else; NOTIFY events")
        time.sleep(0.3)
        assert backends(observer, reader) == [before]


def test_an_append_from_another_connection_reaches_the_handler_at_once(store, connect, pytestconfig):
    notes = Notes()
    with subscription(connect, notes) as reader:
        store.append("account-1", deposits(0))
        reader.wait_for(1)
        delays = []
        for number in range(10):
            asleep(store.connection, reader)
            started = time.monotonic()
            store.append(f"account-{number}", deposits(number))
            notes.wait_for(number + 2)
            delays.append(time.monotonic() - started)
    assert max(delays) < 1, delays
    soon = 0.25 if pytestconfig.getoption("--distributed") else 0.05  # there, both sides ask several machines
    assert min(delays) < soon, f"this is no push: {delays}"


def test_each_reader_of_the_log_is_told(store, connect):
    notes = [Notes() for _ in range(3)]
    readers = [subscription(connect, each, f"reader-{number}") for number, each in enumerate(notes)]
    for reader in readers:
        reader.start()
    try:
        appended = store.append("account-1", deposits(1, 2))
        for reader, each in zip(readers, notes, strict=True):
            reader.wait_for(appended.position, timeout=1)
            assert each.positions == [1, 2]
    finally:
        for reader in readers:
            reader.stop()


def test_an_append_in_a_transaction_reaches_the_handler_when_that_commits_and_not_before(store, connect, new_store):
    notes, writer = Notes(), new_store(autocommit=False)
    with subscription(connect, notes) as reader:
        store.append("account-9", deposits(0))
        reader.wait_for(1)
        asleep(store.connection, reader)
        writer.append("account-1", deposits(1))
        writer.append("account-2", deposits(2))
        writer.append("account-1", deposits(3))
        assert notes.positions == [1]
        writer.connection.commit()
        notes.wait_for(4, timeout=1)
    assert notes.positions == [1, 2, 3, 4]


# Under way


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_an_append_that_was_under_way_when_the_first_subscription_began_is_not_missed(store, connect, new_store, ends):
    """It was written when nobody had subscribed, so its commit notifies nobody."""
    writer, notes = new_store(), Notes()
    writer.execute("BEGIN")
    writer.append("account-1", deposits(1))
    with subscription(connect, notes) as reader:
        look_again(store.connection, reader)
        assert notes.events == []
        writer.execute(ends)
        reader.wait_for(1, timeout=1)
        assert notes.positions == ([1] if ends == "COMMIT" else [])
        store.append("account-1", deposits(2))
        reader.wait_for(2, timeout=1)
    assert notes.positions == ([1, 2] if ends == "COMMIT" else [2])


def test_a_transaction_that_was_open_when_the_first_subscription_began_and_appends_later_is_not_missed(
    store, connect, new_store
):
    writer, notes = new_store(), Notes()
    writer.execute("BEGIN")
    writer.execute("SELECT count(*) FROM subscriptions")
    with subscription(connect, notes) as reader:
        eventually(lambda: backends(store.connection, reader))
        asleep(store.connection, reader)
        writer.append("account-1", deposits(1))
        writer.execute("COMMIT")
        reader.wait_for(1, timeout=2)
    assert notes.positions == [1]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_who_sees_the_past_wakes_a_reader_that_fell_asleep_since(store, connect, new_store, level):
    observer, writer, notes = connect(), new_store(), Notes()
    writer.execute(f"BEGIN ISOLATION LEVEL {level}")
    writer.execute("SELECT FROM subscriptions")
    with subscription(connect, notes) as reader:
        asleep(observer, reader)
        appended = writer.append("account-1", deposits(1))
        writer.execute("COMMIT")
        reader.wait_for(appended.position)
    assert notes.positions == [1]


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_an_append_that_an_older_open_one_holds_back_is_handled_after_that_one_ends(store, connect, new_store, ends):
    """A rollback notifies nobody."""
    older, notes = new_store(), Notes()
    with subscription(connect, notes) as reader:
        store.append("account-9", deposits(0))
        reader.wait_for(1)
        older.execute("BEGIN")
        older.append("account-1", deposits(1))
        store.append("account-2", deposits(2))
        look_again(store.connection, reader)
        assert notes.positions == [1] and checkpoint(store) == 1
        older.execute(ends)
        started = time.monotonic()
        reader.wait_for(3)
        assert time.monotonic() - started < 1
    assert notes.positions == ([1, 2, 3] if ends == "COMMIT" else [1, 3])


def test_a_writer_whose_connection_dies_holds_nobody_back(store, connect, new_store):
    older, notes = new_store(), Notes()
    with subscription(connect, notes) as reader:
        older.execute("BEGIN")
        older.append("account-1", deposits(1))
        store.append("account-2", deposits(2))
        look_again(store.connection, reader)
        store.execute("SELECT pg_terminate_backend(%s::int)", (older.connection.info.backend_pid,))
        reader.wait_for(2, timeout=2)
    assert notes.positions == [2]


# Lost connections


def test_a_connection_that_the_server_ends_is_made_again(store, connect, deliveries):
    with subscription(connect, deliveries.project) as reader:
        for number in range(1, 4):
            pid, *_ = asleep(store.connection, reader)
            assert store.execute("SELECT pg_terminate_backend(%s::int)", (pid,)).fetchone() == (True,)
            store.append("account-1", deposits(number))
            reader.wait_for(number, timeout=5)
    assert deliveries.delivered(store) == [1, 2, 3]


def test_whoever_stands_by_finds_its_way_back_too_and_still_takes_over(store, connect):
    one, other = Notes(), Notes()
    with subscription(connect, other) as second, subscription(connect, one) as first:
        store.append("account-1", deposits(1))
        eventually(lambda: checkpoint(store) == 1)
        working, standing_by = (first, second) if one.events else (second, first)
        ((pid, *_),) = backends(store.connection, standing_by)
        store.execute("SELECT pg_terminate_backend(%s::int)", (pid,))
        eventually(lambda: pid not in [row[0] for row in backends(store.connection, standing_by)])
        eventually(lambda: backends(store.connection, standing_by))
        working.stop()
        store.append("account-1", deposits(2))
        standing_by.wait_for(2, timeout=5)
    assert sorted(one.positions + other.positions) == [1, 2] and one.events and other.events


def test_a_connection_that_is_lost_in_the_middle_of_a_batch_undoes_it_and_it_comes_again(store, connect, deliveries):
    killer = connect()
    store.append("account-1", deposits(*range(20)))

    def project_and_die(connection, events):
        deliveries.project(connection, events)
        if len(notes.batches) in (1, 3):
            killer.execute("SELECT pg_terminate_backend(%s::int)", (connection.info.backend_pid,))
            connection.execute("SELECT 1")

    notes = Notes(project_and_die)
    with subscription(connect, notes, batch=5, attempts=1) as reader:
        reader.wait_for(20)
    assert notes.batches[0] == notes.batches[1], "the batch came again, whole"
    assert len(notes.events) == 30
    assert deliveries.delivered(store) == logged(store)
    assert parked(store) == [], "a lost connection is no fault of the event"


def test_when_the_answer_to_a_commit_is_lost_the_batch_does_not_come_twice(store, connect, deliveries):
    """The commit waits, for a lock that a trigger takes, while the network is told to lose the answer."""
    store.connection.execute("""
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_advisory_xact_lock(hashtext(current_schema())); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON deliveries DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait();
    """)
    observer, locker = connect(), connect()
    locker.execute("SELECT pg_advisory_lock(hashtext(current_schema()))")
    store.append("account-1", deposits(1, 2, 3))
    info = store.connection.info
    with UnreliableNetwork(info) as network:
        far = {"host": network.host, "hostaddr": network.host, "port": network.port, "sslmode": "disable"}
        ways = chain([far], repeat({}))
        notes = Notes(deliveries.project)
        with subscription(lambda **how: connect(**next(ways), **how), notes) as reader:
            ((pid, *_),) = backends(observer, reader)
            blocked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
            eventually(lambda: observer.execute(blocked, (pid,)).fetchone()[0])
            assert observer.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() == (
                "COMMIT",
            )
            network.lose_the_next_answer()
            locker.execute("SELECT pg_advisory_unlock_all()")
            reader.wait_for(3)
            store.append("account-1", deposits(4))
            reader.wait_for(4)
        assert network.lost
    assert notes.positions == [1, 2, 3, 4]
    assert deliveries.delivered(store) == [1, 2, 3, 4]


# A bell that is lost


@pytest.fixture
def soon(monkeypatch):
    """Have a subscription ask after a short silence, so that nobody has to wait for long."""
    monkeypatch.setattr("eventstore.bell._SILENCE", 0.3)
    monkeypatch.setattr("eventstore.bell.PATIENCE", 0.3)
    monkeypatch.setattr("eventstore.subscriptions.PATIENCE", 0.3)


def far(connect, network):
    return partial(connect, host=network.host, hostaddr=network.host, port=network.port, sslmode="disable")


def test_a_link_that_goes_dead_without_a_word_is_noticed_and_made_anew(soon, store, connect, deliveries):
    """No error, no end: what is sent is swallowed, and nothing comes."""
    store.append("account-1", deposits(1))
    network = UnreliableNetwork(store.connection.info)
    with network, subscription(far(connect, network), deliveries.project) as reader:
        reader.wait_for(1)
        asleep(connect(), reader)
        network.go_silent()
        store.append("account-1", deposits(2))
        reader.wait_for(2, timeout=5)
    assert deliveries.delivered(store) == [1, 2]


def test_whoever_stands_by_on_a_dead_link_notices_too_and_takes_over(soon, store, connect, deliveries, monkeypatch):
    monkeypatch.setattr("eventstore.worker._STANDBY", 0.05)
    with UnreliableNetwork(store.connection.info) as network:
        first = subscription(connect, deliveries.project)
        second = subscription(far(connect, network), deliveries.project)
        with first:
            store.append("account-1", deposits(1))
            first.wait_for(1)
            second.start()
            eventually(lambda: backends(store.connection, second))
            network.go_silent()
        store.append("account-1", deposits(2))
        second.wait_for(2, timeout=5)
        second.stop()
    assert deliveries.delivered(store) == [1, 2]


def test_a_subscription_on_a_dead_link_can_be_stopped_in_the_middle_of_its_own_statement(soon, store, connect):
    """It has handled the event, and waits for an answer that will not come."""

    def then_nothing(connection, events):
        network.go_silent()

    store.append("account-1", deposits(1))
    with UnreliableNetwork(store.connection.info) as network:
        notes = Notes(then_nothing)
        reader = subscription(far(connect, network), notes)
        reader.start()
        notes.wait_for(1)
        started = time.monotonic()
        reader.stop()
        assert time.monotonic() - started < 3
    assert checkpoint(store) == 0


def lets_go_of_the_channel(store, connection):
    connection.execute("UNLISTEN *")


def is_told_that_it_is_awake(store, connection):
    """As who restored the table from yesterday would."""


@pytest.mark.parametrize("loses", [lets_go_of_the_channel, is_told_that_it_is_awake])
def test_whoever_is_not_rung_for_any_more_asks_after_a_while(soon, store, connect, loses):
    notes = Notes(lambda connection, events: loses(store, connection))
    with subscription(connect, notes) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        eventually(lambda: store.execute("SELECT asleep FROM subscriptions").fetchone()[0])
        store.execute("UPDATE subscriptions SET asleep = false")  # so nobody rings
        store.append("account-1", deposits(2))
        reader.wait_for(2, timeout=5)
        asleep(connect(), reader)
        store.append("account-1", deposits(3))
        reader.wait_for(3, timeout=5)
    assert notes.positions == [1, 2, 3]


@pytest.mark.one_machine("streams, which stays, is distributed already, and the docs say how to distribute all three")
def test_tables_that_are_restored_beneath_it_have_another_channel_and_it_hears_of_them(soon, store, connect):
    notes = Notes()
    with subscription(connect, notes) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        asleep(connect(), reader)
        with store.transaction():  # half restored, it would end a reader who looks just then: see G8
            store.execute("CREATE TABLE saved AS TABLE events")
            store.execute("DROP VIEW log, subscription_status CASCADE; DROP TABLE events, archived_events CASCADE")
            EventStore(store.connection, event_types()).create_schema()  # a learner's makes all, or nothing
            columns = "stream_id, version, position, id, type, data, metadata, recorded_at"
            store.execute(f"INSERT INTO events ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM saved")
            store.execute("SELECT setval(pg_get_serial_sequence('events', 'position'), 1)")
        store.append("account-1", deposits(2))
        reader.wait_for(2, timeout=5)
    assert notes.positions == [1, 2]


def test_while_all_is_calm_it_asks_and_changes_nothing(soon, store, connect):
    """Not even the row that says that it sleeps: it would be written again and again."""
    with subscription(connect, Notes()) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        before = asleep(connect(), reader)
        row = "SELECT xmin::text, asleep FROM subscriptions"
        written = store.execute(row).fetchone()
        eventually(lambda: backends(store.connection, reader) != [before])  # it has asked
        eventually(lambda: backends(store.connection, reader)[0][1] == "idle")
        assert store.execute(row).fetchone() == written and written[1] is True


@pytest.mark.one_machine("who may not change events may not lock their table")
def test_a_bell_that_rings_in_the_middle_of_a_look_is_heard(store, connect, new_store):
    notes, blocker = Notes(), new_store(autocommit=False)
    waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'archived_events'::regclass"
    with subscription(connect, notes) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        asleep(connect(), reader)
        blocker.execute("LOCK TABLE archived_events")
        store.execute("SELECT pg_notify(events_channel(), '')")  # it looks, and waits for the table
        eventually(lambda: store.execute(waits).fetchall())
        store.append("account-1", deposits(2))
        blocker.connection.commit()
        reader.wait_for(2, timeout=2)
    assert notes.positions == [1, 2]


def test_the_server_notices_within_half_a_minute_that_a_subscriber_is_gone(store, connect):
    """The name is taken until it does. (Over a Unix socket there is nothing to notice.)"""
    if store.connection.info.host.startswith("/"):
        pytest.skip("the tests' server is reached over a Unix socket")
    settings = []
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")

    def look(connection, events):
        settings.append([int(connection.execute(f"SHOW {name}").fetchone()[0]) for name in names])

    with subscription(connect, look) as reader:
        reader.wait_for(store.append("account-1", deposits(1)).position)
    ((idle, interval, count),) = settings
    assert idle + interval * count <= 30


def test_two_names_that_hash_alike_do_not_stand_by_for_each_other(store, connect):
    """Of 200,000 names two have one hash of 32 bits."""
    names = store.execute(
        "SELECT min(name), max(name) FROM (SELECT 'tenant-' || n AS name FROM generate_series(1, 200000) n) AS names"
        " GROUP BY hashtext(name) HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    with subscription(connect, Notes(), names[0]) as one, subscription(connect, Notes(), names[1]) as other:
        position = store.append("account-1", deposits(1)).position
        one.wait_for(position, timeout=3)
        other.wait_for(position, timeout=3)


@pytest.fixture
def own_server(server_of_its_own):
    """A server that may be killed: `connect` to it, and `open_store` there."""
    connections = []

    def connect(**how):
        connections.append(server_of_its_own.connect(**how))
        return connections[-1]

    server_of_its_own.own_connect = connect
    server_of_its_own.open_store = lambda: EventStore(connect(), event_types())
    server_of_its_own.open_store().create_schema()
    Deliveries().create(connect())
    yield server_of_its_own
    for connection in connections:
        connection.close()


def test_a_killed_server_that_comes_back_finds_its_subscribers_again(own_server):
    """While one is asleep and another one works; nobody appends after the restart, so nobody is notified."""
    deliveries, store = Deliveries(), own_server.open_store()
    begun, killed = threading.Event(), threading.Event()

    def project(connection, events):
        if any(event.event.amount == 100 for event in events) and not killed.is_set():
            deliveries.project(connection, events)
            begun.set()
            killed.wait(20)  # and what it does next is done to a server that is gone
        deliveries.project(connection, events)

    asleep_ = Notes()
    with (
        subscription(own_server.own_connect, project, "busy", batch=10) as busy,
        subscription(own_server.own_connect, asleep_, "idle", category="cashier") as idle,
    ):
        store.append("account-1", deposits(*range(25)))
        busy.wait_for(25)
        idle.wait_for(25)
        store.append("account-1", deposits(100))
        assert begun.wait(10)
        own_server.kill()
        killed.set()
        time.sleep(0.5)  # some attempts to connect fail meanwhile
        own_server.start()
        store = own_server.open_store()
        busy.wait_for(26, timeout=10)
        appended = store.append("cashier-1", deposits(101))
        busy.wait_for(appended.position, timeout=10)
        idle.wait_for(appended.position, timeout=10)
    assert deliveries.delivered(store) == logged(store)
    assert [event.event.amount for event in asleep_.events] == [101]
    assert parked(store) == []


def test_writers_and_a_subscriber_outlive_a_killed_server_and_no_event_is_lost_or_doubled(own_server):
    deliveries, over = Deliveries(), threading.Event()

    def write(number):
        store, count = own_server.open_store(), 0
        while not over.is_set():
            try:
                store.append(f"account-{number}", deposits(count, count + 1))
                count += 1
            except psycopg.OperationalError:
                while not over.wait(0.05):
                    try:
                        store = own_server.open_store()
                        break
                    except psycopg.OperationalError:
                        pass
        return count

    def kill_and_start():
        try:
            for _ in range(2):
                time.sleep(0.4)
                own_server.kill()
                own_server.start()
            time.sleep(0.4)
        finally:
            over.set()

    with subscription(own_server.own_connect, deliveries.project, batch=20) as reader:
        outcomes = at_once([kill_and_start, partial(write, 1), partial(write, 2)])
        store = own_server.open_store()
        assert outcomes[0] is None and all(count > 20 for count in outcomes[1:]), outcomes
        reader.wait_for(last_position(store), timeout=20)
    assert deliveries.delivered(store) == logged(store)


# At full speed


def test_a_listener_that_starts_while_writers_run_at_full_speed_misses_nothing(store, connect, new_store, deliveries):
    """Short appends, long transactions, and some that are rolled back; the subscription comes and goes."""
    over = threading.Event()

    def write(writer, number):
        choose, count = random.Random(number), 0
        while not over.is_set():
            count += 1
            if choose.random() < 0.7:
                writer.append(f"account-{choose.randrange(6)}", deposits(*range(choose.randint(1, 4))))
                continue
            with writer.connection.transaction():
                for part in range(choose.randint(1, 3)):
                    writer.append(f"account-{number}-{part}", deposits(1))
                if over.wait(choose.uniform(0, 0.01)) or choose.random() < 0.3:
                    raise psycopg.Rollback
        return count

    def come_and_go():
        try:
            for turn in range(6):
                over.wait(0.05)
                with subscription(connect, deliveries.project, batch=100):
                    over.wait(0.1 * turn)
        finally:
            over.set()

    writers = [new_store() for _ in range(4)]
    outcomes = at_once([come_and_go, *(partial(write, writer, number) for number, writer in enumerate(writers))])
    assert outcomes[0] is None and all(count > 20 for count in outcomes[1:]), outcomes
    half_way = len(deliveries.delivered(store))
    with subscription(connect, deliveries.project) as reader:
        reader.wait_for(last_position(store))
    assert half_way > 0
    assert deliveries.delivered(store) == logged(store)


def test_the_last_of_many_appends_at_once_is_heard_of(store, connect, new_store):
    """A notification that comes while the reader is at work must not get lost: nobody repeats it."""
    writers = [new_store() for _ in range(4)]
    notes = Notes()
    with subscription(connect, notes, batch=3) as reader:
        for turn in range(15):
            appends = [partial(w.append, f"account-{n}", deposits(turn)) for n, w in enumerate(writers)]
            last = max(appended.position for appended in at_once(appends))
            reader.wait_for(last, timeout=2)
    assert notes.positions == logged(store)
