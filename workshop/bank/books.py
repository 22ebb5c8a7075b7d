"""Books of a year: an account's stream ends with the year, and the next one begins with its balance.

The events, and how a year is closed, as notebook 09 builds it. The stream of a year is `account-1:2025`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from eventstore import NO_STREAM, EventStore, EventTypes, aggregate_stream, archive_stream

from . import account as bank
from .account import BankAccount, CommandRefused


@dataclass(frozen=True)
class BooksClosed:
    """The last event of a year's stream: what the year came to, and where the account goes on."""

    account_id: str
    balance: Decimal
    next_stream: str


@dataclass(frozen=True)
class BalanceBroughtForward:
    """The first event of the next year's stream: all that it needs to know of the years before."""

    account_id: str
    currency: str
    balance: Decimal


def event_types() -> EventTypes:
    """Return the event types of the bank, and those of its books."""
    return EventTypes(*bank.EVENTS, BooksClosed, BalanceBroughtForward)


def evolve_book(account: BankAccount, event: object) -> BankAccount:
    """Return the account after an event of one of its books."""
    match event:
        case BalanceBroughtForward(account_id, currency, balance):
            return BankAccount(account_id, currency, balance, "open")
        case BooksClosed():
            return replace(account, status="closed")
        case _:
            return bank.evolve(account, event)


def close_books(store: EventStore, account_id: str, year: int) -> None:
    """End an account's stream of a year, begin that of the next one, and archive the old one: all of it or nothing.

    Raises:
        CommandRefused: the account is not open in that year's book.
        WrongExpectedVersion: somebody appended meanwhile, or the next year's book was begun already.
        StreamArchived: that year's book was closed before.
    """
    old_book, new_book = f"{account_id}:{year}", f"{account_id}:{year + 1}"
    with store.connection.transaction():
        account, version = aggregate_stream(store, old_book, BankAccount(), evolve_book)
        if account.status != "open":
            raise CommandRefused(f"{account_id} is {account.status} in its book of {year}, not open")
        closing = BooksClosed(account_id, account.balance, new_book)
        opening = BalanceBroughtForward(account_id, account.currency, account.balance)
        store.append(old_book, [closing], expected_version=version)
        store.append(new_book, [opening], expected_version=NO_STREAM)
        archive_stream(store, old_book)
