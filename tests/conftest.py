"""Fixtures of all tests: a PostgreSQL server, connections to a schema of the test's own, event stores on them."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from eventstore import EventStore, EventTypes

from . import bank
from .cluster import distribute
from .postgres import Server, server
from .subscribing import Deliveries

# A hang is to become a failure. Nothing in these tests waits, or works, as long as this on purpose.
LIMITS = {"statement_timeout": "20s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"}


@pytest.fixture
def server_of_its_own(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A server that this test may `kill()` and `start()` again."""
    kind = pytestconfig.getoption("--postgres")
    if kind == "url":
        pytest.skip("the server at DATABASE_URL is not ours to kill")
    running = server(kind)
    yield running
    running.remove()


@pytest.fixture(scope="session", autouse=True)
def distributed(pytestconfig: pytest.Config) -> Iterator[Callable[[EventStore], None]]:
    """With --distributed: have create_schema() followed by what the docs say, unless the tables are distributed.

    It is create_schema as it was, for who needs it.
    """
    make = EventStore.create_schema

    def create_schema(store: EventStore) -> None:
        make(store)
        store.execute("SET citus.shard_count = 4")  # instead of 32: each is two more tables to make and to drop
        if distribute(store):
            make(store)

    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.getoption("--distributed"):
            patch.setattr(EventStore, "create_schema", create_schema)
        yield make


@pytest.fixture(scope="session")
def owner(postgres: Server) -> Iterator[psycopg.Connection]:
    """The connection that makes and drops the tests' schemas, without waiting for the disk."""
    with postgres.connect() as connection:
        connection.execute("SET synchronous_commit = off; SET client_min_messages = warning")
        yield connection


@pytest.fixture
def connect(postgres: Server, owner: psycopg.Connection) -> Iterator[Callable[..., psycopg.Connection]]:
    """Make connections to a PostgreSQL schema of this test's own: autocommit, unless told otherwise."""
    schema = f"test_{uuid4().hex}"
    connections: list[psycopg.Connection] = []

    def connect(*, autocommit: bool = True, **how: Any) -> psycopg.Connection:
        connection = postgres.connect(**how)
        connections.append(connection)
        for name, value in {"search_path": schema, **LIMITS}.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.autocommit = autocommit
        return connection

    owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    yield connect
    for connection in connections:
        connection.close()
    owner.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture(scope="session")
def open_on() -> Callable[..., EventStore]:
    """What makes an event store of a connection, event types and projections; tests/conformance has its own."""
    return EventStore


@pytest.fixture
def new_store(
    connect: Callable[..., psycopg.Connection], open_on: Callable[..., EventStore]
) -> Callable[..., EventStore]:
    """Make event stores, each on a connection of its own to the test's schema (`how` is for `connect`)."""

    def new_store(*more_types: type, **how: Any) -> EventStore:
        return open_on(connect(**how), EventTypes(*bank.EVENT_TYPES, *more_types))

    return new_store


@pytest.fixture
def store(new_store: Callable[..., EventStore]) -> EventStore:
    """An event store with its tables made, for the events of the bank."""
    store = new_store()
    store.create_schema()
    return store


@pytest.fixture
def deliveries(store: EventStore) -> Deliveries:
    """A projection that counts how often each event reaches it, its table made."""
    deliveries = Deliveries()
    deliveries.create(store.connection)
    return deliveries
