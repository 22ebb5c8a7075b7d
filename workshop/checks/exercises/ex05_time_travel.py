"""The exercises of notebook 05: the fold of a part of a stream, and the history of a state."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd

from eventstore import EventStore

from ...bank import BankAccount, evolve
from ...bank.examples import closed, deposited, employed, opened, withdrawn
from ..arranged import FIRST_MOMENT, append, many, moment, put
from ..exercise import Exercise
from ..given import core_schema
from ..guard import is_own
from ..looks import looks
from ..sandbox import Sandbox
from ..scene import Advice, Call, Cases, Scene, Somebody
from ..stage import Stage
from .ex03_aggregation import FOLD, FOLD_OF, INITIALS, STREAMS, collect

HISTORY = [opened(), deposited("100.00"), deposited("50.00"), withdrawn("30.00")]
BALANCES = [Decimal("0.00"), Decimal("100.00"), Decimal("150.00"), Decimal("120.00")]


def history(sandbox: Sandbox) -> tuple[EventStore, list[datetime]]:
    """Append the history, each event at a moment of its own; return the store and the moments."""
    store = sandbox.store()
    for event in HISTORY:
        store.append("account-1", [event])
    return store, [recorded.recorded_at for recorded in store.read_stream("account-1")]


def account_at(sandbox: Sandbox, store: EventStore, **limits: Any) -> tuple[BankAccount, int]:
    """Return what the learner's function returns, which must be a state and a version."""
    returned = sandbox.answer(store, "account-1", BankAccount(), evolve, **limits)
    assert isinstance(returned, tuple) and len(returned) == 2, (
        f"aggregate_stream should return the state and the version: `return state, version`. It returned {returned!r}."
    )
    state, version = returned
    assert isinstance(state, BankAccount), (
        f"{asked(limits)}the state should be a BankAccount, as `initial` is, and come first. You returned {state!r} and "
        f"{version!r}{': swapped?' if isinstance(version, BankAccount) else '.'}"
    )
    return returned


def asked(limits: dict[str, Any]) -> str:
    """Say which limits were given, to begin a sentence with."""
    return f"Asked with {', '.join(f'{name}={value!r}' for name, value in limits.items())}, " if limits else ""


def money(amount: Any) -> str:
    """Return an amount as all are told: 0 reads like 0.00."""
    return f"{amount:.2f}" if isinstance(amount, Decimal) else repr(amount)


def must_be(returned: tuple[BankAccount, Any], balance: Decimal, version: int, when: str, advice: str) -> None:
    account, found = returned
    assert account.balance == balance, (
        f"{when} the balance was {money(balance)}. You returned {money(account.balance)}, and version {found!r}. {advice}"
    )
    assert found == version, (
        f"{when} the last event was version {version}. You returned version {found!r}, with the right balance. {advice}"
    )


# 05.1 The state at a version, at a moment


def without_limits_it_is_the_state_now(sandbox: Sandbox) -> None:
    """Without limits it is the state now"""
    store, _ = history(sandbox)
    account, version = account_at(sandbox, store)
    assert version or account != BankAccount(), (
        "Without limits no event was read, and there are four. Where `until` is left out there is no limit: its default is "
        "None. A default such as now() is worked out once, when the function is defined."
    )
    assert account != BankAccount(), (
        f"Four events were read, up to version {version!r}, and the state came back as it went in. Does evolve get the event "
        "itself, `recorded.event`, and is what it returns kept?"
    )
    assert account.balance == Decimal("120.00"), (
        f"All four events leave a balance of 120.00. Yours is {money(account.balance)}: is every event folded, once?"
    )
    assert version == 4, f"The last event has version 4. You returned version {version!r}."


def at_a_version(sandbox: Sandbox) -> None:
    """It stops at a version, that one included"""
    store, _ = history(sandbox)
    for to_version, balance in enumerate(BALANCES, start=1):
        must_be(
            account_at(sandbox, store, to_version=to_version),
            balance,
            to_version,
            f"At version {to_version}",
            "`to_version` is the last version to take in; read_stream has a parameter of the same name.",
        )


def at_a_moment(sandbox: Sandbox) -> None:
    """It stops at a moment, that one included"""
    sandbox.put("account-1", *HISTORY)  # one a day, at noon
    store, moments = sandbox.store(), [moment(version) for version in (1, 2, 3, 4)]
    for number, (at, balance) in enumerate(zip(moments, BALANCES, strict=True), start=1):
        must_be(
            account_at(sandbox, store, until=at),
            balance,
            number,
            f"At the very moment of version {number}",
            "`until` includes its end; read_stream has a parameter of the same name.",
        )
    _, version = account_at(sandbox, store, until=moments[-1] + timedelta(days=1))
    assert version == 4, f"A day after the last event, the version is 4. You returned {version!r}."


def at_every_hour_of_every_zone(sandbox: Sandbox) -> None:
    """A moment is more than a date, and the same in every zone"""
    sandbox.put("account-1", *HISTORY)  # one a day, at noon
    store = sandbox.store()
    must_be(
        account_at(sandbox, store, until=moment(3) - timedelta(hours=1)),
        BALANCES[1],
        2,
        "Version 3 was recorded at noon. An hour before, on the same date,",
        "A moment has a time of day, too.",
    )
    for zone in (timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-8))):
        at = moment(3).astimezone(zone)
        must_be(
            account_at(sandbox, store, until=at),
            BALANCES[2],
            3,
            f"At {at}, which is the very moment of version 3 as another time zone tells it,",
            "Compare moments as they are: without its tzinfo, noon in Warsaw is taken for noon in Greenwich.",
        )


def no_zone_no_moment(sandbox: Sandbox) -> None:
    """A moment without a zone is refused"""
    sandbox.put("account-1", *HISTORY)
    at = moment(3).replace(tzinfo=None)
    try:
        _, version = account_at(sandbox, sandbox.store(), until=at)
    except AssertionError:
        raise
    except Exception:
        return
    raise AssertionError(
        f"until={at!r} has no time zone, so it says no moment. Your function guessed a zone, and returned version {version!r}: "
        "a guess gives a wrong answer that looks right. Hand `until` on as it came: read_stream refuses it."
    )


def before_the_beginning(sandbox: Sandbox) -> None:
    """Before the first event there is nothing yet"""
    store, moments = history(sandbox)
    for limits in ({"until": moments[0] - timedelta(days=1)}, {"to_version": 0}):
        try:
            account, version = account_at(sandbox, store, **limits)
        except (IndexError, UnboundLocalError, TypeError) as error:
            raise AssertionError(
                f"Where no event is read, your function raised {type(error).__name__}: {error}. "
                "Begin with `state, version = initial, 0`, before the loop."
            ) from None
        assert (account, version) == (BankAccount(), 0), (
            f"{asked(limits)}before the first event, the state is `initial`, and the version 0. You returned {account!r} and "
            f"{version!r}.{' In an `if`, or before an `or`, 0 counts as false: ask `is not None`.' * ('to_version' in limits)}"
        )


def both_limits_hold(sandbox: Sandbox) -> None:
    """With both limits, both hold"""
    store, moments = history(sandbox)
    for to_version, until, expected in ((2, moments[3], 2), (4, moments[1], 2)):  # either is the narrower one
        _, version = account_at(sandbox, store, to_version=to_version, until=until)
        assert version == expected, (
            f"Up to version {to_version} and up to the moment of version {moments.index(until) + 1}, the last event is "
            f"version {expected}. You returned {version!r}: the narrower of the two limits counts."
        )


LIMITED = Advice(
    "Where `until` or `to_version` is None, it limits nothing: an event ahead of the clock is read, too. Else they are the last "
    "moment, and the last version, to take in; versions need not begin at 1, so they are no places in a list. "
    + FOLD_OF.outcome
)
_NOON = moment(3)
_AT = (
    *(_NOON + timedelta(microseconds=more) for more in (-1, 0, 1)),
    *(_NOON.astimezone(timezone(timedelta(minutes=minutes))) for minutes in (345, -480)),
    _NOON - timedelta(hours=11),
    FIRST_MOMENT - timedelta(microseconds=1),
    moment(12),
    datetime(9999, 12, 31, tzinfo=UTC),
)
STATES = (
    Cases(
        call=FOLD,
        story="account-1 holds the versions 1 to 12, one a day at noon from 1 March 2025 on; account-10 9 and 10; Account-1 three of "
        "one moment; a one event, 2147483648, of the year 2999",
        before=STREAMS,
        given=(
            *(
                ("account-1", (), collect, {"to_version": version})
                for version in (None, 0, 1, 2, 9, 10, 11, 13, 2**31, 10**10)
            ),
            *(("account-1", (), collect, {"until": at}) for at in (None, *_AT)),
            *(
                ("account-1", (), collect, {"to_version": version, "until": at})
                for version in (2, 4, None)
                for at in _AT[:2]
            ),
            *(
                (stream_id, (), collect, {"until": FIRST_MOMENT})
                for stream_id in ("account-10", "Account-1", "a", "nobody-1")
            ),
            *(
                (stream_id, (), collect, {"to_version": 9})
                for stream_id in ("account-10", "Account-1", "a", "nobody-1")
            ),
            *((stream_id, *INITIALS[-2]) for stream_id in ("account-10", "a")),
            *(("account-1", *fold, {"to_version": 3}) for fold in INITIALS),
            *(("account-1", *fold, {"to_version": 0}) for fold in INITIALS),
        ),
        advice=LIMITED,
    ),
    *(
        Scene(
            call=FOLD,
            story="account-1 holds four events",
            before=put("account-1", *HISTORY, row=True),
            given=("account-1", (), collect, limits),
            somebody=(Somebody("deposited 100 in account-1", append("account-1", deposited(100))),),
            stranger=Somebody("deposits 100 in account-1", append("account-1", deposited(100))),
            breaks=not limits,
            advice=LIMITED,
        )
        for limits in ({}, {"to_version": 5})
    ),
)


# 05.2 The history of a balance


def frame(sandbox: Sandbox, store: EventStore, stream_id: str = "account-1") -> pd.DataFrame:
    """Return what the learner's function returns, which must be a data frame with the columns asked for."""
    try:
        returned = sandbox.answer(store, stream_id)
    except AttributeError as error:
        if is_own(error, sandbox.answer) and "'balance'" not in str(error):
            raise  # it is about something else
        raise AssertionError(
            f"Your function raised AttributeError: {error}. Does the fold begin with a state? Without `initial=BankAccount()`, "
            "accumulate takes the first event for it."
        ) from error
    assert isinstance(returned, pd.DataFrame), (
        f"balance_history should return a data frame; it returned {type(returned).__name__}."
    )
    columns = ["version", "recorded_at", "type", "balance"]
    index = [name for name in returned.index.names if name in columns and name not in returned.columns]
    assert not index, f"{index[0]} is the index of your data frame, and no column: .reset_index() makes it one."
    assert list(returned.columns) == columns, f"The columns should be {columns}. They are {list(returned.columns)}."
    return returned


def one_row_for_each_event(sandbox: Sandbox) -> None:
    """There is one row for each event"""
    store, _ = history(sandbox)
    rows = frame(sandbox, store)
    assert len(rows) == 4, f"The stream has four events, your data frame has {len(rows)} rows. " + (
        "`accumulate` with `initial` returns one value more than there are events: the first is before all of them."
        if len(rows) > 4
        else "Each event has its row, also one that moves no money, such as AccountOpened: no filter."
    )


def each_balance_is_the_one_after_its_event(sandbox: Sandbox) -> None:
    """Each balance is the one after its event"""
    store, _ = history(sandbox)
    balances = list(frame(sandbox, store)["balance"])
    assert balances[1:] != [event.amount for event in HISTORY[1:]], (  # type: ignore[attr-defined]
        f"The column holds {', '.join(map(money, balances[1:]))}: the amounts of the events. A balance is what they add up to: "
        "that of the state after each event."
    )
    assert balances != [Decimal("0.00"), *BALANCES[:-1]], (
        f"The balances are {', '.join(map(money, balances))}: each one is the balance before its event. "
        "Leave out the first state that `accumulate` returns, not the last."
    )
    assert len(set(balances)) > 1, (
        f"Every row has the balance {money(balances[0])}: that is the end of the history, not its course. "
        "`accumulate` keeps every step of the fold."
    )
    assert balances == BALANCES, (
        f"The balances should be {', '.join(map(money, BALANCES))}. They are {', '.join(map(money, balances))}."
    )


def money_stays_decimal(sandbox: Sandbox) -> None:
    """Money stays a Decimal"""
    store, _ = history(sandbox)
    for row, balance in enumerate(frame(sandbox, store)["balance"], start=1):
        assert balance is None or isinstance(balance, Decimal), (
            f"The balance in row {row} is {balance!r}, of type {type(balance).__name__}. Put the Decimal of the state into the "
            "data frame as it is (a float would lose cents sooner or later), and begin with one: Decimal(0), not 0."
        )


def versions_types_and_moments_are_the_events_own(sandbox: Sandbox) -> None:
    """Versions, types and moments are the events' own"""
    store, moments = history(sandbox)
    rows = frame(sandbox, store)
    assert list(rows["version"]) == [1, 2, 3, 4], f"The versions are {list(rows['version'])}, and should be 1 to 4."
    types = [type(event).__name__ for event in HISTORY]
    assert list(rows["type"]) == types, (
        f"The types are {list(rows['type'])}. The name under which an event is stored is `recorded.type`."
    )
    assert all(getattr(at, "tzinfo", None) for at in rows["recorded_at"]), (
        "The moments have lost their time zone, and say no moment any more. Put `recorded.recorded_at` into the frame as it is."
    )
    found = list(pd.to_datetime(rows["recorded_at"], utc=True))
    assert found == list(pd.to_datetime(pd.Series(moments), utc=True)), (
        "The moments are not those at which the events were recorded. They stand in `recorded.recorded_at`."
    )


def an_empty_stream_has_an_empty_history(sandbox: Sandbox) -> None:
    """A stream without events has an empty history"""
    store = sandbox.store()
    try:
        rows = frame(sandbox, store, "account-2")
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise AssertionError(
            f"For a stream without events your function raised {type(error).__name__}: {error}. "
            "It should return a data frame with the four columns and no rows."
        ) from None
    assert len(rows) == 0, f"account-2 has no events, and your data frame has {len(rows)} rows."


def _history(balance_history: Any, stage: Stage, stream_id: str) -> Any:
    return balance_history(stage.store(), stream_id)


OF_FRAME = Advice(
    "Read the stream once: two readings get two answers. One row for each event of it, in order: its own version (`recorded.version`: no count, for the "
    "beginning may lie in an archive), its own moment, with its zone, its type, and the balance after it, a Decimal.",
)
FRAMES = (
    Cases(
        call=Call("balance_history(store, {})", _history),
        story="account-1 holds the versions 1 to 5, account-10 9 to 12, Account-1 three of one moment",
        before="".join(
            (
                put("account-1", opened(), deposited(100), employed(), withdrawn("0.005"), closed(), row=True),
                put(
                    "account-10",
                    *[deposited("0.10", "account-10")] * 3,
                    withdrawn("99.99", "account-10"),
                    first=9,
                    row=True,
                ),
                put("Account-1", opened("Account-1", "EUR"), deposited(1), deposited(1), at=lambda _: FIRST_MOMENT),
                put(
                    "a",
                    deposited("12345678901234567.89", "a"),
                    first=2**31,
                    at=lambda _: "2999-01-01 00:00:00.123456+00",
                ),
                put("employed-1", employed(), row=True),
                many("long-1", 120, deposited(1)),
            )
        ),
        given=tuple(
            (id,)
            for id in ("account-1", "account-10", "Account-1", "a", "employed-1", "long-1", " account-1", "nobody-1")
        ),
        advice=OF_FRAME,
    ),
    Scene(
        call=Call("balance_history(store, {})", _history),
        story="account-1 holds four events",
        before=put("account-1", *HISTORY, row=True),
        given=("account-1",),
        somebody=(Somebody("deposited 100 in account-1", append("account-1", deposited(100))),),
        stranger=Somebody("deposits 100 in account-1", append("account-1", deposited(100))),
        advice=OF_FRAME,
    ),
)


EXERCISES = (
    Exercise(
        id="05.1",
        title="The state at a version, at a moment",
        minutes=2,
        difficulty="easy",
        keeps="aggregation.py",
        given=core_schema(),
        checks=(
            without_limits_it_is_the_state_now,
            at_a_version,
            at_a_moment,
            at_every_hour_of_every_zone,
            no_zone_no_moment,
            before_the_beginning,
            both_limits_hold,
            *looks(*STATES),
        ),
        hints=(
            "Which part of the stream is read is `read_stream`'s business. What is left for you is the fold of "
            "notebook 03.",
            "`store.read_stream(stream_id, to_version=to_version, until=until)`: where a limit is None, there is none.",
            "```python\n"
            "state, version = initial, 0\n"
            "for recorded in store.read_stream(stream_id, to_version=to_version, until=until):\n"
            "    ...\n```\n\nInside the loop, move the state on by `recorded.event`, and remember `recorded.version`.",
        ),
    ),
    Exercise(
        id="05.2",
        title="The history of a balance",
        minutes=6,
        difficulty="medium",
        keeps="balance_history.py",
        given=core_schema(),
        checks=(
            one_row_for_each_event,
            money_stays_decimal,
            each_balance_is_the_one_after_its_event,
            versions_types_and_moments_are_the_events_own,
            an_empty_stream_has_an_empty_history,
            *looks(*FRAMES),
        ),
        hints=(
            "Read the stream once, and keep the list. From it you get the states with `accumulate`, and the rows with "
            "`zip`.",
            "`accumulate((r.event for r in recorded), evolve, initial=BankAccount())` begins with the state before the "
            "first event. `_, *states = ...` leaves that one out.",
            "Each row is `(r.version, r.recorded_at, r.type, state.balance)`, for `r, state in zip(recorded, states)`.",
        ),
    ),
)
