"""Subscriptions: beginning and ending, filters, failures and what is parked, replay, and how far behind they are."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

import psycopg
import pytest
from psycopg.rows import dict_row

from eventstore import (
    EventStore,
    EventTypes,
    InvalidArgument,
    Subscription,
    UnknownEventType,
)
from tests.bank import AccountClosed, AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded, deposits
from tests.concurrency import at_once
from tests.subscribing import (
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
from workshop.bank import event_types
from workshop.bank.read_models import AccountBalances, CashierDashboard


@dataclass(frozen=True)
class Stranger:
    text: str


@pytest.fixture
def balances(store):
    balances = AccountBalances()
    balances.create(store.connection)
    return balances


def threads(reader):
    return [thread for thread in threading.enumerate() if thread.name == reader.name]


def amounts(notes):
    return [event.event.amount for event in notes.events]


def assert_gone(store, reader):
    """Nothing is left of a subscription that was stopped: no thread, no connection."""
    assert threads(reader) == []
    eventually(lambda: not backends(store.connection, reader))  # the server notices a moment later


# Beginning and ending


def test_the_handler_is_given_the_events_as_they_were_recorded_and_an_open_transaction(store, connect):
    def look(connection, events):
        states.append((connection.info.transaction_status.name, connection.autocommit))

    states, notes = [], Notes(look)
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1)], metadata={"user": "Łucja", "n": [1, None]})
    store.append("cashier-1", [CashierEmployed("cashier-1", "Anna")])
    with subscription(connect, notes) as reader:
        reader.wait_for(3)
    assert notes.batches == [store.read_all()]
    assert states == [("INTRANS", True)]


def test_started_twice_it_is_one_thread_and_one_connection(store, connect):
    notes = Notes()
    reader = subscription(connect, notes, "twice")
    reader.start()
    reader.start()
    with reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        assert len(threads(reader)) == 1
        assert len(backends(store.connection, reader)) == 1
    assert notes.positions == [1]
    assert_gone(store, reader)


def test_stopped_twice_or_before_it_began_nothing_happens(store, connect):
    reader = subscription(connect, Notes())
    reader.stop()
    reader.start()
    reader.stop()
    reader.stop()
    assert_gone(store, reader)


def test_threads_that_start_and_stop_it_at_once_take_turns(store, connect):
    """To connect takes a while, and meanwhile another one may come."""

    def slowly(**how):
        time.sleep(0.05)
        return connect(**how)

    reader = subscription(slowly, Notes())
    for _ in range(3):
        at_once([reader.start] * 6)
        assert len(threads(reader)) == 1
        at_once([reader.stop] * 6)
        assert threads(reader) == []
        at_once([reader.start, reader.stop, reader.stop, reader.start])
        reader.stop()
        assert_gone(store, reader)


def test_started_again_it_goes_on_where_it_left_off(store, connect):
    notes = Notes()
    reader = subscription(connect, notes)
    for number in range(1, 4):
        with reader:
            store.append("account-1", deposits(number))
            reader.wait_for(number)
        assert_gone(store, reader)
    assert notes.positions == [1, 2, 3]


def test_while_it_works_stop_lets_the_batch_at_hand_finish_and_begins_no_other(store, connect, deliveries):
    begun, release = threading.Event(), threading.Event()

    def slowly(connection, events):
        deliveries.project(connection, events)
        begun.set()
        assert release.wait(10)

    store.append("account-1", deposits(*range(10)))
    reader = subscription(connect, slowly, batch=3)
    reader.start()
    assert begun.wait(10)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(reader.stop)
        time.sleep(0.1)  # it could end too early, but not because this is too short
        assert not stopping.done(), "stop did not wait for the handler"
        release.set()
        stopping.result(timeout=10)
    assert_gone(store, reader)
    assert deliveries.delivered(store) == [1, 2, 3] and checkpoint(store) == 3


def test_stopped_while_it_stands_by_it_leaves_nothing(store, connect):
    with subscription(connect, Notes(), "one name") as first:
        store.append("account-1", deposits(1))
        first.wait_for(1)
        second = subscription(connect, Notes(), "one name")
        second.start()
        eventually(lambda: backends(store.connection, second))
        started = time.monotonic()
        second.stop()
        assert time.monotonic() - started < 0.7
        assert len(threads(first)) == 1
        eventually(lambda: not backends(store.connection, second))
    assert_gone(store, first)


def test_stopped_between_two_attempts_it_leaves_nothing_and_parks_nothing(store, connect):
    def fail(connection, events):
        raise ZeroDivisionError

    notes = Notes(fail)
    store.append("account-1", deposits(1))
    reader = subscription(connect, notes, attempts=1000, batch=1)
    reader.start()
    notes.wait_for(4)  # by now it waits for most of a second
    started = time.monotonic()
    reader.stop()
    assert time.monotonic() - started < 0.7
    assert_gone(store, reader)
    assert parked(store) == [] and checkpoint(store) == 0


def test_stopped_while_the_server_is_down_it_leaves_nothing(store, connect):
    attempts, down = [], threading.Event()

    def connect_or_not(**how):
        if down.is_set():
            attempts.append(how)
            raise psycopg.OperationalError("the server is down")
        return connect(**how)

    reader = subscription(connect_or_not, Notes())
    reader.start()
    ((pid, *_),) = backends(store.connection, reader)
    down.set()
    store.execute("SELECT pg_terminate_backend(%s::int)", (pid,))
    eventually(lambda: len(attempts) >= 3)
    started = time.monotonic()
    reader.stop()
    assert time.monotonic() - started < 0.7
    assert_gone(store, reader)


def test_while_the_server_is_down_attempts_become_rarer_and_a_new_connection_makes_up_for_it(store, connect):
    attempts, down = [], threading.Event()

    def connect_or_not(**how):
        if down.is_set() and len(attempts) < 3:
            attempts.append(time.monotonic())
            raise OSError("whatever it is that connect raises")
        return connect(**how)

    notes = Notes()
    with subscription(connect_or_not, notes) as reader:
        ((pid, *_),) = backends(store.connection, reader)
        down.set()
        store.execute("SELECT pg_terminate_backend(%s::int)", (pid,))
        store.append("account-1", deposits(1))
        reader.wait_for(1)
    assert notes.positions == [1] and len(attempts) == 3
    pauses = [later - earlier for earlier, later in zip(attempts, attempts[1:], strict=False)]
    assert pauses == sorted(pauses) and pauses[0] >= 0.2 and pauses[1] >= 0.4


def test_the_block_ends_it_also_when_the_block_raises(store, connect):
    reader = subscription(connect, Notes())
    with pytest.raises(ZeroDivisionError), reader:
        assert len(threads(reader)) == 1
        raise ZeroDivisionError
    assert_gone(store, reader)


def test_without_a_schema_start_and_run_raise_at_once_and_leave_no_connection(new_store, connect):
    bare = new_store()  # no create_schema()
    reader = subscription(connect, Notes())
    for begin in (reader.start, reader.run, reader.__enter__):
        with pytest.raises(psycopg.errors.UndefinedTable):
            begin()
        assert_gone(bare, reader)
    reader.stop()
    bare.create_schema()
    bare.append("account-1", deposits(1))
    with reader:
        reader.wait_for(1)


def test_with_a_server_that_cannot_be_reached_start_and_run_raise_at_once(store, connect):
    reader = Subscription("reader", lambda: psycopg.connect("host=/nowhere port=1"), event_types(), Notes())
    for begin in (reader.start, reader.run):
        with pytest.raises(psycopg.OperationalError):
            begin()
        assert threads(reader) == []


def test_a_connection_that_is_in_a_transaction_is_refused_at_once_and_closed(store, connect):
    """`connect` may have run SQL on a connection that is not in autocommit mode."""
    made = []

    def in_a_transaction(**how):
        made.append(connect(autocommit=False, **how))
        made[-1].execute("SELECT 1")
        return made[-1]

    reader = subscription(in_a_transaction, Notes())
    with pytest.raises(psycopg.Error):
        reader.start()
    assert threads(reader) == []
    assert made[0].closed


def test_run_works_in_its_own_thread_until_another_one_stops_it(store, connect):
    notes = Notes()
    reader = subscription(connect, notes)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(reader.run)
        appended = store.append("account-1", deposits(1, 2))
        reader.wait_for(appended.position)
        assert not running.done()
        reader.stop()
        assert running.result(timeout=10) is None
    assert notes.positions == [1, 2]
    assert_gone(store, reader)


def test_run_can_be_called_again_after_a_stop(store, connect):
    notes = Notes()
    reader = subscription(connect, notes)
    with ThreadPoolExecutor(1) as pool:
        for position in (1, 2):
            running = pool.submit(reader.run)
            store.append("account-1", deposits(position))
            try:
                reader.wait_for(position, timeout=3)
            finally:
                reader.stop()
            running.result(timeout=10)
    assert notes.positions == [1, 2]


def test_a_handler_may_end_its_own_subscription_and_its_batch_counts(store, connect, deliveries):
    def project_and_stop(connection, events):
        deliveries.project(connection, events)
        reader.stop()

    store.append("account-1", deposits(1, 2, 3))
    reader = subscription(connect, project_and_stop, batch=2)
    reader.start()
    eventually(lambda: not threads(reader))
    reader.stop()
    assert deliveries.delivered(store) == [1, 2] and checkpoint(store) == 2
    assert_gone(store, reader)


# Waiting for it


def test_wait_for_says_after_its_time_where_it_is_and_what_may_be_wrong(store, connect):
    reader = subscription(connect, Notes())
    with reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="'reader' has come to position 1, not to 7") as caught:
            reader.wait_for(7, timeout=0.2)
        assert 0.2 <= time.monotonic() - started < 1
        assert "0.2 seconds" in str(caught.value)
    with pytest.raises(TimeoutError, match="is it running"):
        subscription(connect, Notes()).wait_for(1, timeout=0)


def test_whoever_waits_is_told_at_once_what_ended_it(store, connect):
    def interrupt(connection, events):
        assert about_to_wait.wait(10)
        raise KeyboardInterrupt

    about_to_wait = threading.Event()
    reader = subscription(connect, interrupt)
    reader.start()
    store.append("account-1", deposits(1))
    started = time.monotonic()
    about_to_wait.set()
    with pytest.raises(KeyboardInterrupt):
        reader.wait_for(1, timeout=10)
    with pytest.raises(KeyboardInterrupt):
        reader.wait_for(1, timeout=10)
    assert time.monotonic() - started < 5
    with pytest.raises(KeyboardInterrupt):
        reader.stop()
    assert_gone(store, reader)


def test_after_a_replay_whoever_waits_waits_until_the_read_model_is_made_anew(store, connect, balances):
    store.append("account-1", deposits(*range(40)))
    with subscription(connect, balances.project, handles=balances.handles, batch=2) as reader:
        reader.wait_for(40)
        kept = rows(store, balances)
        reader.replay(balances)
        reader.wait_for(40)
        assert rows(store, balances) == kept, "wait_for knew nothing of the replay"


def test_started_again_after_a_replay_it_knows_nothing_of_the_checkpoint_of_before(store, connect, balances):
    store.append("account-1", deposits(*range(40)))
    reader = subscription(connect, balances.project, handles=balances.handles, batch=2)
    with reader:
        reader.wait_for(40)
    kept = rows(store, balances)
    reader.replay(balances)
    with reader:
        reader.wait_for(40)
        assert rows(store, balances) == kept


# Ended by what happened


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_ends_it_and_leaves_nothing_of_the_batch(store, connect, deliveries, end):
    def fail(connection, events):
        deliveries.project(connection, events)
        raise end("enough")

    notes = Notes(fail)
    store.append("account-1", deposits(1, 2, 3))
    reader = subscription(connect, notes)
    reader.start()
    with pytest.raises(end, match="enough"):
        reader.wait_for(1)
    with pytest.raises(end, match="enough"):
        reader.stop()
    assert len(notes.batches) == 1, "it is no failure of the event"
    assert deliveries.delivered(store) == [] and checkpoint(store) == 0 and parked(store) == []
    assert_gone(store, reader)


def test_what_is_no_exception_passes_through_run(store, connect, deliveries):
    def fail(connection, events):
        raise KeyboardInterrupt

    store.append("account-1", deposits(1))
    reader = subscription(connect, fail)
    with pytest.raises(KeyboardInterrupt):
        reader.run()
    assert_gone(store, reader)


def test_tables_that_are_dropped_underneath_end_it_and_whoever_asks_is_told(store, connect):
    reader = subscription(connect, Notes())
    reader.start()
    store.append("account-1", deposits(1))
    reader.wait_for(1)
    store.execute("DROP TABLE subscriptions CASCADE")
    store.execute("SELECT pg_notify(events_channel(), '')")
    with pytest.raises(psycopg.errors.UndefinedTable):
        reader.wait_for(2)
    with pytest.raises(psycopg.errors.UndefinedTable):
        reader.stop()
    assert_gone(store, reader)


def test_a_row_that_is_removed_underneath_ends_it_and_whoever_asks_is_told(store, connect):
    notes = Notes()
    reader = subscription(connect, notes)
    other = subscription(connect, Notes(), "other")
    with other:
        reader.start()
        store.append("account-1", deposits(1))
        reader.wait_for(1)
        store.execute("DELETE FROM subscriptions WHERE name = 'reader'")
        store.append("account-1", deposits(2))
        with pytest.raises(InvalidArgument, match="no subscription 'reader'"):
            reader.wait_for(2)
        with pytest.raises(InvalidArgument, match="no subscription 'reader'"):
            reader.stop()
        other.wait_for(2)
    assert_gone(store, reader)
    assert notes.positions == [1]
    with reader:  # it begins anew, at the beginning
        reader.wait_for(2)
    assert notes.positions == [1, 1, 2]


class Ended(BaseException):
    """Ends a subscription as KeyboardInterrupt does, but never pytest."""


@pytest.fixture
def ended(store, connect):
    """A subscription that was ended at its first event, and handles it the second time; its handler's notes."""

    def end_once(connection, events):
        if len(notes.batches) == 1:
            raise Ended

    notes = Notes(end_once)
    reader = subscription(connect, notes)
    store.append("account-1", deposits(1))
    reader.start()
    eventually(lambda: not threads(reader))
    return reader, notes


def test_once_it_was_ended_and_stopped_it_can_be_started_again(ended):
    reader, notes = ended
    with pytest.raises(Ended):
        reader.stop()
    with reader:
        reader.wait_for(1)
    assert notes.positions == [1, 1]


def test_started_after_it_was_ended_it_first_says_what_ended_it_and_then_works(ended):
    """Nobody had called stop(), and so nobody was told."""
    reader, notes = ended
    with pytest.raises(Ended):
        reader.start()
    assert threads(reader) == []
    reader.start()
    assert len(threads(reader)) == 1
    reader.wait_for(1)
    reader.stop()
    assert notes.positions == [1, 1]


def test_a_subscription_that_its_handler_stopped_can_be_started_again(store, connect):
    def stop_at_the_first(connection, events):
        if len(notes.events) == 1:
            reader.stop()

    notes = Notes(stop_at_the_first)
    reader = subscription(connect, notes)
    reader.start()
    store.append("account-1", deposits(1))
    eventually(lambda: notes.events and not threads(reader))
    store.append("account-1", deposits(2))
    reader.start()
    assert len(threads(reader)) == 1
    reader.wait_for(2)
    reader.stop()
    assert notes.positions == [1, 2]
    assert_gone(store, reader)


def test_started_while_it_is_being_stopped_it_runs_in_the_end(store, connect):
    """The handler has called stop(), and is still at work."""
    stopped, release = threading.Event(), threading.Event()

    def stop_and_go_on(connection, events):
        if not stopped.is_set():
            reader.stop()
            stopped.set()
            assert release.wait(10)

    reader = subscription(connect, stop_and_go_on)
    reader.start()
    store.append("account-1", deposits(1))
    assert stopped.wait(10)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(reader.start)
        release.set()
        starting.result(timeout=10)
    store.append("account-1", deposits(2))
    reader.wait_for(2)
    assert len(threads(reader)) == 1
    reader.stop()


def test_a_handler_that_stops_and_starts_its_own_subscription_goes_on(store, connect):
    def stop_and_start(connection, events):
        reader.stop()
        reader.start()

    notes = Notes(stop_and_start)
    reader = subscription(connect, notes)
    with reader:
        for number in (1, 2):
            store.append("account-1", deposits(number))
            reader.wait_for(number)
        assert len(threads(reader)) == 1
    assert notes.positions == [1, 2]


def test_a_handler_that_closes_the_connection_ends_it_with_an_error(store, connect):
    store.append("account-1", deposits(1))
    reader = subscription(connect, lambda connection, events: connection.close())
    reader.start()
    with pytest.raises(psycopg.OperationalError):
        reader.wait_for(1)
    with pytest.raises(psycopg.OperationalError):
        reader.stop()
    assert_gone(store, reader)
    assert checkpoint(store) == 0


# Failures, and what is parked


def poisoned(*bad, error=lambda: ZeroDivisionError("a bad one")):
    """A handler's part that raises while one of these amounts is among the events."""

    def fail(connection, events):
        if any(getattr(event.event, "amount", None) in bad for event in events):
            raise error()

    return fail


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_an_event_is_tried_so_often_and_then_parked_with_the_error_while_the_rest_goes_on_in_order(
    store, connect, deliveries, attempts
):
    def project(connection, events):
        deliveries.project(connection, events)
        poisoned(5)(connection, events)

    notes = Notes(project)
    store.append("account-1", deposits(*range(1, 11)))
    with subscription(connect, notes, attempts=attempts) as reader:
        reader.wait_for(10)
        store.append("account-1", deposits(11))
        reader.wait_for(11)
    alone = [batch[0].position for batch in notes.batches if len(batch) == 1]
    assert alone.count(5) == attempts
    assert deliveries.delivered(store) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert parked(store) == [("reader", 5, "ZeroDivisionError: a bad one")]


def test_an_event_that_fails_now_and_then_is_handled_and_not_parked(store, connect, deliveries):
    failures = count(1)

    def project(connection, events):
        deliveries.project(connection, events)
        if any(event.event.amount in (3, 4) for event in events) and next(failures) % 3:
            raise ZeroDivisionError

    store.append("account-1", deposits(*range(1, 7)))
    with subscription(connect, project, batch=1) as reader:
        reader.wait_for(6)
    assert next(failures) == 7
    assert deliveries.delivered(store) == [1, 2, 3, 4, 5, 6] and parked(store) == []


def test_after_a_bad_event_batches_grow_again(store, connect):
    store.append("account-1", deposits(*range(1, 101)))
    notes = Notes(poisoned(2))
    with subscription(connect, notes, attempts=1, batch=32) as reader:
        reader.wait_for(100)
    sizes = [len(batch) for batch in notes.batches]
    assert sizes[0] == 32 and sizes[1] == 1
    assert max(sizes[2:]) == 32 and len(sizes) < 20, sizes


def test_several_bad_events_in_a_batch_side_by_side_at_its_ends_and_alone_are_each_parked(store, connect, deliveries):
    def project(connection, events):
        deliveries.project(connection, events)
        poisoned(1, 4, 5, 10, 20)(connection, events)

    store.append("account-1", deposits(*range(1, 21)))
    with subscription(connect, project, attempts=1, batch=10) as reader:
        reader.wait_for(20)
    assert [position for _, position, _ in parked(store)] == [1, 4, 5, 10, 20]
    assert deliveries.delivered(store) == [n for n in range(1, 21) if n not in (1, 4, 5, 10, 20)]


def test_two_subscriptions_park_for_themselves(store, connect):
    store.append("account-1", deposits(1, 2))
    with (
        subscription(connect, Notes(poisoned(1)), "one", attempts=1) as one,
        subscription(connect, Notes(poisoned(1, 2)), "two", attempts=1) as two,
    ):
        one.wait_for(2)
        two.wait_for(2)
    assert [row[:2] for row in parked(store)] == [("one", 1), ("two", 1), ("two", 2)]


def test_a_subscription_that_skips_others_events_parks_the_right_one(store, connect):
    for number in range(1, 6):
        store.append(f"other-{number}", deposits(3))
        store.append("account-1", [AccountOpened("1", "PLN"), *deposits(number)])
    notes = Notes(poisoned(3))
    with subscription(connect, notes, category="account", handles=[DepositRecorded], attempts=1, batch=3) as reader:
        reader.wait_for(15)
    assert [position for _, position, _ in parked(store)] == [9]
    assert [event.stream_id for event in store.read_all(after=8, limit=1)] == ["account-1"]


@pytest.mark.parametrize("place", ["unknown", "unreadable"])
def test_an_event_in_the_log_that_cannot_be_read_is_parked_and_not_fatal(store, connect, deliveries, place):
    as_stored = EventTypes(Stranger) if place == "unknown" else EventTypes(DepositRecorded=Stranger)
    other = EventStore(connect(), as_stored)
    store.append("account-1", deposits(1, 2))
    other.append("account-1", [Stranger("who is this")])
    store.append("account-1", deposits(4))
    with subscription(connect, deliveries.project, attempts=2) as reader:
        reader.wait_for(4)
        other.append("account-1", [Stranger("and this")])
        reader.wait_for(5)
    assert deliveries.delivered(store) == [1, 2, 4]
    assert [position for _, position, _ in parked(store)] == [3, 5]
    expected = "UnknownEventType: " if place == "unknown" else "InvalidEvent: "
    assert all(error.startswith(expected) and "account-1" in error for _, _, error in parked(store))


@pytest.mark.parametrize(
    "text",
    ["a NUL \0 in it", "", "x" * 10_000, "Łucja 🙂", "half of a pair: \ud83d"],
    ids=lambda text: ascii(text)[:12],
)
def test_whatever_the_text_of_the_error_the_event_is_parked(store, connect, text):
    store.append("account-1", deposits(1, 2))
    with subscription(connect, Notes(poisoned(1, error=lambda: ValueError(text))), attempts=1) as reader:
        reader.wait_for(2)
    ((_, position, error),) = parked(store)
    assert position == 1 and error.startswith("ValueError: ")


@pytest.mark.parametrize("caught", [True, False])
def test_an_error_of_the_database_in_the_handler_is_one_like_others_even_where_it_is_caught(
    store, connect, deliveries, caught
):
    def project(connection, events):
        deliveries.project(connection, events)
        if any(event.event.amount == 2 for event in events):
            try:
                connection.execute("SELECT 1 / 0")
            except psycopg.Error:
                if not caught:
                    raise

    store.append("account-1", deposits(1, 2, 3))
    with subscription(connect, project, attempts=1) as reader:
        reader.wait_for(3)
    assert deliveries.delivered(store) == [1, 3]
    assert [position for _, position, _ in parked(store)] == [2]


# Parked events, once more


def test_parked_events_are_handled_once_the_handler_is_mended(store, connect, deliveries):
    bad = [2, 4]

    def project(connection, events):
        deliveries.project(connection, events)
        poisoned(*bad)(connection, events)

    store.append("account-1", deposits(1, 2, 3, 4))
    notes = Notes(project)
    reader = subscription(connect, notes, attempts=1)
    with reader:
        reader.wait_for(4)
    assert reader.retry_parked() == 2, "the handler still fails"
    assert [row[:2] for row in parked(store)] == [("reader", 2), ("reader", 4)]
    assert deliveries.delivered(store) == [1, 3]
    bad.remove(2)
    assert reader.retry_parked() == 1
    bad.clear()
    assert reader.retry_parked() == 0
    assert reader.retry_parked() == 0
    assert deliveries.delivered(store) == [1, 3, 2, 4] and parked(store) == []
    assert notes.batches[-1] == [store.read_stream("account-1")[3]]
    assert checkpoint(store) == 4
    assert_gone(store, reader)


def test_parked_events_are_handled_while_the_subscription_runs_and_each_once(store, connect, new_store, deliveries):
    mended = threading.Event()

    def project(connection, events):
        deliveries.project(connection, events)
        if not mended.is_set():
            poisoned(*range(0, 50, 5))(connection, events)

    store.append("account-1", deposits(*range(50)))
    with subscription(connect, project, attempts=1, batch=10) as reader:
        reader.wait_for(50)
        mended.set()
        writer = new_store()
        write = lambda: [writer.append("account-2", deposits(number)) for number in range(30)]  # noqa: E731
        outcomes = at_once([reader.retry_parked, reader.retry_parked, write])
        assert 0 in outcomes[:2], outcomes
        reader.wait_for(80)
    assert sorted(deliveries.delivered(store)) == list(range(1, 81))
    assert parked(store) == []


def test_a_retry_is_for_the_subscriptions_own_events(store, connect):
    store.append("account-1", deposits(1))
    notes = Notes(poisoned(1))
    one = subscription(connect, notes, "one", attempts=1)
    two = subscription(connect, Notes(poisoned(1)), "two", attempts=1)
    for reader in (one, two):
        with reader:
            reader.wait_for(1)
    notes.then, notes.batches = lambda *_: None, []
    assert one.retry_parked() == 0
    assert notes.positions == [1]
    assert [row[:2] for row in parked(store)] == [("two", 1)]


def test_an_event_that_could_not_be_read_is_handled_once_its_class_is_there(store, connect):
    EventStore(connect(), EventTypes(Stranger)).append("account-1", [Stranger("hello")])
    reader = subscription(connect, Notes(), attempts=1)
    with reader:
        reader.wait_for(1)
    assert reader.retry_parked() == 1
    notes = Notes()
    known = subscription(connect, notes, types=EventTypes(Stranger))
    assert known.retry_parked() == 0
    assert [event.event for event in notes.events] == [Stranger("hello")]


# Replay


@pytest.mark.parametrize("where", ["here", "elsewhere", "nowhere"])
def test_a_replay_makes_the_read_model_anew_wherever_the_subscription_runs(store, connect, balances, where):
    store.append("account-1", [*deposits(*range(1, 60)), CashWithdrawn("1", Decimal(5), "cashier-1")])
    reader = subscription(connect, balances.project, handles=balances.handles, batch=7)
    other = subscription(connect, balances.project, handles=balances.handles)
    with reader:
        reader.wait_for(60)
    kept = rows(store, balances)
    store.execute("UPDATE account_balances SET balance = 0; INSERT INTO account_balances VALUES ('nobody', 1, 1)")
    if where == "nowhere":
        reader.replay(balances)
        assert rows(store, balances) == [] and checkpoint(store) == 0
        assert threads(reader) == [], "it was not running before"
    with reader:
        reader.wait_for(0)
        if where != "nowhere":
            (reader if where == "here" else other).replay(balances)
        eventually(lambda: checkpoint(store) == 60)
        store.append("account-2", deposits(1, account="2"))
        eventually(lambda: checkpoint(store) == 61)
    assert rows(store, balances) == [*kept, ("2", 1, 1)]
    assert_gone(store, other)


def test_replays_again_and_again_while_it_runs_and_others_append_count_nothing_twice(
    store, connect, new_store, deliveries
):
    writer, other = new_store(), subscription(connect, deliveries.project)

    def write():
        for number in range(100):
            writer.append(f"account-{number % 3}", deposits(number))

    def replay_often():
        for turn in range(8):
            (other if turn % 2 else reader).replay(deliveries)

    store.append("account-1", deposits(*range(50)))
    with subscription(connect, deliveries.project, batch=9) as reader:
        assert at_once([write, replay_often]) == [None, None]
        eventually(lambda: checkpoint(store) == 150)
    assert deliveries.delivered(store) == logged(store)


def test_after_a_replay_of_an_empty_log_it_still_hears_of_the_first_event(store, connect, deliveries):
    notes = Notes(deliveries.project)
    with subscription(connect, notes) as reader:
        eventually(lambda: backends(store.connection, reader))
        time.sleep(0.3)  # it finds nothing, and goes to sleep
        subscription(connect, notes).replay(deliveries)
        time.sleep(0.3)  # and once more
        store.append("account-1", deposits(1))
        reader.wait_for(1, timeout=2)
    assert deliveries.delivered(store) == [1]


def test_a_replay_tries_parked_events_again(store, connect, deliveries):
    def project(connection, events):
        deliveries.project(connection, events)
        poisoned(*bad)(connection, events)

    bad = [2]
    store.append("account-1", deposits(1, 2, 3))
    with subscription(connect, project, attempts=1) as reader:
        reader.wait_for(3)
        assert len(parked(store)) == 1
        bad.clear()
        reader.replay(deliveries)
        eventually(lambda: checkpoint(store) == 3)
    assert parked(store) == [] and deliveries.delivered(store) == [1, 2, 3]


def test_a_replay_that_fails_leaves_the_read_model_and_the_checkpoint(store, connect, balances):
    store.append("account-1", deposits(1))
    reader = subscription(connect, balances.project, handles=balances.handles)
    with reader:
        reader.wait_for(1)
    kept = rows(store, balances)
    store.execute("CREATE TABLE refers (id text REFERENCES account_balances); INSERT INTO refers VALUES ('1')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        reader.replay(balances)
    assert rows(store, balances) == kept and checkpoint(store) == 1
    assert_gone(store, reader)


def test_a_replay_of_an_unknown_subscription_is_refused_and_leaves_the_read_model(store, connect, balances):
    store.execute("INSERT INTO account_balances VALUES ('1', 1, 1)")
    with pytest.raises(InvalidArgument, match="no subscription 'nobody'"):
        subscription(connect, balances.project, "nobody").replay(balances)
    assert rows(store, balances) == [("1", 1, 1)]


# Filters


def test_the_category_and_the_classes_say_what_is_handled(store, connect):
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1)])
    store.append("accounting-1", deposits(2))
    store.append("account", deposits(3))
    store.append("cashier-1", [CashierEmployed("cashier-1", "Anna"), *deposits(4)])
    store.append("account-2", [*deposits(5), AccountClosed("2")])
    wanted = {
        "everything": ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        "account": ({"category": "account"}, [1, 2, 4, 7, 8]),
        "deposits": ({"handles": (DepositRecorded,)}, [2, 3, 4, 6, 7]),
        "both": ({"category": "account", "handles": iter([AccountOpened, DepositRecorded])}, [1, 2, 4, 7]),
        "nothing": ({"category": "nobody"}, []),
    }
    for name, (filters, positions) in wanted.items():
        notes = Notes()
        with subscription(connect, notes, name, batch=2, **filters) as reader:
            reader.wait_for(8)
        assert notes.positions == positions, name
        assert checkpoint(store, name) == 8, "what it does not want is passed by"


def test_events_that_it_does_not_want_are_passed_and_not_read_again_after_a_restart(store, connect):
    notes = Notes()
    reader = subscription(connect, notes, handles=[CashierEmployed])
    with reader:
        for _ in range(5):
            appended = store.append("account-1", deposits(*range(20)))
            reader.wait_for(appended.position)
        assert checkpoint(store) == 100
    assert notes.batches == []
    store.append("cashier-1", [CashierEmployed("cashier-1", "Anna")])
    with reader:
        reader.wait_for(101)
    assert notes.positions == [101]


def test_holes_that_rolled_back_appends_leave_are_passed_too(store, connect):
    with store.connection.transaction():
        store.append("account-1", deposits(1, 2, 3))
        raise psycopg.Rollback
    notes = Notes()
    with subscription(connect, notes) as reader:
        reader.wait_for(3)
        store.append("account-1", deposits(4))
        reader.wait_for(4)
    assert notes.positions == [4]


# Arguments


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a\0b"},
        {"name": None},
        {"name": 7},
        {"name": "\ud800"},
        {"batch": 0},
        {"batch": -1},
        {"batch": 1.5},
        {"batch": True},
        {"batch": "10"},
        {"batch": None},
        {"attempts": 0},
        {"attempts": "3"},
        {"category": ""},
        {"category": "account-1"},
        {"category": 7},
    ],
    ids=str,
)
def test_bad_arguments_are_refused(bad):
    arguments = {"name": "reader", **bad}
    with pytest.raises(InvalidArgument):
        Subscription(connect=pytest.fail, types=event_types(), handler=Notes(), **arguments)


def test_classes_of_which_one_is_not_registered_are_refused():
    for handles in ([], [Stranger], [DepositRecorded, Stranger]):
        with pytest.raises(UnknownEventType):
            Subscription("reader", pytest.fail, event_types(), Notes(), handles=handles)


@pytest.mark.parametrize("name", ["a b", 'it\'s "quoted"; DROP TABLE events', "Łucja 🙂", "x" * 255, "%s %"])
def test_any_text_is_a_name(store, connect, name):
    store.append("account-1", deposits(1))
    notes = Notes(poisoned(1))
    reader = subscription(connect, notes, name, attempts=1)
    with reader:
        reader.wait_for(1)
    notes.then = lambda *_: None
    assert [row[0] for row in parked(store)] == [name]
    assert reader.retry_parked() == 0
    assert checkpoint(store, name) == 1


# The caller's connection


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"row_factory": dict_row}, id="row_factory: dict_row"),
        {"autocommit": False},
        {"prepare_threshold": 0},
        {"prepare_threshold": None},
        {"options": "-c default_transaction_deferrable=on"},
        {"options": "-c default_transaction_isolation=read\\ uncommitted"},
        {"options": "-c TimeZone=Asia/Tokyo -c DateStyle=SQL,DMY -c IntervalStyle=sql_standard"},
        {"cursor_factory": psycopg.ClientCursor},
    ],
    ids=lambda how: "dict_row" if "row_factory" in how else "ClientCursor" if "cursor_factory" in how else str(how),
)
def test_whatever_settings_the_callers_connection_has_events_are_handled_and_parked(store, connect, deliveries, how):
    def project(connection, events):
        deliveries.project(connection, events)
        poisoned(3)(connection, events)

    notes = Notes(project)
    store.append("account-1", deposits(1, 2, 3, 4), metadata={"user": "Anna"})
    reader = subscription(lambda **label: connect(**how, **label), notes, attempts=1)
    with reader:
        reader.wait_for(4)
        store.append("account-1", deposits(5))
        reader.wait_for(5, timeout=1)
    assert deliveries.delivered(store) == [1, 2, 4, 5]
    assert [position for _, position, _ in parked(store)] == [3]
    assert reader.retry_parked() == 1
    assert notes.events[0] == store.read_stream("account-1")[0]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_stricter_isolation_level_is_refused_with_a_clear_error_and_skips_and_parks_nothing(store, connect, level):
    store.append("account-1", deposits(1))
    option = level.replace(" ", "\\ ")
    notes = Notes()
    reader = subscription(
        lambda **label: connect(options=f"-c default_transaction_isolation={option}", **label), notes, attempts=1
    )
    reader.start()
    with pytest.raises(psycopg.DatabaseError, match=f"cannot be read in a {level} transaction"):
        reader.wait_for(1)
    with pytest.raises(psycopg.DatabaseError, match=f"cannot be read in a {level} transaction"):
        reader.stop()
    assert_gone(store, reader)
    assert notes.events == [] and checkpoint(store) == 0 and parked(store) == []


def test_a_schema_with_a_name_that_needs_quotes_works_and_is_told_of_its_own_events_only(postgres, store, connect):
    name = f'Of its own: "{store.execute("SELECT current_schema()").fetchone()[0]}"'
    quoted = psycopg.sql.Identifier(name)

    def elsewhere(**how):
        connection = connect(**how)
        connection.execute(psycopg.sql.SQL("SET search_path TO {}").format(quoted))
        return connection

    other = EventStore(elsewhere(), event_types())
    other.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(quoted))
    try:
        other.create_schema()
        here, there = Notes(), Notes()
        with (
            subscription(connect, here, "same name") as reader,
            subscription(elsewhere, there, "same name") as other_reader,
        ):
            store.append("account-1", deposits(1))
            other.append("account-1", deposits(10, 20))
            reader.wait_for(1, timeout=1)
            other_reader.wait_for(2, timeout=1)
        assert amounts(here) == [1] and amounts(there) == [10, 20]
    finally:
        other.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(quoted))


# How far behind


def status(store):
    return store.execute(
        "SELECT name, checkpoint, events_behind, seconds_behind, events_parked FROM subscription_status ORDER BY name"
    ).fetchall()


def test_the_status_says_how_far_behind_each_subscription_is(store, connect):
    assert status(store) == []
    store.append("account-1", deposits(1, 2, 3))
    one = subscription(connect, Notes(poisoned(2)), "one", attempts=1)
    two = subscription(connect, Notes(), "two")
    for reader in (one, two):
        with reader:
            reader.wait_for(3)
    assert status(store) == [("one", 3, 0, 0, 1), ("two", 3, 0, 0, 0)]
    store.append("account-1", deposits(4))
    with two:
        two.wait_for(4)
    store.append("account-2", deposits(5, 6))
    (*first, seconds, parked_one), (*second, less, parked_two) = status(store)
    assert first == ["one", 3, 3] and second == ["two", 4, 2]
    assert (parked_one, parked_two) == (1, 0)
    assert seconds > less > 0


def test_the_lag_grows_while_it_is_stopped_and_goes_when_it_has_caught_up(store, connect):
    reader = subscription(connect, Notes())
    with reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
    seen = []
    for number in range(2, 5):
        store.append("account-1", deposits(number))
        seen.append(status(store)[0][2:4])
    assert [events for events, _ in seen] == [1, 2, 3]
    seconds = [seconds for _, seconds in seen]
    assert seconds == sorted(set(seconds)) and seconds[0] > 0 and seconds[-1] < 60
    with reader:
        reader.wait_for(4)
    assert status(store)[0][2:4] == (0, 0)


def test_the_status_counts_archived_events_too(store, connect):
    from eventstore import archive_stream

    with subscription(connect, Notes()) as reader:
        store.append("account-1", deposits(1))
        reader.wait_for(1)
    store.append("account-2", deposits(2, 3))
    archive_stream(store, "account-2")
    assert status(store)[0][:3] == ("reader", 1, 2)


# Both ways


@pytest.mark.parametrize("projection", [AccountBalances(), CashierDashboard()], ids=lambda each: each.table)
def test_a_projection_gives_the_same_table_in_the_append_and_by_subscription(connect, store, projection):
    """The same instance, in a store that keeps it inline, and by subscription in a schema of its own."""
    schema = store.execute("SELECT current_schema()").fetchone()[0]

    def inline_connection():
        connection = connect()
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}_inline")
        connection.execute(f"SET search_path TO {schema}_inline")
        return connection

    inline = EventStore(inline_connection(), event_types(), [projection])
    try:
        inline.create_schema()
        projection.create(store.connection)
        with subscription(connect, projection.project, handles=projection.handles, batch=4) as reader:
            for number in range(30):
                cashier = f"cashier-{number % 3}"
                for each in (store, inline):
                    each.append(f"account-{number % 4}", [DepositRecorded(str(number % 4), Decimal(number), cashier)])
                    if number % 7 == 0:
                        each.append(cashier, [CashierEmployed(cashier, f"name {number}")])
            reader.wait_for(last_position(store))
        assert rows(store, projection) == rows(inline, projection) != []
    finally:
        inline.execute(f"DROP SCHEMA {schema}_inline CASCADE")
