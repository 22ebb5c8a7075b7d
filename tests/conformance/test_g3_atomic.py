"""G3: one append is one SQL statement, all of its events or none, and it takes part in a caller's transaction."""

from uuid import uuid4

import psycopg
import pytest

from eventstore import NO_STREAM, DuplicateEvent, UnknownEventType, WrongExpectedVersion
from tests.bank import deposits


def contents(store):
    """All that is stored, by plain SQL."""
    streams = store.connection.execute("SELECT id, version FROM streams ORDER BY id").fetchall()
    events = store.connection.execute("SELECT stream_id, version, id FROM events ORDER BY position").fetchall()
    return streams, events


def test_a_batch_whose_third_event_is_refused_by_the_database_stores_none(store):
    store.append("account-1", deposits(1))
    before = contents(store)
    same = uuid4()
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(2, 3, 4, 5), event_ids=[uuid4(), same, same, uuid4()])
    with pytest.raises(DuplicateEvent):
        store.append("account-2", deposits(2, 3, 4), event_ids=[uuid4(), same, same])
    assert contents(store) == before
    assert store.append("account-1", deposits(2)).version == 2


def test_a_batch_whose_third_event_has_no_type_stores_none_for_those_who_call_the_function_in_sql(store):
    store.append("account-1", deposits(1))
    before = contents(store)
    call = "SELECT * FROM append_to_stream(%s, NULL, %s::jsonb, '{}')"
    batch = '[{"type": "A", "data": {}}, {"type": "B", "data": {}}, {"data": {}}, {"type": "D", "data": {}}]'
    for stream_id in ("account-1", "account-2"):
        with pytest.raises(psycopg.errors.NotNullViolation):
            store.connection.execute(call, (stream_id, batch))
    assert contents(store) == before


def test_a_batch_with_an_event_that_cannot_be_written_as_json_stores_none(store):
    with pytest.raises(UnknownEventType):
        store.append("account-1", [*deposits(1, 2), object()])
    assert contents(store) == ([], [])


def test_on_an_autocommit_connection_an_append_is_a_transaction_of_its_own(store):
    store.append("account-1", deposits(1, 2, 3))
    store.append("account-1", deposits(4, 5))
    rows = store.connection.execute("SELECT version, xmin::text FROM events ORDER BY version").fetchall()
    transactions = [transaction for _, transaction in rows]
    assert len(set(transactions[:3])) == 1 and len(set(transactions[3:])) == 1, "one append, several transactions"
    assert transactions[0] != transactions[3], "two appends, one transaction"
    stream = store.connection.execute("SELECT xmin::text FROM streams").fetchone()[0]
    assert stream == transactions[3], "the stream and its events were not written together"


def test_one_append_is_one_statement(store, new_store):
    sent = []

    class Noted(psycopg.Cursor):
        def execute(self, query, *args, **kwargs):
            sent.append(query)
            return super().execute(query, *args, **kwargs)

    noted = new_store(cursor_factory=Noted)
    noted.append("account-1", deposits(1))  # so that whatever is done once has been done
    sent.clear()
    noted.append("account-1", deposits(2, 3), expected_version=1)
    assert len(sent) == 1, f"an append is to be one statement: {sent}"


@pytest.fixture
def transfers(store):
    """A table of the caller's own, beside the store's."""
    store.connection.execute("CREATE TABLE transfers (amount int)")
    return lambda: store.connection.execute("SELECT amount FROM transfers").fetchall()


def test_a_commit_keeps_the_appends_to_two_streams_and_the_callers_own_row(store, transfers):
    with store.connection.transaction():
        store.append("account-1", deposits(1, 2))
        store.connection.execute("INSERT INTO transfers VALUES (7)")
        store.append("account-2", deposits(3))
    assert len(store.read_stream("account-1")) == 2
    assert len(store.read_stream("account-2")) == 1
    assert transfers() == [(7,)]


def test_a_rollback_removes_the_appends_to_two_streams_and_the_callers_own_row(store, transfers):
    store.append("account-1", deposits(1))
    before = contents(store)
    with store.connection.transaction():
        store.append("account-1", deposits(2, 3))
        store.connection.execute("INSERT INTO transfers VALUES (7)")
        store.append("account-2", deposits(4))
        raise psycopg.Rollback
    assert contents(store) == before
    assert transfers() == []
    assert store.append("account-1", deposits(2), expected_version=1).version == 2
    assert store.append("account-2", deposits(4), expected_version=NO_STREAM).version == 1


def test_an_append_that_fails_takes_the_callers_transaction_with_it(store, transfers):
    with pytest.raises(WrongExpectedVersion), store.connection.transaction():
        store.append("account-1", deposits(1))
        store.connection.execute("INSERT INTO transfers VALUES (7)")
        store.append("account-2", deposits(2), expected_version=5)
    assert contents(store) == ([], [])
    assert transfers() == []


def test_a_savepoint_keeps_the_rest_of_the_transaction_from_a_failed_append(store):
    with store.connection.transaction():
        store.append("account-1", deposits(1))
        with pytest.raises(WrongExpectedVersion), store.connection.transaction():
            store.append("account-1", deposits(2), expected_version=0)
        with pytest.raises(WrongExpectedVersion), store.connection.transaction():
            store.append("account-2", deposits(2), expected_version=5)
        store.append("account-1", deposits(3))
    assert [each.event for each in store.read_stream("account-1")] == deposits(1, 3)
    assert store.stream_info("account-1").version == 2
    assert store.stream_info("account-2") is None
