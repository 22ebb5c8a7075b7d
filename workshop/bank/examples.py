"""Events and commands of an account in as few words as an example needs; what is not told is the same each time."""

from decimal import Decimal

from .account import (
    AccountClosed,
    AccountOpened,
    CashierEmployed,
    CashWithdrawn,
    DepositRecorded,
    RecordDeposit,
    WithdrawCash,
)

Amount = int | str | Decimal


def opened(account: str = "account-1", currency: str = "PLN") -> AccountOpened:
    return AccountOpened(account, currency)


def deposited(amount: Amount, account: str = "account-1", cashier: str = "cashier-1") -> DepositRecorded:
    return DepositRecorded(account, Decimal(amount), cashier)


def withdrawn(amount: Amount, account: str = "account-1", cashier: str = "cashier-1") -> CashWithdrawn:
    return CashWithdrawn(account, Decimal(amount), cashier)


def closed(account: str = "account-1") -> AccountClosed:
    return AccountClosed(account)


def employed(cashier: str = "cashier-1", name: str = "Anna") -> CashierEmployed:
    return CashierEmployed(cashier, name)


def deposit(amount: Amount, cashier: str = "cashier-1") -> RecordDeposit:
    return RecordDeposit(Decimal(amount), cashier)


def withdraw(amount: Amount, cashier: str = "cashier-1") -> WithdrawCash:
    return WithdrawCash(Decimal(amount), cashier)
