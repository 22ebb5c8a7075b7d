"""The library `eventsourcing`, on the same PostgreSQL, as its documentation says that it is fastest."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.metadata import version
from threading import Event
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, Mapper, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict

from tests.benchmark.place import Place
from tests.benchmark.stores import balances
from tests.benchmark.stores.client import PAGE, Client, Conflict
from tests.benchmark.stores.eventsourcing_bank import (
    CashWithdrawn,
    DepositRecorded,
    DomainEvent,
    MsgspecMapper,
    NoTranscoder,
    mutate,
    own_event,
)
from workshop import bank


class Bank(Application[UUID]):
    log_section_size = PAGE

    def construct_mapper(self) -> Mapper[UUID]:
        return MsgspecMapper(NoTranscoder())


ADD = balances.ADD.replace("account_balances", "eventsourcing.account_balances", 1)  # its pool knows no search path


class BalancesView(PostgresTrackingRecorder):
    """The read model; what it does to the table commits together with the place in the log."""

    def add(self, event: object, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            match event:
                case DepositRecorded(account_id=account_id, amount=amount):
                    cursor.execute(ADD, ([account_id], [amount]))
                case CashWithdrawn(account_id=account_id, amount=amount):
                    cursor.execute(ADD, ([account_id], [-amount]))
            self._insert_tracking(cursor, tracking)


class BalancesProjection(Projection[BalancesView]):
    last = 0  # the event after which it has caught up,
    caught_up = Event()  # and who hears of it: to ask the view, as the runner does, has pauses of up to 0.8 s

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if tracking.notification_id <= self.last:  # it goes on until it is stopped
            self.view.add(domain_event, tracking)
        if tracking.notification_id == self.last:
            self.caught_up.set()


class Eventsourcing(Client):
    name = "eventsourcing"
    used = (
        "with POSTGRES_ENABLE_DB_FUNCTIONS and a pool of one connection, as in the speed run of its examples"
        " (https://eventsourcing.readthedocs.io/en/stable/topics/examples.html), and with msgspec structs"
        " (https://eventsourcing.readthedocs.io/en/stable/topics/examples/aggregate9.html). These functions do"
        " not take the table lock that otherwise keeps its log in the order of commits. Its projections"
        " (https://eventsourcing.readthedocs.io/en/stable/topics/projection.html) commit after every event, and are"
        " measured on 2,000"
    )
    rebuilds_at_most = 2_000
    schema = "eventsourcing"

    @staticmethod
    def version() -> str:
        return version("eventsourcing")

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        url = place.schema(cls.schema)
        parts = conninfo_to_dict(place.url)
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(parts["dbname"]),
            "POSTGRES_HOST": str(parts.get("host") or "localhost"),
            "POSTGRES_PORT": str(parts.get("port") or 5432),
            "POSTGRES_USER": str(parts.get("user") or ""),
            "POSTGRES_PASSWORD": str(parts.get("password") or "none"),
            "POSTGRES_SCHEMA": cls.schema,
            "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        }
        Bank(environment).close()  # makes the tables
        yield {"url": url, "environment": environment}

    def __init__(self, settings: dict[str, Any]):
        self.url = settings["url"]
        self.environment = settings["environment"]
        one = {"POSTGRES_POOL_SIZE": "1", "POSTGRES_MAX_OVERFLOW": "0", "CREATE_TABLE": "n"}
        self.bank = Bank(self.environment | one)

    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        account_id = uuid5(NAMESPACE_URL, stream_id)
        self._save([own_event(account_id, number, event) for number, event in enumerate(events, version + 1)])

    def _save(self, events: list[DomainEvent]) -> None:
        try:
            self.bank.save(*events)
        except IntegrityError:
            raise Conflict from None

    def current_version(self, stream_id: str) -> int:
        last = self.bank.events.get(originator_id=uuid5(NAMESPACE_URL, stream_id), desc=True, limit=1)
        return next((event.originator_version for event in last), 0)

    def read_stream(self, stream_id: str) -> list[Any]:
        return list(self.bank.events.get(originator_id=uuid5(NAMESPACE_URL, stream_id)))

    def handle(self, stream_id: str, command: object) -> None:
        account = self.bank.repository.get(uuid5(NAMESPACE_URL, stream_id), projector_func=mutate)
        decided = bank.decide(command, account.state)
        self._save([own_event(account.id, number, event) for number, event in enumerate(decided, account.version + 1)])

    def read_log(self, count: int) -> int:
        done = last = 0
        while done < count:
            page = self.bank.notification_log.select(last + 1, min(PAGE, count - done))
            events = [self.bank.mapper.to_domain_event(notification) for notification in page]
            if not events:
                break
            done += len(events)
            last = page[-1].id
        return done

    def rebuild_balances(self, count: int) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            balances.empty(connection)
            connection.execute("DROP TABLE IF EXISTS balancesprojection_tracking")
        BalancesProjection.last = count
        BalancesProjection.caught_up.clear()
        with ProjectionRunner(
            application_class=Bank, projection_class=BalancesProjection, view_class=BalancesView, env=self.environment
        ):
            assert BalancesProjection.caught_up.wait(120), "the projection has not caught up"

    def total(self) -> Decimal:
        with psycopg.connect(self.url) as connection:
            return balances.total(connection)
