"""Exercises of notebook 10: a command on a mature event store, and a test that convicts a weak one."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application

from eventstore import ANY, EventStore, EventStoreError, InvalidEvent, WrongExpectedVersion

from ...bank import CommandRefused, examples
from ...bank.eventsourcing_bank import Account
from ..exercise import Exercise
from ..given import whole_schema
from ..looks import looks
from ..sandbox import Sandbox, own_sandbox
from ..scene import Advice, Call, Cases, Did
from ..suspects import Suspect, in_words, tried
from ..words import listed, words
from .weak_store import WeakStore

# 10.1 withdraw_cash


def account(balance: str = "100.00") -> Account:
    """Return an account with a balance and nothing left to save."""
    account = Account("account-1", "PLN")
    if Decimal(balance):
        account.record_deposit(Decimal(balance), "anna")
    account.collect_events()
    return account


def recorded(account: Account) -> list[Any]:
    """Return the events that wait in an account to be saved."""
    return list(account.pending_events)


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def it_records_a_withdrawal(sandbox: Sandbox) -> None:
    """A withdrawal is recorded"""
    one = account()
    try:
        sandbox.answer(one, Decimal("30.00"), "ben")
    except TypeError as error:
        if "-=" not in str(error):
            raise
        raise AssertionError(
            f"account.cash_withdrawn(amount, cashier_id) takes the amount first, and then the cashier. Yours: {error}."
        ) from None
    events = recorded(one)
    assert names(events) == ["CashWithdrawn"], (
        "100.00 are in the account, and ben pays out 30.00. One event should wait to be saved, CashWithdrawn; "
        f"there {'is' if len(events) == 1 else 'are'} {names(events) or 'none'}. account.cash_withdrawn(...) records it."
    )
    (event,) = events
    assert (event.amount, event.cashier_id) == (Decimal("30.00"), "ben"), (
        f"ben paid out 30.00. The event says amount={event.amount!r}, cashier_id={event.cashier_id!r}."
    )


def the_balance_follows_from_the_event(sandbox: Sandbox) -> None:
    """The balance follows from the event, and from nothing else"""
    one = account()
    sandbox.answer(one, Decimal("30.00"), "ben")
    assert one.balance == 70, (
        f"100.00 less 30.00 are 70.00. The account says {one.balance}. cash_withdrawn takes the amount off already: it is "
        "the evolve of this account. A command decides, and changes nothing itself."
    )
    application = Application[UUID]()
    fresh = Account("account-1", "PLN")
    fresh.record_deposit(Decimal("100.00"), "anna")
    sandbox.answer(fresh, Decimal("30.00"), "ben")
    application.save(fresh)
    loaded: Any = application.repository.get(fresh.id)
    assert loaded.balance == 70, f"Saved and loaded again, the account says {loaded.balance}, not 70.00."


def all_of_it_can_be_withdrawn(sandbox: Sandbox) -> None:
    """All of it can be withdrawn"""
    one = account("100.00")
    try:
        sandbox.answer(one, Decimal("100.00"), "ben")
    except CommandRefused as error:
        _must_be_unrecorded(one, "100.00 are in the account, and 100.00 were wanted")
        raise AssertionError(
            f"100.00 are in the account, and withdrawing 100.00 was refused: {error}. Refuse only more than there is."
        ) from None
    assert one.balance == 0, f"All of the money was withdrawn. The account says {one.balance}."


def more_is_refused(sandbox: Sandbox) -> None:
    """More than there is is refused, and nothing recorded"""
    _must_refuse(sandbox, account("100.00"), "100.01", "100.00 are in the account, and 100.01 were wanted")


def nothing_and_less_is_refused(sandbox: Sandbox) -> None:
    """An amount of nothing, or less, is refused"""
    for amount in ("0", "-5.00"):
        _must_refuse(sandbox, account("100.00"), amount, f"A withdrawal of {amount} was wanted")


def a_closed_account_pays_nothing(sandbox: Sandbox) -> None:
    """A closed account is refused"""
    closed = account("0")
    closed.close()
    closed.collect_events()
    closed.balance = Decimal("5.00")  # as if an old fault had left something in it: the rule is about the status
    _must_refuse(sandbox, closed, "5.00", "The account is closed")


def _must_refuse(sandbox: Sandbox, one: Account, amount: str, why: str) -> None:
    try:
        sandbox.answer(one, Decimal(amount), "ben")
    except CommandRefused:
        _must_be_unrecorded(one, why)
    except ValueError as error:
        raise AssertionError(
            f"{why}. Your function raised {type(error).__name__}: {error}. Raise CommandRefused, as the bank does."
        ) from None
    else:
        raise AssertionError(f"{why}, and it was not refused: raise CommandRefused(...) before anything is recorded.")


def _must_be_unrecorded(one: Account, why: str) -> None:
    assert not recorded(one), (
        f"{why}. CommandRefused was raised, but {names(recorded(one))} waits in the account already, and the next save "
        "stores it. First the rules, then the event."
    )


def money_stays_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    one = account("12345678901234567.89")
    sandbox.answer(one, Decimal("0.10"), "ben")
    amount = recorded(one)[0].amount
    assert isinstance(amount, Decimal) and amount == Decimal("0.10"), (
        f"0.10 were withdrawn, and the event says {amount!r}. Did a float come in between? Pass the amount on as it is."
    )


def _withdraw(withdraw_cash: Callable, _: object, balance: Decimal, status: str, amount: Decimal) -> Any:
    """Call the answer; say what waits in the account to be saved, and what it holds."""
    one = account("0")
    one.balance, one.status = balance, status
    refused = ""
    try:
        withdraw_cash(one, amount, "ben")
    except CommandRefused:
        refused = "raised CommandRefused, "
    events = [
        f"{type(event).__name__} of {words(event.amount)} by {words(event.cashier_id)}" for event in recorded(one)
    ]
    return Did(f"{refused}recorded {listed(events)} and left a balance of {words(one.balance)}")


WITHDRAWALS = (
    Cases(
        call=Call("withdraw_cash(account, amount, 'ben'), of a balance, a status and an amount: {}", _withdraw),
        given=(
            *(
                (Decimal(balance), "open", amount)
                for balance in ("100.00", "0.005", "-30")
                for amount in examples.AMOUNTS
            ),
            *((Decimal(100), status, Decimal(amount)) for status in ("closed", "frozen") for amount in (1, 200, -1)),
        ),
        in_database=False,
        advice=Advice(
            "An account that is not open, whatever else it is, an amount that is not more than 0, and more than there is are "
            "refused, compared to the last digit. Else one CashWithdrawn is recorded, with the amount as it is, nothing rounded."
        ),
    ),
)


# 10.2 test_the_weak_store


class Splits(EventStore):
    """Weak in the same way, by other means: a batch goes in as two, its first event and the rest."""

    def append(self, stream_id: str, events: Any, *, event_ids: Any = None, **options: Any) -> Any:
        appended = super().append(stream_id, events[:1], event_ids=event_ids and event_ids[:1], **options)
        return super().append(stream_id, events[1:], event_ids=event_ids and event_ids[1:]) if events[1:] else appended


class KeepsTheFirst(EventStore):
    """Weak in the same way, by other means: what is refused leaves the first event of its batch."""

    def append(self, stream_id: str, events: Any, **options: Any) -> Any:
        try:
            return super().append(stream_id, events, **options)
        except EventStoreError:
            with suppress(EventStoreError):
                super().append(stream_id, events[:1])
            raise


class ForgetsVersions(EventStore):
    """Weak as well, but elsewhere: it takes any expected version."""

    def append(self, *args: Any, **options: Any) -> Any:
        return super().append(*args, **{**options, "expected_version": ANY})


class StoresWhatIsLate(EventStore):
    """Weak as well, but elsewhere: it says that a writer is late, and stores all that they bring."""

    def append(self, *args: Any, **options: Any) -> Any:
        try:
            return super().append(*args, **options)
        except WrongExpectedVersion:
            super().append(*args, **{**options, "expected_version": ANY})
            raise


class CountsFromZero(EventStore):
    """Weak elsewhere: the first event is at version 0."""

    def read_stream(self, *args: Any, **options: Any) -> Any:
        return [msgspec.structs.replace(it, version=it.version - 1) for it in super().read_stream(*args, **options)]


class ReadsBackwards(EventStore):
    """Weak elsewhere: the newest event comes first."""

    def read_stream(self, *args: Any, **options: Any) -> Any:
        return super().read_stream(*args, **options)[::-1]


def a(kind: type[EventStore]) -> Callable[[Sandbox], EventStore]:
    return lambda sandbox: sandbox.store(connection=sandbox.database.connect(), kind=kind)


def tried_on(sandbox: Sandbox, kind: type[EventStore], what: str, otherwise: str) -> BaseException | None:
    """Run the learner's test on a store; return what it says if it fails, and tell of any other error."""
    _, error = tried(sandbox, Suspect(a(kind)))
    if isinstance(error, TypeError) and "account_id" in str(error):
        otherwise = 'That event has a field, account_id: NobodyKnowsThis("account-1").'
    elif isinstance(error, InvalidEvent) and "event_ids" in str(error):
        otherwise = "The ids of a batch are a list, one for each event: event_ids=[uuid4(), uuid4()], `from uuid import uuid4`."
    elif isinstance(error, TypeError):
        otherwise = "That is no refusal: something was called in another way than it can be."
    assert error is None or isinstance(error, AssertionError), (
        f"On {what}, your test comes to no verdict. {in_words(sandbox, error)}\n{otherwise}"
    )
    return error


@own_sandbox
def a_good_store_passes(sandbox: Sandbox) -> None:
    """The reference passes the test"""
    error = tried_on(
        sandbox,
        EventStore,
        "the reference",
        "Where an append should be refused, catch the error that says so: the test goes on after it, and looks at what was "
        "stored.",
    )
    assert error is None, (
        f"The reference keeps all of these guarantees, and your test fails on it. {in_words(sandbox, error)}\n"
        "Such a test blames every store. What should be in the stream at that point? Or was nothing refused at all?"
    )


IS_NO_VERDICT = "Assert what should hold, so that the test fails with an AssertionError."


@own_sandbox
def the_weak_store_fails(sandbox: Sandbox) -> None:
    """The weak store fails it"""
    error = tried_on(sandbox, WeakStore, "the weak store", IS_NO_VERDICT)
    assert error is not None, (
        "The weak store passes your test. So this promise it keeps, or your test did not get to the point where it "
        "breaks. As long as all goes well, nothing shows: make something go wrong, and look at what was stored."
    )


@own_sandbox
def it_says_what_is_wrong(sandbox: Sandbox) -> None:
    """The failing test says what is wrong"""
    error = tried_on(sandbox, WeakStore, "the weak store", IS_NO_VERDICT)
    assert error is not None and str(error).strip(), (
        "The test fails on the weak store, with an AssertionError that says nothing. Whoever reads it in a year needs to "
        'know which promise was broken: assert condition, "what happened".'
    )


@own_sandbox
def it_blames_nobody_else(sandbox: Sandbox) -> None:
    """A store with another fault passes it"""
    for kind, fault in (
        (ForgetsVersions, "which ignores the expected version instead"),
        (StoresWhatIsLate, "which stores what came too late instead"),
        (CountsFromZero, "which gives the first event the version 0 instead"),
        (ReadsBackwards, "which reads a stream from its end instead"),
    ):
        _, error = tried(sandbox, Suspect(a(kind)))
        assert error is None, (
            f"Your test also fails on a store whose batches are whole, and {fault}. {in_words(sandbox, error)}\n"
            "A test that names a guarantee should fail for that one alone."
        )


@own_sandbox
def the_same_fault_is_found_elsewhere(sandbox: Sandbox) -> None:
    """Another store with the same fault fails it"""
    for kind, fault in (
        (Splits, "it stores the first event of a batch by itself, and then the rest"),
        (KeepsTheFirst, "of a batch that it refuses, it keeps the first event"),
    ):
        error = tried_on(sandbox, kind, "another store with the same fault", IS_NO_VERDICT)
        assert error is not None, (
            f"Another store breaks the same promise: {fault}. It passes your test. Ask no store for its class: do with it what "
            "everybody does, and look at what was stored."
        )


EXERCISES = (
    Exercise(
        id="10.1",
        title="A command on another store",
        minutes=3,
        difficulty="medium",
        keeps="withdraw_cash.py",
        checks=(
            it_records_a_withdrawal,
            the_balance_follows_from_the_event,
            all_of_it_can_be_withdrawn,
            more_is_refused,
            nothing_and_less_is_refused,
            a_closed_account_pays_nothing,
            money_stays_exact,
            *looks(*WITHDRAWALS),
        ),
        hints=(
            "It is `record_deposit` with one rule more. First the three rules, each an `if` and a `raise CommandRefused(...)`; "
            "the last line records the event.",
            "The rules: `account.status` has to be `'open'`, the amount more than 0, and not more than `account.balance`.",
            "`account.cash_withdrawn(amount, cashier_id)` records the event and changes the balance. Your function changes "
            "nothing itself.",
            "```python\n"
            'if account.status != "open":\n'
            '    raise CommandRefused(f"the account is {account.status}, not open")\n'
            "if amount <= 0:\n"
            '    raise CommandRefused(f"an amount is more than 0, not {amount}")\n'
            "if amount > account.balance:\n"
            '    raise CommandRefused(f"there are {account.balance} in the account, not {amount}")\n'
            "```\n\nand then the event.",
        ),
    ),
    Exercise(
        id="10.2",
        title="Convict the weak store",
        minutes=5,
        difficulty="hard",
        keeps="test_weak_store.py",
        given=whole_schema(),
        checks=(
            a_good_store_passes,
            the_weak_store_fails,
            it_says_what_is_wrong,
            it_blames_nobody_else,
            the_same_fault_is_found_elsewhere,
        ),
        hints=(
            "Go through the table row by row, and try each promise on a `WeakStore` in a cell of your own. Four of the "
            "five hold. The fifth shows only where something goes wrong.",
            "*All events of an append, or none.* With good events you see no difference. So give it a batch whose first "
            "event is fine and whose second one the store refuses.",
            "An event of a class that is not registered is refused with `UnknownEventType`; an amount of "
            "`Decimal('NaN')` with `InvalidEvent`. Put it second, catch the error, and count the events of the stream.",
            "```python\n"
            'store.append("account-1", [AccountOpened("account-1", "PLN")])\n'
            'deposit = DepositRecorded("account-1", Decimal(10), "anna")\n'
            "try:\n"
            '    store.append("account-1", [deposit, NobodyKnowsThis("account-1")])\n'
            "except UnknownEventType:\n"
            "    pass\n"
            "```\n\nHow many events should `account-1` hold now?",
        ),
    ),
)
