"""The read model of those who bring no projections of their own: folded in Python, written to PostgreSQL."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import psycopg

from workshop.bank import CashWithdrawn, DepositRecorded

TABLE = "CREATE TABLE IF NOT EXISTS account_balances (account_id text PRIMARY KEY, balance numeric NOT NULL)"
ADD = (
    "INSERT INTO account_balances AS b (account_id, balance) SELECT * FROM unnest(%s::text[], %s::numeric[])"
    " ON CONFLICT (account_id) DO UPDATE SET balance = b.balance + excluded.balance"
)


def fold(events: Iterable[object]) -> dict[str, Decimal]:
    """Return how much each account changed."""
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for event in events:
        match event:
            case DepositRecorded(account_id, amount):
                changes[account_id] += amount
            case CashWithdrawn(account_id, amount):
                changes[account_id] -= amount
    return changes


def empty(connection: psycopg.Connection) -> None:
    """Make the table, or empty it."""
    connection.execute(TABLE)
    connection.execute("DELETE FROM account_balances")


def add(connection: psycopg.Connection, events: Iterable[object]) -> None:
    """Bring the read model up to date with some more events."""
    changes = fold(events)
    connection.execute(ADD, (list(changes), list(changes.values())))


def total(connection: psycopg.Connection) -> Decimal:
    """Return the sum of all balances."""
    return connection.execute("SELECT coalesce(sum(balance), 0) FROM account_balances").fetchone()[0]  # type: ignore[index]
