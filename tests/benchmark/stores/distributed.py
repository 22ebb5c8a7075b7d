"""The kit once more, its tables spread over the workers of a Citus cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from eventstore import EventStore
from tests.benchmark.place import Place
from tests.benchmark.stores.kit import Kit
from tests.cluster import distribute
from workshop.bank import event_types
from workshop.bank.read_models import AccountBalances

CLUSTER = os.environ.get("CITUS_URL")  # of the coordinator; the other stores are on another server


class Distributed(Kit):
    name = "kit, distributed"
    used = "as the kit is, on the coordinator of a Citus cluster, with the tables distributed as the docs say"

    @staticmethod
    def missing() -> str | None:
        return None if CLUSTER else "CITUS_URL is not set: the libpq URL of a Citus cluster's coordinator"

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        schema = f"benchmark_{uuid4().hex[:8]}"
        url = make_conninfo(CLUSTER or "", options=f"-c search_path={schema}")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            try:
                store = EventStore(connection, event_types())
                store.create_schema()
                distribute(store)
                AccountBalances().create(connection)
                yield {"url": url}
            finally:
                connection.execute("SET client_min_messages = warning")
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))

    def fill(self, accounts: int, events: int) -> float:
        super().fill(accounts, events)
        self.store.execute("VACUUM ANALYZE streams, events")  # as Place.settle does for the others
        return 0
