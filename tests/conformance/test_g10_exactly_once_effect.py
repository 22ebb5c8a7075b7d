"""G10: a projection's writes and its checkpoint commit together: killed anywhere, each event has its effect once."""

import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import EventStoreError, rebuild, worker
from eventstore.worker import Worker
from tests.bank import AccountOpened, CashierEmployed, DepositRecorded, deposits
from tests.concurrency import at_once, waiting
from tests.subscribing import (
    Deliveries,
    Notes,
    backends,
    checkpoint,
    eventually,
    last_position,
    logged,
    parked,
    rows,
    subscription,
)
from workshop.bank.read_models import AccountBalances, CashierDashboard

CHECKOUT = Path(__file__).parents[2]


def rebuilt(store, projection):
    """The read model as a rebuild makes it."""
    rebuild(store, projection)
    return rows(store, projection)


@pytest.fixture
def dashboard(store):
    dashboard = CashierDashboard()
    dashboard.create(store.connection)
    return dashboard


def append_some(store, choose, batches):
    """Append batches of events to several streams."""
    for _ in range(batches):
        account, cashier = f"account-{choose.randrange(5)}", f"cashier-{choose.randrange(3)}"
        store.append(account, [DepositRecorded(account, Decimal(n), cashier) for n in range(1, choose.randint(2, 9))])
        if choose.random() < 0.1:
            store.append(cashier, [CashierEmployed(cashier, f"name {choose.random()}")])


# Killed and restarted


@pytest.fixture
def projecting(store, postgres, deliveries, dashboard):
    """Run a process that keeps the dashboard and counts deliveries; it is killed in the end."""
    store.connection.execute("CREATE SEQUENCE batches_begun")
    store.connection.execute("CREATE TABLE batches_done (id bigint GENERATED ALWAYS AS IDENTITY)")
    schema = store.execute("SELECT current_schema()").fetchone()[0]

    @contextmanager
    def projecting(name="reader", batch=20):
        command = [sys.executable, "-m", "tests.eventstore.projecting_process", postgres.url, schema, name, str(batch)]
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    projecting.backends = lambda observer: observer.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (f"{schema} reader",)
    ).fetchone()[0]
    return projecting


def works(process):
    """Wait until the process was given its first events."""
    assert process.stdout.readline() == "working\n", "it ended before it was given an event"


def done_batches(store):
    return store.execute("SELECT count(*) FROM batches_done").fetchone()[0]


def begun_batches(store):
    return store.execute("SELECT last_value - (NOT is_called)::int FROM batches_begun").fetchone()[0]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_killed_at_any_moment_and_restarted_it_ends_as_if_each_event_was_handled_once(
    store, new_store, projecting, deliveries, dashboard, kills
):
    choose = random.Random(kills)
    writer, over = new_store(), threading.Event()

    def write():
        while not over.wait(0.005):
            append_some(writer, choose, 1)

    writing = threading.Thread(target=write)
    writing.start()
    reached, interrupted = [0], 0
    try:
        for number in range(kills):
            while last_position(store) - reached[-1] < 1500:  # it is never done, so a kill finds it at work
                append_some(store, random.Random(number), 20)
            begun, done = begun_batches(store), done_batches(store)
            with projecting() as process:
                if number % 7 == 6:  # now and then in the middle of its start
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(choose.uniform(0, 0.6))
                else:
                    works(process)  # its first batch is under way
                    more = 0 if number == 0 else choose.randint(0, 8)
                    eventually(lambda done=done, more=more: done_batches(store) >= done + more)
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(choose.choice([0, choose.uniform(0, 0.01), choose.uniform(0, 0.05)]))
                assert process.poll() is None, "it ended by itself"
            assert process.returncode == -9
            eventually(lambda: projecting.backends(store.connection) == 0)  # what it had sent has come to its end
            lost = begun_batches(store) - begun - (done_batches(store) - done)
            assert lost in (0, 1)
            interrupted += lost
            reached.append(checkpoint(store))
            assert deliveries.delivered(store) == logged(store)[: len(deliveries.delivered(store))]
    finally:
        over.set()
        writing.join()
    assert reached == sorted(reached) and len(set(reached)) > kills / 3, "it made hardly any progress between two kills"
    assert interrupted >= kills / 5, "hardly a kill hit it at work, so this test says little"
    assert reached[-1] < last_position(store)

    with projecting(batch=500):
        eventually(lambda: checkpoint(store) == last_position(store), within=60)
    assert deliveries.delivered(store) == logged(store), "an event was skipped, doubled, or came out of order"
    kept = rows(store, dashboard)
    assert sum(count for _, _, count, _ in kept) > 1000
    assert kept == rebuilt(store, dashboard)
    assert parked(store) == []


# In one transaction


def test_nobody_sees_the_writes_without_the_checkpoint_or_the_checkpoint_without_the_writes(
    store, connect, new_store, deliveries
):
    observer, seen = new_store(), []

    def look(connection, events):
        seen.append((deliveries.delivered(observer), checkpoint(observer)))

    def project_and_look(connection, events):
        deliveries.project(connection, events)
        look(connection, events)

    store.append("account-1", deposits(1, 2, 3, 4))
    with subscription(connect, project_and_look, batch=2) as reader:
        reader.wait_for(4)
    look(None, None)
    assert seen == [([], 0), ([1, 2], 2), ([1, 2, 3, 4], 4)]


def test_a_handler_that_raises_after_writing_leaves_nothing_of_the_batch(store, connect, new_store, deliveries):
    observer, seen = new_store(), []

    def fail_at_first(connection, events):
        seen.append((deliveries.delivered(observer), checkpoint(observer)))
        deliveries.project(connection, events)
        if len(seen) <= 2:
            raise ZeroDivisionError

    store.append("account-1", deposits(*range(10)))
    notes = Notes(fail_at_first)
    with subscription(connect, notes) as reader:
        reader.wait_for(10)
    assert len(notes.batches[0]) == 10
    assert seen[:3] == [([], 0)] * 3
    assert deliveries.delivered(store) == list(range(1, 11)) and parked(store) == []


def test_an_event_that_is_parked_leaves_nothing_of_its_handlers_writes(store, connect, deliveries):
    def project(connection, events):
        deliveries.project(connection, events)
        assert all(event.event.amount != 3 for event in events)

    store.append("account-1", deposits(1, 2, 3, 4, 5))
    with subscription(connect, project, attempts=1) as reader:
        reader.wait_for(5)
    assert deliveries.delivered(store) == [1, 2, 4, 5]
    assert [position for _, position, _ in parked(store)] == [3]


def test_a_commit_that_fails_leaves_nothing_and_is_tried_again(store, connect, deliveries):
    """A constraint that is looked at in the commit itself, after the handler returned."""
    store.connection.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    tries = []

    def project(connection, events):
        deliveries.project(connection, events)
        tries.append(len(events))
        connection.execute("INSERT INTO late VALUES (1), (%s)", (1 if len(tries) == 1 else 2,))

    store.append("account-1", deposits(1, 2, 3))
    with subscription(connect, project, batch=3) as reader:
        reader.wait_for(1)
        store.connection.execute("DELETE FROM late")
        reader.wait_for(3)
    assert tries[0] == 3 and tries[1] == 1
    assert sorted(deliveries.delivered(store) + [position for _, position, _ in parked(store)]) == [1, 2, 3]


def test_a_checkpoint_that_cannot_be_moved_takes_the_handlers_writes_with_it(store, connect, deliveries):
    store.connection.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
        CREATE TRIGGER refuse BEFORE UPDATE ON subscriptions FOR EACH ROW EXECUTE FUNCTION refuse();
    """)
    store.append("account-1", deposits(1, 2, 3))
    notes = Notes(deliveries.project)
    reader = subscription(connect, notes, attempts=1)
    reader.start()
    with pytest.raises(psycopg.errors.RaiseException, match="not today"):
        reader.wait_for(1)
    with pytest.raises(psycopg.errors.RaiseException, match="not today"):
        reader.stop()
    assert notes.batches and deliveries.delivered(store) == []
    store.connection.execute("DROP TRIGGER refuse ON subscriptions")
    with reader:
        reader.wait_for(3)
    assert deliveries.delivered(store) == [1, 2, 3] and parked(store) == []


def ends_by_method(connection):
    connection.commit()


def rolls_back_by_method(connection):
    connection.rollback()


def ends_by_sql(connection):
    connection.execute("COMMIT")


def rolls_back_by_sql(connection):
    connection.execute("ROLLBACK")


def raises_rollback(connection):
    raise psycopg.Rollback


@pytest.mark.parametrize("end", [ends_by_method, rolls_back_by_method, rolls_back_by_sql, raises_rollback])
def test_a_handler_that_ends_the_transaction_is_parked_with_a_clear_error_and_nothing_is_half_done(
    store, connect, deliveries, end
):
    def project(connection, events):
        deliveries.project(connection, events)
        if any(event.event.amount == 2 for event in events):
            end(connection)

    store.append("account-1", deposits(1, 2, 3))
    with subscription(connect, project, attempts=2) as reader:
        reader.wait_for(3)
    assert deliveries.delivered(store) == [1, 3]
    ((_, position, error),) = parked(store)
    assert position == 2 and ("transaction" in error.lower() or "rollback" in error.lower()), error


def test_a_handler_that_commits_by_sql_is_told_so(store, connect, deliveries):
    """What it committed stays: it cannot be undone. But the event is parked, so that the error is seen."""

    def project(connection, events):
        deliveries.project(connection, events)
        ends_by_sql(connection)

    store.append("account-1", deposits(1))
    with subscription(connect, project, attempts=1) as reader:
        reader.wait_for(1)
    ((_, position, error),) = parked(store)
    assert position == 1 and "transaction" in error.lower(), error


# Whose fault it is


@pytest.fixture
def at_once_again(monkeypatch):
    """Have the next attempt come soon."""
    monkeypatch.setattr("eventstore.worker._FIRST_DELAY", 0.01)


def kills_its_connection(connection):
    connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def takes_too_long(connection):
    """The server ends who is idle in a transaction for longer than it may."""
    connection.execute("SET idle_in_transaction_session_timeout = '50ms'")
    time.sleep(0.1)


KILLED = ("AdminShutdown", "IdleInTransactionSessionTimeout", "OperationalError")


@pytest.mark.parametrize("batch", [1, 100])
@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("kill", [kills_its_connection, takes_too_long])
def test_an_event_that_kills_its_connection_again_and_again_is_parked_and_the_rest_goes_on(
    at_once_again, store, connect, deliveries, kill, attempts, batch
):
    def project(connection, events):
        deliveries.project(connection, events)
        if any(event.event.amount == 13 for event in events):
            kill(connection)

    store.append("account-1", deposits(1, 2, 13, 4))
    notes = Notes(project)
    with subscription(connect, notes, attempts=attempts, batch=batch) as reader:
        reader.wait_for(4)
    assert deliveries.delivered(store) == [1, 2, 4]
    ((_, position, error),) = parked(store)
    assert position == 3 and error.partition(":")[0] in KILLED
    assert notes.positions.count(3) >= attempts + 1, "to lose a connection once is no fault of the event"


@pytest.mark.parametrize("lost", [1, 2])
def test_an_event_whose_connection_is_lost_now_and_then_is_handled_and_not_parked(
    at_once_again, store, connect, deliveries, lost
):
    tries = []

    def project(connection, events):
        deliveries.project(connection, events)
        tries.append([event.position for event in events])
        if sum(3 in each for each in tries) <= lost and 3 in tries[-1]:
            kills_its_connection(connection)

    store.append("account-1", deposits(1, 2, 3, 4))
    with subscription(connect, project, attempts=2) as reader:
        reader.wait_for(4)
    assert deliveries.delivered(store) == [1, 2, 3, 4] and parked(store) == []


@pytest.fixture
def errors(monkeypatch):
    """What a subscription has had to sort out."""
    errors, sort_out = [], Worker._sort_out

    def note(worker, error, connection):
        errors.append(error)
        sort_out(worker, error, connection)

    monkeypatch.setattr(Worker, "_sort_out", note)
    return errors


def test_a_lock_that_is_not_to_be_had_is_waited_for_and_nothing_is_parked(
    at_once_again, store, connect, deliveries, new_store, errors
):
    """Another process hands out parked events, say, and takes its time: the handler here is not even called."""

    def impatient(**how):
        connection = connect(**how)
        connection.execute("SET lock_timeout = '20ms'")
        return connection

    other = new_store()
    notes = Notes(deliveries.project)
    with subscription(impatient, notes, attempts=1) as reader:
        reader.wait_for(store.append("account-1", deposits(1)).position)
        with other.connection.transaction():
            other.execute("SELECT FROM subscriptions WHERE name = 'reader' FOR UPDATE")
            store.append("account-1", deposits(2))
            eventually(lambda: len(errors) >= 3)
        reader.wait_for(2)
    assert {type(error) for error in errors} == {psycopg.errors.LockNotAvailable}
    assert deliveries.delivered(store) == [1, 2] and parked(store) == [] and notes.positions == [1, 2]


def in_the_server(state):
    """What PostgreSQL raises with this SQLSTATE."""

    def fail(connection):
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = '{state}'; END $$")

    return fail


def through_another_library(state):
    def fail(connection):
        try:
            in_the_server(state)(connection)
        except psycopg.Error as error:
            raise RuntimeError("of the library's own") from error

    return fail


@pytest.mark.parametrize("fail", [in_the_server, through_another_library])
@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("40001", False),  # a serialization failure
        ("40P01", False),  # a deadlock
        ("55P03", False),  # a lock timeout: a rebuild has locked the table, say
        ("53100", False),  # the disk is full
        ("53300", False),  # too many connections
        ("57P03", False),  # the server starts
        ("57014", True),  # a statement that takes longer than statement_timeout allows, and will the next time
        ("23505", True),  # a unique violation
        ("P0001", True),
    ],
)
def test_what_is_nobodys_fault_is_waited_out_and_the_rest_is_the_events(
    at_once_again, store, connect, deliveries, state, fault, fail
):
    tries = []

    def project(connection, events):
        deliveries.project(connection, events)
        tries.append(events)
        if len(tries) <= 4:
            fail(state)(connection)

    store.append("account-1", deposits(1))
    with subscription(connect, project, attempts=2, batch=1) as reader:
        reader.wait_for(1)
    assert deliveries.delivered(store) == ([] if fault else [1])
    assert [position for _, position, _ in parked(store)] == ([1] if fault else [])
    assert len(tries) == (2 if fault else 5)


def test_a_statement_of_its_own_that_is_cancelled_is_no_event_s_fault(at_once_again, store, connect, new_store, errors):
    blocker, notes = new_store(), Notes()
    waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    with subscription(connect, notes, attempts=1) as reader:
        reader.wait_for(store.append("account-1", deposits(1)).position)
        with blocker.connection.transaction():
            blocker.execute("SELECT FROM subscriptions FOR UPDATE")
            store.append("account-1", deposits(2))
            while len(errors) < 3:
                before = len(errors)
                (pid,) = eventually(lambda: store.execute(waiting, (reader.label,)).fetchone())
                store.execute("SELECT pg_cancel_backend(%s::int)", (pid,))
                eventually(lambda: len(errors) > before)  # noqa: B023
        reader.wait_for(2)
    assert {type(error) for error in errors} == {psycopg.errors.QueryCanceled}
    assert notes.positions == [1, 2] and parked(store) == []


def test_a_checkpoint_from_beyond_the_end_of_the_log_is_an_error_aloud(store, connect):
    """An older log was restored, or the log begun anew, and the subscriptions were kept."""
    store.append("account-1", deposits(1))
    store.execute("INSERT INTO subscriptions (name, checkpoint) VALUES ('reader', 7)")
    notes = Notes()
    reader = subscription(connect, notes)
    reader.start()
    for ask in (lambda: reader.wait_for(8), reader.stop):
        with pytest.raises(EventStoreError, match="'reader' has handled events up to position 7, .* come to 1"):
            ask()
    assert notes.events == [] and checkpoint(store) == 7 and parked(store) == []
    store.execute("UPDATE subscriptions SET checkpoint = 0")
    with reader:
        reader.wait_for(1)
    assert notes.positions == [1]


def test_killed_inside_the_handler_again_and_again_each_event_has_its_effect_once_or_is_parked(
    at_once_again, store, connect, dashboard
):
    """Connections are killed at random statements of the handler's; some events always kill theirs."""

    @settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32), st.sets(st.integers(1, 30), max_size=3), st.integers(1, 9))
    def check(seed, poison, batch):
        deliveries, choose = Deliveries(f"deliveries_{uuid4().hex}"), random.Random(seed)
        deliveries.create(store.connection)
        name = f"reader {uuid4()}"
        begin = last_position(store)
        store.execute("INSERT INTO subscriptions (name, checkpoint) VALUES (%s, %s)", (name, begin))

        def project(connection, events):
            for event in events:
                deliveries.project(connection, [event])
                if event.position - begin in poison or choose.random() < 0.02:
                    kills_its_connection(connection)

        store.append("account-1", deposits(*range(1, 31)))
        with subscription(connect, project, name, batch=batch, attempts=2) as reader:
            reader.wait_for(begin + 30, timeout=20)
        aside = {position - begin for subscription, position, _ in parked(store) if subscription == name}
        done = [position - begin for position in deliveries.delivered(store)]
        assert poison <= aside, "an event that always kills its connection was handled"
        assert done == sorted(set(range(1, 31)) - aside)
        assert len(aside - poison) <= 1, "events were parked that kill nothing"

    check()


# Batches


@pytest.mark.parametrize("size", [1, 2, 7, 100, 500])
def test_batches_of_any_size_give_the_same_read_model(store, connect, deliveries, dashboard, size):
    append_some(store, random.Random(0), 40)

    def project(connection, events):
        deliveries.project(connection, events)
        dashboard.project(connection, dashboard.wanted(events))

    notes = Notes(project)
    with subscription(connect, notes, batch=size) as reader:
        reader.wait_for(last_position(store), timeout=60)  # one by one they are many transactions
    assert max(map(len, notes.batches)) == min(size, len(logged(store)))
    assert deliveries.delivered(store) == logged(store)
    assert rows(store, dashboard) == rebuilt(store, dashboard)


def test_after_any_history_in_any_batches_the_read_model_equals_the_rebuilt_one(store, connect, new_store, dashboard):
    """The subscription is stopped and started again between two parts of the history."""
    amounts = st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100)
    cashiers = st.sampled_from(["cashier-1", "cashier-2", "cashier-3"])
    part = st.lists(
        st.one_of(
            st.builds(CashierEmployed, cashiers, st.sampled_from(["Anna", "Ben"])),
            st.builds(DepositRecorded, st.just("1"), amounts, cashiers),
            st.builds(AccountOpened, st.just("1"), st.just("PLN")),
        ),
        min_size=1,
        max_size=8,
    )

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(part, st.integers(1, 15)), min_size=1, max_size=2), st.booleans())
    def check(history, narrow):
        for events, size in history:
            with subscription(
                connect,
                lambda connection, events: dashboard.project(connection, dashboard.wanted(events)),
                name="narrow" if narrow else "wide",
                handles=dashboard.handles if narrow else None,
                batch=size,
            ) as reader:
                for event in events:
                    store.append(f"stream-{getattr(event, 'cashier_id', 'x')}", [event])
                reader.wait_for(last_position(store))
        kept = rows(store, dashboard)
        assert kept == rebuilt(store, dashboard)
        store.connection.execute("DELETE FROM subscriptions; DELETE FROM cashier_dashboard")
        store.connection.execute("CREATE TABLE IF NOT EXISTS sums (total numeric)")
        store.connection.execute("INSERT INTO sums SELECT %s", (sum(row[3] for row in kept),))

    check()
    assert store.execute("SELECT count(DISTINCT total) > 5 FROM sums").fetchone() == (True,)


# Several under one name, and several side by side


def test_of_two_processes_under_one_name_one_works_and_the_other_takes_over_when_it_is_killed(
    store, projecting, deliveries, dashboard
):
    append_some(store, random.Random(1), 20)
    with projecting(batch=3) as first:
        works(first)
        with projecting(batch=3) as second:
            eventually(lambda: projecting.backends(store.connection) == 2)
            append_some(store, random.Random(2), 20)
            eventually(lambda: checkpoint(store) == last_position(store))
            assert deliveries.delivered(store) == logged(store)

            append_some(store, random.Random(3), 100)
            first.kill()
            last = last_position(store)
            assert checkpoint(store) < last, "it was done before it was killed"
            works(second)  # it had nothing to say until now
            eventually(lambda: checkpoint(store) == last, within=5)
            store.append("account-1", deposits(1))
            eventually(lambda: checkpoint(store) == last_position(store))
    assert deliveries.delivered(store) == logged(store)
    assert rows(store, dashboard) == rebuilt(store, dashboard)


def test_of_two_objects_under_one_name_one_works_and_the_other_takes_over_when_it_stops(store, connect, deliveries):
    one, other = Notes(deliveries.project), Notes(deliveries.project)
    first, second = subscription(connect, one), subscription(connect, other)
    with second:
        store.append("account-1", deposits(1))
        second.wait_for(1)
        with first:
            eventually(lambda: backends(store.connection, first))
            store.append("account-1", deposits(2))
            second.wait_for(2)
            with pytest.raises(TimeoutError, match="other process"):
                first.wait_for(2, timeout=0.1)
            second.stop()
            store.append("account-1", deposits(3))
            first.wait_for(3, timeout=5)
    assert other.positions == [1, 2] and one.positions == [3]
    assert deliveries.delivered(store) == [1, 2, 3]


def test_four_under_one_name_handle_each_event_once_whoever_comes_and_goes(store, connect, new_store, deliveries):
    """Each is stopped as soon as it has handled something, and started again."""
    writer, over = new_store(), threading.Event()

    def write():
        try:
            append_some(writer, random.Random(5), 150)
        finally:
            over.set()

    def come_and_go():
        rounds = 0
        while not over.is_set():
            notes = Notes(deliveries.project)
            with subscription(connect, notes, batch=5):
                while not (notes.batches or over.wait(0.01)):
                    pass
            rounds += bool(notes.batches)
        return rounds

    outcomes = at_once([write, *[come_and_go] * 4])
    assert all(isinstance(outcome, int) for outcome in outcomes[1:]), outcomes
    with subscription(connect, deliveries.project) as reader:
        reader.wait_for(last_position(store))
    assert deliveries.delivered(store) == logged(store)


def test_subscriptions_side_by_side_are_each_complete_and_go_at_their_own_pace(store, connect, new_store):
    every, accounts, opened, both = (Deliveries(f"deliveries_{number}") for number in range(4))
    balances = AccountBalances()
    for projection in (every, accounts, opened, both, balances):
        projection.create(store.connection)
    release = threading.Event()

    def slowly(connection, events):
        release.wait(10)
        both.project(connection, events)

    readers = [
        subscription(connect, every.project, "every", batch=7),
        subscription(connect, accounts.project, "accounts", category="account", batch=50),
        subscription(connect, opened.project, "employed", handles=[CashierEmployed]),
        subscription(connect, slowly, "deposits", category="account", handles=[DepositRecorded]),
        subscription(connect, balances.project, "balances", handles=balances.handles),
    ]
    writers = [new_store() for _ in range(2)]
    append_some(store, random.Random(10), 10)
    for reader in readers:
        reader.start()
    try:
        writes = [lambda w=w, n=n: append_some(w, random.Random(n), 40) for n, w in enumerate(writers)]
        assert at_once(writes) == [None, None]
        for reader in readers[:3]:
            reader.wait_for(last_position(store))
        assert both.delivered(store) == []
        release.set()
        for reader in readers:
            reader.wait_for(last_position(store))
    finally:
        release.set()
        for reader in readers:
            reader.stop()
    log = store.read_all(limit=10_000)
    assert every.delivered(store) == [each.position for each in log]
    assert accounts.delivered(store) == [each.position for each in log if each.stream_id.startswith("account-")]
    assert opened.delivered(store) == [each.position for each in log if each.type == "CashierEmployed"]
    assert both.delivered(store) == [each.position for each in log if each.type == "DepositRecorded"]
    assert rows(store, balances) == rebuilt(store, balances)


# Two workers


def test_two_who_read_under_one_name_take_turns(store, new_store, connect):
    """Each event is handled once: the second one waits at the checkpoint until the first has moved it."""
    store.append("account-1", deposits(1, 2, 3))
    store.execute("INSERT INTO subscriptions (name) VALUES ('reader')")
    first, second, observer = new_store(), new_store(), connect()
    handled, has_begun, go_on = [], threading.Event(), threading.Event()

    def handler(connection, events):
        handled.extend(recorded.position for recorded in events)

    def slow(connection, events):
        handler(connection, events)
        has_begun.set()
        assert go_on.wait(10)

    slow_one = threading.Thread(target=worker.handle_next, args=(first, "reader", slow, 2))
    slow_one.start()
    assert has_begun.wait(10)
    try:
        next_one = partial(worker.handle_next, second, "reader", handler, 2)
        with waiting(next_one, second.connection, observer):
            go_on.set()
    finally:
        go_on.set()
        slow_one.join()
    assert handled == [1, 2, 3]


def test_an_append_that_is_under_way_is_waited_for_and_not_passed_by(store, new_store):
    store.execute("INSERT INTO subscriptions (name) VALUES ('reader')")
    writer, handled = new_store(), []

    def handler(connection, events):
        handled.extend(recorded.position for recorded in events)

    with writer.connection.transaction():
        writer.append("account-1", deposits(1))
        store.append("account-2", deposits(2))
        worker.handle_next(store, "reader", handler, 100)
        assert handled == [], "it went on behind an append that is still open"
    worker.handle_next(store, "reader", handler, 100)
    assert handled == [1, 2]


def test_a_parked_event_that_fails_once_more_stays_parked(store, connect):
    def refuses(connection, events):
        raise ValueError("not this one")

    with subscription(connect, refuses) as reader:
        reader.wait_for(store.append("account-1", deposits(1)).position)
    assert reader.retry_parked() == len(parked(store)) == 1
