"""create_schema: safe to repeat, safe from several connections at once, and modest in what it asks for."""

import re
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from eventstore import (
    NO_STREAM,
    EventStore,
    StreamArchived,
    WrongExpectedVersion,
    archive_stream,
    restore_stream,
)
from tests.bank import deposits
from tests.concurrency import at_once
from tests.subscribing import logged
from workshop.bank import event_types


def objects(connection):
    """What lies in the connection's schema: relations, functions, triggers and constraints."""
    return connection.execute(
        "SELECT 'relation', relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
        "UNION ALL SELECT 'trigger', tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
        "WHERE relnamespace = current_schema()::regnamespace "
        "UNION ALL SELECT 'constraint', conname FROM pg_constraint "
        "WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2"
    ).fetchall()


def test_it_can_be_repeated_and_the_data_survives(store, new_store):
    before = objects(store.connection)
    assert ("relation", "streams") in before and ("relation", "events") in before
    store.append("account-1", deposits(1, 2), metadata={"by": "me"})
    recorded, info = store.read_stream("account-1"), store.stream_info("account-1")
    store.create_schema()
    new_store().create_schema()
    assert objects(store.connection) == before
    assert store.read_stream("account-1") == recorded
    assert store.stream_info("account-1") == info
    assert store.append("account-1", deposits(3), expected_version=2).version == 3


def test_eight_connections_can_do_it_at_once(new_store):
    stores = [new_store() for _ in range(8)]
    assert at_once([store.create_schema for store in stores]) == [None] * 8
    ends = at_once([lambda store=store: store.append("account-1", deposits(1)) for store in stores])
    assert sorted(end.version for end in ends) == list(range(1, 9))


def test_it_can_be_repeated_while_others_append(store, new_store):
    writers, makers = [new_store() for _ in range(3)], [new_store() for _ in range(2)]

    def write(writer):
        return [writer.append("account-1", deposits(n)) for n in range(30)]

    def make(maker):
        return [maker.create_schema() for _ in range(5)]

    outcomes = at_once([*(lambda w=w: write(w) for w in writers), *(lambda m=m: make(m) for m in makers)])
    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert store.stream_info("account-1").version == 90


def test_it_brings_a_function_of_an_earlier_version_up_to_date(store, new_store):
    store.append("account-1", deposits(1))
    store.connection.execute(
        "CREATE OR REPLACE FUNCTION append_to_stream(stream_id text, expected_version bigint, new_events jsonb, "
        "metadata jsonb DEFAULT '{}') RETURNS TABLE (version bigint, \"position\" bigint, repeated boolean) "
        "LANGUAGE sql AS 'SELECT 0::bigint, 0::bigint, false'"
    )
    renewed = new_store()
    renewed.create_schema()
    assert renewed.append("account-1", deposits(2), expected_version=1).version == 2


def test_in_a_callers_transaction_it_is_undone_with_it(new_store):
    store = new_store()
    with store.connection.transaction():
        store.create_schema()
        assert store.append("account-1", deposits(1), expected_version=NO_STREAM).version == 1
        raise psycopg.Rollback
    assert objects(store.connection) == []


def test_each_postgresql_schema_has_a_store_of_its_own(store, connect):
    other = f"other_{uuid4().hex}"
    connection = connect()
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(other)))
    try:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(other)))
        neighbour = EventStore(connection, store.types)
        neighbour.create_schema()
        neighbour.append("account-1", deposits(1))
        assert store.stream_info("account-1") is None
        assert store.append("account-1", deposits(2)).version == 1
        assert [each.event for each in neighbour.read_stream("account-1")] == deposits(1)
    finally:
        connection.execute("SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(other)))


def test_every_unique_constraint_on_events_includes_the_stream_so_that_it_can_be_distributed(store):
    constraints = store.connection.execute(
        "SELECT indexrelid::regclass::text, ARRAY(SELECT attname::text FROM pg_attribute a WHERE a.attrelid = indrelid "
        "AND a.attnum = ANY (indkey)) FROM pg_index WHERE indrelid = 'events'::regclass AND indisunique"
    ).fetchall()
    assert constraints
    assert all("stream_id" in columns for _, columns in constraints)


@pytest.fixture
def ordinary_role(connect):
    """A role that may do nothing but create schemas in this database; `SET ROLE` to it."""
    connection = connect()
    name = f"ordinary_{uuid4().hex}"
    role = sql.Identifier(name)
    database = sql.Identifier(connection.info.dbname)
    try:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    except psycopg.errors.InsufficientPrivilege as error:
        pytest.skip(f"the tests' own role may not make roles: {error}")
    try:
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, role))
        yield name
    finally:
        connection.execute("RESET ROLE; SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def store_of_role(connection, role, types):
    """A store with its tables made by the role, in a schema of the role's own."""
    for statement in ("SET ROLE {}", "CREATE SCHEMA {}", "SET search_path = {}"):
        connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
    store = EventStore(connection, types)
    store.create_schema()
    return store


def test_an_ordinary_role_that_may_create_schemas_can_do_all(store, connect, ordinary_role):
    ordinary = store_of_role(connect(), ordinary_role, store.types)
    ordinary.create_schema()
    assert ordinary.connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
        False,
    )
    end = ordinary.append("account-1", deposits(1, 2))
    assert ordinary.append("account-1", deposits(3), expected_version=end.version).version == 3
    assert [each.event for each in ordinary.read_stream("account-1")] == deposits(1, 2, 3)
    for statement in ("UPDATE events SET data = '{}'", "DELETE FROM events", "TRUNCATE events"):
        with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
            ordinary.connection.execute(statement)


@pytest.fixture
def pretended_citus(connect, ordinary_role):
    """A connection in a transaction in which a row says that Citus is installed, as an ordinary role.

    Nothing of Citus is there, but what these tests look at is plain PostgreSQL. What it does on a cluster is proved
    with --distributed.
    """
    connection = connect()
    if not connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()[0]:
        pytest.skip("only a superuser can pretend that an extension is installed")
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'citus'").rowcount:
        pytest.skip("this server has Citus, and is not one to pretend with")
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) "
            "SELECT 99999, 'citus', oid, 'pg_catalog'::regnamespace, false, '0' FROM pg_roles "
            "WHERE rolname = current_user"
        )
        yield connection
    assert connection.execute("SELECT count(*) FROM pg_extension WHERE extname = 'citus'").fetchone() == (0,)


def triggers(connection):
    facts = "SELECT tgname FROM pg_trigger WHERE tgrelid IN ('events'::regclass, 'archived_events'::regclass)"
    return {name for (name,) in connection.execute(facts).fetchall()}


def assert_facts_stay(store):
    for table in ("events", "archived_events"):
        for statement in ("UPDATE {} SET data = '{{}}'", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=table), store.connection.transaction():
                store.connection.execute(statement.format(table))


def test_where_citus_is_installed_privileges_stand_in_for_the_triggers(store, pretended_citus, ordinary_role):
    """Citus distributes no table with a trigger."""
    distributed = store_of_role(pretended_citus, ordinary_role, store.types)
    distributed.append("account-1", deposits(1, 2))
    distributed.create_schema()
    assert triggers(pretended_citus) == set()
    assert_facts_stay(distributed)
    assert distributed.append("account-1", deposits(3), expected_version=2).version == 3
    assert len(distributed.read_stream("account-1")) == 3


def test_where_citus_is_installed_an_owner_who_may_not_delete_archives_and_brings_back(
    store, pretended_citus, ordinary_role
):
    distributed = store_of_role(pretended_citus, ordinary_role, store.types)
    distributed.append("account-1", deposits(1, 2))
    distributed.append("account-2", deposits(3))
    before, log = distributed.read_stream("account-1"), logged(distributed)
    assert archive_stream(distributed, "account-1", expected_version=2) == 2
    assert_facts_stay(distributed)
    with pytest.raises(StreamArchived):
        distributed.read_stream("account-1")
    assert distributed.read_stream("account-1", archived=True) == before
    assert logged(distributed) == log
    with pytest.raises(WrongExpectedVersion):
        archive_stream(distributed, "account-2", expected_version=7)
    assert restore_stream(distributed, "account-1") == 2
    assert_facts_stay(distributed)
    assert distributed.read_stream("account-1") == before
    assert logged(distributed) == log and len(log) == 3


def test_a_store_that_was_there_before_citus_loses_its_triggers_and_nothing_else(pretended_citus, ordinary_role):
    """It has outgrown its machine: the extension comes to a server on which there are events."""
    pretended_citus.execute("UPDATE pg_extension SET extname = 'not yet' WHERE extname = 'citus'")
    alone = store_of_role(pretended_citus, ordinary_role, event_types())
    assert triggers(pretended_citus) == {"facts_stay", "no_fact_is_lost"}
    alone.append("account-1", deposits(1, 2))
    before = alone.read_stream("account-1")
    pretended_citus.execute("RESET ROLE; UPDATE pg_extension SET extname = 'citus' WHERE extname = 'not yet'")
    pretended_citus.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ordinary_role)))
    alone.create_schema()
    assert triggers(pretended_citus) == set()
    assert_facts_stay(alone)
    assert alone.read_stream("account-1") == before


def test_where_citus_is_installed_readers_of_the_log_ask_which_commits_are_still_to_be_done(
    pretended_citus, ordinary_role
):
    """Citus would know, and is not here."""
    distributed = store_of_role(pretended_citus, ordinary_role, event_types())
    for read in (distributed.settled_position, distributed.read_all):
        with pytest.raises(psycopg.errors.UndefinedTable, match="pg_dist_transaction"), pretended_citus.transaction():
            read()


def test_where_citus_is_installed_no_function_has_what_it_refuses(pretended_citus, ordinary_role):
    """It plans no function in the language sql that is called with parameters and reads distributed tables, and no
    volatile function in an UPDATE. A look into all shards with every append it would take, but that would be slow.
    """
    store_of_role(pretended_citus, ordinary_role, event_types())
    functions = pretended_citus.execute(
        "SELECT proname, lanname, prosrc FROM pg_proc JOIN pg_language l ON l.oid = prolang "
        "WHERE pronamespace = current_schema()::regnamespace"
    ).fetchall()
    distributed = re.compile(r"(FROM|JOIN) (events|archived_events|streams|log) ")
    assert not [name for name, language, body in functions if language == "sql" and distributed.search(body)]
    assert not [name for name, _, body in functions if re.search(r"UPDATE [^;]*clock_timestamp\(\)", body)]
    assert not [name for name, _, body in functions if name == "announce_append" and "max(position)" in body]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE events SET data = '{}'", "Events are facts: UPDATE on events is refused"),
        ("DELETE FROM events", "Events are facts: DELETE on events is refused"),
        ("TRUNCATE events", "Events are facts: TRUNCATE on events is refused"),
    ],
)
def test_the_refusal_to_change_a_fact_has_a_code_of_its_own_and_a_hint(store, statement, message):
    with pytest.raises(psycopg.DatabaseError) as caught:
        store.connection.execute(statement)
    assert caught.value.sqlstate == "ES002"
    assert caught.value.diag.message_primary == message
    assert "Append" in caught.value.diag.message_hint


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("'account-1', NULL, '[]', '{}'", psycopg.errors.InvalidParameterValue),
        ("'', NULL, '[{\"type\": \"A\", \"data\": {}}]', '{}'", psycopg.errors.CheckViolation),
        ("repeat('a', 256), NULL, '[{\"type\": \"A\", \"data\": {}}]', '{}'", psycopg.errors.CheckViolation),
        ("NULL, NULL, '[{\"type\": \"A\", \"data\": {}}]', '{}'", psycopg.errors.NotNullViolation),
        ("'account-1', NULL, '[{\"type\": \"A\"}]', '{}'", psycopg.errors.NotNullViolation),
        ("'account-1', NULL, '[{\"type\": \"A\", \"data\": {}}]', '[]'", psycopg.errors.CheckViolation),
        ("'account-1', NULL, '[{\"type\": \"A\", \"data\": {}}]', NULL", psycopg.errors.NotNullViolation),
        ("'account-1', NULL, '{\"type\": \"A\"}', '{}'", psycopg.errors.InvalidParameterValue),
        ("'account-1', NULL, NULL, '{}'", psycopg.errors.NotNullViolation),
        pytest.param(
            "'account-1', -2, '[{\"type\": \"A\", \"data\": {}}]', '{}'", psycopg.DatabaseError,
        ),
    ],
)  # fmt: skip
def test_the_database_itself_refuses_what_python_would_not_pass_on(store, arguments, error):
    with pytest.raises(error):
        store.connection.execute(f"SELECT * FROM append_to_stream({arguments})")
    assert store.connection.execute("SELECT count(*) FROM streams").fetchone() == (0,)


def test_the_function_can_be_called_in_plain_sql_without_ids_and_metadata(store):
    row = store.connection.execute(
        "SELECT version, position FROM append_to_stream('account-1', 0, "
        '\'[{"type": "AccountClosed", "data": {"account_id": "1"}}]\')'
    ).fetchone()
    (recorded,) = store.read_stream("account-1")
    assert row == (1, recorded.position)
    assert recorded.metadata == {}
