"""Archiving: a stream that has ended leaves the hot table; nothing is lost, and nothing is added to it."""

from decimal import Decimal

import psycopg
import pytest
from psycopg.errors import DeadlockDetected

from eventstore import StreamArchived, WrongExpectedVersion, archive_stream, restore_stream
from tests.bank import AccountOpened, DepositRecorded, deposits
from tests.concurrency import waiting
from workshop.bank.read_models import AccountBalances


@pytest.fixture
def archived(store):
    """The events of account-1, which is archived; account-2 lives."""
    store.append("account-1", deposits(1, 2, 3))
    store.append("account-2", deposits(10))
    events = store.read_stream("account-1")
    assert archive_stream(store, "account-1") == 3
    return events


def test_archived_events_leave_the_hot_table_and_are_read_on_request(store, archived):
    assert store.execute("SELECT DISTINCT stream_id FROM events").fetchall() == [("account-2",)]
    assert store.read_stream("account-1", archived=True) == archived
    assert store.read_stream("account-1", from_version=2, to_version=2, archived=True) == archived[1:2]
    with pytest.raises(StreamArchived):
        store.read_stream("account-1")


@pytest.mark.parametrize("expected", [{}, {"expected_version": 3}, {"expected_version": 0}], ids=str)
def test_nothing_is_appended_to_an_archived_stream(store, archived, expected):
    with pytest.raises(StreamArchived):
        store.append("account-1", deposits(4), **expected)
    assert store.read_stream("account-1", archived=True) == archived


def test_a_stream_is_archived_at_the_version_that_was_decided_on_or_not_at_all(store):
    store.append("account-1", deposits(1, 2))
    with pytest.raises(WrongExpectedVersion):
        archive_stream(store, "account-1", expected_version=1)
    assert len(store.read_stream("account-1")) == 2
    assert archive_stream(store, "account-1", expected_version=2) == 2


def test_two_who_archive_at_once_do_not_wait_for_each_other(store, new_store, connect):
    """The second one comes when the first has looked at the stream, and before it writes."""
    store.append("account-1", deposits(1, 2))
    first, second, gate, observer = new_store(), new_store(), connect(), connect()
    store.execute("""
        CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
        CREATE TRIGGER waits BEFORE UPDATE ON streams FOR EACH STATEMENT EXECUTE FUNCTION waits();
    """)
    gate.execute("SELECT pg_advisory_lock(4711)")
    with (
        waiting(lambda: archive_stream(first, "account-1"), first.connection, observer) as one,
        waiting(lambda: archive_stream(second, "account-1"), second.connection, observer) as other,
    ):
        gate.execute("SELECT pg_advisory_unlock_all()")
        moved = {one.exception(10) or one.result(), other.exception(10) or other.result()}
    assert DeadlockDetected not in map(type, moved), "they waited for each other: the look did not lock the row"
    assert moved == {2, 0}
    assert len(store.read_stream("account-1", archived=True)) == 2


def test_restored_events_are_as_they_were_and_appends_go_on(store, archived):
    assert restore_stream(store, "account-1") == 3
    assert store.read_stream("account-1") == archived
    assert store.append("account-1", deposits(4), expected_version=3).version == 4


def test_the_log_is_the_same_before_and_after(store):
    store.append("account-1", deposits(1, 2, 3))
    store.append("account-2", deposits(10))
    before = store.read_all()
    archive_stream(store, "account-1")
    assert store.read_all() == before


def test_archived_facts_stay_too(store, archived):
    for statement in (
        "DELETE FROM archived_events",
        "UPDATE archived_events SET data = '{}'",
        "TRUNCATE archived_events",
    ):
        with pytest.raises(psycopg.DatabaseError):
            store.execute(statement.format("archived_events"))
    assert store.read_stream("account-1", archived=True) == archived


def test_a_read_model_that_is_made_anew_still_counts_what_is_archived(store, function):
    balances = AccountBalances()
    balances.create(store.connection)
    for account in ("account-1", "account-2"):
        events = [AccountOpened(account, "PLN"), DepositRecorded(account, Decimal(5), "cashier-1")]
        store.append(account, events)
    archive_stream(store, "account-1")
    function("rebuild")(store, balances)
    rows = store.execute("SELECT account_id, balance FROM account_balances ORDER BY 1").fetchall()
    assert rows == [("account-1", 5), ("account-2", 5)], "the archived account is gone from the read model"
