"""Rebuild: equal row for row to what was kept live, whatever happened and whoever writes meanwhile."""

from contextlib import suppress
from decimal import Decimal
from itertools import count
from threading import Event
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from eventstore import (
    Decider,
    DuplicateEvent,
    EventStore,
    Projection,
    WrongExpectedVersion,
    handle,
    projections,
    rebuild,
)
from tests.bank import AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded, deposits
from tests.concurrency import at_once, waiting
from workshop.bank import (
    BankAccount,
    CloseAccount,
    CommandRefused,
    OpenAccount,
    RecordDeposit,
    WithdrawCash,
    account_decider,
    decide,
    event_types,
    evolve,
)
from workshop.bank.read_models import AccountBalances, CashierDashboard

BOTH = (AccountBalances(), CashierDashboard())


@pytest.fixture
def open_store(store, connect):
    """Open a store that keeps both read models, on a connection of its own."""
    for projection in BOTH:
        projection.create(store.connection)
    return lambda *given, **how: EventStore(connect(**how), event_types(), given or BOTH)


def rows(connection, projection):
    """All of a read model, in the order of its keys."""
    return connection.execute(f"SELECT * FROM {projection.table} ORDER BY 1").fetchall()


def both(connection):
    return [rows(connection, projection) for projection in BOTH]


def folded(store):
    """What both read models ought to hold, worked out from the streams one by one."""
    balances, names, counts, totals = {}, {}, {}, {}
    for (stream_id,) in store.execute("SELECT id FROM streams").fetchall():
        for recorded in store.read_stream(stream_id):
            event = recorded.event
            if isinstance(event, CashierEmployed):
                names[event.cashier_id] = event.name
                continue
            balance, _ = balances.get(event.account_id, (0, 0))
            sign = {DepositRecorded: 1, CashWithdrawn: -1}.get(type(event), 0)
            balances[event.account_id] = balance + sign * getattr(event, "amount", 0), recorded.version
            if sign == 1:
                counts[event.cashier_id] = counts.get(event.cashier_id, 0) + 1
                totals[event.cashier_id] = totals.get(event.cashier_id, 0) + event.amount
    cashiers = names.keys() | counts.keys()
    return [
        sorted((account, *row) for account, row in balances.items()),
        sorted((each, names.get(each), counts.get(each, 0), totals.get(each, 0)) for each in cashiers),
    ]


# Live and rebuilt

amounts = st.decimals("0.01", "99999.99", places=2)
cashiers = st.sampled_from(["cashier-1", "cashier-2", "cashier-3"])
commands = st.one_of(
    st.just(OpenAccount("", "PLN")),
    st.builds(RecordDeposit, amounts, cashiers),
    st.builds(RecordDeposit, amounts, cashiers),
    st.builds(WithdrawCash, amounts, cashiers),
    st.just(CloseAccount()),
)
numbers = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("command"), numbers, commands),
    st.tuples(st.just("command"), numbers, commands),
    st.tuples(st.just("conflict"), numbers, commands),
    st.tuples(st.just("lost race"), numbers, amounts),
    st.tuples(st.just("retry"), numbers, amounts),
    st.tuples(st.just("rolled back"), numbers, amounts),
    st.tuples(st.just("batch"), numbers, st.lists(st.tuples(amounts, cashiers), min_size=1, max_size=4)),
    st.tuples(st.just("employ"), cashiers, st.sampled_from(["Anna", "Ben"])),
)
run = count(1)


def take(step, live, other, account):
    """Do a step, whatever comes of it."""
    what, number, value = step
    if what in ("command", "conflict"):
        command = OpenAccount(account, "PLN") if isinstance(value, OpenAccount) else value
        decider = account_decider
        if what == "conflict":
            meanwhile = iter([lambda: other.append(account, [DepositRecorded(account, Decimal(1), "cashier-1")])])

            def overtaken(command, state):
                next(meanwhile, lambda: None)()  # once: somebody else is faster
                return decide(command, state)

            decider = Decider(BankAccount(), overtaken, evolve)
        with suppress(CommandRefused):
            handle(live, decider, account, command)
    elif what == "lost race":
        with pytest.raises(WrongExpectedVersion):
            live.append(account, [DepositRecorded(account, value, "cashier-1")], expected_version=10**6)
    elif what == "retry":
        version = len(live.read_stream(account))
        ids = [uuid4()]
        for _ in range(2):
            event = DepositRecorded(account, value, "cashier-2")
            live.append(account, [event], expected_version=version, event_ids=ids)
        with pytest.raises(DuplicateEvent):
            live.append(account, [event], event_ids=ids)
    elif what == "rolled back":
        with live.connection.transaction():
            live.append(account, [DepositRecorded(account, value, "cashier-3")])
            raise psycopg.Rollback
    elif what == "batch":
        live.append(account, [DepositRecorded(account, amount, cashier) for amount, cashier in value])
    else:
        live.append(number, [CashierEmployed(number, value)])


def test_after_any_commands_and_conflicts_the_rows_kept_live_equal_the_rebuilt_ones(open_store):
    live, other = open_store(), open_store()
    conflicts = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, min_size=1, max_size=12))
    def check(history):
        prefix = f"account-{next(run)}"
        for step in history:
            take(step, live, other, f"{prefix}-{step[1]}")
            conflicts.append(step[0] == "conflict")
        kept = both(live.connection)
        assert kept == folded(live)
        for projection in BOTH:
            rebuild(live, projection)
        assert both(live.connection) == kept

    check()
    assert sum(conflicts) > 10


def test_a_bug_that_was_fixed_is_mended_by_a_rebuild(open_store):
    class Forgetful(AccountBalances):
        handles = (AccountOpened, DepositRecorded)

    live = open_store(Forgetful())
    live.append("account-1", [*deposits(100), CashWithdrawn("1", Decimal(30), "cashier-1")])
    assert rows(live.connection, AccountBalances()) == [("1", 100, 1)]
    assert rebuild(live, AccountBalances()) == 2
    assert rows(live.connection, AccountBalances()) == [("1", 70, 2)]


class Noting(Projection):
    """Notes what it is shown, and lets a test do something meanwhile."""

    table = "noted"
    handles = (DepositRecorded,)

    def __init__(self, meanwhile=lambda: None):
        self.calls = []
        self.meanwhile = meanwhile

    def create(self, connection):
        connection.execute("CREATE TABLE IF NOT EXISTS noted (version bigint)")

    def project(self, connection, events):
        self.calls.append(events)
        connection.execute("INSERT INTO noted VALUES (%s)", (events[-1].version,))
        self.meanwhile()


@pytest.fixture
def noting(store):
    noting = Noting()
    noting.create(store.connection)
    return noting


def test_a_rebuild_shows_events_exactly_as_read_stream_does_and_only_those_it_handles(store, noting):
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1, 2)], metadata={"user": "Łucja", "n": [1, None]})
    store.append("account-2", deposits(3))
    store.append("account-1", deposits("4.50"))
    assert rebuild(store, noting) == 4
    one, two = store.read_stream("account-1"), store.read_stream("account-2")
    assert noting.calls == [[one[1], one[2], *two, one[3]]], "the order of the log is that of the positions"


def test_classes_may_be_a_list(store, noting):
    noting.handles = [DepositRecorded]
    store.projections = (noting,)
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1)])
    assert noting.calls == [store.read_stream("account-1", from_version=2)]


def test_an_empty_log_makes_an_empty_read_model(store, noting):
    store.execute("INSERT INTO noted VALUES (7)")
    assert rebuild(store, noting, lambda *_: pytest.fail("there is no progress to tell")) == 0
    assert rows(store.connection, noting) == [] and noting.calls == []


def test_a_rebuild_goes_in_batches_and_tells_its_progress(store, noting, monkeypatch):
    monkeypatch.setattr(projections, "_BATCH", 4)
    store.append("account-1", deposits(*range(1, 11)))
    told = []
    assert rebuild(store, noting, lambda done, total: told.append((done, total))) == 10
    assert [len(call) for call in noting.calls] == [4, 4, 2]
    assert [recorded.version for call in noting.calls for recorded in call] == list(range(1, 11))
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize("where", ["projection", "progress"])
def test_a_rebuild_that_fails_on_its_way_leaves_the_old_rows_and_a_connection_that_works(
    store, noting, monkeypatch, where
):
    monkeypatch.setattr(projections, "_BATCH", 2)
    store.execute("INSERT INTO noted VALUES (7)")
    store.append("account-1", deposits(1, 2, 3))

    def fail(*_):
        if len(noting.calls) == 2:
            raise ZeroDivisionError

    noting.meanwhile = fail if where == "projection" else lambda: None
    with pytest.raises(ZeroDivisionError):
        rebuild(store, noting, fail if where == "progress" else lambda done, total: None)
    assert rows(store.connection, noting) == [(7,)]
    noting.calls, noting.meanwhile = [], lambda: None
    assert rebuild(store, noting) == 3
    assert rows(store.connection, noting) == [(2,), (3,)]


def test_a_rebuild_in_the_callers_transaction_takes_part_in_it(store, noting):
    store.append("account-1", deposits(1))
    with store.connection.transaction():
        rebuild(store, noting)
        assert rows(store.connection, noting) == [(1,)]
        raise psycopg.Rollback
    assert rows(store.connection, noting) == []


def test_whatever_row_factory_the_caller_has_a_rebuild_works(open_store):
    live = open_store()
    live.append("account-1", deposits(1))
    live.connection.row_factory = dict_row
    assert rebuild(live, AccountBalances()) == 1


# While others work


def test_readers_see_the_old_rows_until_the_rebuild_commits(store, noting, connect):
    reader = connect()
    reader.execute("SET lock_timeout = '100ms'")
    store.execute("INSERT INTO noted VALUES (7)")
    store.append("account-1", deposits(1))
    noting.meanwhile = lambda: seen.append(rows(reader, noting))
    seen = []
    rebuild(store, noting)
    assert seen == [[(7,)]] and rows(reader, noting) == [(1,)]


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_an_append_that_comes_meanwhile_waits_and_counts_once(open_store, connect, ends):
    live, teller, observer = open_store(), open_store(), connect()
    live.append("account-1", deposits(10))
    live.execute("BEGIN")
    rebuild(live, AccountBalances())
    with waiting(lambda: teller.append("account-2", deposits(5, account="2")), teller.connection, observer) as append:
        assert rows(observer, AccountBalances()) == [("1", 10, 1)]
        live.execute(ends)
    assert append.result().version == 1
    assert both(observer) == folded(live)


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_an_append_that_is_half_done_is_waited_for_and_counts_once(open_store, connect, ends):
    live, teller, observer = open_store(), open_store(), connect()
    live.append("account-1", deposits(10))
    teller.execute("BEGIN")
    teller.append("account-1", deposits(3))
    teller.append("account-2", deposits(5, account="2"))
    with waiting(lambda: rebuild(live, AccountBalances()), live.connection, observer) as rebuilding:
        teller.execute(ends)
    assert rebuilding.result() == (3 if ends == "COMMIT" else 1)
    assert both(observer) == folded(live)


def test_an_append_that_the_read_model_does_not_handle_goes_on_meanwhile(open_store):
    live, other = open_store(), open_store()
    other.execute("SET lock_timeout = '300ms'")
    live.execute("BEGIN")
    rebuild(live, AccountBalances())
    other.append("cashier-1", [CashierEmployed("cashier-1", "Anna")])
    live.execute("COMMIT")


def test_two_rebuilds_at_once_take_turns(open_store):
    lives = [open_store() for _ in range(3)]
    for number in range(1, 30):
        lives[0].append(f"account-{number}", deposits(number, account=str(number)))
    expected = both(lives[0].connection)
    assert at_once([lambda live=live: rebuild(live, AccountBalances()) for live in lives]) == [29] * 3
    assert both(lives[0].connection) == expected


@pytest.mark.parametrize("batch", [3, 10_000])
def test_rebuilds_while_four_writers_append_lose_nothing_and_count_nothing_twice(open_store, monkeypatch, batch):
    """Both read models are rebuilt again and again; small batches keep a rebuild open for long."""
    monkeypatch.setattr(projections, "_BATCH", batch)
    rebuilder, writers = open_store(), [open_store() for _ in range(4)]
    over = Event()

    def write(writer, number):
        for turn in range(25):
            account = f"account-{(turn + number) % 5}"  # now and then two writers meet at one
            cashiers = [f"cashier-{turn % 3}", f"cashier-{(turn + number) % 3}"]
            writer.append(account, [DepositRecorded(account, Decimal(turn + 1), cashier) for cashier in cashiers])
            writer.append(f"cashier-{number}", [CashierEmployed(f"cashier-{number}", f"name {turn}")])

    def write_all():
        try:
            return at_once([lambda w=writer, n=number: write(w, n) for number, writer in enumerate(writers)])
        finally:
            over.set()

    def rebuild_again_and_again():
        rounds = 0
        while not over.is_set() or rounds < 3:
            for projection in BOTH:
                rebuild(rebuilder, projection)
            rounds += 1
        return rounds

    outcomes, rounds = at_once([write_all, rebuild_again_and_again])
    assert outcomes == [None] * 4, "an append failed"
    assert rounds >= 3
    assert len(rebuilder.execute("SELECT FROM events").fetchall()) == 4 * 25 * 3
    live = both(rebuilder.connection)
    assert live == folded(rebuilder)
    for projection in BOTH:
        rebuild(rebuilder, projection)
    assert both(rebuilder.connection) == live


# Projections that append


class Thanking(Projection):
    """Answers each deposit of 100 or more with another one, of one, to the account or to another."""

    table, handles = "noted", (DepositRecorded,)

    def __init__(self, to=None, times=1):
        self.to, self.times = to, times

    def create(self, connection):
        pass

    def project(self, connection, events):
        for recorded in events:
            if recorded.event.amount >= 100:
                for _ in range(self.times):
                    self.live.append(self.to or recorded.stream_id, deposits(1))


class Shown(Projection):
    table, handles = "noted", (DepositRecorded,)

    def __init__(self):
        self.shown = []

    def create(self, connection):
        pass

    def project(self, connection, events):
        self.shown += [(recorded.stream_id, recorded.version) for recorded in events]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("to", [None, "thanks-1"])
def test_what_a_projection_appends_is_shown_to_all_after_what_it_was_appended_for(store, new_store, to, times):
    before, thanking, after = Shown(), Thanking(to, times), Shown()
    live = thanking.live = new_store()
    live.projections = (before, thanking, after)
    end = live.append("account-1", deposits(100, 200))
    assert end.version == 2
    expected = [(to or "account-1", number + (0 if to else 2)) for number in range(1, 2 * times + 1)]
    assert before.shown == after.shown == [("account-1", 1), ("account-1", 2), *expected]
    assert len(store.read_all()) == 2 + 2 * times
    live.append("account-1", deposits(5))
    assert after.shown[-1] == ("account-1", 3 if to else 3 + 2 * times), "it is as before"


def test_what_a_projection_appended_and_took_back_is_not_shown_and_what_it_puts_there_is_once(store, new_store):
    class Wavering(Thanking):
        def project(self, connection, events):
            if events[0].event.amount >= 100:
                with connection.transaction():
                    self.live.append("account-1", deposits(1, 2))
                    raise psycopg.Rollback
                self.live.append("account-1", deposits(3))
                with suppress(WrongExpectedVersion):
                    self.live.append("account-1", deposits(4), expected_version=1)

    wavering, shown = Wavering(), Shown()
    live = wavering.live = new_store()
    live.projections = (wavering, shown)
    live.append("account-1", deposits(100))
    assert shown.shown == [("account-1", 1), ("account-1", 2)]
    assert [recorded.event.amount for recorded in store.read_stream("account-1")] == [100, 3]


def test_a_projection_that_fails_at_what_another_one_appended_undoes_all_of_it(store, new_store):
    class Failing(Shown):
        def project(self, connection, events):
            super().project(connection, events)
            if len(self.shown) > 1:
                raise ZeroDivisionError

    thanking, failing = Thanking(), Failing()
    live = thanking.live = new_store()
    live.projections = (thanking, failing)
    with pytest.raises(ZeroDivisionError):
        live.append("account-1", deposits(100))
    assert store.read_all() == []
    failing.shown.clear()
    live.append("account-1", deposits(1))
    assert failing.shown == [("account-1", 1)], "nothing is left of what was undone"
