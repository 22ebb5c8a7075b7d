"""The bank of the course, and what the tests need beside it."""

from decimal import Decimal

from workshop.bank import EVENTS as EVENT_TYPES
from workshop.bank import AccountClosed, AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded

__all__ = [
    "EVENT_TYPES",
    "AccountClosed",
    "AccountOpened",
    "CashWithdrawn",
    "CashierEmployed",
    "DepositRecorded",
    "deposits",
]


def deposits(*amounts: int | str, account: str = "1") -> list[DepositRecorded]:
    """Return a deposit of each amount; the amounts tell the events apart."""
    return [DepositRecorded(account, Decimal(amount), "cashier-1") for amount in amounts]
