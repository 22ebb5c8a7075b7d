"""G7: the database itself refuses UPDATE, DELETE and TRUNCATE on events, whoever asks."""

import psycopg
import pytest

from tests.bank import deposits

STATEMENTS = [
    "UPDATE events SET data = '{}'",
    "UPDATE events SET metadata = metadata",
    "UPDATE events SET version = version + 100",
    "UPDATE events SET recorded_at = now() WHERE stream_id = 'account-1'",
    "UPDATE events SET type = 'Other' WHERE false",
    "DELETE FROM events",
    "DELETE FROM events WHERE stream_id = 'account-1' AND version = 1",
    "DELETE FROM events WHERE stream_id = 'account-404'",
    "WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone",
    "TRUNCATE events",
    "TRUNCATE events CASCADE",
    "TRUNCATE events RESTART IDENTITY CASCADE",
    "TRUNCATE streams, events",
    "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at) "
    "SELECT 'account-1', 1, gen_random_uuid(), 'Other', '{}', '{}', now() "
    "ON CONFLICT (stream_id, version) DO UPDATE SET type = excluded.type",
    "MERGE INTO events USING streams ON stream_id = streams.id WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "empty table"])
def test_what_changes_or_removes_events_is_refused_even_to_the_owner_and_where_no_row_matches(store, statement, stored):
    if stored:
        store.append("account-1", deposits(1, 2))
        store.append("account-2", deposits(3))
    before = store.read_stream("account-1")
    with pytest.raises(psycopg.DatabaseError) as caught:
        store.connection.execute(statement)
    assert "events" in str(caught.value).lower(), "the message does not say that events are what cannot change"
    assert not isinstance(caught.value, psycopg.errors.SyntaxError)
    assert store.read_stream("account-1") == before
    if stored:
        assert len(store.read_stream("account-2")) == 1
        assert store.append("account-1", deposits(4), expected_version=2).version == 3


@pytest.mark.parametrize("statement", ["UPDATE events SET data = '{}'", "DELETE FROM events", "TRUNCATE events"])
def test_facts_stay_in_a_transaction_too(store, statement):
    store.append("account-1", deposits(1))
    with pytest.raises(psycopg.DatabaseError), store.connection.transaction():
        store.append("account-1", deposits(2))
        store.connection.execute(statement)
    assert [each.event for each in store.read_stream("account-1")] == deposits(1)


def test_making_the_tables_again_does_not_open_a_door(store):
    store.append("account-1", deposits(1))
    store.create_schema()
    with pytest.raises(psycopg.DatabaseError):
        store.connection.execute("DELETE FROM events")
    assert len(store.read_stream("account-1")) == 1
