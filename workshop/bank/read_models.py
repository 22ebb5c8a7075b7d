"""The bank's read models, as notebook 06 builds them: each account's balance, and the cashiers' dashboard."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal

import psycopg

from eventstore import Projection, RecordedEvent

from .account import AccountClosed, AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded


class AccountBalances(Projection):
    """What is in each account, and at which version of its stream."""

    table = "account_balances"
    handles = (AccountOpened, DepositRecorded, CashWithdrawn, AccountClosed)

    def create(self, connection: psycopg.Connection) -> None:
        connection.execute("""
            CREATE TABLE IF NOT EXISTS account_balances (
                account_id text    PRIMARY KEY,
                balance    numeric NOT NULL,
                version    bigint  NOT NULL
            )
        """)

    def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        changes: defaultdict[str, Decimal] = defaultdict(Decimal)
        versions: dict[str, int] = {}
        for recorded in events:
            match recorded.event:
                case DepositRecorded(account_id, amount):
                    changes[account_id] += amount
                case CashWithdrawn(account_id, amount):
                    changes[account_id] -= amount
            versions[recorded.event.account_id] = recorded.version
        accounts = sorted(versions)
        connection.execute(
            "INSERT INTO account_balances AS b (account_id, balance, version)"
            " SELECT * FROM unnest(%s::text[], %s::numeric[], %s::bigint[])"
            " ON CONFLICT (account_id) DO UPDATE"
            " SET balance = b.balance + excluded.balance, version = excluded.version",
            (accounts, [changes[account] for account in accounts], [versions[account] for account in accounts]),
        )


class CashierDashboard(Projection):
    """How many deposits each cashier took, and how much in all. Their name is unknown until they were employed."""

    table = "cashier_dashboard"
    handles = (CashierEmployed, DepositRecorded)

    def create(self, connection: psycopg.Connection) -> None:
        connection.execute("""
            CREATE TABLE IF NOT EXISTS cashier_dashboard (
                cashier_id text    PRIMARY KEY,
                name       text,
                deposits   bigint  NOT NULL,
                total      numeric NOT NULL
            )
        """)

    def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        names: dict[str, str] = {}
        deposits: Counter[str] = Counter()
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for recorded in events:
            match recorded.event:
                case CashierEmployed(cashier_id, name):
                    names[cashier_id] = name
                case DepositRecorded(_, amount, cashier_id):
                    deposits[cashier_id] += 1
                    totals[cashier_id] += amount
        # In the order of their keys: two appends that change the same rows meet at the first of them, and none can
        # hold what the other waits for.
        cashiers = sorted(names.keys() | totals.keys())
        connection.execute(
            "INSERT INTO cashier_dashboard AS d (cashier_id, name, deposits, total)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::numeric[])"
            " ON CONFLICT (cashier_id) DO UPDATE"
            " SET name = coalesce(excluded.name, d.name),"
            " deposits = d.deposits + excluded.deposits, total = d.total + excluded.total",
            (
                cashiers,
                [names.get(cashier) for cashier in cashiers],
                [deposits[cashier] for cashier in cashiers],
                [totals[cashier] for cashier in cashiers],
            ),
        )
