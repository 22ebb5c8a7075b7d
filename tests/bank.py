"""The kit's domain, as far as the tests need it: bank accounts and cashiers."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class AccountOpened:
    account_id: str
    currency: str


@dataclass(frozen=True)
class DepositRecorded:
    account_id: str
    amount: Decimal
    cashier_id: str


@dataclass(frozen=True)
class CashWithdrawn:
    account_id: str
    amount: Decimal
    cashier_id: str


@dataclass(frozen=True)
class AccountClosed:
    account_id: str


@dataclass(frozen=True)
class CashierEmployed:
    cashier_id: str
    name: str


EVENT_TYPES = (AccountOpened, DepositRecorded, CashWithdrawn, AccountClosed, CashierEmployed)


def deposits(*amounts: int | str, account: str = "1") -> list[DepositRecorded]:
    """Return a deposit of each amount; the amounts tell the events apart."""
    return [DepositRecorded(account, Decimal(amount), "cashier-1") for amount in amounts]
