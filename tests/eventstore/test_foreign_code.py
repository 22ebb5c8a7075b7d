"""Code that is not the store's may run in its transaction, and must not end it: whoever does is told, wherever."""

from contextlib import suppress

import psycopg
import pytest

from eventstore import (
    Decider,
    EventStore,
    EventStoreError,
    EventTypes,
    InvalidEvent,
    Projection,
    aggregate_stream,
    aggregate_with_snapshots,
    handle,
    rebuild,
)
from tests.bank import DepositRecorded, deposits
from workshop.bank import BankAccount, evolve
from workshop.bank.read_models import AccountBalances


def raises_rollback(connection):
    raise psycopg.Rollback


def rolls_back(connection):
    connection.execute("ROLLBACK")


def rolls_back_and_begins_anew(connection):
    connection.execute("ROLLBACK")
    connection.execute("BEGIN")


def rolls_back_in_a_chain(connection):
    connection.execute("ROLLBACK AND CHAIN")


def commits_in_a_chain(connection):
    connection.execute("COMMIT AND CHAIN")


def commits_and_fails(connection):
    connection.execute("COMMIT")
    raise ZeroDivisionError


def commits_by_method(connection):
    connection.commit()


def hides_an_error(connection):
    with suppress(psycopg.Error):
        connection.execute("SELECT 1 / 0")  # and from now on nothing can be committed


def closes(connection):
    connection.close()


ENDS = [
    raises_rollback,
    rolls_back,
    rolls_back_and_begins_anew,
    rolls_back_in_a_chain,
    commits_in_a_chain,
    commits_and_fails,
    commits_by_method,
    hides_an_error,
    closes,
]
COMMITS = (commits_in_a_chain, commits_and_fails)  # what they committed cannot be undone
SAID = {commits_by_method: psycopg.ProgrammingError, hides_an_error: psycopg.Error, closes: psycopg.OperationalError}
each_end = pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.replace("_", " "))


def assert_told(end, attempt):
    """It raises an error that says what was done, not one that ends a transaction without a word."""
    with pytest.raises(SAID.get(end, EventStoreError)) as caught:
        attempt()
    assert not isinstance(caught.value, psycopg.Rollback)
    if end not in SAID:
        assert "the transaction" in str(caught.value)


class Ending(AccountBalances):
    """Ends the transaction, once it has written; `place` says where."""

    def __init__(self, end, place="project"):
        self.end, self.place = end, place

    def create(self, connection):
        super().create(connection)
        if self.place == "create":
            self.end(connection)

    def project(self, connection, events):
        super().project(connection, events)
        if self.place == "project":
            self.end(connection)


class Counting(Projection):
    """Handles deposits, if only there is a `count` for them."""

    table, handles = "counted", (DepositRecorded,)

    def create(self, connection):
        connection.execute("CREATE TABLE IF NOT EXISTS counted (amount numeric)")

    def project(self, connection, events):
        connection.execute("INSERT INTO counted VALUES (%s)", (self.count(events),))

    def count(self, events):
        raise NotImplementedError


@pytest.fixture
def balances(store):
    AccountBalances().create(store.connection)


@each_end
@pytest.mark.parametrize("how", ["autocommit", "no autocommit", "a transaction of the caller's"])
def test_an_append_whose_projection_ends_the_transaction_is_not_one_that_returns(store, balances, new_store, end, how):
    live = new_store(autocommit=how != "no autocommit")
    live.projections = (Ending(end),)
    if how == "a transaction of the caller's":
        with pytest.raises((EventStoreError, psycopg.Error)), live.connection.transaction():
            assert_told(end, lambda: live.append("account-1", deposits(100)))
            raise EventStoreError
    else:
        assert_told(end, lambda: live.append("account-1", deposits(100)))
        live.connection.close()
    assert len(store.read_stream("account-1")) == (1 if end in COMMITS else 0)


@each_end
@pytest.mark.parametrize("place", ["project", "progress"])
def test_a_rebuild_that_is_ended_from_within_is_not_one_that_returns(store, balances, new_store, end, place):
    store.append("account-1", deposits(100))
    store.execute("INSERT INTO account_balances VALUES ('kept', 1, 1)")
    other = new_store()
    projection = Ending(end) if place == "project" else AccountBalances()

    def progress(done, total):
        if place == "progress":
            end(other.connection)

    assert_told(end, lambda: rebuild(other, projection, progress))
    if end not in COMMITS:
        assert store.execute("SELECT account_id FROM account_balances").fetchall() == [("kept",)]


@each_end
def test_tables_are_not_said_to_be_there_when_a_projection_has_undone_them(new_store, end):
    live = new_store()
    live.projections = (Ending(end, "create"),)
    assert_told(end, live.create_schema)
    there = new_store().execute("SELECT to_regclass('events')").fetchone()
    assert there == (("events",) if end in COMMITS else (None,))


@each_end
def test_an_upcaster_that_ends_the_transaction_undoes_the_append_or_is_told(store, new_store, end):
    """It runs when the event is read, in the append's transaction, for the projections."""
    connection = new_store().connection

    def upcast(data):
        if connection.info.transaction_status.name == "INTRANS":
            end(connection)
        return data

    counting = Counting()
    counting.count, counting.handles = len, (DepositRecorded,)
    counting.create(connection)
    live = EventStore(connection, EventTypes(DepositRecorded, upcasters={"DepositRecorded": upcast}), [counting])
    with pytest.raises((EventStoreError, psycopg.Error)) as caught:
        live.append("account-1", deposits(100))
    assert not isinstance(caught.value, psycopg.Rollback)
    assert len(store.read_stream("account-1")) == (1 if end in COMMITS else 0)


@each_end
@pytest.mark.parametrize("place", ["decide", "evolve", "evolve to a snapshot"])
def test_what_decides_and_evolves_does_not_end_the_callers_transaction_without_a_word(store, new_store, end, place):
    store.append("account-1", deposits(1))
    other = new_store()

    def decide(command, state):
        if place == "decide":
            end(other.connection)
        return deposits(2)

    def evolve_and_end(state, event):
        if place == "evolve":
            end(other.connection)
        return evolve(state, event)

    ending_globally["end"] = lambda: end(other.connection)
    try:
        with other.connection.transaction():
            other.append("account-2", deposits(3))
            if place == "evolve to a snapshot":
                assert_told(end, lambda: aggregate_with_snapshots(other, "account-1", BankAccount(), ends_globally))
            else:
                decider = Decider(BankAccount(), decide, evolve_and_end)
                assert_told(end, lambda: handle(other, decider, "account-1", "a command"))
            raise InterruptedError
    except (InterruptedError, psycopg.Error):
        pass
    assert len(store.read_stream("account-1")) == 1, "it went on, outside of the caller's transaction"


ending_globally = {}


def ends_globally(state, event):
    """A function with a name of its own, by which a snapshot is known."""
    ending_globally["end"]()
    return evolve(state, event)


def test_where_no_transaction_is_open_there_is_none_to_end(store):
    """Whoever folds may use the connection for what they like."""
    store.append("account-1", deposits(1, 2))

    def asks_and_evolves(state, event):
        store.execute("SELECT 1")
        store.append("account-2", deposits(3))
        return evolve(state, event)

    assert aggregate_stream(store, "account-1", BankAccount(), asks_and_evolves)[1] == 2
    assert len(store.read_stream("account-2")) == 2


def test_a_projection_may_use_savepoints_and_pipelines(store, balances, new_store):
    class Thorough(AccountBalances):
        def project(self, connection, events):
            with connection.transaction():
                connection.execute("DELETE FROM account_balances")
                raise psycopg.Rollback  # of its own
            with connection.pipeline():
                connection.execute("SAVEPOINT mine")
                super().project(connection, events)
                connection.execute("RELEASE mine")

    live = new_store()
    live.projections = (Thorough(),)
    live.append("account-1", deposits(7))
    with live.connection.transaction():
        live.append("account-1", deposits(8))
    assert store.execute("SELECT balance FROM account_balances").fetchall() == [(15,)]


def test_an_event_that_an_upcaster_refuses_by_rollback_is_not_passed_by(store, connect):
    def upcast(data):
        raise psycopg.Rollback

    store.append("account-1", deposits(1))
    other = EventStore(connect(), EventTypes(DepositRecorded, upcasters={"DepositRecorded": upcast}))
    for read in (lambda: other.read_stream("account-1"), other.read_all):
        with pytest.raises(InvalidEvent, match="Rollback"), other.connection.transaction():
            read()


def test_what_a_projection_raises_gets_through_as_it_is(new_store):
    live = new_store()
    live.projections = (Counting(),)
    live.create_schema()
    with pytest.raises(NotImplementedError):
        live.append("account-1", deposits(1))
    assert live.read_stream("account-1") == []
