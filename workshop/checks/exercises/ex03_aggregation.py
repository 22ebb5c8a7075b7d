"""The exercises of notebook 03: events folded into a state, a stream folded from the store, an event of an older shape."""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import FrozenInstanceError, dataclass
from decimal import Decimal, InvalidOperation
from types import SimpleNamespace
from typing import Any

from eventstore import EventStore

from ... import bank
from ...bank import examples
from ...bank.examples import deposited, withdrawn
from ...bank.examples import opened as opened_account
from ..arranged import FIRST_MOMENT, append, many, put
from ..exercise import Exercise
from ..given import core_schema
from ..guard import is_own
from ..looks import looks
from ..sandbox import Sandbox, tell
from ..scene import Advice, Call, Cases, Scene, Somebody
from ..stage import Stage

# 03.1 evolve

CLASSES = ("AccountOpened", "DepositRecorded", "CashWithdrawn", "AccountClosed", "BankAccount")


@dataclass(frozen=True)
class AddressChanged:
    """An event that the learner's function has never heard of."""

    account_id: str
    amount: str


def given(sandbox: Sandbox) -> SimpleNamespace:
    """Return the classes of the learner's own cell: their `match` fits these, and no others of the same names."""
    cell = sandbox.answer.cell
    missing = [name for name in CLASSES if name not in cell]
    assert not missing, (
        f"The cell defines no {' and no '.join(missing)}. The classes above `evolve` are given: put them back."
    )
    return SimpleNamespace(**{name: cell[name] for name in CLASSES})


def after(sandbox: Sandbox, account: Any, *events: object) -> Any:
    """Return what the learner's function makes of an account and events, one after the other."""
    for event in events:
        before = account
        changes_it = (
            f"For {event} your function tried to change the account itself: {{error}}. Return a new one: "
            "`replace(account, ...)`."
        )
        try:
            with tell({FrozenInstanceError: changes_it}):
                account = sandbox.answer(account, event)
        except TypeError as error:
            if not re.search("operand|concatenate|sequence", str(error)):
                raise  # it is about something else
            raise AssertionError(
                f"For {event} your function raised TypeError: {error}. `case {type(event).__name__}(amount)` picks the first field, "
                "which is account_id: pick it by its name, `amount=amount`. And money is a Decimal, from Decimal(0) on."
            ) from None
        assert account is not None, f"For {event} your function returned None. Each case needs a `return`."
        assert isinstance(account, type(before)), (
            f"For {event} your function returned {account!r}. It should return a BankAccount; the account comes first, then "
            "the event: `evolve(account, event)`."
        )
    return account


def opened(sandbox: Sandbox, *events: object, account_id: str = "account-1") -> Any:
    """Return what the learner's function makes of an account that was opened, and of more events."""
    cell = given(sandbox)
    return after(sandbox, cell.BankAccount(), cell.AccountOpened(account_id, "PLN"), *events)


def an_account_is_opened(sandbox: Sandbox) -> None:
    """An account is opened"""
    account = opened(sandbox)
    expected = given(sandbox).BankAccount("account-1", "PLN", Decimal(0), "open")
    assert account == expected, f"AccountOpened('account-1', 'PLN') should give {expected}. It gave {account}."
    assert isinstance(account.balance, Decimal), (
        f"The balance is {account.balance!r}, of the type {type(account.balance).__name__}. Money is a Decimal: `Decimal(0)`."
    )


def deposits_add_up(sandbox: Sandbox) -> None:
    """Deposits add up"""
    cell = given(sandbox)
    deposits = [
        cell.DepositRecorded("account-1", Decimal(amount), "cashier-7") for amount in ("100.00", "20.50", "20.50")
    ]
    account = opened(sandbox, *deposits)
    assert account.balance != Decimal("120.50"), (
        "Deposits of 100.00, 20.50 and once more 20.50 are 141.00. You have 120.50: the third was taken for a repetition "
        "of the second. Two equal events are two facts."
    )
    assert account.balance != Decimal("20.50"), (
        "Deposits of 100.00, 20.50 and 20.50 are 141.00. You have 20.50, the last one alone: add it to the balance that "
        "the account has."
    )
    assert account.balance == Decimal("141.00"), (
        f"Deposits of 100.00, 20.50 and 20.50 are 141.00. You have {account.balance!r}."
    )
    expected = cell.BankAccount("account-1", "PLN", Decimal("141.00"), "open")
    assert account == expected, (
        f"A deposit changes the balance and nothing else. The account should be {expected}, it is {account}. "
        "`replace(account, balance=...)` keeps the other fields."
    )


def withdrawals_are_taken_off(sandbox: Sandbox) -> None:
    """Withdrawals are taken off"""
    cell = given(sandbox)
    account = opened(
        sandbox,
        cell.DepositRecorded("account-1", Decimal("100.00"), "cashier-7"),
        cell.CashWithdrawn("account-1", Decimal("30.00"), "cashier-8"),
    )
    assert account.balance != Decimal("130.00"), (
        "100.00 paid in and 30.00 withdrawn leave 70.00. You have 130.00: the withdrawal was added."
    )
    assert account.balance != Decimal("100.00"), (
        "100.00 paid in and 30.00 withdrawn leave 70.00. You have 100.00: is there a case for CashWithdrawn?"
    )
    assert account == cell.BankAccount("account-1", "PLN", Decimal("70.00"), "open"), (
        f"100.00 paid in and 30.00 withdrawn leave an open account with 70.00. You have {account}."
    )


def closing_changes_the_status(sandbox: Sandbox) -> None:
    """Closing changes the status, and nothing else"""
    cell = given(sandbox)
    account = opened(
        sandbox,
        cell.DepositRecorded("account-1", Decimal("5.00"), "cashier-7"),
        cell.AccountClosed("account-1"),
    )
    assert account.status == "closed", f"After AccountClosed the status is 'closed'. Yours is {account.status!r}."
    expected = cell.BankAccount("account-1", "PLN", Decimal("5.00"), "closed")
    assert account == expected, (
        f"AccountClosed moves no money and renames nothing. The account should be {expected}, it is {account}."
    )


def other_events_change_nothing(sandbox: Sandbox) -> None:
    """Events it does not know change nothing"""
    before = opened(sandbox, given(sandbox).DepositRecorded("account-1", Decimal("5.00"), "cashier-7"))
    event = AddressChanged("account-1", "12 Long Street")
    try:
        account = sandbox.answer(before, event)
    except Exception as error:
        raise AssertionError(
            f"Your function met an event that it does not know, {event}, and raised {type(error).__name__}: {error}. "
            "Streams outlive programs: pass over what you have no use for, with `case _: return account`."
        ) from None
    assert account is not None, (
        f"Your function met an event that it does not know, {event}, and returned None. The account is as it was: "
        "`case _: return account`."
    )
    assert account == before, (
        f"An event that it does not know, {event}, should change nothing. It gave {account}. Is there a case that matches "
        "everything? `case AccountClosed:` without brackets does, for that is a new name: `case AccountClosed():`."
    )


def the_old_account_stays(sandbox: Sandbox) -> None:
    """The account before the event stays as it was"""
    cell = given(sandbox)
    before = opened(sandbox, cell.DepositRecorded("account-1", Decimal("100.00"), "cashier-7"))
    for event in (
        cell.DepositRecorded("account-1", Decimal("1.00"), "cashier-7"),
        cell.CashWithdrawn("account-1", Decimal("1.00"), "cashier-7"),
        cell.AccountClosed("account-1"),
    ):
        copy = deepcopy(before)
        after(sandbox, before, event)
        assert before == copy, (
            f"For {event} your function changed the account that it was given, from {copy} to {before}. Whoever still "
            "holds that account sees it change. Return a new one: `replace(account, ...)`."
        )


def it_does_not_judge(sandbox: Sandbox) -> None:
    """It takes every event for a fact"""
    cell = given(sandbox)
    deposit = cell.DepositRecorded("account-1", Decimal("100.00"), "cashier-7")
    for events, balance, story in (
        (
            (deposit, cell.CashWithdrawn("account-1", Decimal("130.00"), "cashier-7")),
            "-30.00",
            "more was withdrawn than there was",
        ),
        ((cell.AccountClosed("account-1"), deposit), "100.00", "a deposit was recorded after the account was closed"),
    ):
        try:
            account = opened(sandbox, *events)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"In this stream {story}, and your function raised {type(error).__name__}: {error}. It has happened all "
                "the same, and now nobody can read the stream. Rules belong to the decision, before there is an event."
            ) from None
        assert account.balance == Decimal(balance), (
            f"In this stream {story}: the balance is {balance}. Yours is {account.balance}. An event is a fact, whatever "
            "the rules are today."
        )


def it_depends_on_its_arguments_alone(sandbox: Sandbox) -> None:
    """It depends on its two arguments and on nothing else"""
    cell = given(sandbox)
    one, other = opened(sandbox), opened(sandbox, account_id="account-2")
    for amount in ("100.00", "7.00"):
        one = after(sandbox, one, cell.DepositRecorded("account-1", Decimal(amount), "cashier-7"))
        other = after(sandbox, other, cell.DepositRecorded("account-2", Decimal("1.00"), "cashier-7"))
    assert (one.balance, other.balance) == (107, 2), (
        "Two accounts were read side by side. Their balances should be 107.00 and 2.00, they are "
        f"{one.balance} and {other.balance}. Does your function keep something between two calls? All that it may know is "
        "in the account and in the event."
    )


def money_stays_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    account = opened(sandbox, *[given(sandbox).DepositRecorded("account-1", Decimal("0.10"), "cashier-7")] * 3)
    assert isinstance(account.balance, Decimal) and account.balance == Decimal("0.30"), (
        f"Three deposits of 0.10 are Decimal('0.30'), to the cent. Yours: {account.balance!r}. Does an amount pass "
        "through a float?"
    )


FOLDS = Cases(
    call=Call("evolve({})", lambda evolve, stage, account, event: evolve(account, event), own_classes=True),
    given=tuple(
        (account, event)
        for account in examples.ACCOUNTS
        for event in (
            *(opened_account(id, currency) for id, currency in (("account-1", "PLN"), ("account-2", "EUR"), ("a", ""))),
            *(deposited(amount, account.account_id, "cashier-7") for amount in examples.AMOUNTS),
            *(kind("7.00", "account-99") for kind in (deposited, withdrawn)),
            *(withdrawn(amount, "account-1") for amount in examples.AMOUNTS),
            examples.closed(),
            examples.employed(),
            AddressChanged("account-1", "12 Long Street"),
            None,
        )
    ),
    in_database=False,
    advice=Advice(
        "An event has happened, whatever the account looks like and the amount is: evolve does not judge. It sets the fields "
        "that this event is about, and keeps the others."
    ),
)


# 03.2 aggregate_stream

OPENED, PAID_IN, WITHDRAWN = opened_account(), deposited(100), withdrawn(30)


def aggregated(
    sandbox: Sandbox,
    store: EventStore,
    stream_id: str = "account-1",
    initial: Any = None,
    evolve: Callable = bank.evolve,
) -> tuple[Any, Any]:
    """Return what the learner's function returns, which must be a state and a version."""
    try:
        returned = sandbox.answer(store, stream_id, bank.BankAccount() if initial is None else initial, evolve)
    except (AttributeError, TypeError, LookupError, UnboundLocalError) as error:
        advice = (
            "Begin with `state, version = initial, 0`, before the loop, and from there take each event in with "
            "`evolve(state, recorded.event)`. (reduce and accumulate begin with the first event where they are given no "
            "initial state.)"
        )
        if "'NoneType' object has no attribute 'version'" in str(error):
            advice = (
                "Did you ask `stream_info`? That is a second question: the version is that of the last event you read."
            )
        elif "positional argument" in str(error):
            advice = "The stream is read whole: `store.read_stream(stream_id)`. And `evolve(state, event)` takes two."
        elif (
            isinstance(error, (AttributeError, TypeError))
            and is_own(error, sandbox.answer)
            and "empty" not in str(error)
        ):
            raise  # it is about something else
        raise AssertionError(
            f"{stream_id} holds {len(store.read_stream(stream_id)) or 'no'} events, and your function raised "
            f"{type(error).__name__}: {error}. {advice}"
        ) from error
    assert isinstance(returned, tuple) and len(returned) == 2, (
        f"aggregate_stream should return the state and the version: `return state, version`. It returned {returned!r}."
    )
    return returned


def collect(events: tuple, event: object) -> tuple:
    """Be an evolve whose state says which events it met."""
    return (*events, event)


def the_events_are_folded(sandbox: Sandbox) -> None:
    """The events are folded into a state"""
    store = sandbox.store()
    store.append("account-1", [OPENED, PAID_IN, WITHDRAWN])
    account, _ = aggregated(sandbox, store)
    assert account != bank.BankAccount(), (
        "account-1 holds three events, and the account came back as it went in. Is the outcome of each step kept "
        "(`state = evolve(state, ...)`), and does evolve get the event itself (`recorded.event`)?"
    )
    assert isinstance(account, bank.BankAccount), (
        f"The state should be a BankAccount, as the initial one was. It is {account!r}. evolve takes the state first, "
        "then the event."
    )
    assert account == bank.BankAccount("account-1", "PLN", Decimal("70.00"), "open"), (
        f"100.00 paid in and 30.00 withdrawn should leave an open account with 70.00. You have {account}."
    )


def each_event_once_in_order(sandbox: Sandbox) -> None:
    """Each event is folded once, in the order of the stream"""
    store = sandbox.store()
    store.append("account-1", [OPENED, PAID_IN, WITHDRAWN])
    events, _ = aggregated(sandbox, store, initial=(), evolve=collect)
    assert isinstance(events, tuple), (
        f"The initial state was an empty tuple, and evolve adds each event to it. The state became {events!r}. Fold with the "
        "`initial` and the `evolve` that you are given, whatever they are."
    )
    names = [type(event).__name__ for event in events]
    expected = ["AccountOpened", "DepositRecorded", "CashWithdrawn"]
    assert names == expected, f"evolve should meet {expected}, in this order. It met {names}."


def it_begins_from_the_initial_state(sandbox: Sandbox) -> None:
    """It begins from the state that it is given"""
    store = sandbox.store()
    store.append("account-1", [PAID_IN])
    initial = bank.BankAccount("account-1", "EUR", Decimal("5.00"), "open")
    account, _ = aggregated(sandbox, store, initial=initial)
    assert account == bank.BankAccount("account-1", "EUR", Decimal("105.00"), "open"), (
        f"From {initial}, a deposit of 100.00 leads to 105.00 EUR. You have {account}. Fold into `initial`, whatever it is."
    )


def no_events_version_0(sandbox: Sandbox) -> None:
    """No events: the initial state, at version 0"""
    account, version = aggregated(sandbox, sandbox.store(), "account-404")
    assert account == bank.BankAccount(), (
        f"A stream without events should give the initial state, {bank.BankAccount()}. It gave {account}."
    )
    assert version == 0 and isinstance(version, int), (
        f"A stream without events is at version 0: that is what its first writer expects. You returned {version!r}."
    )


def the_version_is_the_streams(sandbox: Sandbox) -> None:
    """The version is that of the last event in its stream"""
    store = sandbox.store()
    store.append("account-2", [OPENED, PAID_IN])  # so that a position in the log is no version
    end = store.append("account-1", [OPENED, PAID_IN, WITHDRAWN])
    _, version = aggregated(sandbox, store)
    assert version != end.position, (
        f"You returned {version}, the place of the last event in the whole log. Its place in the stream is "
        f"`recorded.version`: {end.version}."
    )
    assert version == 3, (
        f"account-1 holds three events, so the last one has version 3. You returned {version!r}. A writer who expects "
        "that version is refused, or overwrites a decision of somebody else's."
    )


def the_version_is_no_count(sandbox: Sandbox) -> None:
    """The version is read, not counted"""
    sandbox.put("account-1", deposited(100), deposited(20), first=5, row=True)
    _, version = aggregated(sandbox, sandbox.store())
    assert version == 6, (
        "The first four events of account-1 were moved to an archive. Two are left, with the versions 5 and 6. You "
        f"returned {version!r}; the last event's own version is 6: `recorded.version`. A count is not the version, nor is "
        "the answer to a second question."
    )


def counted(count: int, _: object) -> int:
    """Be an evolve whose first state is 0."""
    return count + 1


def last_open(_: object, event: object) -> object:
    """Be an evolve whose state may be None again."""
    return None if isinstance(event, bank.AccountClosed) else event


def refusing(_: object, event: object) -> object:
    """Be an evolve that breaks its word."""
    raise ValueError(f"no state takes {event}")


FOLD_OF = Advice(
    "The state is `initial` with each event of the stream taken in by the `evolve` that is given, once, in order. The version is "
    "that of the last one, 0 where there is none, and comes from the same read_stream: two questions get two answers. What evolve "
    "raises gets through.",
)
STREAMS = "".join(
    (
        put("account-1", opened_account(), *[deposited(1), withdrawn("0.50")] * 5, examples.closed(), row=True),
        put("account-10", deposited(7), withdrawn("99.99", "account-10"), first=9, row=True),
        put(
            "Account-1",
            opened_account("Account-1", "EUR"),
            deposited("0.005"),
            deposited("0.005"),
            at=lambda _: FIRST_MOMENT,
        ),
        put("a", examples.employed(), first=2**31, at=lambda _: "2999-01-01 00:00:00+00"),
    )
)
INITIALS = (
    ((), collect),
    ((PAID_IN,), collect),
    (0, counted),
    (7, counted),
    ("", last_open),
    (bank.BankAccount(), bank.evolve),
    (bank.BankAccount("account-7", "EUR", Decimal("-0.01"), "closed"), bank.evolve),
)


def _fold(
    aggregate: Any, stage: Stage, stream_id: str, initial: Any, evolve: Callable, limits: dict | None = None
) -> Any:
    return aggregate(stage.store(), stream_id, initial, stage.place(evolve), **limits or {})


FOLD = Call("aggregate_stream(store, {})", _fold)
AGGREGATES = (
    Cases(
        call=Call(FOLD.says, lambda aggregate, stage, *given: aggregate(stage.store(), *given)),  # 1001 places are none
        story="long-1 holds 1001 events",
        before=many("long-1", 1001, deposited(1)),
        given=(("long-1", *INITIALS[2]),),
        advice=FOLD_OF,
    ),
    Cases(
        call=FOLD,
        story="account-1 holds the versions 1 to 12, account-10 9 and 10, Account-1 1 to 3",
        before=STREAMS,
        given=tuple(
            (stream_id, *fold)
            for stream_id in ("account-1", "account-10", "Account-1", "a", " account-1", "nobody-1")
            for fold in ((*INITIALS, ("", refusing)) if stream_id in ("account-1", "nobody-1") else INITIALS[::5])
        ),
        advice=FOLD_OF,
    ),
    Scene(
        call=FOLD,
        story="account-1 holds three events",
        before=put("account-1", OPENED, PAID_IN, WITHDRAWN, row=True),
        given=("account-1", (), collect),
        somebody=(Somebody("deposited 100 in account-1", append("account-1", PAID_IN)),),
        stranger=Somebody("deposits 100 in account-1", append("account-1", PAID_IN)),
        advice=FOLD_OF,
    ),
)


# 03.3 upcast

OLD = {"account_id": "1", "amount_cents": 10050, "cashier": "cashier-7"}
NEW = {"account_id": "1", "amount": "100.50", "cashier_id": "cashier-7"}


def upcasted(sandbox: Sandbox, data: dict) -> Any:
    """Return what the learner's function makes of a copy of this event, which must be a dictionary."""
    try:
        returned = sandbox.answer(deepcopy(data))
    except KeyError as error:
        raise AssertionError(
            f"{data} has no field {error}, and your function asked for it. It gets the events of both shapes: look which "
            f'one it is, with `"amount_cents" in data`.'
        ) from None
    assert returned is not None, f"For {data} your function returned None. Is a `return` missing?"
    assert isinstance(returned, dict), (
        f"For {data} your function returned {returned!r}. It should return a dictionary, the JSON of the event."
    )
    return returned


def an_old_deposit_has_the_shape_of_today(sandbox: Sandbox) -> None:
    """An old deposit gets the fields of today"""
    returned = upcasted(sandbox, OLD)
    assert set(returned) == set(NEW), (
        f"An old deposit should come out with the fields {', '.join(NEW)}. Yours has {', '.join(returned) or 'none'}."
    )
    assert returned["account_id"] == "1" and returned["cashier_id"] == "cashier-7", (
        f"{OLD} should become {NEW}. It became {returned}."
    )


def the_amount_is_text(sandbox: Sandbox) -> None:
    """The amount is text, with two digits after the point"""
    amount = upcasted(sandbox, OLD)["amount"]
    assert isinstance(amount, str), (
        f"The amount is {amount!r}, of the type {type(amount).__name__}. Money is stored as text, such as '100.50': "
        "a number with a fraction would become a float somewhere."
    )
    assert amount == "100.50", f"10050 cents are '100.50', with two digits after the point. Yours: {amount!r}."


def every_cent_counts(sandbox: Sandbox) -> None:
    """Every cent counts"""
    for cents, amount in (
        (10000, "100.00"),
        (1, "0.01"),
        (5, "0.05"),
        (10, "0.10"),
        (0, "0.00"),
        (123456, "1234.56"),
        (9007199254740993, "90071992547409.93"),
    ):
        try:
            returned = upcasted(sandbox, {**OLD, "amount_cents": cents}).get("amount")
        except InvalidOperation as error:
            raise AssertionError(f"{cents} cents are {amount}, and your function raised {error!r}.") from None
        assert returned is not None, (
            f"{cents} cents are {amount!r}, and the event came out without an amount. 0 is a number like any other, and counts as "
            'false: ask whether the field is there, `"amount_cents" in data`.'
        )
        assert returned == amount, (
            f"{cents} cents are {amount!r}. Yours: {returned!r}. Divide as Decimal, and write two digits after the point: "
            'f"{...:.2f}". (`%.2f` and `round` make a float of it.)'
        )


def a_new_deposit_passes(sandbox: Sandbox) -> None:
    """A deposit of today passes as it is"""
    for data in (NEW, {**NEW, "amount": "0.05"}):
        returned = upcasted(sandbox, data)
        assert returned == data, (
            f"An event of today passes through the upcaster too, and should come out as it went in. {data} became {returned}."
        )


def what_it_was_given_stays(sandbox: Sandbox) -> None:
    """The dictionary that it was given stays as it was"""
    for data in (OLD, NEW):
        passed = deepcopy(data)
        sandbox.answer(passed)
        assert passed == data, (
            f"Your function changed the dictionary that it was given, from {data} to {passed}. Build a new one: what is "
            "given to you may be somebody else's."
        )


UPCASTS = Cases(
    call=Call("upcast({})", lambda upcast, _, data: upcast(data)),
    given=tuple(
        (data,)
        for data in (
            *(
                {**OLD, "amount_cents": cents}
                for cents in (*range(12), 99, 100, 101, 110, 999, 1000, 10**6, 2**31, 10**18 + 1)
            ),
            *({**OLD, "account_id": id, "cashier": f"cashier of {id}"} for id in examples.IDS),
            {**OLD, "note": "a field that nobody has any more"},
            {"cashier": "cashier-7", "amount_cents": 10050, "account_id": "1"},
            *(
                {**NEW, "amount": amount}
                for amount in ("0", "0.00", "5", "0.005", "1E+3", "-0.01", "99999999999999999999.99")
            ),
            *({**NEW, "account_id": id, "cashier_id": f"cashier of {id}"} for id in examples.IDS),
            {**NEW, "note": "a field that came later"},
            {**NEW, "of": {"deep": [1, None]}},
        )
    ),
    in_database=False,
    advice=Advice(
        "What has no amount_cents is of today, and is returned as it is: each field, each amount. What has is of 2019, and comes "
        "out with its three fields, the amount as text with two digits."
    ),
)


EXERCISES = (
    Exercise(
        id="03.1",
        title="Evolve",
        minutes=6,
        difficulty="medium",
        keeps="bank_account.py",
        fast_track=True,
        checks=(
            an_account_is_opened,
            deposits_add_up,
            withdrawals_are_taken_off,
            closing_changes_the_status,
            other_events_change_nothing,
            the_old_account_stays,
            it_does_not_judge,
            it_depends_on_its_arguments_alone,
            money_stays_exact,
            *looks(FOLDS),
        ),
        hints=(
            "It has the form of `evolve_card` above: `match event:`, one case for each event, each with a `return`.",
            "`AccountOpened` builds a new `BankAccount(...)`; the other three use `replace(account, ...)` with the one "
            "field that changes. Pick an amount by its name, for it is not the first field: "
            "`case DepositRecorded(amount=amount):`",
            "```python\n"
            "match event:\n"
            "    case AccountOpened(account_id, currency):\n"
            '        return BankAccount(account_id, currency, Decimal(0), "open")\n'
            "    case DepositRecorded(amount=amount):\n"
            "        return replace(account, balance=account.balance + amount)\n"
            "```\n\nThen the same for `CashWithdrawn`; `AccountClosed()` replaces the status; and at the end "
            "`case _: return account`.",
        ),
    ),
    Exercise(
        id="03.2",
        title="Aggregate a stream",
        minutes=3,
        difficulty="easy",
        keeps="aggregation.py",
        given=core_schema(),
        fast_track=True,
        checks=(
            the_events_are_folded,
            each_event_once_in_order,
            it_begins_from_the_initial_state,
            no_events_version_0,
            the_version_is_the_streams,
            the_version_is_no_count,
            *looks(*AGGREGATES),
        ),
        hints=(
            "Two variables and a loop. Before the loop: what are the state and the version of a stream without events?",
            "In the loop, each `recorded` gives you both: `recorded.event` for evolve, and `recorded.version`.",
            "```python\n"
            "state, version = initial, 0\n"
            "for recorded in store.read_stream(stream_id):\n"
            "    state = evolve(state, recorded.event)\n"
            "    version = ...\n"
            "```\n\nand `return state, version` after the loop.",
        ),
    ),
    Exercise(
        id="03.3",
        title="Upcast a deposit",
        minutes=5,
        difficulty="medium",
        keeps="upcasters.py",
        checks=(
            an_old_deposit_has_the_shape_of_today,
            the_amount_is_text,
            every_cent_counts,
            a_new_deposit_passes,
            what_it_was_given_stays,
            *looks(UPCASTS),
        ),
        hints=(
            "First see which shape you have. Only an old event has the field `amount_cents`. A new one is returned as it is.",
            "For an old one, build a new dictionary with the three fields of today. `Decimal(cents) / 100` is exact, and "
            'f"{...:.2f}" writes it with two digits.',
            "```python\n"
            'if "amount_cents" not in data:\n'
            "    return data\n"
            "return {\n"
            '    "account_id": data["account_id"],\n'
            '    "amount": f"{Decimal(data[\'amount_cents\']) / 100:.2f}",\n'
            '    "cashier_id": ...,\n'
            "}\n```",
        ),
    ),
)
