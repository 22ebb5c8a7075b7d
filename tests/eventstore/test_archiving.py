"""Archiving: a stream leaves the hot table and comes back, its events stay what they are, and the log stays whole."""

import random
import threading
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
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
from tests.bank import AccountOpened, DepositRecorded, deposits
from tests.concurrency import at_once, waiting
from tests.subscribing import Deliveries, last_position, logged, subscription
from workshop.bank import BankAccount, RecordDeposit, account_decider, event_types, evolve
from workshop.bank.read_models import AccountBalances, CashierDashboard


def rows(store, table):
    """All rows of a table, as text: so nothing that differs compares equal."""
    return [row for (row,) in store.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()]


def everything(store):
    return {table: rows(store, table) for table in ("streams", "events", "archived_events", "snapshots")}


@pytest.fixture
def closed(store):
    """A store with two streams, of which account-1 is archived; its events as they were before."""
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1)], metadata={"user": "Łucja", "n": [1, 1.50]})
    store.append("account-2", deposits(2))
    store.append("account-1", deposits(3, "4.50"))
    closed = store.read_stream("account-1")
    assert archive_stream(store, "account-1") == 4
    return closed


# There and back


def test_archived_events_leave_the_hot_table_and_are_in_the_archive_as_they_were(store):
    store.append("account-1", [AccountOpened("1", "PLN"), *deposits(1)], metadata={"user": "Łucja", "n": [1, 1.50]})
    store.append("account-2", deposits(2))
    store.append("account-1", deposits(3))
    mine = [row for row in rows(store, "events") if row.startswith("(account-1,")]
    others = [row for row in rows(store, "events") if row not in mine]
    assert archive_stream(store, "account-1") == 3
    assert rows(store, "archived_events") == mine and len(mine) == 3
    assert rows(store, "events") == others and len(others) == 1


def test_restored_events_are_as_they_were_and_appends_go_on(store, closed):
    before = everything(store)
    info = store.stream_info("account-1")
    assert restore_stream(store, "account-1") == 4
    assert store.read_stream("account-1") == closed
    assert sorted(rows(store, "events")) == sorted(before["events"] + before["archived_events"])
    assert rows(store, "archived_events") == []
    assert store.stream_info("account-1").archived_at is None
    appended = store.append("account-1", deposits(5), expected_version=4)
    assert appended.version == 5 and appended.position > closed[-1].position
    last = store.read_stream("account-1")[-1]
    assert last.recorded_at >= closed[-1].recorded_at
    assert store.stream_info("account-1").created_at == info.created_at


def test_after_a_restore_the_clock_does_not_go_back_behind_what_came_from_the_archive(store):
    """An event of tomorrow: the database's clock was put back since."""
    store.append("account-1", deposits(1))
    store.execute("INSERT INTO streams VALUES ('account-9', 1)")
    store.execute(
        "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
        " SELECT 'account-9', 1, gen_random_uuid(), type, data, metadata, now() + interval '1 day' FROM events"
    )
    tomorrow = store.read_stream("account-9")[0].recorded_at
    archive_stream(store, "account-9")
    restore_stream(store, "account-9")
    store.append("account-9", deposits(2))
    assert [event.recorded_at for event in store.read_stream("account-9")] == [tomorrow, tomorrow]


def test_there_and_back_again_and_again(store, closed):
    for turn in range(3):
        assert restore_stream(store, "account-1") == 4 + turn
        store.append("account-1", deposits(turn), expected_version=4 + turn)
        assert archive_stream(store, "account-1", expected_version=5 + turn) == 5 + turn
    assert [event.version for event in store.read_stream("account-1", archived=True)] == list(range(1, 8))
    assert store.read_stream("account-1", archived=True)[:4] == closed


def test_archived_twice_or_restored_twice_nothing_happens(store, closed):
    before = everything(store)
    assert archive_stream(store, "account-1") == 0
    assert archive_stream(store, "account-1", expected_version=4) == 0
    assert everything(store) == before, "not even the moment changes"
    assert restore_stream(store, "account-1") == 4
    assert restore_stream(store, "account-1") == 0
    assert restore_stream(store, "account-2") == 0
    assert store.read_stream("account-1") == closed


@pytest.mark.parametrize("expected", [1, 2, 4, 2**63 - 1])
def test_at_another_version_than_expected_nothing_is_archived(store, expected):
    store.append("account-1", deposits(1, 2, 3))
    before = everything(store)
    with pytest.raises(WrongExpectedVersion) as caught:
        archive_stream(store, "account-1", expected_version=expected)
    assert (caught.value.stream_id, caught.value.expected, caught.value.actual) == ("account-1", expected, 3)
    assert everything(store) == before
    assert archive_stream(store, "account-1", expected_version=3) == 3


def test_at_another_version_than_expected_an_archived_stream_is_refused_too(store, closed):
    with pytest.raises(WrongExpectedVersion) as caught:
        archive_stream(store, "account-1", expected_version=3)
    assert caught.value.actual == 4


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS, 1])
def test_a_stream_that_is_not_there_is_not_archived_nor_restored(store, expected):
    with pytest.raises(WrongExpectedVersion) as caught:
        archive_stream(store, "account-404", expected_version=expected)
    assert caught.value.actual == 0 and caught.value.stream_id == "account-404"
    with pytest.raises(WrongExpectedVersion) as caught:
        restore_stream(store, "account-404")
    assert caught.value.actual == 0
    assert store.stream_info("account-404") is None


@pytest.mark.parametrize("stream_id", ["", "x" * 256, "a\0b", None, 7, b"account-1", "\ud800"], ids=repr)
def test_what_is_no_stream_id_is_refused(store, stream_id):
    for function in (archive_stream, restore_stream):
        with pytest.raises(InvalidArgument):
            function(store, stream_id)


@pytest.mark.parametrize("expected", [NO_STREAM, -1, "1", 1.0, True, None, 2**63], ids=repr)
def test_what_is_no_version_to_archive_at_is_refused(store, expected):
    store.append("account-1", deposits(1))
    with pytest.raises(InvalidArgument):
        archive_stream(store, "account-1", expected_version=expected)
    assert store.stream_info("account-1").archived_at is None


# Appends are refused


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS, NO_STREAM, 2, 4, 9], ids=str)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("inline", [False, True])
def test_an_append_to_an_archived_stream_is_refused_whatever_it_expects_and_stores_nothing(
    store, closed, expected, size, inline
):
    if inline:
        balances = AccountBalances()
        balances.create(store.connection)
        store = EventStore(store.connection, event_types(), [balances])
    before = everything(store)
    with pytest.raises(StreamArchived, match="'account-1' is archived") as caught:
        store.append("account-1", deposits(*range(size)), expected_version=expected)
    assert caught.value.stream_id == "account-1"
    assert everything(store) == before
    assert store.append("account-2", deposits(9), expected_version=1).version == 2


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("inline", [False, True])
def test_in_the_callers_transaction_a_refused_append_leaves_it_usable(store, closed, connect, autocommit, inline):
    projections = [AccountBalances()] if inline else []
    other = EventStore(connect(autocommit=autocommit), event_types(), projections)
    for projection in projections:
        projection.create(store.connection)
    with other.connection.transaction() if autocommit else nullcontext():
        other.append("account-3", deposits(1))
        with pytest.raises(StreamArchived):
            other.append("account-1", deposits(1))
        other.append("account-3", deposits(2), expected_version=1)
    other.connection.commit()
    assert len(store.read_stream("account-3")) == 2


def test_the_retry_of_an_append_to_a_stream_that_was_archived_meanwhile_is_refused(store):
    append = {"expected_version": 0, "event_ids": [uuid4(), uuid4()]}
    first = store.append("account-1", deposits(1, 2), **append)
    archive_stream(store, "account-1")
    with pytest.raises(StreamArchived):
        store.append("account-1", deposits(1, 2), **append)
    restore_stream(store, "account-1")
    again = store.append("account-1", deposits(1, 2), **append)
    assert again == first and again.repeated


def test_a_command_to_an_archived_stream_is_refused(store, closed):
    before = everything(store)
    with pytest.raises(StreamArchived):
        handle(store, account_decider, "account-1", RecordDeposit(10, "cashier-1"))
    assert everything(store) == before


# Reading


def test_an_archived_stream_is_read_on_request_only(store, closed):
    with pytest.raises(StreamArchived, match="archived=True"):
        store.read_stream("account-1")
    assert store.read_stream("account-1", archived=True) == closed
    assert store.read_stream("account-2", archived=True) == store.read_stream("account-2") != []
    assert store.read_stream("account-404", archived=True) == store.read_stream("account-404") == []


def test_ranges_and_moments_of_an_archived_stream_are_read_as_those_of_a_live_one(store, closed):
    past, last = closed[0].recorded_at, closed[-1].recorded_at
    assert past < last
    second = timedelta(seconds=1)
    for how in (
        {"from_version": 2},
        {"to_version": 3},
        {"from_version": 2, "to_version": 3},
        {"from_version": 3, "to_version": 2},
        {"from_version": 5},
        {"to_version": 0},
        {"until": past},
        {"since": last},
        {"since": past, "until": last - timedelta(microseconds=1)},
        {"until": past - second},
        {"since": last + second},
    ):
        with pytest.raises(StreamArchived):
            store.read_stream("account-1", **how)
    archived = partial(store.read_stream, "account-1", archived=True)
    assert archived(from_version=2) == closed[1:]
    assert archived(to_version=3) == closed[:3]
    assert archived(from_version=2, to_version=3) == closed[1:3]
    assert archived(from_version=5) == archived(to_version=0) == []
    assert archived(until=past) == closed[:2]
    assert archived(since=last) == closed[2:]
    assert archived(until=past - second) == archived(since=last + second) == []


def test_a_range_of_a_live_stream_in_which_nothing_is_is_no_archived_stream(store):
    store.append("account-1", deposits(1))
    assert store.read_stream("account-1", from_version=2) == []


def test_the_state_of_an_archived_stream_is_worked_out_on_request_only(store, closed):
    with pytest.raises(StreamArchived):
        aggregate_stream(store, "account-1", BankAccount(), evolve)
    account, version = aggregate_stream(store, "account-1", BankAccount(), evolve, archived=True)
    assert (account.balance, version) == (8.5, 4)
    account, version = aggregate_stream(store, "account-1", BankAccount(), evolve, archived=True, to_version=2)
    assert (account.balance, version) == (1, 2)
    assert aggregate_stream(store, "account-2", BankAccount(), evolve, archived=True)[1] == 1


def test_snapshots_go_with_the_stream_and_none_is_stale_after_it_came_back(store, new_store):
    store.append("account-1", deposits(*range(10)))
    store.append("account-2", deposits(*range(10)))
    for stream_id in ("account-1", "account-2"):
        aggregate_with_snapshots(store, stream_id, BankAccount(), evolve, every=5)
    assert len(rows(store, "snapshots")) == 2
    archive_stream(store, "account-1")
    assert [row.split(",")[0] for row in rows(store, "snapshots")] == ["(account-2"]
    for every in (1, 100):
        with pytest.raises(StreamArchived):
            aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=every)
    restore_stream(store, "account-1")
    assert rows(store, "snapshots") == [] or len(rows(store, "snapshots")) == 1
    store.append("account-1", deposits(100))
    for _ in range(2):
        expected = aggregate_stream(store, "account-1", BankAccount(), evolve)
        assert aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=5) == expected


def test_a_snapshot_that_a_late_reader_keeps_hides_no_archive(store):
    """It read the stream before it was archived, and keeps its snapshot after."""
    store.append("account-1", deposits(*range(10)))
    aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=5)
    store.execute("CREATE TEMP TABLE late AS SELECT * FROM snapshots")
    archive_stream(store, "account-1")
    store.execute("INSERT INTO snapshots SELECT * FROM late")
    with pytest.raises(StreamArchived):
        aggregate_with_snapshots(store, "account-1", BankAccount(), evolve, every=5)


def test_what_is_known_of_the_stream_says_since_when_it_is_archived(store, closed, new_store):
    info = store.stream_info("account-1")
    assert info.version == 4
    assert (info.created_at, info.updated_at) == (closed[0].recorded_at, closed[-1].recorded_at)
    now = store.execute("SELECT clock_timestamp()").fetchone()[0]
    assert closed[-1].recorded_at <= info.archived_at <= now
    assert store.stream_info("account-2").archived_at is None


def test_a_stream_that_comes_back_between_two_looks_of_a_reader_is_not_read_as_an_empty_one(store, closed, new_store):
    """The reader looks into the hot table, finds nothing, and looks why; in between the stream is restored."""
    other = new_store()

    class Overtaken(EventStore):
        def read(self, source, parameters):
            events = super().read(source, parameters)
            if restore_stream(other, "account-1"):
                assert events == [], "this test says nothing"
            return events

    reader = Overtaken(store.connection, event_types())
    try:
        events = reader.read_stream("account-1")
    except StreamArchived:  # what was true when it was asked
        return
    assert events == closed


@pytest.mark.parametrize("row_factory", [dict_row])
def test_whatever_row_factory_the_caller_has_streams_go_and_come_back(store, row_factory):
    store.append("account-1", deposits(1, 2))
    store.connection.row_factory = row_factory
    assert archive_stream(store, "account-1") == 2
    with pytest.raises(StreamArchived):
        store.read_stream("account-1")
    assert restore_stream(store, "account-1") == 2


# Transactions


def test_in_the_callers_transaction_archiving_takes_part_in_it(store, new_store):
    store.append("account-1", deposits(1, 2))
    before, other = everything(store), new_store()
    with store.connection.transaction():
        assert archive_stream(store, "account-1") == 2
        with pytest.raises(StreamArchived):
            store.append("account-1", deposits(3))
        assert everything(other) == before
        raise psycopg.Rollback
    assert everything(store) == before
    archive_stream(store, "account-1")
    archived = everything(store)
    with store.connection.transaction():
        assert restore_stream(store, "account-1") == 2
        store.append("account-1", deposits(3), expected_version=2)
        assert everything(other) == archived
        raise psycopg.Rollback
    assert everything(store) == archived


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_refusal_leaves_the_callers_transaction_usable(store, connect, autocommit):
    other = EventStore(connect(autocommit=autocommit), event_types())
    with other.connection.transaction() if autocommit else nullcontext():
        other.append("account-1", deposits(1))
        for function in (archive_stream, restore_stream):
            with pytest.raises(WrongExpectedVersion):
                function(other, "account-404")
        with pytest.raises(WrongExpectedVersion):
            archive_stream(other, "account-1", expected_version=7)
        assert archive_stream(other, "account-1", expected_version=1) == 1
    other.connection.commit()
    assert len(store.read_stream("account-1", archived=True)) == 1


@pytest.mark.parametrize("commits", [True, False])
def test_the_event_that_closes_a_stream_and_its_archiving_commit_together(store, connect, commits):
    store.append("account-1", deposits(1))
    deliveries = Deliveries()
    deliveries.create(store.connection)
    with subscription(connect, deliveries.project) as reader:
        with store.connection.transaction():
            appended = store.append("account-1", deposits(2), expected_version=1)
            archive_stream(store, "account-1", expected_version=appended.version)
            if not commits:
                raise psycopg.Rollback
        last = store.append("account-2", deposits(3))
        reader.wait_for(last.position)
    assert deliveries.delivered(store) == ([1, 2, 3] if commits else [1, 3])
    assert [event.version for event in store.read_stream("account-1", archived=True)] == ([1, 2] if commits else [1])
    assert (store.stream_info("account-1").archived_at is not None) == commits


# Races


def test_appends_that_race_the_archiving_are_archived_or_refused_and_none_is_lost(store, new_store):
    appenders, archiver = [new_store() for _ in range(4)], new_store()
    refused = stored = 0
    for turn in range(15):
        stream_id = f"account-{turn}"
        store.append(stream_id, deposits(0))

        def append_until_refused(appender, stream_id=stream_id):
            ends = []
            try:
                for number in range(4):
                    ends.append(appender.append(stream_id, deposits(number, number)).version)
            except StreamArchived:
                return ends, True
            return ends, False

        tasks = [partial(append_until_refused, appender) for appender in appenders]
        moved, *outcomes = at_once([partial(archive_stream, archiver, stream_id), *tasks])
        archived = store.read_stream(stream_id, archived=True)
        assert isinstance(moved, int), moved
        assert [event.version for event in archived] == list(range(1, moved + 1))
        assert sorted(end for ends, _ in outcomes for end in ends) == list(range(3, moved + 1, 2))
        assert store.stream_info(stream_id).version == moved
        refused += sum(was_refused for _, was_refused in outcomes)
        stored += moved - 1
    assert refused > 5 and stored > 5, "there was no race"


@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_archiving_waits_for_an_open_append_and_an_append_for_open_archiving(store, new_store, connect, ends):
    other, observer = new_store(), connect()
    store.append("account-1", deposits(1))
    other.execute("BEGIN")
    other.append("account-1", deposits(2))
    with waiting(lambda: archive_stream(store, "account-1"), store.connection, observer) as archiving:
        other.execute(ends)
    moved = archiving.result()
    assert moved == (2 if ends == "COMMIT" else 1)
    restore_stream(store, "account-1")

    other.execute("BEGIN")
    archive_stream(other, "account-1")
    with waiting(lambda: store.append("account-1", deposits(3)), store.connection, observer) as append:
        other.execute(ends)
    if ends == "COMMIT":
        assert isinstance(append.exception(), StreamArchived)
    else:
        assert append.result().version == moved + 1


def test_archiving_at_a_version_waits_for_an_open_append_and_sees_what_it_did(store, new_store, connect):
    other, observer = new_store(), connect()
    store.append("account-1", deposits(1))
    other.execute("BEGIN")
    other.append("account-1", deposits(2))
    archive = partial(archive_stream, store, "account-1", expected_version=1)
    with waiting(archive, store.connection, observer) as archiving:
        other.execute("COMMIT")
    assert isinstance(archiving.exception(), WrongExpectedVersion) and archiving.exception().actual == 2


def test_of_two_archivers_at_once_one_moves_the_events(store, new_store):
    others = [new_store() for _ in range(4)]
    for turn in range(5):
        store.append(f"account-{turn}", deposits(1, 2, 3))
        assert sorted(at_once([partial(archive_stream, o, f"account-{turn}") for o in others])) == [0, 0, 0, 3]
        assert sorted(at_once([partial(restore_stream, o, f"account-{turn}") for o in others])) == [0, 0, 0, 3]
    assert len(rows(store, "events")) == 15 and rows(store, "archived_events") == []


def test_archivers_and_restorers_at_once_lose_and_double_nothing(store, new_store):
    others = [new_store() for _ in range(4)]
    store.append("account-1", deposits(1, 2, 3))
    expected = store.read_stream("account-1")
    functions = [archive_stream, restore_stream] * 2
    for _ in range(10):
        outcomes = at_once([partial(f, o, "account-1") for f, o in zip(functions, others, strict=True)])
        assert set(outcomes) <= {0, 3}
        assert store.read_stream("account-1", archived=True) == expected


# The log and what is made of it


def history(store, choose, count):
    for _ in range(count):
        account = f"account-{choose.randrange(6)}"
        store.append(account, [DepositRecorded(account, choose.randint(1, 9), "cashier-1")] * choose.randint(1, 3))


def test_the_log_and_what_is_made_of_it_are_the_same_before_and_after(store, connect):
    models = [AccountBalances(), CashierDashboard()]
    for model in models:
        model.create(store.connection)
    history(store, random.Random(1), 60)

    def read():
        made = []
        for model in models:
            made.append(rebuild(store, model))
            made.append(rows(store, model.table))
        notes = []
        with subscription(connect, lambda _, events: notes.extend(events), uuid4().hex, batch=7) as reader:
            reader.wait_for(last_position(store))
        by_part = [
            store.read_all(after=20, limit=11),
            store.read_all(category="account", event_types=[DepositRecorded]),
            store.read_all(event_types=[AccountOpened]),
        ]
        return made, notes, store.read_all(limit=1000), by_part

    before = read()
    assert len(before[1]) > 60
    for number in (0, 2, 5):
        archive_stream(store, f"account-{number}")
    assert read() == before
    restore_stream(store, "account-2")
    assert read() == before
    for number in range(6):
        archive_stream(store, f"account-{number}")
    assert rows(store, "events") == []
    assert read() == before


def test_readers_skip_and_double_nothing_while_streams_are_archived_restored_and_appended(store, connect, new_store):
    deliveries, balances = Deliveries(), AccountBalances()
    for projection in (deliveries, balances):
        projection.create(store.connection)
    history(store, random.Random(1), 30)
    over, (writer, archiver, log, rebuilder) = threading.Event(), [new_store() for _ in range(4)]

    def write():
        choose, count = random.Random(2), 0
        while not over.is_set():
            try:
                history(writer, choose, 1)
                count += 1
            except StreamArchived:
                pass
        return count

    def archive_and_restore():
        choose, count = random.Random(3), 0
        while not over.is_set():
            stream_id = f"account-{choose.randrange(6)}"
            count += bool((archive_stream if choose.random() < 0.5 else restore_stream)(archiver, stream_id))
        return count

    def read_from_a_checkpoint():
        seen = []
        while not over.is_set():
            seen += [event.position for event in log.read_all(after=seen[-1] if seen else 0, limit=13)]
        return seen

    def read_all_again_and_again():
        try:
            for _ in range(40):
                before = last_position(rebuilder)
                events = rebuilder.read_all(limit=100_000)
                assert [event.position for event in events] == list(range(1, len(events) + 1))
                # No look at how many these are: an append is seen a moment before its announcement is gone.
                assert rebuild(rebuilder, balances) >= before
                stream = rebuilder.read_stream("account-1", archived=True)
                assert [event.version for event in stream] == list(range(1, len(stream) + 1))
                assert stream
        finally:
            over.set()

    with subscription(connect, deliveries.project, batch=20) as reader:
        tasks = [write, archive_and_restore, read_from_a_checkpoint, read_all_again_and_again]
        written, moved, seen, error = at_once(tasks)
        assert error is None, error
        assert written > 30 and moved > 30, "there was no stress"
        reader.wait_for(last_position(store))
    seen += [event.position for event in log.read_all(after=seen[-1], limit=100_000)]  # what was left when it was over
    assert seen == logged(store)
    assert deliveries.delivered(store) == logged(store)


# The one door


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE archived_events SET data = '{}'",
        "UPDATE archived_events SET recorded_at = now() WHERE false",
        "TRUNCATE archived_events",
        "TRUNCATE events, archived_events",
        "TRUNCATE events CASCADE",
        "DELETE FROM archived_events",
        "DELETE FROM archived_events WHERE version = 4",
        "DELETE FROM archived_events WHERE stream_id = 'account-404'",
        "DELETE FROM events",
        "DELETE FROM events WHERE stream_id = 'account-2'",
        "DELETE FROM events WHERE stream_id = 'account-1'",
        "WITH gone AS (DELETE FROM events RETURNING *) INSERT INTO archived_events SELECT * FROM gone WHERE false",
        "MERGE INTO archived_events a USING (SELECT 'account-1' AS id) AS given ON a.stream_id = given.id"
        " WHEN MATCHED THEN DELETE",
        "MERGE INTO archived_events a USING (SELECT 'account-1' AS id) AS given ON a.stream_id = given.id"
        " WHEN MATCHED THEN UPDATE SET data = '{}'",
        "DELETE FROM log",
        "UPDATE log SET type = 'Other'",
    ],
)
def test_by_no_other_door_does_an_event_leave_its_table(store, closed, statement):
    before = everything(store)
    with pytest.raises(psycopg.DatabaseError) as caught:
        store.execute(statement)
    assert not isinstance(caught.value, psycopg.errors.SyntaxError | psycopg.errors.UndefinedTable)
    assert everything(store) == before


FORGED = {
    "stream_id": "'account-3'",
    "version": "version + 1",
    "position": "position + 1",
    "id": "gen_random_uuid()",
    "type": "'CashWithdrawn'",
    "data": 'data || \'{"amount": "3"}\'',
    "metadata": "'{\"forged\": true}'",
    "recorded_at": "recorded_at + interval '1 microsecond'",
}


@pytest.mark.parametrize("column", FORGED)
@pytest.mark.parametrize("way", ["to the archive", "back"])
def test_an_event_of_which_the_other_table_holds_a_forged_copy_stays(store, column, way):
    store.append("account-2", deposits(1, 2), metadata={"user": "Anna"})
    source, target = ("events", "archived_events")
    if way == "back":
        archive_stream(store, "account-2")
        source, target = target, source
    columns = [FORGED[name] if name == column else name for name in FORGED]
    store.execute(f"INSERT INTO {target} OVERRIDING SYSTEM VALUE SELECT {', '.join(columns)} FROM {source}")
    before = everything(store)
    with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
        store.execute(f"DELETE FROM {source}")
    assert everything(store) == before


def test_of_a_faithful_copy_of_one_event_only_that_event_may_leave(store):
    """The door is open to whoever copies: what is refused is a loss."""
    store.append("account-2", deposits(1, 2))
    store.execute("INSERT INTO archived_events SELECT * FROM events WHERE version = 1")
    with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
        store.execute("DELETE FROM events")
    with store.connection.transaction():
        store.execute("DELETE FROM events WHERE version = 1")
        assert len(store.read_stream("account-2", archived=True)) == 2
        raise psycopg.Rollback


def test_making_the_tables_again_keeps_the_archive_and_opens_no_door(store, closed):
    before = everything(store)
    store.create_schema()
    assert everything(store) == before
    with pytest.raises(psycopg.DatabaseError):
        store.execute("DELETE FROM archived_events")
    with pytest.raises(StreamArchived):
        store.append("account-1", deposits(1))
    assert restore_stream(store, "account-1") == 4
    assert store.read_stream("account-1") == closed


# The hot table stays small


def touched(store):
    """How many pages of the archive and of its indexes this connection has read since it was asked last."""
    store.execute("SELECT pg_stat_force_next_flush()")
    store.execute("SELECT")
    return store.execute(
        "SELECT coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)), 0)"
        " FROM pg_statio_user_tables WHERE relid = 'archived_events'::regclass"
    ).fetchone()[0]


def sizes(store):
    return store.execute("SELECT pg_relation_size('events'), pg_indexes_size('events')").fetchone()


def work_of_the_day(store):
    """What is done with live streams: reads, appends, retries, and appends that are refused."""
    store.read_stream("live-7")
    store.read_stream("live-7", from_version=3, to_version=5)
    aggregate_stream(store, "live-7", BankAccount(), evolve)
    aggregate_with_snapshots(store, "live-7", BankAccount(), evolve, every=2)
    append = {"expected_version": store.read_stream("live-8")[-1].version, "event_ids": [uuid4()]}
    for _ in range(2):
        store.append("live-8", deposits(1), **append)
    store.append("live-9", deposits(1, 2, 3))
    store.append(f"live-{uuid4()}", deposits(1), expected_version=NO_STREAM)
    with pytest.raises(WrongExpectedVersion):
        store.append("live-9", deposits(1), expected_version=1)


def fill(store, archived):
    """Make 10,000 live events in 1,000 streams, and as many archived ones as told in streams of 100."""
    data = '\'{"account_id": "1", "amount": "12.50", "cashier_id": "cashier-1"}\''
    for table, kind, count, length in (("archived_events", "old", archived, 100), ("events", "live", 10_000, 10)):
        store.execute(
            f"INSERT INTO streams (id, version, archived_at) SELECT '{kind}-' || n, {length},"
            f" {'now()' if kind == 'old' else 'NULL'} FROM generate_series(1, {count // length}) n"
        )
        # An event of each stream at a time, so that the streams lie mixed, as they would.
        store.execute(
            f"INSERT INTO {table} (stream_id, version, position, id, type, data, metadata, recorded_at)"
            f" OVERRIDING SYSTEM VALUE SELECT '{kind}-' || s, v, row_number() OVER (ORDER BY v, s) + {archived} *"
            f" {int(kind == 'live')}, gen_random_uuid(), 'DepositRecorded', {data}::jsonb, '{{}}', now()"
            f" FROM generate_series(1, {length}) v, generate_series(1, {count // length}) s ORDER BY v, s"
        )
    store.execute("SELECT setval('events_position_seq', %s)", (archived + 10_000,))
    store.execute("ANALYZE streams, events, archived_events")


def nodes(plan):
    """All nodes of a plan."""
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def explain(store, statement):
    """Run a statement, and return the nodes of its plan that really ran."""
    ((((plan),),),) = [store.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}").fetchall()]
    return [node for node in nodes(plan[0]["Plan"]) if node["Actual Loops"]]


def assert_the_archive_is_not_touched(store):
    for mode in ("force_custom_plan", "force_generic_plan"):
        store.execute(f"SET plan_cache_mode = {mode}")
        ran = explain(store, "SELECT * FROM read_stream('live-7')")
        assert "events" in {node.get("Relation Name") for node in ran}, "the plan does not say what it reads"
        assert "archived_events" not in {node.get("Relation Name") for node in ran}
        before = touched(store)
        for _ in range(7):  # psycopg prepares a statement after some
            work_of_the_day(store)
        event = '{"type": "DepositRecorded", "data": {"account_id": "1", "amount": "1", "cashier_id": "cashier-1"}}'
        explain(store, f"SELECT * FROM append_to_stream('live-5', NULL, '[{event}]')")
        assert touched(store) == before, "live streams pay for the archive"
    before = touched(store)
    store.read_stream("old-7", archived=True)
    assert touched(store) > before, "this test could not have seen it"


def test_work_on_live_streams_touches_no_page_of_the_archive(store):
    fill(store, 10_000)
    assert_the_archive_is_not_touched(store)


@pytest.mark.long
def test_a_million_archived_events_make_ten_thousand_live_ones_no_larger(store, connect):
    alone = EventStore(connect(), event_types())
    schema = store.execute("SELECT current_schema()").fetchone()[0]
    alone.execute(f"CREATE SCHEMA {schema}_alone")
    alone.execute(f"SET search_path TO {schema}_alone")
    try:
        alone.create_schema()
        fill(alone, 0)
        store.execute("SET statement_timeout = 0")
        fill(store, 1_000_000)
        assert store.execute("SELECT count(*) FROM archived_events").fetchone() == (1_000_000,)
        assert sizes(store) == sizes(alone)
        assert_the_archive_is_not_touched(store)
        store.append("live-10", deposits(*range(100)))
        assert archive_stream(store, "live-10") == 110
        assert len(store.read_all(after=1_000_000, limit=20_000)) > 10_000
    finally:
        alone.execute(f"DROP SCHEMA {schema}_alone CASCADE")


def test_what_archiving_frees_is_used_again(store):
    """The rows of an archived stream are dead in the hot table; after a vacuum, new events take their place."""
    for number in range(10):
        store.append(f"old-{number}", deposits(*range(300)))
    size, _ = sizes(store)
    for number in range(10):
        archive_stream(store, f"old-{number}")
    store.execute("VACUUM events")
    for number in range(10):
        store.append(f"new-{number}", deposits(*range(300)))
    assert sizes(store)[0] <= size * 1.2
