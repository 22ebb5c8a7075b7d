"""What is particular to this log: announcements, their keys, what reading costs; and that tests of G8 can fail."""

from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from eventstore import EventStore, LogPosition, archive_stream
from tests.bank import DepositRecorded, deposits
from tests.concurrency import at_once, waiting
from tests.conformance import test_g8_nothing_skipped as g8


def announcements(connection):
    """How many locks this connection holds to announce its appends."""
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    return connection.execute(held).fetchone()[0]


# --------------------------------------------------------------------------------------------------- settled_position


def test_an_empty_log_is_settled_up_to_zero(store):
    assert store.settled_position() == LogPosition(settled=0, drawn=0)


def test_it_is_settled_up_to_the_last_position_while_no_append_is_open(store):
    assert store.append("account-1", deposits(1, 2, 3)).position == 3
    assert store.settled_position() == (3, 3)
    g8.rolled_back(store, None)
    assert store.settled_position() == (4, 4), "a hole is settled, too"


def test_it_is_settled_up_to_the_first_open_append(store, new_store):
    first, second = new_store(), new_store()
    store.append("account-1", deposits(1, 2))
    for n, writer in enumerate((first, second)):
        writer.connection.execute("BEGIN")
        writer.append(f"account-{n + 2}", deposits(3))
    assert store.settled_position() == (2, 4)
    first.connection.execute("COMMIT")
    assert store.settled_position() == (3, 4)
    second.connection.execute("ROLLBACK")
    assert store.settled_position() == (4, 4)


def test_one_who_knows_how_far_it_is_settled_reads_no_further(store):
    store.append("account-1", deposits(1, 2, 3))
    assert [each.position for each in store.read_all(up_to=2)] == [1, 2]
    assert [each.position for each in store.read_all(after=1, up_to=2)] == [2]
    assert store.read_all(up_to=0) == store.read_all(after=2, up_to=1) == []


def test_a_standby_is_refused(store, connect):
    """It cannot see who appends on the primary. (Here the server only claims to be one.)"""
    store.append("account-1", deposits(1))
    store.connection.execute("CREATE FUNCTION pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
    standby = EventStore(connect(), store.types)
    standby.connection.execute("SELECT set_config('search_path', current_schema() || ', pg_catalog', false)")
    with pytest.raises(psycopg.DatabaseError, match="standby"):
        standby.read_all()


# ------------------------------------------------------------------------------------------------------- announcements


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_an_announcement_ends_with_its_transaction(store, end):
    store.append("account-1", deposits(1))
    assert announcements(store.connection) == 0
    store.connection.execute("BEGIN")
    store.append("account-1", deposits(2))
    assert announcements(store.connection) == 1
    store.connection.execute(end)
    assert announcements(store.connection) == 0


def test_a_repeated_append_announces_nothing(store):
    """It draws no position."""
    ids = [uuid4()]
    store.append("account-1", deposits(1), expected_version=0, event_ids=ids)
    with store.connection.transaction():
        assert store.append("account-1", deposits(1), expected_version=0, event_ids=ids).repeated
        assert announcements(store.connection) == 0


def test_ten_thousand_appends_in_a_transaction_are_one_announcement(store, new_store):
    """Locks are few: max_locks_per_transaction for each of max_connections, whoever holds them."""
    event = '[{"type": "DepositRecorded", "data": {"account_id": "1", "amount": "1", "cashier_id": "1"}}]'
    with store.connection.transaction():
        store.connection.execute(
            "SELECT count(a.version) FROM generate_series(1, 10000) n, append_to_stream('account-' || n, 0, %s) a",
            (event,),
        )
        for _ in range(5):
            store.append("account-1", deposits(1))  # each in a savepoint
        assert announcements(store.connection) == 1
        assert new_store().settled_position() == (0, 10_005)
    assert store.settled_position() == (10_005, 10_005)


@pytest.mark.parametrize("drawn", [2**31 - 1, 2**32 - 2, 2**32 - 1, 2**40, 2**48 - 100])
def test_positions_can_be_large(store, new_store, drawn):
    """A lock's key is two halves of 32 bits, and a position may lie in both."""
    store.connection.execute("SELECT setval('events_position_seq', %s)", (drawn,))
    g8.test_a_lower_position_that_commits_after_a_higher_one_is_not_skipped(store, new_store, "COMMIT")
    assert store.settled_position() == (drawn + 4, drawn + 4)
    assert [each.position for each in store.read_all(after=drawn + 2)] == [drawn + 3, drawn + 4]


def test_two_logs_can_be_appended_to_in_one_transaction(store, connect, owner):
    """In turn, too: each of them is held back at the first of its positions."""
    name = sql.Identifier(f"test_other_{uuid4().hex}")
    owner.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    try:
        other = EventStore(connect(), store.types)
        other.connection.execute(sql.SQL("SET search_path = {}").format(name))
        other.create_schema()
        writer = EventStore(connect(), store.types)
        followers = [g8.Follower(EventStore(each.connection, store.types)) for each in (store, other)]
        with writer.connection.transaction():
            for amount in (1, 3):
                writer.append("account-1", deposits(amount))
                with writer.connection.transaction():
                    writer.connection.execute(sql.SQL("SET LOCAL search_path = {}").format(name))
                    writer.append("account-1", deposits(amount))
                    writer.connection.execute(
                        "SELECT set_config('search_path', %s, true)",
                        store.connection.execute("SELECT current_schema()").fetchone(),
                    )
                for each in (store, other):
                    each.append("account-2", deposits(amount + 1))
            for follower in followers:
                follower.sees()
        for follower in followers:
            follower.sees(1, 2, 3, 4)
    finally:
        owner.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))


def test_an_announcement_in_another_database_of_the_server_holds_nothing_back(store, connect):
    """The same numbers may well stand for another log there."""
    store.append("account-1", deposits(1))
    (key,) = store.connection.execute("SELECT 'events'::regclass::oid::bigint << 48").fetchone()
    for database, settled in (("template1", 1), (store.connection.info.dbname, 0)):
        with connect(dbname=database) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (key,))
            assert store.settled_position() == (settled, 1)
            assert len(store.read_all()) == settled


def test_a_lock_of_two_keys_is_no_announcement(store, connect):
    """PostgreSQL tells it from one whose single key has the same 64 bits."""
    store.append("account-1", deposits(1))
    connection = connect(autocommit=False)
    log = "(('events'::regclass::oid::bigint & 65535) # 32768) - 32768"
    connection.execute(f"SELECT pg_advisory_xact_lock_shared(({log})::int << 16, 0)")
    assert store.settled_position() == (1, 1)


# --------------------------------------------------------------------------------------------------- what reading costs


def test_reading_in_batches_looks_at_each_event_once(store, connect):
    """Whether the planner knows the table or not, and whichever plan it has settled on: or catching up is quadratic."""
    store.connection.execute("SET synchronous_commit = off")
    batch = deposits(*[1] * 1000)
    for n in range(100):
        store.append(f"account-{n % 40}", batch)
    looks = (
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        " WHERE schemaname = current_schema() AND relname IN ('events', 'archived_events')"
    )
    filtered = {"category": "account", "event_types": [DepositRecorded]}
    for analyzed, threshold, wanted in [
        (False, None, {}), (False, 5, {}), (False, 5, {"up_to": 100_000}), (False, 5, filtered), (True, 5, {}),
    ]:  # fmt: skip
        if analyzed:
            store.connection.execute("ANALYZE events; ANALYZE archived_events")
        reader = EventStore(connect(prepare_threshold=threshold), store.types)
        with reader.connection.transaction():  # within which the counters go up
            for after in range(0, 100_000, 500):
                assert len(reader.read_all(after=after, limit=500, **wanted)) == 500
            (looked_at,) = reader.connection.execute(looks).fetchone()
        assert 100_000 <= looked_at < 110_000, f"analyzed: {analyzed}, threshold: {threshold}, wanted: {wanted}"


# ------------------------------------------------------------------------- positions that were given out before

SEQUENCE = "pg_get_serial_sequence('events', 'position')"


@pytest.mark.parametrize("state", ["1, false", "1", "4"], ids=["never asked", "at the first", "before the last"])
def test_where_rows_came_without_their_sequence_writers_and_readers_are_told_so(store, new_store, state):
    """As by logical replication, or a COPY. Positions would come twice, and who is past them would see nothing."""
    store.append("account-1", deposits(1, 2, 3, 4, 5))
    store.execute(f"SELECT setval({SEQUENCE}, {state})")
    other = new_store()
    for attempt in (lambda: other.append("account-2", deposits(6)), other.read_all, other.settled_position):
        with pytest.raises(
            psycopg.DatabaseError, match="The log holds position 5, and its sequence has given"
        ) as caught:
            attempt()
    assert len(store.read_stream("account-1")) == 5 and store.stream_info("account-2") is None
    store.execute(caught.value.diag.message_hint.partition(": ")[2])
    assert other.append("account-2", deposits(6)).position == 6
    assert [each.position for each in other.read_all()] == [1, 2, 3, 4, 5, 6]


def test_a_sequence_that_would_give_a_session_old_positions_is_refused(store, new_store):
    store.append("account-1", deposits(1))
    store.execute("ALTER TABLE events ALTER position SET CACHE 20")
    with pytest.raises(psycopg.Error, match="readers miss them") as caught:
        new_store().append("account-2", deposits(1))
    store.execute(caught.value.diag.message_hint)
    assert new_store().append("account-2", deposits(1)).version == 1
    assert [recorded.stream_id for recorded in store.read_all()] == ["account-1", "account-2"]


def test_a_session_that_knew_another_sequence_appends_to_the_new_one(store):
    store.append("account-1", deposits(1))
    for name, start in (("events_position_seq", 2), ("another", 3)):
        store.execute("ALTER TABLE events ALTER position DROP IDENTITY")
        store.execute(
            f"ALTER TABLE events ALTER position ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME {name} START {start})"
        )
        assert store.append("account-1", deposits(start)).position == start
    assert [recorded.position for recorded in store.read_all()] == [1, 2, 3]


def test_archived_rows_count_too_for_who_reads(store):
    store.append("account-1", deposits(1))
    store.append("account-2", deposits(2, 3))
    archive_stream(store, "account-2")
    store.execute(f"SELECT setval({SEQUENCE}, 1)")
    with pytest.raises(psycopg.DatabaseError, match="position 3, and its sequence has given out only 1"):
        store.read_all()


@pytest.mark.parametrize(
    "begin", [f"SELECT setval({SEQUENCE}, 6, false)", "ALTER TABLE events ALTER COLUMN position RESTART WITH 6"]
)
def test_a_sequence_that_was_set_to_go_on_is_taken_as_it_is(store, begin):
    store.append("account-1", deposits(1, 2, 3, 4, 5))
    store.execute(begin)
    assert store.settled_position() == (5, 5)
    assert len(store.read_all()) == 5
    assert store.append("account-1", deposits(6)).position == 6
    assert store.settled_position() == (6, 6)


def test_writers_at_once_are_never_told_that_positions_came_twice(store, new_store):
    """The rows are looked at first, and then the sequence, which by then knows of all of them."""

    def write(writer):
        return [writer.append(f"account-{turn % 3}", deposits(turn)).position for turn in range(40)]

    writers = [new_store() for _ in range(4)]
    drawn = at_once([lambda writer=writer: write(writer) for writer in writers])
    assert sorted(position for each in drawn for position in each) == list(range(1, 161))


def test_serializable_appends_to_different_streams_do_not_conflict_over_the_end_of_the_log(store, new_store):
    first, second = new_store(), new_store()
    store.append("account-0", deposits(*range(10)))
    for number, writer in enumerate((first, second)):
        writer.connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        writer.append(f"account-{number + 1}", deposits(1))
    first.connection.execute("COMMIT")
    second.connection.execute("COMMIT")
    assert len(store.read_all()) == 12


# ---------------------------------------------------------------------------- other designs, and whether tests see why


def reference(name, was, becomes):
    """A function of the package with one thing changed."""
    text = (files("eventstore") / "schema" / name).read_text(encoding="utf-8")
    assert text.count(was) == 1, f"{name} has changed"
    return text.replace(was, becomes)


def transaction_ids(order, after):
    """Read what is older than every transaction that is still open on the server."""
    return f"""
        CREATE TABLE transaction_ids (position bigint PRIMARY KEY, id xid8 NOT NULL);
        CREATE FUNCTION keep_transaction_id() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO transaction_ids SELECT position, pg_current_xact_id() FROM added ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;
        CREATE TRIGGER keep_transaction_id AFTER INSERT ON events
            REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_transaction_id();
        CREATE OR REPLACE FUNCTION read_all(
            after bigint DEFAULT 0, max_count bigint DEFAULT NULL,
            category text DEFAULT NULL, types text[] DEFAULT NULL, up_to bigint DEFAULT NULL
        ) RETURNS SETOF events LANGUAGE sql AS $$
            SELECT l.* FROM log l JOIN transaction_ids t USING (position)
            WHERE {after} AND t.id < pg_snapshot_xmin(pg_current_snapshot())
              AND (category IS NULL OR split_part(l.stream_id, '-', 1) = category)
              AND (types IS NULL OR l.type = ANY (types))
            ORDER BY {order} LIMIT max_count
        $$;"""


ANNOUNCE, SETTLED, READ = "35_announce_append.sql", "70_settled_position.sql", "72_read_all.sql"
NOTHING_ANNOUNCED = "CREATE OR REPLACE FUNCTION announce_append() RETURNS void LANGUAGE sql AS '';"

DESIGNS = {
    "appends announce nothing": NOTHING_ANNOUNCED,
    "readers look at no announcement": reference(SETTLED, "least(drawn, min(", "least(drawn, drawn + 0 * min("),
    "announced once a session": reference(ANNOUNCE, "log, true)", "log, false)"),
    "announced for the session": reference(ANNOUNCE, "pg_advisory_xact_lock_shared", "pg_advisory_lock_shared"),
    "one append after the other": reference(ANNOUNCE, "pg_advisory_xact_lock_shared((log::bigint << 48) | ",
                                            "pg_advisory_xact_lock((log::bigint << 48) | 0 * "),
    "transaction ids, read by position": transaction_ids("position", "position > after"),
    "transaction ids, read in their order": transaction_ids(
        "t.id, position", "(t.id, position) > (SELECT coalesce(max(id), '0'), after FROM transaction_ids"
        " WHERE position = after)"),
    "announced after positions were drawn": NOTHING_ANNOUNCED + """
        CREATE FUNCTION announce_late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_sleep(0.001);
            PERFORM pg_advisory_xact_lock_shared(('events'::regclass::oid::bigint << 48) | last_value)
            FROM events_position_seq;
            RETURN NULL;
        END $$;
        CREATE TRIGGER announce_late AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION announce_late();""",
}  # fmt: skip


@pytest.mark.parametrize(
    ("design", "step", "more"),
    [
        *[
            (design, g8.test_a_lower_position_that_commits_after_a_higher_one_is_not_skipped, {"end": end})
            for design in ("appends announce nothing", "readers look at no announcement")
            for end in ("COMMIT", "ROLLBACK")
        ],
        ("announced once a session", g8.test_a_connection_that_is_not_in_autocommit_mode_is_waited_for, {}),
        ("announced for the session", g8.test_the_hole_that_a_failed_append_leaves_stalls_nobody,
         {"fail": g8.rolled_back}),
        ("one append after the other", g8.test_nobody_waits_for_anybody, {}),
        ("transaction ids, read by position", g8.test_a_higher_transaction_id_can_hold_the_lower_position, {}),
        ("transaction ids, read in their order", g8.test_an_early_transaction_id_does_not_turn_a_stream_round, {}),
    ],
)  # fmt: skip
def test_the_steps_of_g8_see_what_is_wrong_with_another_design(store, new_store, design, step, more):
    store.connection.execute(DESIGNS[design])
    if "fail" in more or "autocommit" in step.__name__:
        more = more | {"follower": g8.Follower(new_store())}
    with pytest.raises((AssertionError, psycopg.errors.LockNotAvailable)) as caught:
        step(store=store, new_store=new_store, **more)
    assert "trap" not in str(caught.value), "it was not even set"


@pytest.mark.parametrize("somebody", [g8.wrote_elsewhere, g8.appends_to_another_log])
def test_with_transaction_ids_whoever_writes_anything_holds_readers_back(store, new_store, connect, somebody):
    store.connection.execute(DESIGNS["transaction ids, read by position"])
    step = g8.test_an_open_transaction_that_did_not_append_to_this_log_holds_nothing_back
    with pytest.raises(AssertionError):
        step(store, connect, g8.Follower(new_store()), somebody)


@pytest.mark.parametrize(
    "design",
    [
        "appends announce nothing",
        "readers look at no announcement",
        "announced after positions were drawn",
        "transaction ids, read by position",
        "transaction ids, read in their order",
    ],
)
def test_many_writers_and_readers_see_what_is_wrong_with_another_design(store, new_store, design):
    store.connection.execute(DESIGNS[design])
    assert any(g8.stress(new_store, seconds=0.4, writers=6) for _ in range(15)), "nothing was skipped in 15 rounds"


# Where a reader can be stopped, by whoever holds the lock
GATE = """
    PERFORM pg_advisory_lock_shared('events'::regclass::oid::int, 1);
    PERFORM pg_advisory_unlock_shared('events'::regclass::oid::int, 1);
"""
LAST_POSITION = "    drawn := last_position((SELECT max(position) FROM log));\n"
HORIZON = "    up_to := coalesce(up_to, (SELECT settled FROM settled_position()));\n"


def read_stopped_at_the_gate(store, new_store, function, appends):
    """Read the log with an append that begins, or ends, while the reader stands at the gate; then read on."""
    store.connection.execute(function)
    writer, reader = new_store(), new_store()
    gate = "SELECT pg_advisory_{}('events'::regclass::oid::int, 1)"

    def begin():
        writer.connection.execute("BEGIN")
        writer.append("account-1", deposits(2))
        store.append("account-2", deposits(3))

    store.append("account-0", deposits(1))
    if appends == "end":
        begin()
    store.connection.execute(gate.format("lock"))
    with waiting(reader.read_all, reader.connection, store.connection) as reading:
        if appends == "begin":
            begin()
        else:
            writer.connection.execute("COMMIT")
        store.connection.execute(gate.format("unlock"))
    if appends == "begin":
        writer.connection.execute("COMMIT")
    recorded = reading.result()
    recorded += reader.read_all(after=recorded[-1].position)
    return [int(each.event.amount) for each in recorded]


@pytest.mark.parametrize("appends", ["begin", "end"])
@pytest.mark.parametrize(
    ("name", "step"), [(SETTLED, LAST_POSITION), (READ, HORIZON)], ids=["positions and locks", "locks and events"]
)
def test_nothing_is_skipped_whatever_happens_between_a_readers_steps(store, new_store, name, step, appends):
    assert read_stopped_at_the_gate(store, new_store, reference(name, step, step + GATE), appends) == [1, 2, 3]


@pytest.mark.parametrize(
    ("function", "appends"),
    [
        pytest.param(
            reference(SETTLED, LAST_POSITION, "drawn := 2 ^ 48;").replace(
                "65535;\nEND",
                f"65535; {GATE} SELECT last_value, least(settled, last_value) INTO drawn, settled"
                " FROM events_position_seq;\nEND",
            ),
            "begin",
            id="locks before positions",
        ),
        pytest.param(
            "CREATE FUNCTION settled_later() RETURNS bigint LANGUAGE plpgsql AS $$\n"
            f"BEGIN {GATE} RETURN (SELECT settled FROM settled_position()); END $$;"
            + reference(READ, HORIZON, "").replace("l.position <= up_to", "l.position <= (SELECT settled_later())"),
            "end",
            id="events in the same statement",
        ),
    ],
)
def test_in_another_order_of_the_steps_events_are_skipped(store, new_store, function, appends):
    assert read_stopped_at_the_gate(store, new_store, function, appends) == [1, 3]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_who_reads_the_log_in_a_transaction_that_sees_the_past_is_told_what_to_do(store, level):
    with pytest.raises(psycopg.DatabaseError, match=level.lower()) as caught, store.connection.transaction():
        store.connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        store.read_all()
    assert "READ COMMITTED" in str(caught.value)
