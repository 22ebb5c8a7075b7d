"""The rows of the comparison: what is measured, how large it is, and what one event of it looks like.

Every row is a number a second, so more is always better. Rows that read the whole log come first, while it holds
nothing but the history that was stored for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workshop.bank import AccountOpened, CashWithdrawn, DepositRecorded

WITHDRAWN, DEPOSITED = Decimal("50.50"), Decimal("100.00")


@dataclass(frozen=True)
class Sizes:
    """How much is measured: the full size for the table, a tiny one for the test of the runner."""

    rounds: int = 5  # of the rows that take seconds; the quick ones take three times as many, each of them short
    accounts: int = 1_000  # in the log
    account_events: int = 100  # of each of them
    calls: int = 40  # appends in a round, of one writer
    seconds: float = 0.3  # that several writers append for, in a round
    stream: int = 1_000  # events in the stream that is read
    reads: int = 5  # of it, in a round
    decided: int = 500  # events in the stream that a command is decided on
    commands: int = 8  # in a round

    @property
    def log(self) -> int:
        return self.accounts * self.account_events


TINY = Sizes(rounds=1, accounts=3, account_events=4, calls=2, seconds=0.02, stream=5, reads=1, decided=4, commands=1)


@dataclass(frozen=True)
class Row:
    """One thing that is measured.

    Attributes:
        key: its short name.
        title: what it says in the table.
        unit: what is counted, a second.
        task: the name of the method of Client that measures it.
        arguments: what that method is called with, besides the number of the round.
        rounds: how often it is measured.
        writers: how many processes do it at the same time; their numbers are added up.
        before: a task to do once, before the first round, with its arguments.
    """

    key: str
    title: str
    unit: str
    task: str
    arguments: dict[str, Any]
    rounds: int
    writers: int = 1
    before: tuple[str, dict[str, Any]] | None = None


def rows(sizes: Sizes) -> list[Row]:
    """Return the rows, in the order in which they are measured."""
    few, many = sizes.rounds, 3 * sizes.rounds
    filled = ("fill", {"accounts": sizes.accounts, "events": sizes.account_events})
    log = {"count": sizes.log}
    rebuild = {**log, "account_events": sizes.account_events}
    seconds = {"seconds": sizes.seconds}
    read = {"length": sizes.stream}
    return [
        Row("log", f"read the log of {sizes.log:,}", "events", "log", log, few, before=filled),
        Row("rebuild", f"rebuild a read model from {sizes.log:,}", "events", "rebuild", rebuild, few, before=filled),
        *(
            Row(f"append_{batch}", f"append {what} a call", "events", "append", {"batch": batch, "calls": calls}, many)
            for batch, what, calls in (
                (1, "1 event", sizes.calls), (10, "10 events", sizes.calls), (100, "100 events", sizes.calls // 2),
            )
        ),
        Row("writers_4", "4 writers, a stream each", "events", "together", {**seconds, "shared": False}, many, 4),
        Row("writers_8", "8 writers, a stream each", "events", "together", {**seconds, "shared": False}, many, 8),
        Row("contended", "4 writers on one stream", "events", "together", {**seconds, "shared": True}, many, 4),
        Row(
            "read", f"read a stream of {sizes.stream:,}", "events", "read",
            {**read, "calls": sizes.reads}, many, before=("fill_stream", read),
        ),
        Row(
            "command", f"load {sizes.decided}, decide, append", "commands", "command",
            {"length": sizes.decided, "calls": sizes.commands}, many,
        ),
    ]  # fmt: skip


def history(account_id: str, length: int) -> list[object]:
    """Return the events of an account: opened, then deposits and withdrawals in turn."""
    return [AccountOpened(account_id, "PLN"), *_movements(account_id, length - 1)]


def _movements(account_id: str, length: int) -> Iterator[object]:
    for number in range(length):
        if number % 2 == 0:
            yield DepositRecorded(account_id, DEPOSITED, f"cashier-{number % 20}")
        else:
            yield CashWithdrawn(account_id, WITHDRAWN, f"cashier-{number % 20}")


def balance(length: int) -> Decimal:
    """Return what is in an account after such a history."""
    return length // 2 * DEPOSITED - (length - 1) // 2 * WITHDRAWN
