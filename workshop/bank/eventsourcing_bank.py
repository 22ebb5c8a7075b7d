"""The bank on the library `eventsourcing`, as notebook 10 builds it: an aggregate, an application, a projection."""

import re
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection
from eventsourcing.utils import get_topic
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ..server.database import Database
from .account import CommandRefused


class Account(Aggregate):
    """An account. Public methods decide, and those with @event evolve."""

    @event("AccountOpened")
    def __init__(self, account_id: str, currency: str):
        self.account_id = account_id
        self.currency = currency
        self.balance = Decimal(0)
        self.status = "open"

    @staticmethod
    def create_id(account_id: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/accounts/{account_id}")

    def record_deposit(self, amount: Decimal, cashier_id: str) -> None:
        if self.status != "open":
            raise CommandRefused(f"the account is {self.status}, not open")
        if amount <= 0:
            raise CommandRefused(f"an amount is more than 0, not {amount}")
        self.deposit_recorded(amount, cashier_id)

    def close(self) -> None:
        if self.status != "open":
            raise CommandRefused(f"the account is {self.status}, not open")
        if self.balance != 0:
            raise CommandRefused(f"there are still {self.balance} in the account")
        self.account_closed()

    @event("DepositRecorded")
    def deposit_recorded(self, amount: Decimal, cashier_id: str) -> None:
        self.balance += amount

    @event("CashWithdrawn")
    def cash_withdrawn(self, amount: Decimal, cashier_id: str) -> None:
        self.balance -= amount

    @event("AccountClosed")
    def account_closed(self) -> None:
        self.status = "closed"


class Bank(Application[UUID]):
    """The commands of the bank: load an account, have it decide, save what happened."""

    def open_account(self, account_id: str, currency: str) -> None:
        self.save(Account(account_id, currency))

    def record_deposit(self, account_id: str, amount: Decimal, cashier_id: str) -> None:
        account = self.account(account_id)
        account.record_deposit(amount, cashier_id)
        self.save(account)

    def account(self, account_id: str) -> Account:
        return self.repository.get(Account.create_id(account_id))


class Dashboard(PostgresTrackingRecorder):
    """The read model. A change of it commits together with the place in the log that it came from."""

    def __init__(self, datastore: Any, **options: Any):
        super().__init__(datastore, **options)
        self.table = sql.Identifier(datastore.schema, "dashboard")
        self.sql_create_statements.append(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (cashier_id text PRIMARY KEY, deposits bigint, total numeric)"
            ).format(self.table)
        )

    def count(self, cashier_id: str, amount: Decimal, tracking: Tracking) -> None:
        statement = sql.SQL(
            "INSERT INTO {} AS d VALUES (%s, 1, %s) ON CONFLICT (cashier_id)"
            " DO UPDATE SET deposits = d.deposits + 1, total = d.total + excluded.total"
        ).format(self.table)
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(statement, (cashier_id, amount))
            self._insert_tracking(cursor, tracking)


class DashboardProjection(Projection[Dashboard]):
    """Reads deposits from the log, and counts them."""

    topics = (get_topic(Account.DepositRecorded),)  # type: ignore[attr-defined]  # the decorator makes that class

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.count(domain_event.cashier_id, domain_event.amount, tracking)


def settings(database: Database, **more: str) -> dict[str, str]:
    """Make an empty schema for the library, beside the notebook's own, and return the environment that leads there.

    It needs one of its own because it does not quote its name everywhere, and a notebook's begins with a digit. The
    notebook's connection finds the tables in it, too.

    Args:
        more: more settings of the library.
    """
    schema = schema_beside(database)
    beside = sql.Identifier(schema)
    with database.connection.transaction():
        database.execute("SET LOCAL client_min_messages = warning")  # no word of what the cascade drops
        database.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(beside))
        database.execute(sql.SQL("CREATE SCHEMA {}").format(beside))
        database.execute(sql.SQL("SET search_path = {}, {}").format(sql.Identifier(database.schema), beside))
    parts = conninfo_to_dict(database.url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts.get("dbname") or "postgres"),
        "POSTGRES_HOST": str(parts.get("host") or "localhost"),
        "POSTGRES_PORT": str(parts.get("port") or 5432),
        "POSTGRES_USER": str(parts.get("user") or "postgres"),
        "POSTGRES_PASSWORD": str(parts.get("password") or "none"),  # it insists on one
        "POSTGRES_SCHEMA": schema,
        **more,
    }


def schema_beside(database: Database) -> str:
    return "eventsourcing_" + re.sub(r"\W", "_", database.schema.lower())
