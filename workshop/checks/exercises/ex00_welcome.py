"""The exercise of notebook 00: what an exercise feels like."""

from decimal import Decimal
from typing import Any

from ...bank.examples import AMOUNTS
from ..exercise import Exercise
from ..looks import looks
from ..sandbox import Sandbox
from ..scene import Advice, Call, Cases

OPENED, CLOSED = ("AccountOpened", None), ("AccountClosed", None)


def _without_amounts(sandbox: Sandbox, history: list) -> Any:
    """Return the balance after a history with events that carry no amount."""
    try:
        return sandbox.answer(history)
    except TypeError as error:
        if "NoneType" not in str(error):
            raise  # it is about something else
        raise AssertionError(
            f"{history[-1][0]} carries no amount (it is None), and your function used it all the same: {error}. "
            "Use the amount of DepositRecorded and CashWithdrawn only."
        ) from None


def an_account_starts_at_zero(sandbox: Sandbox) -> None:
    """A new account holds nothing"""
    balance = _without_amounts(sandbox, [OPENED])
    assert balance is not None, (
        "An account that was only opened has a balance of 0. Yours: None. Is there a `return` at the end? To print a number "
        "shows it to you, and hands it to nobody."
    )
    assert balance == 0, f"An account that was only opened has a balance of 0. Yours: {balance!r}."


def deposits_add_up(sandbox: Sandbox) -> None:
    """Deposits add up"""
    try:
        balance = sandbox.answer([OPENED, ("DepositRecorded", Decimal("100.00")), ("DepositRecorded", Decimal("20.50"))])
    except TypeError as error:
        if "'float'" not in str(error):
            raise
        raise AssertionError(f"{error}: an amount is a Decimal. Begin from 0, or from Decimal(0).") from None
    assert balance is not None, "Your function returned None. Is the `return` missing, or inside the loop?"
    assert balance != 0, (
        "After deposits of 100.00 and 20.50 the balance is 120.50. You have 0. Go through the history: the type comes first in "
        "each pair. Where you do, is the `return` inside the loop? Then it ends at the first event."
    )
    assert balance != Decimal("20.50"), (
        "After deposits of 100.00 and 20.50 the balance is 120.50. You have 20.50, the last one alone: "
        "add to the balance (`+=`) instead of replacing it."
    )
    assert balance != Decimal("100.00"), (
        "After deposits of 100.00 and 20.50 the balance is 120.50. You have 100.00, the first one alone: "
        "is the `return` inside the loop?"
    )
    assert balance == Decimal("120.50"), (
        f"After deposits of 100.00 and 20.50 the balance is 120.50. Yours: {balance!r}."
    )


def withdrawals_are_taken_off(sandbox: Sandbox) -> None:
    """Withdrawals are taken off"""
    history = [OPENED, ("DepositRecorded", Decimal("100.00")), ("CashWithdrawn", Decimal("30.00"))]
    balance = sandbox.answer(list(history))
    assert balance != Decimal("130.00"), (
        "A deposit of 100.00 and a withdrawal of 30.00 leave 70.00. You have 130.00: the withdrawal was added. "
        "Look at the type of each event before you use its amount."
    )
    assert balance != Decimal("100.00"), (
        "A deposit of 100.00 and a withdrawal of 30.00 leave 70.00. You have 100.00: CashWithdrawn was passed over."
    )
    again = sandbox.answer(list(history))
    assert again == balance, (
        f"The same history, asked for twice, gave {balance!r} and then {again!r}. Does something survive from the call "
        "before, such as a variable outside the function? Begin from 0 inside it."
    )
    assert balance == Decimal("70.00"), (
        f"A deposit of 100.00 and a withdrawal of 30.00 leave 70.00. Yours: {balance!r}."
    )


def other_events_change_nothing(sandbox: Sandbox) -> None:
    """Events that move no money change nothing"""
    history = [OPENED, ("DepositRecorded", Decimal("50.00")), CLOSED]
    balance = _without_amounts(sandbox, history)
    assert balance == Decimal("50.00"), f"Closing an account moves no money: 50.00 stay 50.00. Yours: {balance!r}."


def money_stays_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    balance = sandbox.answer([OPENED, *[("DepositRecorded", Decimal("0.10"))] * 3])
    assert not isinstance(balance, float), (
        "Three deposits of 0.10 are 0.30, to the cent. Your balance is a float, and 0.1 + 0.1 + 0.1 is not 0.3 there: "
        "keep the Decimal that you are given."
    )
    assert balance == Decimal("0.30"), f"Three deposits of 0.10 are 0.30. Yours: {balance!r}."


def _called(balance: Any, _: object, history: list) -> Any:
    """Return the balance; 0 is as good as Decimal(0)."""
    returned = balance(history)
    return Decimal(returned) if isinstance(returned, int) else returned


PAID_IN, WITHDRAWN = ("DepositRecorded", Decimal("100.00")), ("CashWithdrawn", Decimal("30.00"))
OTHERS = ("DepositReversed", "Deposit", "WithdrawalRefused", "CashWithdrawnElsewhere", "InterestPaid", "")
HISTORIES = Cases(
    call=Call("balance({})", _called),
    given=tuple(
        (history,)
        for history in (
            [],
            *([OPENED, (type, amount)] for amount in AMOUNTS for type in ("DepositRecorded", "CashWithdrawn")),
            *([OPENED, PAID_IN, (type, Decimal("5.00"))] for type in OTHERS),
            [PAID_IN],
            [OPENED, PAID_IN, CLOSED, PAID_IN],
            [OPENED, PAID_IN, CLOSED, WITHDRAWN],
            [OPENED, PAID_IN, CLOSED, OPENED, PAID_IN],
            [OPENED, PAID_IN, OPENED, WITHDRAWN],
            [OPENED, WITHDRAWN, PAID_IN],
            [OPENED, *[PAID_IN] * 50, *[WITHDRAWN] * 50],
        )
    ),
    in_database=False,
    advice=Advice(
        "The type is compared as a whole name: a DepositRecorded adds, a CashWithdrawn takes off, also below 0, and any other "
        "event changes nothing, whatever it is and whatever comes after it. Without events it is 0, and nothing is rounded."
    ),
)


EXERCISES = (
    Exercise(
        id="00.1",
        title="The balance of an account",
        minutes=5,
        difficulty="easy",
        keeps="warm_up.py",
        checks=(
            an_account_starts_at_zero,
            deposits_add_up,
            withdrawals_are_taken_off,
            other_events_change_nothing,
            money_stays_exact,
            *looks(HISTORIES),
        ),
        hints=(
            "Start from 0. Go through the history from its first event to its last, and let each one change the balance.",
            "`for type, amount in history:` gives you both parts of an event. Which types move money, and which way?",
            "Inside the loop:\n\n"
            "```python\n"
            'if type == "DepositRecorded":\n    total += amount\nelif type == "CashWithdrawn":\n    total -= amount\n'
            "```\n\nBefore it `total = 0`, and behind it `return total`.",
        ),
    ),
)
