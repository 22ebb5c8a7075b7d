"""What only a Citus cluster shows, with --distributed; that the guarantees hold there is for tests/conformance."""

from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.bank import deposits
from tests.cluster import distribute
from tests.concurrency import at_once


@pytest.fixture(autouse=True)
def cluster(pytestconfig):
    if not pytestconfig.getoption("--distributed"):
        pytest.skip("this is about a Citus cluster: --distributed")


@pytest.fixture
def workers(store, postgres):
    """A connection to each worker, as the role that owns the store, in the store's schema."""
    (schema,) = store.execute("SELECT current_schema()").fetchone()
    nodes = store.execute("SELECT nodename, nodeport FROM pg_dist_node WHERE shouldhaveshards").fetchall()
    connections = [
        psycopg.connect(
            make_conninfo(postgres.url, host=host, port=port, options=f"-c search_path={schema}"), autocommit=True
        )
        for host, port in nodes
    ]
    yield connections
    for connection in connections:
        connection.close()


def superuser(connection):
    return connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,)


def test_streams_are_spread_over_the_workers_each_with_all_its_events(store):
    for n in range(40):
        store.append(f"account-{n}", deposits(1, 2))
    places = store.execute(
        "SELECT nodeport FROM generate_series(0, 39) n"
        " JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('events', 'account-' || n)"
        " JOIN pg_dist_node USING (groupid)"
    ).fetchall()
    assert len(places) == 40 and len(set(places)) > 1
    assert [each.version for each in store.read_stream("account-7")] == [1, 2]


def test_facts_stay_on_the_workers_too(store, workers):
    if superuser(store.connection):
        pytest.skip("a superuser is above rights")
    for n in range(40):
        store.append(f"account-{n}", deposits(1))
    for worker in workers:
        worker.execute("SET citus.enable_manual_changes_to_shards = on")
        shards = "SELECT 'events_' || shardid FROM pg_dist_shard WHERE logicalrelid = 'events'::regclass"
        ours = [row[0] for row in worker.execute(shards) if worker.execute("SELECT to_regclass(%s)", row).fetchone()[0]]
        assert ours
        for table in ("events", "archived_events", *ours):
            for statement in ("UPDATE {} SET data = '{{}}'", "DELETE FROM {}", "TRUNCATE {}"):
                with pytest.raises(psycopg.Error, match="permission denied|not allowed on this node"):
                    worker.execute(statement.format(table))
    assert len(store.read_all()) == 40


def test_a_worker_takes_no_append(store, workers):
    """Who reads the log asks the coordinator which appends are open."""
    append = "SELECT append_to_stream('account-1', NULL, '[{\"type\": \"DepositRecorded\", \"data\": {}}]')"
    for worker in workers:
        with pytest.raises(psycopg.errors.UndefinedTable, match="subscriptions"):
            worker.execute(append)
    assert store.read_all() == []


def test_a_store_that_has_events_already_is_distributed_with_them(new_store, distributed):
    create_schema = distributed  # that distributes nothing
    store = new_store()
    create_schema(store)
    store.append("account-1", deposits(1, 2))
    store.append("account-2", deposits(3))
    before = store.read_all()
    assert distribute(store)
    create_schema(store)
    assert store.read_all() == before
    assert store.append("account-1", deposits(4), expected_version=2).position == before[-1].position + 1


def test_a_commit_that_a_worker_has_still_to_do_is_not_read_past(store, new_store, workers):
    """It was decided, and the worker failed before it heard of it. What that leaves behind is made by hand."""
    if not superuser(store.connection):
        pytest.skip("only a superuser can write down what was decided")
    stream_id, decided = "account-2", f"citus_0_0_{uuid4().int % 10**9}_0"
    store.append("account-1", deposits(1))
    (position,) = store.execute("SELECT nextval(pg_get_serial_sequence('events', 'position'))").fetchone()
    shard, group, port = store.execute(
        "SELECT shardid, groupid, nodeport FROM pg_dist_placement JOIN pg_dist_node USING (groupid)"
        " WHERE shardid = get_shard_id_for_distribution_column('events', %s::text)",
        (stream_id,),
    ).fetchone()
    worker = next(each for each in workers if each.info.port == port)
    worker.execute("SET citus.enable_manual_changes_to_shards = on; BEGIN")
    worker.execute(
        f"INSERT INTO events_{shard} (stream_id, version, position, id, type, data, metadata, recorded_at)"
        " VALUES (%s, 1, %s, gen_random_uuid(), 'AccountClosed', '{\"account_id\": \"2\"}', '{}', now())",
        (stream_id, position),
    )
    worker.execute(f"PREPARE TRANSACTION '{decided}'")
    store.execute("INSERT INTO pg_dist_transaction (groupid, gid) VALUES (%s, %s)", (group, decided))
    store.append("account-1", deposits(3))

    reader = new_store()
    reader.execute("SET statement_timeout = '1s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        reader.read_all()
    reader.execute("SET statement_timeout = '20s'")
    recover = "SELECT pg_sleep(0.5), recover_prepared_transactions()"
    events, _ = at_once([reader.read_all, lambda: store.execute(recover)])
    assert [each.position for each in events] == [position - 1, position, position + 1]
