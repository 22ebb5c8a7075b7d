"""create_schema: safe to repeat, safe from several connections at once, and modest in what it asks for."""

import re
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from eventstore import (
    NO_STREAM,
    DuplicateEvent,
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
        "WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal "
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


# While others work


def has_appended(store):
    store.connection.execute("BEGIN")
    store.append("account-1", deposits(1))


def reads_the_log(store):
    """As a rebuild does, or a subscription's batch, for as long as it takes."""
    store.connection.execute("BEGIN")
    store.connection.execute("SELECT count(*) FROM log")


def archives(store):
    store.append("account-1", deposits(1))
    store.connection.execute("BEGIN")
    archive_stream(store, "account-1")


def subscribes(store):
    store.connection.execute("BEGIN")
    store.connection.execute("INSERT INTO subscriptions (name) VALUES ('reader')")
    store.connection.execute("SELECT * FROM subscription_status")


@pytest.mark.parametrize("somebody", [has_appended, reads_the_log, archives, subscribes])
def test_called_again_it_waits_for_nobody_and_nobody_waits_for_it(store, new_store, somebody):
    """At the start of a second process, say. A lock that waits in a queue keeps all waiting who come after it."""
    busy, maker, other = new_store(), new_store(), new_store()
    for each in (maker, other):
        each.execute("SET lock_timeout = '300ms'")
    somebody(busy)
    with maker.connection.transaction():
        maker.create_schema()
        other.append("account-2", deposits(2))
        assert [each.stream_id for each in other.read_all()][-1:] == ["account-2"] * (somebody is not has_appended)
    busy.connection.execute("COMMIT")
    assert len(store.read_stream("account-2")) == 1


def test_what_others_make_and_drop_in_their_schemas_does_not_concern_it(connect):
    """As in a room: who asks for the definition of an index that is dropped at that moment gets an error."""

    def come_and_go():
        connection = connect()
        for _ in range(15):
            name = f"other_{uuid4().hex}"
            connection.execute(f"CREATE SCHEMA {name}; SET search_path = {name}")
            EventStore(connection, event_types()).create_schema()
            connection.execute(f"DROP SCHEMA {name} CASCADE")

    assert at_once([come_and_go] * 3) == [None] * 3


def test_called_again_it_locks_no_table_that_is_there(store, new_store):
    maker = new_store()
    with maker.connection.transaction():
        maker.create_schema()
        locked = maker.execute(
            "SELECT relname, mode FROM pg_locks JOIN pg_class c ON c.oid = relation JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE pid = pg_backend_pid() AND nspname = current_schema()"
            " AND mode <> 'AccessShareLock'"
        ).fetchall()
    assert locked == []


@pytest.mark.parametrize(
    "missing",
    [
        "DROP INDEX events_position_idx",
        "DROP VIEW log CASCADE",
        "DROP VIEW subscription_status",
        # As it was before there was a function for it.
        "CREATE OR REPLACE VIEW subscription_status AS SELECT name, checkpoint, 0::bigint AS events_behind,"
        " 0.0 AS seconds_behind, 0::bigint AS events_parked FROM subscriptions s",
        "DROP TRIGGER facts_stay ON events",
        "DROP TRIGGER no_fact_is_lost ON archived_events",
        "DROP FUNCTION read_stream, append_to_stream",
        "DROP TABLE snapshots",
        "DROP VIEW subscription_status; DROP TABLE parked_events, subscriptions",
        "ALTER TABLE streams DROP archived_at",
    ],
)
def test_what_is_missing_it_makes(store, new_store, missing):
    before = objects(store.connection)
    store.append("account-1", deposits(1))
    store.execute(missing)
    new_store().create_schema()
    assert objects(store.connection) == before
    store.append("account-1", deposits(2))
    assert [len(store.read_stream("account-1")), len(store.read_all())] == [2, 2]
    for statement in ("UPDATE events SET data = '{}'", "DELETE FROM events", "TRUNCATE archived_events"):
        with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
            store.execute(statement)


def test_statements_that_were_prepared_outlive_a_schema_that_is_brought_up_to_date(store, new_store):
    for number in range(8):
        store.append("account-1", deposits(number))
        store.read_stream("account-1"), store.read_all()
    other = new_store()
    other.execute("DROP FUNCTION append_to_stream, read_stream, read_all; DROP VIEW log CASCADE")
    other.create_schema()
    store.append("account-1", deposits(8))
    assert len(store.read_stream("account-1")) == len(store.read_all()) == 9


# A table that takes the place of another


def begin_anew(store, *tables):
    """Put new tables in the place of some, and have made anew what still means the old ones."""
    for table in tables:
        store.execute(f"ALTER TABLE {table} RENAME TO {table}_2025")
    functions = "SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'read%%' AND pronamespace = %s::regnamespace"
    schema = store.execute("SELECT quote_ident(current_schema())").fetchone()[0]
    for (function,) in store.execute(functions, (schema,)).fetchall():
        store.execute(f"DROP FUNCTION {function}")
    store.create_schema()


@pytest.mark.parametrize("old", ["kept", "dropped"])
@pytest.mark.parametrize("tables", [("events", "archived_events", "streams"), ("events",)], ids=["all", "events"])
def test_after_a_table_was_swapped_all_that_is_made_for_it_is_made_for_the_new_one(store, new_store, tables, old):
    for number in range(10):
        store.append("account-1", deposits(number))
    begin_anew(store, *tables)
    if old == "dropped":
        store.execute(f"DROP TABLE {', '.join(f'{table}_2025' for table in tables)} CASCADE")
        store.create_schema()
    slow, quick = new_store(), new_store()
    slow.connection.execute("BEGIN")
    slow.append("a-1", deposits(1))  # draws the first position of the new sequence
    quick.append("b-1", deposits(2))
    assert store.read_all() == [], "the open one would be skipped"
    slow.connection.execute("COMMIT")
    assert [each.stream_id for each in store.read_all()] == ["a-1", "b-1"]
    assert store.settled_position() == (2, 2)
    indexed = (
        "SELECT tablename FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE '%(\"position\")%'"
    )
    assert {("events",), ("archived_events",)} <= set(store.execute(indexed).fetchall())
    with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
        store.execute("DELETE FROM events")
    assert archive_stream(store, "a-1") == 1


def test_a_partitioned_table_can_take_the_place_of_events(store, new_store):
    for number in range(10):
        store.append(f"account-{number % 3}", deposits(number))
    before, streams = store.read_all(), [f"account-{number}" for number in range(3)]
    store.execute("""
        CREATE TABLE events_new (LIKE events INCLUDING ALL) PARTITION BY HASH (stream_id);
        CREATE TABLE events_new_0 PARTITION OF events_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE events_new_1 PARTITION OF events_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO events_new OVERRIDING SYSTEM VALUE SELECT * FROM events;
        SELECT setval(pg_get_serial_sequence('events_new', 'position'), (SELECT max(position) FROM events));
        ALTER TABLE events RENAME TO events_old;
        ALTER TABLE events_new RENAME TO events;
    """)
    begin_anew(store)
    assert store.read_all() == before
    event_id = store.read_stream("account-1")[0].id
    assert store.append("account-1", deposits(10), expected_version=3).position == 11
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(1), event_ids=[event_id])
    assert [len(store.read_stream(stream_id)) for stream_id in streams] == [4, 4, 3]
    assert len(new_store().read_all()) == 11
    assert archive_stream(store, "account-1") == 4
    with pytest.raises(psycopg.DatabaseError, match="Events are facts"):
        store.execute("UPDATE events SET type = 'other'")


# A table that is in the way


@pytest.mark.parametrize("table", ["streams", "events", "archived_events", "subscriptions"])
@pytest.mark.parametrize("how", ["AS TABLE {}", "(LIKE {} INCLUDING ALL)"])
def test_a_temporary_table_of_the_same_name_takes_no_event(store, new_store, table, how):
    """PostgreSQL looks for temporary tables first. What is in one ends with the session."""
    store.append("account-1", deposits(1))
    player = new_store()
    player.append("account-1", deposits(2))
    player.execute(f"CREATE TEMP TABLE {table} {how.format(table)}")
    for stream_id in ("account-1", "account-2"):
        with pytest.raises(psycopg.DatabaseError, match="A temporary table|no unique"):
            player.append(stream_id, deposits(3))
    assert store.stream_info("account-1").version == len(store.read_stream("account-1")) == 2
    assert store.stream_info("account-2") is None
    player.execute(f"DROP TABLE pg_temp.{table}")
    assert player.append("account-1", deposits(3), expected_version=2).version == 3
    player.execute("CREATE TEMP TABLE mine (LIKE events)")
    assert player.append("account-1", deposits(4), expected_version=3).version == 4, "another name is in nobody's way"


def test_a_temporary_table_that_is_made_after_the_first_append_of_a_transaction_takes_no_event_either(store):
    with pytest.raises(psycopg.DatabaseError, match="A temporary table"), store.connection.transaction():
        store.append("account-1", deposits(1))
        store.execute("CREATE TEMP TABLE events (LIKE events INCLUDING ALL)")
        store.append("account-1", deposits(2))
    assert store.read_all() == []


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
