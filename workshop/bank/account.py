"""The bank of the course: its events, its commands, and the state of an account, as notebooks 03 and 04 build them.

Pure Python: no database, no clock, no luck. Later notebooks start from here.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from eventstore import Decider, EventTypes

# Events: what happened


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


EVENTS = (AccountOpened, DepositRecorded, CashWithdrawn, AccountClosed, CashierEmployed)


def event_types() -> EventTypes:
    """Return the event types of the bank."""
    return EventTypes(*EVENTS)


# State: what an account is


@dataclass(frozen=True)
class BankAccount:
    account_id: str = ""
    currency: str = ""
    balance: Decimal = Decimal(0)
    status: str = "unknown"  # then "open", then "closed"


def evolve(account: BankAccount, event: object) -> BankAccount:
    """Return the account after an event."""
    match event:
        case AccountOpened(account_id, currency):
            return BankAccount(account_id, currency, Decimal(0), "open")
        case DepositRecorded(amount=amount):
            return replace(account, balance=account.balance + amount)
        case CashWithdrawn(amount=amount):
            return replace(account, balance=account.balance - amount)
        case AccountClosed():
            return replace(account, status="closed")
        case _:
            return account


# Commands: what is wanted


@dataclass(frozen=True)
class OpenAccount:
    account_id: str
    currency: str


@dataclass(frozen=True)
class RecordDeposit:
    amount: Decimal
    cashier_id: str


@dataclass(frozen=True)
class WithdrawCash:
    amount: Decimal
    cashier_id: str


@dataclass(frozen=True)
class CloseAccount:
    pass


class CommandRefused(Exception):
    """The rules of the bank do not allow this, as the account stands."""


def decide(command: object, account: BankAccount) -> list[object]:
    """Return the events that a command leads to.

    Raises:
        CommandRefused: the rules of the bank do not allow it.
    """
    if isinstance(command, OpenAccount):
        if account.status != "unknown":
            raise CommandRefused(f"the account is {account.status} already")
        return [AccountOpened(command.account_id, command.currency)]
    if account.status != "open":
        raise CommandRefused(f"the account is {account.status}, not open")
    match command:
        case RecordDeposit(amount, _) | WithdrawCash(amount, _) if amount <= 0:
            raise CommandRefused(f"an amount is more than 0, not {amount}")
        case RecordDeposit(amount, cashier_id):
            return [DepositRecorded(account.account_id, amount, cashier_id)]
        case WithdrawCash(amount, _) if amount > account.balance:
            raise CommandRefused(f"there are {account.balance} in the account, not {amount}")
        case WithdrawCash(amount, cashier_id):
            return [CashWithdrawn(account.account_id, amount, cashier_id)]
        case CloseAccount() if account.balance != 0:
            raise CommandRefused(f"there are still {account.balance} in the account")
        case CloseAccount():
            return [AccountClosed(account.account_id)]
        case _:
            raise TypeError(f"unknown command: {command!r}")


account_decider = Decider(BankAccount(), decide, evolve)
