"""The bank of the course, and what is made of its events."""

from .account import (
    EVENTS,
    AccountClosed,
    AccountOpened,
    BankAccount,
    CashierEmployed,
    CashWithdrawn,
    CloseAccount,
    CommandRefused,
    DepositRecorded,
    OpenAccount,
    RecordDeposit,
    WithdrawCash,
    account_decider,
    decide,
    event_types,
    evolve,
)

__all__ = [
    "AccountClosed",
    "AccountOpened",
    "BankAccount",
    "CashWithdrawn",
    "CashierEmployed",
    "CloseAccount",
    "CommandRefused",
    "DepositRecorded",
    "EVENTS",
    "OpenAccount",
    "RecordDeposit",
    "WithdrawCash",
    "account_decider",
    "decide",
    "event_types",
    "evolve",
]
