"""Whatever the caller's connection is like, and whoever shares it: a method keeps its promise, or says why not."""

import threading
from contextlib import nullcontext
from functools import partial

import psycopg
import pytest
from psycopg.rows import class_row, dict_row, kwargs_row, namedtuple_row, scalar_row

from eventstore import (
    NO_STREAM,
    DuplicateEvent,
    EventStore,
    InvalidArgument,
    StreamArchived,
    WrongExpectedVersion,
    aggregate_stream,
    aggregate_with_snapshots,
    archive_stream,
    handle,
    rebuild,
    restore_stream,
)
from tests.bank import AccountOpened, deposits
from tests.concurrency import at_once
from workshop.bank import BankAccount, RecordDeposit, account_decider, event_types, evolve
from workshop.bank.read_models import AccountBalances


def use_all_of_it(store, other):
    """Call each method and function that uses the connection, and see from another one what has come of it."""

    def seen(stream_id="account-1", **how):
        done()
        return [each.event for each in other.read_stream(stream_id, **how)]

    def done():
        if not store.connection.autocommit:
            store.connection.commit()

    store.create_schema()
    AccountBalances().create(store.connection)
    opened = AccountOpened("account-1", "PLN")
    assert store.append("account-1", [opened], expected_version=NO_STREAM).version == 1
    assert seen() == [opened]
    assert store.append("account-1", deposits(100, account="account-1"), metadata={"by": "me"}).version == 2
    with pytest.raises(WrongExpectedVersion):
        store.append("account-1", deposits(1), expected_version=NO_STREAM)
    first = store.read_stream("account-1")[0]
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(1), event_ids=[first.id])
    state, version = handle(store, account_decider, "account-1", RecordDeposit(7, "cashier-1"))
    assert (state.balance, version) == (107, 3)
    assert [each.version for each in store.read_stream("account-1", from_version=2, until=first.recorded_at)] == []
    assert aggregate_stream(store, "account-1", BankAccount(), evolve) == (state, 3)
    assert aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=1) == (state, 3)
    assert aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=1) == (state, 3)
    assert store.stream_info("account-1").version == 3
    done()
    assert [each.version for each in store.read_all(category="account", event_types=[type(opened)])] == [1]
    assert [each.version for each in store.read_all()] == [1, 2, 3]
    assert store.settled_position().drawn == 4, "of a duplicate the position is drawn"
    if not store.projections:
        rebuild(store, AccountBalances())
        done()
    assert other.execute("SELECT balance FROM account_balances").fetchall() == [(107,)]
    assert archive_stream(store, "account-1") == 3
    with pytest.raises(StreamArchived):
        store.read_stream("account-1")
    with pytest.raises(StreamArchived):
        store.append("account-1", deposits(1))
    assert len(store.read_stream("account-1", archived=True)) == 3
    done()
    assert other.stream_info("account-1").archived_at is not None
    assert restore_stream(store, "account-1") == 3
    assert [len(seen()), len(store.read_stream("account-1"))] == [3, 3]
    store.execute("DELETE FROM account_balances")
    assert rebuild(store, AccountBalances()) == 3
    done()
    assert other.execute("SELECT balance FROM account_balances").fetchall() == [(107,)]


class Stubborn(psycopg.Cursor):
    """A class of the caller's own."""


CONNECTIONS = {
    "tuples": {},
    "dicts": {"row_factory": dict_row},
    "named tuples": {"row_factory": namedtuple_row},
    "objects": {"row_factory": class_row(dict)},
    "keywords": {"row_factory": kwargs_row(dict)},
    "scalars": {"row_factory": scalar_row},
    "bound in the client": {"cursor_factory": psycopg.ClientCursor},
    "cursors of one's own": {"cursor_factory": Stubborn},
    "prepared at once": {"prepare_threshold": 0},
    "never prepared": {"prepare_threshold": None},
    "in another format of dates": {"options": "-c DateStyle=SQL,DMY -c TimeZone=Europe/Berlin"},
}


@pytest.mark.parametrize("autocommit", [True, False], ids=["autocommit", "no autocommit"])
@pytest.mark.parametrize("how", CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("projections", [[], [AccountBalances()]], ids=["bare", "projecting"])
def test_every_method_keeps_its_promise_on_any_connection(connect, how, autocommit, projections):
    connection = connect(autocommit=autocommit, **how)
    connection.server_cursor_factory = psycopg.RawServerCursor
    use_all_of_it(EventStore(connection, event_types(), projections), EventStore(connect(), event_types()))


def test_a_connection_whose_cursors_know_only_numbered_parameters_is_one_like_others(store, connect):
    raw = EventStore(connect(), event_types())
    raw.connection.cursor_factory = psycopg.RawCursor
    raw.append("account-1", deposits(1, 2))
    assert raw.read_stream("account-1") == raw.read_all() == store.read_all()
    assert archive_stream(raw, "account-1") == len(raw.read_stream("account-1", archived=True)) == 2
    raw.create_schema()


@pytest.mark.parametrize("autocommit", [True, False], ids=["autocommit", "no autocommit"])
@pytest.mark.parametrize("projecting", [True, False], ids=["projecting", "bare"])
def test_in_a_pipeline_what_has_returned_is_done(connect, autocommit, projecting):
    """Statements of a pipeline are one transaction, until it is synchronised: an error takes them all with it."""
    other = EventStore(connect(), event_types(), [AccountBalances()])
    other.create_schema()
    piped = EventStore(connect(autocommit=autocommit), event_types(), [AccountBalances()] if projecting else [])
    with piped.connection.pipeline():
        for amount in (1, 2):
            piped.append("account-1", deposits(amount))
            with pytest.raises(WrongExpectedVersion):
                piped.append("account-2", deposits(1), expected_version=5)
            assert len(piped.read_stream("account-1")) == amount
            if autocommit:
                assert len(other.read_stream("account-1")) == amount, "it had returned"
        piped.append("account-3", deposits(3))
        assert archive_stream(piped, "account-3") == 1
        with pytest.raises(WrongExpectedVersion):
            archive_stream(piped, "account-4")
        if autocommit:
            assert other.stream_info("account-3").archived_at
        assert restore_stream(piped, "account-3") == 1
        with pytest.raises(WrongExpectedVersion):
            restore_stream(piped, "account-4")
        assert piped.stream_info("account-3").archived_at is None
        if autocommit:
            assert [len(piped.read_all()), piped.settled_position().settled] == [3, other.settled_position().settled]
            assert len(piped.read_stream("account-3", archived=True)) == 1
        state = aggregate_with_snapshots(piped, "account-1", BankAccount(), evolve, every=1)
        assert state == aggregate_stream(piped, "account-1", BankAccount(), evolve)
    if not autocommit:
        assert other.read_stream("account-1") == []
        piped.connection.commit()
    assert [len(other.read_stream(f"account-{number}")) for number in (1, 2, 3)] == [2, 0, 1]
    balances = other.execute("SELECT account_id, balance FROM account_balances ORDER BY 1").fetchall()
    assert balances == ([("1", 6)] if projecting else [])


def test_in_a_pipeline_within_a_transaction_of_the_callers_both_are_done_with_it(connect, store):
    piped = EventStore(connect(), event_types())
    for ends in (psycopg.Rollback, None):
        with piped.connection.pipeline(), piped.connection.transaction():
            piped.append("account-1", deposits(1))
            piped.append("account-2", deposits(1))
            if ends:
                raise ends
        assert len(store.read_all()) == (0 if ends else 2)


@pytest.mark.parametrize("what", [rebuild, EventStore.create_schema], ids=["rebuild", "create_schema"])
def test_what_cannot_work_in_a_pipeline_says_so_and_changes_nothing(store, connect, what):
    AccountBalances().create(store.connection)
    store.append("account-1", deposits(1))
    store.execute("INSERT INTO account_balances VALUES ('kept', 1, 1)")
    piped = EventStore(connect(), event_types())
    refusal = pytest.raises(psycopg.NotSupportedError, match=f"{what.__name__} does not work in a pipeline")
    with refusal, piped.connection.pipeline():
        what(piped, *[AccountBalances()] * (what is rebuild))
    assert store.execute("SELECT account_id FROM account_balances").fetchall() == [("kept",)]


def test_a_lost_race_leaves_a_transaction_that_the_append_began_usable(store, connect):
    """Without autocommit the first statement begins the caller's transaction, be it ours."""
    store.append("account-1", deposits(1))
    other = EventStore(connect(autocommit=False), event_types())
    with pytest.raises(WrongExpectedVersion):
        other.append("account-1", deposits(2), expected_version=0)
    assert other.append("account-1", deposits(2), expected_version=1).version == 2
    other.connection.commit()
    assert len(store.read_stream("account-1")) == 2


# Threads that share a store


@pytest.fixture
def held(new_store):
    """A store whose projection waits in the middle of an append, in a thread of its own; what it does then is said."""
    inside, go = threading.Event(), threading.Event()

    class Waiting(AccountBalances):
        then = None

        def project(self, connection, events):
            super().project(connection, events)
            inside.set()
            assert go.wait(10)
            if self.then:
                raise self.then

    shared = new_store()
    shared.projections = (Waiting(),)
    shared.create_schema()
    shared.append_and_wait = lambda: (inside.wait(10), go)[1]
    return shared


OTHERS = {
    "append": lambda store: store.append("account-9", deposits(1)),
    "read_stream": lambda store: store.read_stream("account-1"),
    "read_all": lambda store: store.read_all(),
    "settled_position": lambda store: store.settled_position(),
    "stream_info": lambda store: store.stream_info("account-1"),
    "execute": lambda store: store.execute("INSERT INTO account_balances VALUES ('mine', 1, 1)"),
    "create_schema": lambda store: store.create_schema(),
    "archive_stream": lambda store: archive_stream(store, "account-2"),
    "restore_stream": lambda store: restore_stream(store, "account-2"),
    "aggregate_stream": lambda store: aggregate_stream(store, "account-1", BankAccount(), evolve),
    "snapshots": lambda store: aggregate_with_snapshots(store, "account-2", BankAccount(), evolve, every=1),
    "handle": lambda store: handle(store, account_decider, "account-2", RecordDeposit(1, "cashier-1")),
    "rebuild": lambda store: rebuild(store, AccountBalances()),
    "transaction": lambda store: in_a_transaction(store),
}


def in_a_transaction(store):
    with store.transaction():
        store.append("account-8", deposits(1))


@pytest.mark.parametrize("twins", [False, True], ids=["one store", "two on one connection"])
@pytest.mark.parametrize("what", OTHERS)
def test_no_method_gets_between_the_statements_of_another_threads_append(held, new_store, what, twins):
    """What one thread was told is done would be undone with the other one's append; what it read would never be."""
    observer = new_store()
    observer.append("account-2", [AccountOpened("account-2", "PLN")])
    (projection,), outcome, order = held.projections, {}, []
    projection.then = ZeroDivisionError

    def run(name, task):
        try:
            outcome[name] = task()
        except Exception as error:
            outcome[name] = error
        order.append(name)

    first = threading.Thread(target=run, args=["append", lambda: held.append("account-1", deposits(1))])
    first.start()
    go = held.append_and_wait()
    held.projections = ()
    other = EventStore(held.connection, held.types) if twins else held
    second = threading.Thread(target=run, args=["other", lambda: OTHERS[what](other)])
    second.start()
    second.join(0.05)  # it could come too early, but not because this is too short
    before = list(order)
    go.set()
    first.join(10), second.join(10)
    assert before == [], f"{what} did not wait for its turn: {outcome}"
    assert isinstance(outcome["append"], ZeroDivisionError) and not isinstance(outcome["other"], Exception), outcome
    assert observer.read_stream("account-1") == []
    if what == "read_stream":
        assert outcome["other"] == [], "it read what was never stored"
    if what == "archive_stream":
        assert observer.stream_info("account-2").archived_at
    for stream_id in {"append": ["account-9"], "transaction": ["account-8"]}.get(what, []):
        assert len(observer.read_stream(stream_id)) == 1


def test_a_transaction_that_is_begun_by_the_store_is_one_of_this_thread_alone(store, new_store):
    shared, observer = new_store(), new_store()
    with shared.transaction():
        shared.append("account-1", deposits(1))
        other = threading.Thread(target=shared.append, args=["account-2", deposits(2)])
        other.start()
        other.join(0.05)
        assert other.is_alive(), "it took part in a transaction that is not its own"
        shared.append("account-1", deposits(3))
        assert observer.read_all() == []
    other.join(10)
    assert [len(observer.read_stream(f"account-{number}")) for number in (1, 2)] == [2, 1]


@pytest.mark.parametrize("projecting", [True, False], ids=["projecting", "bare"])
def test_what_threads_that_share_a_store_were_told_is_so(new_store, projecting):
    shared, observer = new_store(), new_store()
    shared.projections = (AccountBalances(),) if projecting else ()
    shared.create_schema()
    for number in range(20):
        shared.append(f"old-{number}", deposits(1, account="old"))

    def append(writer):
        return [shared.append(f"account-{writer}", deposits(1, account=f"{writer}")).version for _ in range(15)]

    def archive():
        return [archive_stream(shared, f"old-{number}") for number in range(20)]

    def read():
        for _ in range(20):
            with shared.transaction():
                assert len(shared.read_stream("account-0")) == len(shared.read_stream("account-0"))

    outcomes = at_once([*(partial(append, writer) for writer in range(4)), archive, read])
    assert outcomes == [[*range(1, 16)]] * 4 + [[1] * 20, None]
    assert [len(observer.read_stream(f"account-{writer}")) for writer in range(4)] == [15] * 4
    assert all(observer.stream_info(f"old-{number}").archived_at for number in range(20))


def test_a_store_says_nothing_of_transactions_that_are_not_its_own(store):
    """The turn is given back, also by whoever fails."""
    for context in (nullcontext(), pytest.raises(ZeroDivisionError)):
        with context, store.transaction():
            if not isinstance(context, nullcontext):
                raise ZeroDivisionError
    thread = threading.Thread(target=store.append, args=["account-1", deposits(1)])
    thread.start()
    thread.join(10)
    assert len(store.read_stream("account-1")) == 1


@pytest.mark.parametrize("given", ["postgresql://localhost", None, psycopg.AsyncConnection], ids=str)
def test_what_is_no_connection_is_refused_with_the_way_to_one(given):
    with pytest.raises(InvalidArgument, match=r"a psycopg.Connection is needed, not .*: psycopg.connect\("):
        EventStore(given, event_types())
