"""Events and commands of an account in as few words as an example needs; what is not told is the same each time."""

from decimal import Decimal

from .account import (
    AccountClosed,
    AccountOpened,
    BankAccount,
    CashierEmployed,
    CashWithdrawn,
    DepositRecorded,
    RecordDeposit,
    WithdrawCash,
)

Amount = int | str | Decimal

# Where mistakes like to sit: ids and amounts at the edges, accounts in every state.
IDS = ("account-1", "account-10", "Account-1", "a", "account_1%", "o'brien", "ä-1", "x" * 255)
_AMOUNTS = "-5 -0.01 0 0.00 0.005 0.01 0.10 1 3 4.99 30 30.00 99.99 100 100.01 1E+3 12345678901234567.89"
AMOUNTS = tuple(map(Decimal, _AMOUNTS.split(" ")))
ACCOUNTS = (
    BankAccount(),
    *(
        BankAccount(account, currency, Decimal(balance), status)
        for account, currency, balance in (
            ("account-1", "PLN", "0"),
            ("account-1", "PLN", "100.00"),
            ("account-7", "EUR", "0.01"),
            ("a", "", "-30"),
            ("x" * 255, "USD", "12345678901234567.89"),
        )
        for status in ("open", "closed", "unknown")
    ),
)


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
