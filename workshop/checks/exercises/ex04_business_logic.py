"""The exercises of notebook 04: the rules of the bank, a command from beginning to end, and tests that read like rules."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, is_dataclass, replace
from decimal import Decimal
from functools import partial
from inspect import isgenerator
from typing import Any

from eventstore import ANY, Decider, EventStore, EventStoreError, UnknownEventType, WrongExpectedVersion

from ...bank import (
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
    evolve,
    examples,
)
from ...bank.given_when_then import Given
from ..arranged import append, put
from ..exercise import Exercise
from ..given import core_schema
from ..guard import quiet
from ..hunts import Hunt, Slip, checks_of
from ..looks import looks
from ..sandbox import Sandbox, interrupted
from ..scene import Advice, Call, Cases, Scene, Somebody
from ..stage import Stage
from ..suspects import Suspect, convicts, in_words, tried

# Another account, currency and cashier than those of the notebook: what is written into an answer shows.
ACCOUNT, CURRENCY, CASHIER = "account-7", "EUR", "cashier-7"
deposit = partial(examples.deposit, cashier=CASHIER)
withdraw = partial(examples.withdraw, cashier=CASHIER)
deposited = partial(examples.deposited, account=ACCOUNT, cashier=CASHIER)
withdrawn = partial(examples.withdrawn, account=ACCOUNT, cashier=CASHIER)
OPENED, CLOSED = examples.opened(ACCOUNT, CURRENCY), examples.closed(ACCOUNT)


# 04.1 decide


def account(balance: str = "0", status: str = "open") -> BankAccount:
    return BankAccount() if status == "unknown" else BankAccount(ACCOUNT, CURRENCY, Decimal(balance), status)


def of(state: BankAccount) -> str:
    """Say what an account is, in words."""
    if state.status == "unknown":
        return "an account that was never opened"
    return f"an account that is {state.status} and holds {state.balance}"


def decided(sandbox: Sandbox, command: Any, state: BankAccount) -> list[Any]:
    """Return the events that the learner's decide gives, or fail because it gives no list of events."""
    case = f"{command} for {of(state)}"
    events = sandbox.answer(command, state)
    assert events is not None, (
        f"decide returned None: {case}. Is a `return` missing, or is there no case for this command?"
    )
    assert not isinstance(events, BankAccount), (
        f"decide returned an account: {case}. It says what happens, as events; what that makes of the account is the "
        "business of evolve."
    )
    assert not is_dataclass(events), f"decide returned an event instead of a list: {case}. Return `[{events}]`."
    assert not isinstance(events, BaseException), (
        f"decide returned the error {events!r} instead of raising it: {case}. Nobody would notice: `raise`."
    )
    assert not isgenerator(events), (
        f"decide is a generator: {case}. It is used up by whoever looks at its events first, and no rule is looked at before "
        "that. Return a list, with `return` and not `yield`."
    )
    assert isinstance(events, Iterable) and not isinstance(events, str), (
        f"decide returned {events!r}: {case}. Return what happens, as a list of events; an empty one where nothing does."
    )
    return list(events)


def leads_to(sandbox: Sandbox, command: Any, state: BankAccount, *expected: Any) -> None:
    try:
        events = decided(sandbox, command, state)
    except CommandRefused as refusal:
        raise AssertionError(
            f"{command} for {of(state)} should lead to {list(expected)}. It was refused: {refusal}"
        ) from None
    assert events == list(expected), f"{command} for {of(state)} should lead to {list(expected)}. It led to {events}."


def is_refused(sandbox: Sandbox, command: Any, state: BankAccount, rule: str) -> None:
    try:
        events = decided(sandbox, command, state)
    except CommandRefused as refusal:
        assert str(refusal).strip(), (
            f"{command} for {of(state)} was refused, without a word. Say why, the customer will ask: "
            'raise CommandRefused("...").'
        )
        return
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"{command} for {of(state)} was answered with {type(error).__name__}: {error}. Raise CommandRefused: by it, "
            "a caller can tell a rule of the bank from a mistake in the program."
        ) from error
    if not events:
        raise AssertionError(
            f"{command} for {of(state)} led to no events, as if all were well. {rule} Raise CommandRefused, so that "
            "nobody can overlook it."
        )
    raise AssertionError(f"{command} for {of(state)} led to {events}. {rule}")


def opening_makes_an_account(sandbox: Sandbox) -> None:
    """Opening leads to AccountOpened"""
    command, state = OpenAccount(ACCOUNT, CURRENCY), account(status="unknown")
    try:
        leads_to(sandbox, command, state, OPENED)
    except Exception:
        swapped: Any = None
        with suppress(Exception):
            swapped = sandbox.answer(state, command)
        assert swapped != [OPENED], (
            "Your function takes the account first, and then the command. It is called the other way round: "
            "`def decide(command, account)`."
        )
        raise


def money_is_moved(sandbox: Sandbox) -> None:
    """Deposits and withdrawals lead to their events"""
    leads_to(sandbox, deposit("20.10"), account("100"), deposited("20.10"))
    leads_to(sandbox, withdraw("30"), account("100"), withdrawn("30"))


def an_empty_account_is_closed(sandbox: Sandbox) -> None:
    """An empty account is closed"""
    leads_to(sandbox, CloseAccount(), account("0"), CLOSED)


def an_account_is_opened_once(sandbox: Sandbox) -> None:
    """An account is opened once"""
    rule = "An account is opened once."
    is_refused(sandbox, OpenAccount(ACCOUNT, CURRENCY), account("100"), rule)
    is_refused(
        sandbox,
        OpenAccount(ACCOUNT, CURRENCY),
        account(status="closed"),
        f"{rule} A closed one is not opened again either.",
    )


def nothing_else_works_unless_it_is_open(sandbox: Sandbox) -> None:
    """Nothing but opening works on an account that is not open"""
    for status in ("unknown", "closed"):
        for command in (deposit("10"), withdraw("10"), CloseAccount()):
            is_refused(
                sandbox, command, account(status=status), "Nothing but opening works on an account that is not open."
            )


def an_amount_is_more_than_zero(sandbox: Sandbox) -> None:
    """An amount is more than 0"""
    for amount in ("0", "-5"):
        for command in (deposit(amount), withdraw(amount)):
            is_refused(
                sandbox, command, account("100"), "An amount is more than 0: a withdrawal of -5 would be a deposit."
            )


def no_more_than_there_is(sandbox: Sandbox) -> None:
    """No more is withdrawn than there is"""
    for balance, amount in (("100", "100.01"), ("100", "200"), ("0", "0.01")):
        is_refused(sandbox, withdraw(amount), account(balance), "No more is withdrawn than there is.")


def but_all_of_it(sandbox: Sandbox) -> None:
    """But all of it may be"""
    leads_to(sandbox, withdraw("100"), account("100"), withdrawn("100"))


def only_an_empty_account_is_closed(sandbox: Sandbox) -> None:
    """Only an empty account is closed"""
    for balance in ("100", "0.01"):
        is_refused(sandbox, CloseAccount(), account(balance), "There is money in it: only an empty account is closed.")


def _decided(decide: Any, _: object, command: Any, state: BankAccount) -> Any:
    events = decide(command, state)
    return list(events) if isinstance(events, tuple) else events


DECISIONS = Cases(
    call=Call("decide({})", _decided),
    given=tuple(
        (command, state)
        for state in (*examples.ACCOUNTS, account("0.001"), account("-0.001"))
        for command in (
            *(
                OpenAccount(id, currency)
                for id, currency in (("account-7", "EUR"), ("a", ""), (state.account_id, "PLN"))
            ),
            *(
                kind(amount, cashier)
                for amount in sorted(
                    {*examples.AMOUNTS[::2], *(state.balance + Decimal(more) for more in ("-0.01", "0", "0.01"))}
                )
                for kind, cashier in ((RecordDeposit, "cashier-7"), (WithdrawCash, "c"))
            ),
            CloseAccount(),
        )
    ),
    in_database=False,
    advice=Advice(
        "Each rule holds to its edge: what is not open, an amount of 0, more than there is, a balance that is not 0, be it "
        "negative. And an event says just what was wanted, of the account that it is about."
    ),
)


# 04.2 handle


class ObservedStore(EventStore):
    """A store that notes which version each append expected."""

    expected: list[Any]

    def append(self, stream_id: str, events: Any, **how: Any) -> Any:
        self.expected.append(how.get("expected_version", ANY))
        return super().append(stream_id, events, **how)


ENOUGH = 20  # more attempts than any check leads to


class NoEnd(BaseException):
    """Ends a loop that would catch any Exception and go on."""


class BusyBank:
    """A bank where somebody else is faster, as often as wanted: their events go in while one decides.

    A conflict that is not left to luck. Everything runs in the sandbox's one transaction, which is rolled back.
    """

    def __init__(self, sandbox: Sandbox, *others: list[Any], decide: Callable = decide):
        self._answer = sandbox.answer
        self._decide = decide
        self._others = list(others)
        self._anybody = sandbox.store()
        self.store = sandbox.store(kind=ObservedStore)
        self.store.expected = []
        self.seen: list[BankAccount] = []
        self._anybody.append(ACCOUNT, [OPENED, deposited("100")])

    def handle(self, command: Any, **how: Any) -> Any:
        """Have the learner's function handle a command."""
        decider = Decider(BankAccount(), self._interrupted, evolve)
        try:
            return self._answer(self.store, decider, ACCOUNT, command, **how)
        except NoEnd:
            raise AssertionError(
                f"For {command} decide was asked {times(len(self.seen))}, and there was no end of it. Count the attempts, "
                "and catch WrongExpectedVersion alone: nothing else is worth another attempt."
            ) from None

    def _interrupted(self, command: Any, state: BankAccount) -> Any:
        assert isinstance(state, BankAccount), (
            f"decide was called as decide({command!r}, {state!r}). It takes the command first, and then the state."
        )
        self.seen.append(state)
        if len(self.seen) > ENOUGH:
            raise NoEnd
        if self._others:
            self._anybody.append(ACCOUNT, self._others.pop(0))
        return self._decide(command, state)

    def is_overtaken(self) -> None:
        """Have somebody else pay in."""
        self._anybody.append(ACCOUNT, [deposited("5")])

    def events(self) -> list[Any]:
        """Return what was stored since the account held 100."""
        return [recorded.event for recorded in self._anybody.read_stream(ACCOUNT)][2:]


def times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def it_appends_what_was_decided(sandbox: Sandbox) -> None:
    """What was decided is stored"""
    bank = BusyBank(sandbox)
    try:
        bank.handle(withdraw("30"))
    except WrongExpectedVersion as error:
        raise AssertionError(
            f"Nobody else was there, and the append was refused: {error}. Expect the version that aggregate_stream gave "
            "you together with the state, as it is."
        ) from None
    assert bank.seen, "Your function never asked decider.decide."
    assert bank.seen[0].balance == 100, (
        f"The account holds 100, and decide was shown {bank.seen[0]}. Load the stream first: "
        "`aggregate_stream(store, stream_id, decider.initial, decider.evolve)`."
    )
    assert bank.events() == [withdrawn("30")], (
        f"{withdraw('30')} should store {withdrawn('30')}. What was stored: {bank.events() or 'nothing'}."
    )


def it_expects_the_version_it_read(sandbox: Sandbox) -> None:
    """It expects the version that it read"""
    bank = BusyBank(sandbox)
    bank.handle(withdraw("30"))
    assert bank.store.expected == [2], (
        f"The stream was read at version 2, and the append expected {', '.join(map(str, bank.store.expected))}. What was "
        "decided on version 2 must not be stored on whatever is there by now: `expected_version=version`, with the "
        "version that aggregate_stream gave you."
    )


def it_returns_state_and_version(sandbox: Sandbox) -> None:
    """It returns the state after the command, and its version"""
    bank = BusyBank(sandbox)
    interrupted(bank.store, append=bank.is_overtaken)
    returned = bank.handle(withdraw("30"))
    assert isinstance(returned, tuple) and len(returned) == 2, (
        f"handle should return the state and the version, `return state, version`. It returned {returned!r}."
    )
    state, version = returned
    assert state != account("75") and version != 4, (
        f"30 were withdrawn from 100, and right after that somebody else paid in 5. handle returned {returned!r}. You read "
        "the stream again after the append: by then it may hold somebody else's events. Fold those that decide gave you "
        "into the state that it saw, and take the version that append returns."
    )
    assert state != account("100"), (
        "After a withdrawal of 30 from 100, handle returned the account with 100: the state that was loaded. Show it "
        "each new event with decider.evolve."
    )
    assert state == account("70"), (
        f"After a withdrawal of 30 from 100, the state should be {account('70')}. It was {state!r}."
    )
    assert version == 3, (
        f"The stream was at version 2, and one event was appended: the version should be 3. It was {version!r}."
    )


def every_kind_of_stream_will_do(sandbox: Sandbox) -> None:
    """It works for every kind of stream, a new one included"""
    store = sandbox.store(kind=ObservedStore)
    store.expected = []
    anna = CashierEmployed(CASHIER, "Anna")
    cashiers: Decider[int] = Decider(0, lambda command, count: [command], lambda count, event: count + 1)
    returned = sandbox.answer(store, cashiers, "cashiers-1", anna)
    assert store.expected == [0], (
        f"A new stream is at version 0, and the append expected {', '.join(map(str, store.expected))}. 0 is a version like "
        "any other: pass it on."
    )
    assert returned == (1, 1), (
        "A decider of another kind counts cashiers: its first state is 0, and each event makes it 1 more. handle should "
        f"return (1, 1), and returned {returned!r}. Take decide, evolve and initial from the decider that you are given."
    )
    stored = [recorded.event for recorded in store.read_stream("cashiers-1")]
    assert stored == [anna], f"The event belongs into the stream cashiers-1, which holds {stored or 'nothing'}."


def a_refusal_gets_through(sandbox: Sandbox) -> None:
    """A refusal gets through, and stores nothing"""
    bank = BusyBank(sandbox)
    try:
        returned = bank.handle(withdraw("101"))
    except CommandRefused:
        assert bank.events() == [], f"The command was refused, and yet this was stored: {bank.events()}."
    else:
        raise AssertionError(
            f"101 were wanted, 100 are there, decide raised CommandRefused, and handle returned {returned!r}. Whoever "
            "gave the command takes that for a yes: catch WrongExpectedVersion alone."
        )
    assert len(bank.seen) == 1, (
        f"decide refused the command, and was asked {times(len(bank.seen))}. Nobody else was there, so the answer stays "
        "the same: only a WrongExpectedVersion is worth another attempt."
    )


def no_events_no_append(sandbox: Sandbox) -> None:
    """A command that leads to no events appends nothing"""
    bank = BusyBank(sandbox, decide=lambda command, state: [])
    try:
        returned = bank.handle(withdraw("30"))
    except EventStoreError as error:
        raise AssertionError(
            f"decide gave an empty list, and handle raised {type(error).__name__}: {error}. The command was fine, and "
            "nothing came of it: do not append."
        ) from None
    assert returned == (account("100"), 2), (
        f"decide gave an empty list, so all is as it was: the account with 100, at version 2. handle returned {returned!r}."
    )


def a_commands_events_go_together(sandbox: Sandbox) -> None:
    """All events of a command go in together"""
    bank = BusyBank(sandbox, decide=lambda command, state: [withdrawn("30"), withdrawn("1")])
    returned = bank.handle(withdraw("30"))
    appends = len(bank.store.expected)
    assert appends == 1, (
        f"The command led to two events, and append was called {times(appends)}. If the program stops in between, half "
        "of the decision is stored: pass the whole list to one append."
    )
    assert returned == (account("69"), 4), (
        "From 100, at version 2, 30 and a fee of 1 were withdrawn. handle should return the account with 69, at version "
        f"4. It returned {returned!r}."
    )


def a_conflict_is_decided_again(sandbox: Sandbox) -> None:
    """After a conflict it decides again"""
    bank = BusyBank(sandbox, [deposited("5")])
    try:
        returned = bank.handle(withdraw("30"))
    except WrongExpectedVersion as error:
        raise AssertionError(
            f"Somebody paid in 5 while 30 were withdrawn from 100, and handle ended with: {error}. There is money enough. "
            f"decide was asked {times(len(bank.seen))}: after a conflict load the stream again, and decide again."
        ) from None
    asked = len(bank.seen)
    assert bank.store.expected[0] == 2, (
        f"decide was shown the account at version 2. Somebody paid in 5, and the append expected version "
        f"{bank.store.expected[0]}: the answer to a second question. Expect the version that was loaded with the state, by "
        "aggregate_stream."
    )
    assert asked == 2, (
        f"Somebody paid in 5 while 30 were withdrawn, and decide was asked {times(asked)}. What it had decided rests on a "
        "state that is gone, and must not be appended again: load, decide and append are one round."
    )
    assert bank.seen[1].balance == 105, (
        f"Somebody paid in 5 while 30 were withdrawn from 100. The second time, decide was shown a balance of "
        f"{bank.seen[1].balance} instead of 105: load the stream anew on every attempt."
    )
    assert bank.events() == [deposited("5"), withdrawn("30")], (
        f"Somebody paid in 5 while 30 were withdrawn: both should be stored, each once. Stored: {bank.events()}."
    )
    assert returned == (account("75"), 4), (
        f"100 and 5 less 30 are 75, and that is version 4. handle returned {returned!r}."
    )


def the_money_may_be_gone(sandbox: Sandbox) -> None:
    """The second decision may be a refusal"""
    bank = BusyBank(sandbox, [withdrawn("100")])
    try:
        returned = bank.handle(withdraw("100"))
    except CommandRefused:
        assert bank.events() == [withdrawn("100")], f"The command was refused, and yet this is stored: {bank.events()}."
        return
    except WrongExpectedVersion:
        returned = "WrongExpectedVersion"
    raise AssertionError(
        "While decide was thinking, somebody else withdrew the last 100. Asked again, decide refuses: the caller should "
        f"get CommandRefused, the bank's own reason. From handle came {returned!r}."
    )


def attempts_are_bounded(sandbox: Sandbox) -> None:
    """It gives up after so many attempts"""
    bank = BusyBank(sandbox, *[[deposited("1")]] * 12)
    through = "After the third conflict, let WrongExpectedVersion through: a bare `raise`."
    try:
        returned = bank.handle(withdraw("30"), attempts=3)
    except WrongExpectedVersion as error:
        asked = len(bank.seen)
        assert asked == 3, (
            f"With attempts=3, decide should be asked 3 times, the first time included. It was asked {times(asked)}."
        )
        assert error.actual == 5, (
            f"The last append met version 5, and handle raised an error of its own: {error}. {through}"
        )
        return
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"Somebody else was faster again and again. With attempts=3, handle raised {type(error).__name__}: {error}. {through}"
        ) from error
    raise AssertionError(
        f"Somebody else was faster again and again. With attempts=3, decide was asked {times(len(bank.seen))}, and handle "
        f"returned {returned!r}. {through}"
    )


def other_errors_get_through(sandbox: Sandbox) -> None:
    """Every other error gets through at once"""
    bank = BusyBank(sandbox, decide=lambda command, state: [Unheard()])
    try:
        returned = bank.handle(withdraw("30"))
    except UnknownEventType:
        asked = len(bank.seen)
        assert asked == 1, (
            f"The store does not know the event's type, and will not know it the next time: decide was asked "
            f"{times(asked)}. Catch WrongExpectedVersion alone."
        )
        return
    raise AssertionError(
        f"The store raised UnknownEventType, and handle returned {returned!r}. Nothing was stored, and the caller believes "
        "it was: catch WrongExpectedVersion alone."
    )


@dataclass(frozen=True)
class Unheard:
    """An event that nobody registered."""


def two_events(command: Any, state: Any) -> list[Any]:
    return [withdrawn(command.amount), withdrawn("1")]


def nothing(command: Any, state: Any) -> list[Any]:
    return []


def unheard(command: Any, state: Any) -> list[Any]:
    return [Unheard()]


def out_of_order(state: BankAccount, event: Any) -> BankAccount:
    if isinstance(event, CashWithdrawn):
        raise ConnectionError("the bank is out of order")
    return evolve(state, event)


def collect(events: tuple, event: object) -> tuple:
    return (*events, event)


TWO_EVENTS = replace(account_decider, decide=two_events)
DECIDERS: tuple[Decider, ...] = (
    TWO_EVENTS,
    replace(account_decider, decide=nothing),
    replace(account_decider, decide=unheard),
    Decider((), two_events, collect),
)
OUT_OF_ORDER = replace(account_decider, evolve=out_of_order)


def _handle(
    handle: Any, stage: Stage, stream_id: str, command: Any, decider: Decider = account_decider, **attempts: int
) -> Any:
    return handle(stage.store(), replace(decider, decide=stage.place(decider.decide)), stream_id, command, **attempts)


HANDLE = Call("handle(store, bank, {})", _handle)
ONE_ATTEMPT = Call("handle(store, bank, {}, attempts=1)", partial(_handle, attempts=1))
HANDLE_TWICE = Call(
    "handle(store, bank, {}), and the same once more", lambda *given: (_handle(*given), _handle(*given))
)


def _handle_in_vain(handle: Any, stage: Stage, *given: Any) -> Any:
    """Have all undone: whether the new events are folded before the append or after it, nobody has asked."""
    with stage.connection.transaction(force_rollback=True):
        return _handle(handle, stage, *given)


HANDLE_IN_VAIN = Call("handle(store, bank, {}), where evolve fails at each withdrawal", _handle_in_vain)
HAS_100 = put(ACCOUNT, OPENED, deposited("100"), row=True)
OF_HANDLE = Advice(
    "What is returned is the state that decide saw, with the events of this command alone, and the version of the last of them. "
    "After a WrongExpectedVersion all begins anew; every other error gets through at once, and so does the last conflict.",
    "The events of a command go in by one append, at the version that was loaded with the state, and only if there are some.",
    "handle leaves the transaction to its caller, and every error but a WrongExpectedVersion gets through at once.",
)


def pays_in(amount: str, account: str = ACCOUNT) -> Somebody:
    return Somebody(f"deposited {amount} in {account}", append(account, examples.deposited(amount, account)))


HANDLED = (
    Cases(
        call=HANDLE,
        story=f"{ACCOUNT} holds 100 at version 2, account-12 10 at version 11, account-8 is closed",
        before=HAS_100
        + put("account-12", examples.opened("account-12"), examples.deposited("10", "account-12"), first=10, row=True)
        + put("account-8", examples.opened("account-8"), examples.closed("account-8"), row=True),
        given=(
            *((ACCOUNT, withdraw(amount)) for amount in ("0.01", "100", "101")),
            (ACCOUNT, withdraw("1"), TWO_EVENTS),
            *((stream_id, withdraw("10")) for stream_id in ("account-12", "account-8")),
            *((stream_id, OpenAccount(stream_id, "EUR")) for stream_id in (ACCOUNT, "account-9", "x" * 255, "")),
            *((ACCOUNT, withdraw("30"), decider) for decider in DECIDERS),
            *(("account-9", withdraw("30"), decider) for decider in DECIDERS[:2]),
        ),
        advice=OF_HANDLE,
    ),
    Cases(
        call=HANDLE_IN_VAIN,
        story=f"{ACCOUNT} holds 100",
        before=HAS_100,
        given=((ACCOUNT, withdraw("30"), OUT_OF_ORDER),),
        advice=OF_HANDLE,
    ),
    Cases(
        call=HANDLE_TWICE,
        story=f"{ACCOUNT} holds 100",
        before=HAS_100,
        given=((ACCOUNT, withdraw("30")),),
        advice=OF_HANDLE,
    ),
    Scene(
        call=HANDLE,
        story=f"{ACCOUNT} holds 100",
        before=HAS_100,
        given=(ACCOUNT, withdraw("30"), TWO_EVENTS),
        somebody=(pays_in("5"),),
        stranger=pays_in("5", "account-8"),
        advice=OF_HANDLE,
    ),
    Scene(
        call=ONE_ATTEMPT,
        story=f"{ACCOUNT} holds 100",
        before=HAS_100,
        given=(ACCOUNT, withdraw("100")),
        somebody=(Somebody(f"withdrew 1 from {ACCOUNT}", append(ACCOUNT, withdrawn("1"))),),
        breaks=False,
        advice=OF_HANDLE,
    ),
)


# 04.3 given, when, then


def bank(change: Callable[[WithdrawCash, BankAccount], Any], fold: Callable = evolve) -> Callable[[Sandbox], Given]:
    """Return what makes the `given` of a bank that answers withdrawals in its own way, and all else as it should.

    Args:
        change: from a withdrawal and the account, what this bank does; None where it does what is right.
    """

    def decide_otherwise(command: Any, state: BankAccount) -> Any:
        answer = change(command, state) if isinstance(command, WithdrawCash) else None
        return decide(command, state) if answer is None else answer

    return lambda sandbox: Given(Decider(BankAccount(), decide_otherwise, fold))


def paying(change: Callable[[CashWithdrawn, BankAccount], list[Any]]) -> Callable[[Sandbox], Given]:
    """Return a bank that follows all rules, and where it pays, has something else happen."""
    return bank(lambda command, state: change(decide(command, state)[0], state))  # type: ignore[arg-type]


def pays(command: WithdrawCash, state: BankAccount) -> list[Any]:
    return [CashWithdrawn(state.account_id, command.amount, command.cashier_id)]


def refuses(condition: Callable[[WithdrawCash, BankAccount], bool]) -> Callable[[Sandbox], Given]:
    def change(command: WithdrawCash, state: BankAccount) -> None:
        if condition(command, state):
            raise CommandRefused("not today")

    return bank(change)


def allows(condition: Callable[[WithdrawCash, BankAccount], bool]) -> Callable[[Sandbox], Given]:
    return bank(lambda command, state: pays(command, state) if condition(command, state) else None)


def evolve_without_withdrawals(state: BankAccount, event: Any) -> BankAccount:
    return state if isinstance(event, CashWithdrawn) else evolve(state, event)


# Each bank has one fault: one rule that it does not look at, or not to its edge, or one thing that it pays wrongly.
A_PAYMENT = "a withdrawal that is paid, of a part of what there is, with `.then(...)` and its one event."
PAYS_WRONGLY = (
    Suspect(
        paying(lambda right, state: []),
        "it refuses what it should, and where it should pay out, nothing happens.",
        A_PAYMENT,
    ),
    Suspect(
        paying(lambda right, state: [DepositRecorded(right.account_id, right.amount, right.cashier_id)]),
        "where it should pay out, it records a deposit.",
        A_PAYMENT,
    ),
    Suspect(paying(lambda right, state: [right, right]), "it pays out twice.", A_PAYMENT),
    Suspect(
        paying(lambda right, state: [right, examples.closed(right.account_id)]),
        "it pays out, and closes the account.",
        A_PAYMENT,
    ),
    Suspect(
        paying(lambda right, state: [replace(right, amount=state.balance)]),
        "whatever amount is wanted, it pays out all there is.",
        A_PAYMENT,
    ),
    Suspect(
        paying(lambda right, state: [replace(right, cashier_id="")]),
        "it forgets which cashier paid.",
        A_PAYMENT,
    ),
    Suspect(
        refuses(lambda command, state: 0 < command.amount < state.balance),
        "it pays out all there is, and refuses to pay a part of it.",
        A_PAYMENT,
    ),
)
KEEPS_BACK = (
    Suspect(
        refuses(lambda command, state: command.amount == state.balance),
        "it refuses to pay out exactly all there is.",
        "a withdrawal of the whole balance, which is allowed. Mistakes like to sit at the edge of a rule.",
    ),
)
OVERDRAWS = (
    Suspect(
        allows(lambda command, state: state.status == "open" and command.amount > state.balance),
        "it pays out more than there is.",
        "a withdrawal of more than there is.",
    ),
    Suspect(
        allows(lambda command, state: state.status == "open" and state.balance < command.amount <= state.balance + 1),
        "it pays out a little more than there is, up to 1.",
        "a withdrawal of a little more than there is: mistakes like to sit at the edge of a rule.",
    ),
    Suspect(
        bank(lambda command, state: None, evolve_without_withdrawals),
        "it forgets what was withdrawn before, and counts the deposits alone.",
        "an account that something was withdrawn from, and of which more is wanted than is left. What `given` tells goes "
        "through `evolve`, so your scenarios test that too.",
    ),
)
IS_NOT_OPEN = (
    Suspect(
        allows(lambda command, state: state.status == "closed"),
        "it pays out of an account that is closed.",
        "an account that is closed, and a withdrawal after that.",
    ),
    Suspect(
        bank(
            lambda command, state: decide(command, replace(state, status="open")) if state.status == "closed" else None
        ),
        "it pays out of an account that is closed, as long as there is enough in it.",
        "an account that is closed and holds money (`opened, paid_in, closed`), and a withdrawal of some of it: where there is "
        "no money, or nothing is wanted, another rule refuses already.",
    ),
    Suspect(
        allows(lambda command, state: state.status == "unknown"),
        "it pays out where no account was ever opened.",
        "a withdrawal given nothing at all.",
    ),
    Suspect(
        allows(lambda command, state: state.status == "unknown" and command.amount > 0),
        "it pays out where no account was ever opened, unless the amount is wrong.",
        "a withdrawal of some money given nothing at all: where nothing is wanted, another rule refuses already.",
    ),
)
NOT_POSITIVE = (
    Suspect(
        allows(lambda command, state: state.status == "open" and command.amount <= 0),
        "it accepts a withdrawal of 0, and of less. A withdrawal of -50 makes the balance grow.",
        "a withdrawal of an amount that is not more than 0.",
    ),
    Suspect(
        allows(lambda command, state: state.status == "open" and command.amount < 0),
        "it refuses 0, and accepts a negative amount: a withdrawal of -50 makes the balance grow.",
        "a withdrawal of less than 0.",
    ),
    Suspect(
        allows(lambda command, state: state.status == "open" and command.amount == 0),
        "it refuses negative amounts, and accepts a withdrawal of 0.",
        "a withdrawal of 0: mistakes like to sit at the edge of a rule.",
    ),
)


def there_are_scenarios(sandbox: Sandbox) -> None:
    """There are scenarios, and each comes to an end"""
    given = Given(account_decider)
    with suppress(AssertionError):  # the next check says why
        sandbox.answer(given)
    assert given.scenarios, (
        "Your function began no scenario. One begins with `given(...)`, the function that yours is called with."
    )
    for number, scenario in enumerate(given.scenarios, 1):
        assert scenario.outcome != "unfinished", (
            f"Scenario {number} has no end, so it tests nothing: end it with `.then(...)` or `.then_refused()`, brackets "
            "included."
        )


def a_right_bank_passes(sandbox: Sandbox) -> None:
    """A bank that keeps the rules passes"""
    given = Given(account_decider)
    try:
        sandbox.answer(given)
    except AssertionError as error:
        number = len(given.scenarios)
        raise AssertionError(
            f"Scenario {number} fails, though this bank keeps all the rules. {in_words(sandbox, error)}"
        ) from error


def a_failure_gets_out(sandbox: Sandbox) -> None:
    """A scenario that fails is heard"""
    nobody = Decider(BankAccount(), lambda command, state: [CashierEmployed("cashier-0", "Nobody")], evolve)
    with quiet(sandbox.answer):
        _, error = tried(sandbox, Suspect(lambda sandbox: Given(nobody)))
    assert error is not None, (
        "This bank does nothing right, every scenario failed, and your function ended as if all were well. Does it catch "
        "AssertionError? Let it through: it is how a test says that it failed."
    )
    assert isinstance(error, AssertionError), (
        f"On a bank that does nothing right, your function comes to no verdict. {in_words(sandbox, error)}"
    )


def all_scenarios(given: Given) -> str:
    return f"all of your {len(given.scenarios)} scenarios"


a_wrong_payment_is_told, all_of_it_may_go, an_overdraft_is_told, an_account_must_be_open, an_amount_must_be_positive = (
    convicts(label, *suspects, who="A bank", got_through=all_scenarios)
    for label, suspects in (
        ("Whoever pays out wrongly is found", PAYS_WRONGLY),
        ("Whoever keeps back the last coin is found", KEEPS_BACK),
        ("Whoever pays out too much is found", OVERDRAWS),
        ("Whoever pays out of an account that is not open is found", IS_NOT_OPEN),
        ("Whoever pays out less than nothing is found", NOT_POSITIVE),
    )
)


# 04.4 the hunt

HUNT = Hunt(
    kind="bank",
    promise="rule",
    calls="scenarios",
    promises=5,
    made_of=("04.1",),
    build=lambda database, decide: Given(Decider(BankAccount(), decide, evolve)),
    slips=(
        Slip(1, "it opens again what was closed.", "04.1", {'account.status != "unknown"': 'account.status == "open"'}),
        Slip(1, "it opens an account twice.", "04.1", {'account.status != "unknown"': 'account.status == "closed"'}),
        Slip(2, "it forgets that an account was closed.", "04.1", {'account.status != "open"': 'account.status == "unknown"'}),
        Slip(2, "it works on accounts that nobody opened.", "04.1", {'account.status != "open"': 'account.status == "closed"'}),
        Slip(3, "it takes a deposit of 0.", "04.1", {"command.amount <= 0": "command.amount < 0"}),
        Slip(3, "it looks at the amounts of withdrawals alone.", "04.1", {"RecordDeposit() | WithdrawCash() if": "WithdrawCash() if"}),
        Slip(4, "it counts whole coins.", "04.1", {"command.amount > account.balance": "int(command.amount) > account.balance"}),
        Slip(5, "it closes an account that is nearly empty.", "04.1", {"account.balance != 0": "int(account.balance) != 0"}),
    ),
)  # fmt: skip


EXERCISES = (
    Exercise(
        id="04.1",
        title="The rules of the bank",
        minutes=10,
        difficulty="medium",
        keeps="bank_decisions.py",
        fast_track=True,
        checks=(
            opening_makes_an_account,
            money_is_moved,
            an_empty_account_is_closed,
            an_account_is_opened_once,
            nothing_else_works_unless_it_is_open,
            an_amount_is_more_than_zero,
            no_more_than_there_is,
            but_all_of_it,
            only_an_empty_account_is_closed,
            *looks(DECISIONS),
        ),
        hints=(
            "Begin with what goes well: for each of the four commands, return its event in a list. The first three checks "
            "ask for no more. Then add one rule after the other.",
            "The rules have an order that saves work. First deal with `OpenAccount`, the one command for an account that "
            'is not there yet. Below it, one `if account.status != "open"` covers all the rest.',
            "A rule is a case with a condition, above the case that allows it:\n\n```python\n"
            "case WithdrawCash() if command.amount > account.balance:\n"
            '    raise CommandRefused(f"there are {account.balance} in the account, not {command.amount}")\n'
            "case WithdrawCash():\n"
            "    return [CashWithdrawn(account.account_id, command.amount, command.cashier_id)]\n```",
            "The frame of the whole:\n\n```python\n"
            "if isinstance(command, OpenAccount):\n"
            '    if account.status != "unknown":\n        raise CommandRefused(...)\n'
            "    return [AccountOpened(command.account_id, command.currency)]\n"
            'if account.status != "open":\n    raise CommandRefused(...)\n'
            "match command:\n"
            "    case RecordDeposit() | WithdrawCash() if command.amount <= 0:\n        raise CommandRefused(...)\n"
            "    case RecordDeposit():\n        return [...]\n```\n\n"
            "and so on, with a case that refuses and a case that allows for `WithdrawCash` and for `CloseAccount`.",
        ),
    ),
    Exercise(
        id="04.2",
        title="Handle a command",
        minutes=12,
        difficulty="hard",
        keeps="decider.py",
        given=core_schema(),
        checks=(
            it_appends_what_was_decided,
            it_expects_the_version_it_read,
            it_returns_state_and_version,
            every_kind_of_stream_will_do,
            a_refusal_gets_through,
            no_events_no_append,
            a_commands_events_go_together,
            a_conflict_is_decided_again,
            the_money_may_be_gone,
            attempts_are_bounded,
            other_errors_get_through,
            *looks(*HANDLED),
        ),
        hints=(
            "Write it without any conflict first: load, decide, append at the version you loaded, and return. That passes "
            "the first checks. Then put a loop around all of it.",
            "`for attempt in range(1, attempts + 1):`, and inside it the whole round, from `aggregate_stream` on. `try` "
            "around the append alone, and `except WrongExpectedVersion:`. What tells the last attempt from the others?",
            "After the append, or without one, the state has to see the new events: "
            "`for event in events: state = decider.evolve(state, event)`. Then `return state, version`.",
            "The middle of it:\n\n```python\n"
            "state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)\n"
            "events = decider.decide(command, state)\n"
            "try:\n"
            "    if events:\n"
            "        version = store.append(stream_id, events, expected_version=version).version\n"
            "except WrongExpectedVersion:\n"
            "    if attempt == attempts:\n"
            "        raise\n"
            "    continue\n```",
        ),
    ),
    Exercise(
        id="04.3",
        title="Given, when, then",
        minutes=9,
        difficulty="medium",
        keeps="test_bank_account.py",
        checks=(
            there_are_scenarios,
            a_right_bank_passes,
            a_failure_gets_out,
            a_wrong_payment_is_told,
            all_of_it_may_go,
            an_overdraft_is_told,
            an_account_must_be_open,
            an_amount_must_be_positive,
        ),
        hints=(
            "One scenario a rule, and one more where a rule has an edge. Begin with a withdrawal that is paid: some of "
            "what there is, and no more.",
            "Go to the edges: all there is, and a little more than that. And vary the history: an account from which "
            "something was withdrawn before; one that was closed with money in it; none at all, `given()`.",
            "Two of them:\n\n```python\n"
            "given(opened, paid_in).when(withdraw(100)).then(withdrawn(100))\n"
            "given(opened, paid_in, withdrawn(30)).when(withdraw(71)).then_refused()\n```\n\n"
            "An account that is closed and still holds money has the history `opened, paid_in, closed`.",
        ),
    ),
    Exercise(
        id="04.4",
        title="Hunt: a bank with one fault",
        minutes=4,
        difficulty="medium",
        keeps="test_suspicious_bank.py",
        checks=(there_are_scenarios, *checks_of(HUNT)),
        hunt=HUNT,
        hints=(
            "Go through the five rules. For each, write a scenario that a right bank holds, and run it in a cell of its own "
            'on your bank, `given = suspect("04.4")`. Where one fails, you have the rule.',
            "If all of them hold, you stayed in the middle. Go to the edge of each rule: an amount of 0, a cent, an account "
            "that was closed, and one that never was.",
            'An account that was closed has the history `opened, AccountClosed("account-1")`; one with a cent in it, '
            '`opened, paid_in("0.01")`. What may be done to them?',
            "For rule 4, say:\n\n```python\n"
            'given(opened, paid_in(100)).when(WithdrawCash(Decimal("100.50"), "cashier-7")).then_refused()\n'
            "return 4\n```\n\nYours may break another one.",
        ),
    ),
)
