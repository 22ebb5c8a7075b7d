"""G9: a projection runs in the append's own transaction; if it raises, nothing is stored and the caller is told."""

from contextlib import nullcontext
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from eventstore import DuplicateEvent, EventTypes, Projection, UnknownEventType, WrongExpectedVersion
from tests.bank import AccountOpened, CashierEmployed, DepositRecorded, deposits
from tests.concurrency import at_once
from workshop.bank import event_types
from workshop.bank.read_models import AccountBalances, CashierDashboard


class Totals(Projection):
    """The sum of all deposits, in one row; it can be told to fail, and notes what it was shown."""

    table = "totals"
    handles = (DepositRecorded,)

    def __init__(self, failure=None):
        self.seen = []
        self.failure = failure

    def create(self, connection):
        connection.execute("CREATE TABLE IF NOT EXISTS totals (id int PRIMARY KEY, total numeric NOT NULL)")

    def project(self, connection, events):
        self.seen += events
        connection.execute(
            "INSERT INTO totals AS t VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET total = t.total + excluded.total",
            (sum(recorded.event.amount for recorded in events),),
        )
        if self.failure is not None:
            self.failure(connection)


class Broken(Exception):
    pass


def in_python(connection):
    raise Broken("a bug")


def in_sql(connection):
    connection.execute("SELECT 1 / 0")


def by_a_unique_key(connection):
    connection.execute("INSERT INTO totals VALUES (1, 0)")


def by_a_key_checked_at_commit(connection):
    connection.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("INSERT INTO late VALUES (1), (1)")


FAILURES = [
    pytest.param(in_python, Broken, id="Python error"),
    pytest.param(in_sql, psycopg.errors.DivisionByZero, id="SQL error"),
    pytest.param(by_a_unique_key, psycopg.errors.UniqueViolation, id="unique violation"),
]


@pytest.fixture
def observer(connect):
    return connect()


@pytest.fixture
def contents(store, observer):
    """All that another connection sees: events, streams, and the total."""

    def contents():
        return [
            observer.execute(query).fetchall()
            for query in (
                "SELECT stream_id, version FROM events ORDER BY position",
                "SELECT id, version FROM streams ORDER BY id",
                "SELECT total FROM totals",
            )
        ]

    return contents


@pytest.fixture
def open_store(store, connect, open_on):
    """Open a store with projections whose tables are there, on a connection of its own."""

    def open_store(*projections, **how):
        for projection in projections:
            projection.create(store.connection)
        return open_on(connect(**how), event_types(), projections)

    return open_store


def test_the_read_model_is_right_for_everyone_when_the_append_returns(open_store, contents):
    live = open_store(Totals())
    for number in range(1, 6):
        live.append("account-1", deposits(10))
        assert contents()[2] == [(10 * number,)]


def test_nobody_sees_the_events_without_the_rows_or_the_rows_without_the_events(open_store, contents):
    during = []
    live = open_store(Totals(lambda connection: during.append(contents())))
    live.append("account-1", deposits(10))
    assert during == [[[], [], []]]
    assert contents() == [[("account-1", 1)], [("account-1", 1)], [(10,)]]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("commits", [True, False])
def test_in_the_callers_transaction_it_commits_or_rolls_back_with_it(open_store, contents, autocommit, commits):
    live = open_store(Totals(), autocommit=autocommit)
    if autocommit:
        live.execute("BEGIN")
    live.append("account-1", deposits(10))
    live.append("account-2", deposits(5))
    assert contents() == [[], [], []], "it was committed before its caller committed"
    (live.connection.commit if commits else live.connection.rollback)()
    assert contents()[2] == ([(15,)] if commits else [])
    assert len(contents()[0]) == (2 if commits else 0)


@pytest.mark.parametrize(("failure", "error"), FAILURES)
def test_a_projection_that_raises_leaves_no_event_and_no_row_and_a_connection_that_works(
    open_store, contents, failure, error
):
    totals = Totals()
    live = open_store(totals)
    live.append("account-1", deposits(10))
    before = contents()
    totals.failure = failure
    for stream_id in ("account-1", "account-2"):
        with pytest.raises(error):
            live.append(stream_id, deposits(5))
        assert contents() == before
    totals.failure = None
    assert live.append("account-1", deposits(1), expected_version=1).version == 2
    assert contents()[2] == [(11,)]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize(("failure", "error"), FAILURES)
def test_a_caller_can_catch_the_error_inside_its_own_transaction_and_go_on(
    open_store, contents, failure, error, autocommit
):
    totals = Totals()
    live = open_store(totals, autocommit=autocommit)
    with live.connection.transaction() if autocommit else nullcontext():
        live.append("account-1", deposits(10))
        totals.failure = failure
        with pytest.raises(error):
            live.append("account-1", deposits(5))
        totals.failure = None
        live.append("account-1", deposits(1), expected_version=1)
    live.connection.commit()
    assert contents() == [[("account-1", 1), ("account-1", 2)], [("account-1", 2)], [(11,)]]


def test_when_the_first_append_of_a_transaction_fails_the_caller_can_go_on_too(open_store, contents):
    totals = Totals(in_sql)
    live = open_store(totals, autocommit=False)
    with pytest.raises(psycopg.errors.DivisionByZero):
        live.append("account-1", deposits(5))
    totals.failure = None
    live.append("account-1", deposits(1), expected_version=0)
    live.connection.commit()
    assert contents() == [[("account-1", 1)], [("account-1", 1)], [(1,)]]


@pytest.mark.parametrize("failure", [by_a_unique_key, by_a_key_checked_at_commit])
def test_a_unique_violation_in_a_projections_own_table_is_no_duplicate_event(open_store, contents, failure):
    live = open_store(Totals(failure))
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        live.append("account-1", deposits(5))
    assert not isinstance(caught.value, DuplicateEvent)
    assert contents() == [[], [], []]


def test_a_lost_race_leaves_the_read_model_as_it_was(open_store, contents):
    live = open_store(Totals())
    live.append("account-1", deposits(10))
    before = contents()
    with pytest.raises(WrongExpectedVersion):
        live.append("account-1", deposits(5), expected_version=0)
    with pytest.raises(DuplicateEvent):
        same = uuid4()
        live.append("account-1", deposits(5, 6), event_ids=[same, same])
    assert contents() == before


def test_a_lost_race_leaves_the_callers_transaction_usable(open_store, contents):
    live = open_store(Totals(), autocommit=False)
    live.append("account-1", deposits(10))
    with pytest.raises(WrongExpectedVersion):
        live.append("account-1", deposits(5), expected_version=0)
    live.append("account-1", deposits(1))
    live.connection.commit()
    assert contents()[2] == [(11,)]


def test_an_append_that_is_repeated_is_projected_once(open_store, contents):
    live = open_store(Totals())
    ids = [uuid4(), uuid4()]
    first = live.append("account-1", deposits(10, 20), expected_version=0, event_ids=ids)
    live.append("account-1", deposits(1))
    again = live.append("account-1", deposits(10, 20), expected_version=0, event_ids=ids)
    assert again == first and again.repeated
    assert contents()[2] == [(31,)]


def test_a_projection_sees_the_events_as_they_were_recorded(open_store):
    totals = Totals()
    live = open_store(totals)
    live.append("account-2", deposits(1))
    live.append("account-1", [AccountOpened("account-1", "PLN"), *deposits(10)], metadata={"user": "Anna"})
    live.append("account-1", deposits(20, 30))
    recorded = [*live.read_stream("account-2"), *live.read_stream("account-1", from_version=2)]
    assert totals.seen == recorded
    assert [each.version for each in totals.seen] == [1, 2, 3, 4]
    assert totals.seen[1].metadata == {"user": "Anna"}
    assert totals.seen[1].position == 3
    assert totals.seen[1].recorded_at.tzinfo is not None


def test_a_projection_is_not_called_for_what_it_does_not_handle(open_store, contents):
    live = open_store(Totals(in_python))
    live.append("account-1", [AccountOpened("account-1", "PLN")])
    live.append("cashier-1", [CashierEmployed("cashier-1", "Anna")])
    assert len(contents()[0]) == 2


def test_projections_run_in_the_order_in_which_they_were_registered(open_store, contents):
    said = []

    class First(Totals):
        def project(self, connection, events):
            said.append("first")
            super().project(connection, events)

    class Second(Totals):
        def project(self, connection, events):
            said.append("second")
            said.append(connection.execute("SELECT total FROM totals").fetchone()[0])  # the first one has written
            self.failure and self.failure(connection)

    second = Second()
    live = open_store(First(), second)
    live.append("account-1", deposits(10))
    assert said == ["first", "second", 10]
    second.failure = in_python
    with pytest.raises(Broken):
        live.append("account-1", deposits(5))
    assert contents()[2] == [(10,)], "the second one raised, and what the first one wrote is still there"


def test_writers_of_many_streams_lose_no_update_in_a_row_that_they_share(store, open_store, observer):
    """Half of them name the cashiers in one order, half in the other: rows that are not taken in order deadlock."""
    lives = [open_store(AccountBalances(), CashierDashboard()) for _ in range(6)]

    def write(live, number):
        cashiers = ["a", "b", "c"] if number % 2 else ["c", "b", "a"]
        account = f"account-{number}"
        for _ in range(15):
            live.append(account, [DepositRecorded(account, Decimal(1), cashier) for cashier in cashiers])

    outcomes = at_once([lambda live=live, number=number: write(live, number) for number, live in enumerate(lives)])
    assert outcomes == [None] * 6
    rows = observer.execute("SELECT cashier_id, deposits, total FROM cashier_dashboard ORDER BY 1").fetchall()
    assert rows == [(cashier, 90, 90) for cashier in "abc"]
    assert observer.execute("SELECT sum(balance) FROM account_balances").fetchone() == (270,)


def test_a_read_model_that_is_made_anew_from_the_log_is_the_one_that_was_kept(store, open_store, function):
    rebuild = function("rebuild")
    numbers = {AccountBalances(): "balance", CashierDashboard(): "total"}
    live = open_store(*numbers)
    for number in range(1, 21):
        account = f"account-{number % 3}"
        live.append(account, [DepositRecorded(account, Decimal(number), f"cashier-{number % 4}")])
    for projection, number in numbers.items():
        query = f"SELECT * FROM {projection.table} ORDER BY 1"
        kept = store.connection.execute(query).fetchall()
        store.connection.execute(f"UPDATE {projection.table} SET {number} = 7")
        rebuild(store, projection)
        assert store.connection.execute(query).fetchall() == kept


# Classes that are asked for and not known


@pytest.mark.parametrize("known", [[CashierEmployed], [CashierEmployed, DepositRecorded]], ids=["none", "one of two"])
def test_a_rebuild_for_want_of_a_class_is_refused_and_leaves_the_read_model(store, connect, open_on, function, known):
    """A script with a list of its own: it would empty the table, or leave events out, without a word."""
    projection = Totals()
    projection.handles = (DepositRecorded, AccountOpened)
    projection.create(store.connection)
    store.append("account-1", deposits(100))
    store.execute("INSERT INTO totals VALUES (1, 100)")
    other = open_on(connect(), EventTypes(*known))
    with pytest.raises(UnknownEventType, match="AccountOpened|DepositRecorded"):
        function("rebuild")(other, projection)
    assert store.execute("SELECT total FROM totals").fetchall() == [(100,)]


def test_a_store_that_does_not_know_what_its_projection_handles_is_refused(connect, open_on):
    with pytest.raises(UnknownEventType, match="DepositRecorded"):
        open_on(connect(), EventTypes(CashierEmployed), [Totals()])


def test_a_projection_that_handles_a_base_class_handles_what_is_made_of_it(connect, store, open_on):
    projection = Totals()
    projection.handles = (object,)
    projection.create(store.connection)
    live = open_on(connect(), event_types(), [projection])
    live.append("account-1", deposits(100))
    assert len(projection.seen) == 1
