"""The exercises of notebook 05: the fold of a part of a stream, and the history of a state."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from eventstore import EventStore

from ...bank import BankAccount, evolve
from ...bank.examples import deposited, opened, withdrawn
from ..exercise import Exercise
from ..given import core_schema
from ..sandbox import Sandbox

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
    return returned


# 05.1 The state at a version, at a moment


def without_limits_it_is_the_state_now(sandbox: Sandbox) -> None:
    """Without limits it is the state now"""
    store, _ = history(sandbox)
    account, version = account_at(sandbox, store)
    assert account.balance == Decimal("120.00"), (
        f"All four events leave a balance of 120.00. Yours is {account.balance}: is every event folded, once?"
    )
    assert version == 4, f"The last event has version 4. You returned version {version!r}."


def at_a_version(sandbox: Sandbox) -> None:
    """It stops at a version, that one included"""
    store, _ = history(sandbox)
    for to_version, balance in enumerate(BALANCES, start=1):
        account, version = account_at(sandbox, store, to_version=to_version)
        assert (account.balance, version) == (balance, to_version), (
            f"At version {to_version} the balance was {balance}. You returned {account.balance} and version {version!r}. "
            "`to_version` is the last version to take in; read_stream has a parameter of the same name."
        )


def at_a_moment(sandbox: Sandbox) -> None:
    """It stops at a moment, that one included"""
    store, moments = history(sandbox)
    for number, (moment, balance) in enumerate(zip(moments, BALANCES, strict=True), start=1):
        account, version = account_at(sandbox, store, until=moment)
        assert (account.balance, version) == (balance, number), (
            f"At the very moment of version {number} the balance was {balance}. You returned {account.balance} and "
            f"version {version!r}. `until` includes its end; read_stream has a parameter of the same name."
        )
    account, version = account_at(sandbox, store, until=moments[-1] + timedelta(days=1))
    assert version == 4, f"A day after the last event, the version is 4. You returned {version!r}."


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
            f"Before the first event the state is `initial`, and the version 0. You returned {account!r} and {version!r}."
        )


def both_limits_hold(sandbox: Sandbox) -> None:
    """With both limits, both hold"""
    store, moments = history(sandbox)
    for to_version, until, expected in ((2, moments[3], 2), (4, moments[1], 2)):
        _, version = account_at(sandbox, store, to_version=to_version, until=until)
        assert version == expected, (
            f"Up to version {to_version} and up to the moment of version {moments.index(until) + 1}, the last event is "
            f"version {expected}. You returned {version!r}: the narrower of the two limits counts."
        )


# 05.2 The history of a balance


def frame(sandbox: Sandbox, store: EventStore, stream_id: str = "account-1") -> pd.DataFrame:
    """Return what the learner's function returns, which must be a data frame with the columns asked for."""
    returned = sandbox.answer(store, stream_id)
    assert isinstance(returned, pd.DataFrame), (
        f"balance_history should return a data frame; it returned {type(returned).__name__}."
    )
    columns = ["version", "recorded_at", "type", "balance"]
    assert list(returned.columns) == columns, f"The columns should be {columns}. They are {list(returned.columns)}."
    return returned


def one_row_for_each_event(sandbox: Sandbox) -> None:
    """There is one row for each event"""
    store, _ = history(sandbox)
    rows = frame(sandbox, store)
    assert len(rows) == 4, (
        f"The stream has four events, your data frame has {len(rows)} rows. "
        "`accumulate` with `initial` returns one value more than there are events: the first is before all of them."
    )


def each_balance_is_the_one_after_its_event(sandbox: Sandbox) -> None:
    """Each balance is the one after its event"""
    store, _ = history(sandbox)
    balances = list(frame(sandbox, store)["balance"])
    assert balances != [Decimal("0.00"), *BALANCES[:-1]], (
        f"The balances are {[str(b) for b in balances]}: each one is the balance before its event. "
        "Leave out the first state that `accumulate` returns, not the last."
    )
    assert len(set(balances)) > 1, (
        f"Every row has the balance {balances[0]}: that is the end of the history, not its course. "
        "`accumulate` keeps every step of the fold."
    )
    assert balances == BALANCES, (
        f"The balances should be {[str(b) for b in BALANCES]}. They are {[str(b) for b in balances]}."
    )


def money_stays_decimal(sandbox: Sandbox) -> None:
    """Money stays a Decimal"""
    store, _ = history(sandbox)
    kinds = {type(balance).__name__ for balance in frame(sandbox, store)["balance"]}
    assert kinds == {"Decimal"}, (
        f"The balances are of type {', '.join(sorted(kinds))}. Put the Decimal of the state into the data frame as it "
        "is; a float would lose cents sooner or later."
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
            before_the_beginning,
            both_limits_hold,
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
            each_balance_is_the_one_after_its_event,
            money_stays_decimal,
            versions_types_and_moments_are_the_events_own,
            an_empty_stream_has_an_empty_history,
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
