"""The exercises of notebook 07: start from a snapshot, keep one now and then, and never read one of another shape."""

import builtins
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import wraps
from typing import Any
from unittest.mock import patch

import msgspec
import psycopg

from eventstore import InvalidArgument, UnknownEventType

from ...bank import BankAccount, evolve
from ...bank.examples import deposited, opened
from ..arranged import append, many, moment, put
from ..exercise import Exercise
from ..given import core_schema
from ..guard import raised_by
from ..looks import looks
from ..sandbox import Sandbox, own_sandbox, tell
from ..scene import Advice, Call, Cases, Did, Scene, Somebody


def fill(sandbox: Sandbox, length: int, *, forgotten: int = 0, first: int = 1) -> None:
    """Store account-1, which is opened, and gets a deposit of 10 with each further event, one a day.

    The first events can be of a type that nobody knows any more: who reads them gets an error.
    """
    events = ["Forgotten"] * forgotten + [opened(), *[deposited(10)] * (length - 1)][forgotten:]
    sandbox.put("account-1", *events[first - 1 :], first=first)


def account(version: int, stream_id: str = "account-1") -> BankAccount:
    """Return the account of `fill` at a version."""
    return BankAccount(stream_id, "PLN", Decimal(10 * (version - 1)), "open") if version else BankAccount()


def shape_in(sandbox: Sandbox) -> str:
    """Return the shape of a BankAccount in the answer's own words; until 07.3, "v1"."""
    shape_of = sandbox.answer.cell.get("shape_of")
    return shape_of(BankAccount) if shape_of else "v1"


def keep(sandbox: Sandbox, version: int, state: object = None, *, stream_id: str = "account-1", **changes: Any) -> None:
    """Keep a snapshot of `fill` at a version, a right one unless told otherwise."""
    sandbox.execute(
        "INSERT INTO snapshots (stream_id, state_type, shape, version, recorded_at, state)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (
            stream_id,
            changes.get("state_type", "BankAccount"),
            shape_in(sandbox),
            version,
            moment(version),
            msgspec.json.encode(state or account(version, stream_id)).decode(),
        ),
    )


def read(sandbox: Sandbox, **how: Any) -> tuple[Any, Any]:
    """Call the answer for account-1, and return the state and the version."""
    made = "msgspec.json.decode(text, type=type(initial)) makes a BankAccount of it, and its money a Decimal."
    try:
        returned = sandbox.answer(sandbox.store(), "account-1", BankAccount(), evolve, **how)
    except (AttributeError, TypeError) as error:
        if raised_by(error) is evolve.__code__:  # what the answer itself got wrong is told with its line
            raise AssertionError(
                f"A dict was folded ({error}): the snapshot is JSON, and {made}"
                if isinstance(error, AttributeError)
                else f"In JSON money is a text, and it stayed one ({error}): {made}"
            ) from None
        assert not str(error).endswith("bytes-like object is required, not 'dict'"), (
            f"psycopg makes a dictionary of JSON, and msgspec wants the text ({error}): SELECT version, state::text ..."
        )
        assert str(error) != "'NoneType' object has no attribute 'version'", (
            f"A stream without events has no version to ask for ({error}), and of one with events a second question may "
            "find more than you folded. Take the version from the last event that you folded, or from the snapshot."
        )
        raise
    assert isinstance(returned, tuple) and len(returned) == 2, (
        f"The function should return two things, the state and its version. It returned {returned!r}."
    )
    return returned


def must_be(found: tuple[Any, Any], version: int, story: str) -> None:
    """Raise AssertionError unless state and version are those of `fill` at a version."""
    state, at = found
    assert state == account(version), f"{story} The state should be {account(version)}. Yours: {state!r}."
    assert at == version, f"{story} The state is right, and its version should be {version}. Yours: {at!r}."


# 07.1 aggregate_from_snapshot


def without_a_snapshot_all_is_folded(sandbox: Sandbox) -> None:
    """Without a snapshot the whole stream is folded"""
    try:
        found = read(sandbox)
    except InvalidArgument as error:
        assert not str(error).startswith("from_version must be 1"), (
            f"account-1 has no snapshot, so its version is 0 ({error}). The tail begins at the version after that, "
            "`version + 1`: the event of a snapshot's own version is in its state, and would be folded twice."
        )
        raise
    must_be(found, 0, "account-1 has no events and no snapshot.")
    fill(sandbox, 4)
    must_be(read(sandbox), 4, "account-1 has four events and no snapshot.")


def the_tail_is_folded_into_the_snapshot(sandbox: Sandbox) -> None:
    """With one, its tail is folded into it"""
    fill(sandbox, 4)
    keep(sandbox, 2)
    state, version = read(sandbox)
    story = (
        "account-1 has four events, AccountOpened and three deposits of 10, and a snapshot at version 2, balance 10."
    )
    balance = getattr(state, "balance", None)
    assert balance != Decimal(40), (
        f"{story} You have a balance of 40: event 2 is in the snapshot, and you folded it once more. "
        "The tail begins at the version after the snapshot's."
    )
    assert balance != Decimal(20), (
        f"{story} You have a balance of 20, the tail alone, or with a hole before it. Start from the snapshot's state, and "
        "from the version after it."
    )
    must_be((state, version), 4, story)


def only_the_tail_is_read(sandbox: Sandbox) -> None:
    """Only the tail is read"""
    fill(sandbox, 4, forgotten=2)
    keep(sandbox, 2)
    from_the_beginning = (
        "There is a snapshot at version 2, and your function read the events before it all the same (here they are "
        "of a type that nobody knows any more: {error}). Reading is what costs the time: read_stream(..., from_version=...)."
    )
    with tell({UnknownEventType: from_the_beginning}):
        found = read(sandbox)
    must_be(found, 4, "There is a snapshot at version 2, and two events after it.")


def a_snapshot_can_be_the_end(sandbox: Sandbox) -> None:
    """A snapshot at the end of the stream is the whole answer"""
    fill(sandbox, 4)
    keep(sandbox, 4)
    must_be(read(sandbox), 4, "The snapshot is at version 4, and nothing comes after it: the tail is empty.")


def the_newest_is_taken(sandbox: Sandbox) -> None:
    """Of several, the newest is taken"""
    fill(sandbox, 12, forgotten=10)
    for version in (9, 10, 8):
        keep(sandbox, version)
    an_older_one = (
        "There are snapshots at the versions 8, 9 and 10, and your function started from an older one than it had to: "
        "ORDER BY version DESC LIMIT 1, and a version is a number."
    )
    with tell({UnknownEventType: an_older_one}):
        found = read(sandbox)
    must_be(found, 12, "There are snapshots at the versions 8, 9 and 10.")


def other_snapshots_are_passed_over(sandbox: Sandbox) -> None:
    """Snapshots of other streams, and of other states, are passed over"""
    fill(sandbox, 3)
    keep(sandbox, 3, BankAccount("account-2", "PLN", Decimal(999), "open"), stream_id="account-2")
    state, _ = read(sandbox)
    assert getattr(state, "account_id", None) != "account-2", (
        "You asked for account-1 and got account-2, from its snapshot: `WHERE stream_id = ...`."
    )
    keep(sandbox, 3, {"lines": 17}, state_type="Statement")
    state, version = read(sandbox)
    assert state == account(3), (
        "The same stream is also folded into another state, a Statement, which has a snapshot of its own. Your function "
        f"took it for a BankAccount: {state!r}. `AND state_type = ...`, which is type(initial).__name__."
    )
    assert version == 3, f"account-1 is at version 3. Yours: {version!r}."


def the_past_is_not_read_from_the_future(sandbox: Sandbox) -> None:
    """A version in the past: no snapshot from after it"""
    fill(sandbox, 6)
    for version in (2, 5):
        keep(sandbox, version)
    story = "You were asked for version 3, and there are snapshots at the versions 2 and 5."
    does_not_fit = (
        f"{story} You took the one at 5, and then there was no tail to read ({{error}}). A snapshot from after the version "
        "asked for does not fit."
    )
    with tell({InvalidArgument: does_not_fit}):
        found = read(sandbox, to_version=3)
    assert found[1] not in (5, 6), (
        f"{story} Your function returned version {found[1]}. A snapshot from after the version asked for does not fit, "
        "and the tail ends there, too."
    )
    must_be(found, 3, story)
    must_be(read(sandbox, to_version=1), 1, "You were asked for version 1, and the snapshots are at 2 and 5.")


def a_moment_is_not_read_from_the_future(sandbox: Sandbox) -> None:
    """A moment in the past: no snapshot from after it"""
    fill(sandbox, 6)
    for version in (2, 5):
        keep(sandbox, version)
    story = "You were asked for noon of 3 March: version 3. There are snapshots of the 2nd and of the 5th."
    state, version = read(sandbox, until=moment(3))
    assert version != 5, (
        f"{story} Your function returned version 5, with money in it that was paid in later. "
        "Compare the snapshot's recorded_at with `until`; and where there is an OR, AND binds before it: put brackets around."
    )
    assert version != 6, f"{story} Your function returned version 6: the tail ends at that moment, too."
    must_be((state, version), 3, story)
    must_be(read(sandbox, until=moment(0)), 0, "You were asked for a moment before the first event.")


def an_older_one_fits(sandbox: Sandbox) -> None:
    """Where the newest does not fit, an older one does"""
    fill(sandbox, 6, forgotten=2)
    for version in (2, 5):
        keep(sandbox, version)
    for how in ({"to_version": 3}, {"until": moment(3)}):
        from_the_beginning = (
            f"You were asked for version 3, by {next(iter(how))}, and there are snapshots at the versions 2 and 5. The newest does "
            "not fit, the older one does, and your function read from the beginning all the same: of those that fit, take the "
            "newest."
        )
        with tell({UnknownEventType: from_the_beginning}):
            found = read(sandbox, **how)
        must_be(found, 3, "There are snapshots at the versions 2 and 5.")


def its_own_version_and_moment_fit(sandbox: Sandbox) -> None:
    """A snapshot of that very version, or moment, fits"""
    fill(sandbox, 4, forgotten=2)
    keep(sandbox, 2)
    for how in ({"to_version": 2}, {"until": moment(2)}):
        passed_over = (
            f"You were asked for version 2 by {next(iter(how))}, and there is a snapshot of just that. Your function passed "
            "it over and read the stream from its beginning: `<=`, not `<`."
        )
        with tell({UnknownEventType: passed_over}):
            found = read(sandbox, **how)
        must_be(found, 2, "There is a snapshot of just the version that was asked for.")


@dataclass(frozen=True)
class Statement:
    """Another state that the same stream is folded into."""

    lines: int = 0


_LIKE_ONE = type("Stat_ment", (Statement,), {})()  # to LIKE, its class is Statement, too


def _write(statement: Statement, event: object) -> Statement:
    return Statement(statement.lines + 1)


_AN_HOUR = timedelta(hours=1)
_SET_BACK = datetime(2025, 11, 2, 4, 30, tzinfo=UTC)  # half past midnight; two hours later it is half past one again


def _snapshot(
    version: int, state: object, stream_id: str = "account-1", shape: str = "v1", at: datetime | None = None
) -> str:
    """Return the SQL that keeps a snapshot, unless it is there: what another reader would do."""
    text = msgspec.json.encode(state).decode()
    return (
        "INSERT INTO snapshots (stream_id, state_type, shape, version, recorded_at, state) VALUES"
        f" ('{stream_id}', '{type(state).__name__}', '{shape}', {version}, '{at or moment(version)}', '{text}')"
        " ON CONFLICT DO NOTHING;\n"
    )


def _aggregates(name: str) -> Call:
    def run(aggregate: Callable, stage: Any, stream_id: str, initial: object, how: dict[str, Any]) -> Any:
        step = stage.place(evolve if isinstance(initial, BankAccount) else _write)
        return aggregate(stage.store(), stream_id, initial, step, **how)

    return Call(f"{name}(store, {{}})", run)


_DEPOSITS = [opened(), *[deposited(10)] * 9]
_BESIDE = _snapshot(9, BankAccount("account-2", "PLN", Decimal(999), "open"), "account-2")


def _how(**how: Any) -> dict[str, Any]:
    return how


_ENDS = (
    {},
    *(_how(to_version=version) for version in (0, 1, 3, 5, 7, 10, 12)),
    *(_how(until=moment(version)) for version in (0, 3, 7, 10, 99)),
    _how(to_version=9, until=moment(8)),
    _how(to_version=4, until=moment(9)),
    _how(until=moment(7) - timedelta(microseconds=1)),
    _how(until=moment(7).astimezone(timezone(timedelta(hours=5, minutes=45)))),
)


def _given(ways: tuple[dict[str, Any], ...]) -> tuple[tuple, ...]:
    return (*((BankAccount(), how) for how in ways), *((Statement(), how) for how in ways[::4]))


def _situations(call: Call, given: tuple[tuple, ...], advice: Advice) -> tuple[Cases, ...]:
    """Return the cases of a stream of ten events, without a snapshot, and with two of each state."""
    some = "".join(_snapshot(version, state(version)) for version in (7, 3) for state in (account, Statement))
    return tuple(
        Cases(
            call=call,
            story=f"account-1 holds ten events, and has {where}",
            before=put("account-1", *_DEPOSITS, row=True) + _BESIDE + kept,
            given=tuple(("account-1", *each) for each in given),
            advice=advice,
        )
        for where, kept in (("no snapshot", ""), ("snapshots at the versions 3 and 7", some))
    )


FROM_SNAPSHOT = _aggregates("aggregate_from_snapshot")
OF_THE_TAIL = Advice(
    "Of the snapshots of this stream and of this class, type(initial), the newest that fits, and the tail after it, both up to the "
    "ends that were asked for. What is returned is the fold of one reading, and the version of its last event.",
    "It only reads.",
    "It only reads, and every error is the caller's to see.",
)
FROM_SNAPSHOTS = (
    *_situations(FROM_SNAPSHOT, (*_given(_ENDS), (Statement(5), {})), OF_THE_TAIL),
    Cases(
        call=FROM_SNAPSHOT,
        story="account_1 begins at version 9, with two events, and has a snapshot of a Statement; account-1 has one of an account",
        before=put("account_1", *_DEPOSITS[1:3], first=9, row=True)
        + _snapshot(3, account(3))
        + _snapshot(3, Statement(3), "account_1"),
        given=tuple(
            ("account_1", state, how)
            for state, how in ((BankAccount(), {}), (BankAccount(), _how(to_version=9)), (_LIKE_ONE, {}))
        ),
        advice=OF_THE_TAIL,
    ),
    Cases(
        call=FROM_SNAPSHOT,
        story="New York sets its clocks back, the session is there, and account-1 has a snapshot of the second half past one",
        before="SET LOCAL TIME ZONE 'America/New_York';"
        + put("account-1", *_DEPOSITS[:2], at=lambda version: _SET_BACK + version * _AN_HOUR, row=True)
        + _snapshot(2, account(2), at=_SET_BACK + 2 * _AN_HOUR),
        given=tuple(("account-1", BankAccount(), _how(until=_SET_BACK + hours * _AN_HOUR)) for hours in (1.2, 2, 2.2)),
        advice=OF_THE_TAIL,
    ),
    Scene(
        call=FROM_SNAPSHOT,
        story="account-1 holds four events, and has a snapshot at version 1",
        before=put("account-1", *_DEPOSITS[:4], row=True) + _snapshot(1, account(1)),
        given=("account-1", BankAccount(), {}),
        somebody=(
            Somebody("appended a deposit to account-1", append("account-1", deposited(5))),
            Somebody("kept a snapshot at version 4", _snapshot(4, account(4))),
        ),
        stranger=Somebody("appends to account-1", append("account-1", deposited(5))),
        advice=OF_THE_TAIL,
    ),
    Scene(
        call=FROM_SNAPSHOT,
        story="account-1 holds four events, and has no snapshot",
        before=put("account-1", *_DEPOSITS[:4], row=True),
        given=("account-1", BankAccount(), {}),
        somebody=(Somebody("kept a snapshot at version 4", _snapshot(4, account(4))),),
        breaks=False,
        advice=OF_THE_TAIL,
    ),
)


# 07.2 aggregate_with_snapshots


def kept(sandbox: Sandbox) -> list[int]:
    """Return the versions of the snapshots."""
    return sandbox.values("SELECT version FROM snapshots ORDER BY version")


NO_TAIL: dict[type[Exception], str] = {
    IndexError: "There was no event after the snapshot, or after the beginning, and you asked for the last one of them ({error}). "
    "Readers do not come at round numbers: ask whether the tail has at least so many events."
}


def a_snapshot_is_kept(sandbox: Sandbox) -> None:
    """A long tail leaves a snapshot at its end"""
    fill(sandbox, 10)
    must_be(read(sandbox, every=10), 10, "account-1 has ten events.")
    rows = sandbox.execute("SELECT stream_id, state_type, shape, version, state::text FROM snapshots").fetchall()
    assert len(rows) == 1, f"Ten events were folded with every=10: one snapshot should be there. There are {len(rows)}."
    wanted = ("account-1", "BankAccount", shape_in(sandbox), 10)
    assert rows[0][:4] == wanted, (
        f"The snapshot should have stream_id, state_type, shape and version {wanted}. It has {rows[0][:4]}."
    )
    try:
        back = msgspec.json.decode(rows[0][4], type=BankAccount)
    except msgspec.MsgspecError as error:
        raise AssertionError(
            f"The snapshot holds {rows[0][4]}, which cannot be read back as a BankAccount ({error}). "
            "msgspec.json.encode(state).decode() is the text to store."
        ) from None
    assert back == account(10), f"The snapshot at version 10 should hold {account(10)}. It holds {back}."


def it_carries_the_moment_of_its_event(sandbox: Sandbox) -> None:
    """Its moment is that of its last event"""
    fill(sandbox, 10)
    read(sandbox, every=10)
    found = sandbox.value("SELECT recorded_at FROM snapshots")
    assert found == moment(10), (
        f"The last event in the snapshot was recorded at {moment(10)}, and the snapshot says {found}. Time travel compares "
        "the moment asked for with this one: it is the event's, tail[-1].recorded_at, not the time of writing."
    )


def a_short_tail_keeps_nothing(sandbox: Sandbox) -> None:
    """A short tail leaves none"""
    fill(sandbox, 9)
    must_be(read(sandbox, every=10), 9, "account-1 has nine events.")
    assert kept(sandbox) == [], (
        "Nine events were folded with every=10, and a snapshot was kept all the same. A write on each read costs more than "
        "it saves."
    )
    with tell(NO_TAIL):
        found = read(sandbox, every=10, until=moment(0))
    assert found == (BankAccount(), 0), "Before its first event account-1 is empty."


def the_next_one_comes_after_as_many_more(sandbox: Sandbox) -> None:
    """The next one comes after as many events more"""
    fill(sandbox, 10)
    read(sandbox, every=10)
    fill(sandbox, 19, first=11)
    must_be(read(sandbox, every=10), 19, "Snapshot at version 10, nine events after it.")
    assert kept(sandbox) == [10], (
        f"There was a snapshot at version 10, and nine events after it were folded with every=10. Now there are snapshots "
        f"at {kept(sandbox)}. What counts is the length of the tail, not of the stream."
    )
    fill(sandbox, 20, first=20)
    for _ in range(2):
        with tell(NO_TAIL):
            found = read(sandbox, every=10)
        must_be(found, 20, "Snapshot at version 10, ten events after it.")
        assert kept(sandbox) == [10, 20], (
            f"After ten events more there should be snapshots at 10 and 20, not {kept(sandbox)}."
        )


def a_stream_that_was_never_read_gets_one(sandbox: Sandbox) -> None:
    """A stream that is read late gets one, too"""
    fill(sandbox, 25)
    read(sandbox, every=10)
    assert kept(sandbox) == [25], (
        f"A stream of 25 events was read for the first time, with every=10. There should be one snapshot, at version 25; "
        f"there are snapshots at {kept(sandbox) or 'no version'}. Readers do not come at round numbers: ask whether the tail "
        "has at least so many events."
    )


def the_past_keeps_nothing(sandbox: Sandbox) -> None:
    """A look into the past leaves none"""
    fill(sandbox, 30)
    for how in ({"to_version": 20}, {"until": moment(20)}):
        must_be(read(sandbox, every=10, **how), 20, f"A look into the past, {next(iter(how))}.")
        assert kept(sandbox) == [], (
            f"A look into the past ({next(iter(how))}) kept a snapshot. It would be a right one, but whoever looks at one "
            "version after the other would leave one at each: keep one only where neither to_version nor until is given."
        )


@own_sandbox
def two_readers_keep_the_same(sandbox: Sandbox) -> None:
    """Two readers at once may both want to keep it"""
    fill(sandbox, 10)
    first, second = (sandbox.store(connection=sandbox.database.connect()) for _ in range(2))

    @wraps(evolve)
    def meets_another_reader(state: Any, event: object) -> Any:
        if state.balance == 80:  # the first reader is at its last event, and the second one is faster
            sandbox.answer(second, "account-1", BankAccount(), evolve, every=10)
        return evolve(state, event)

    a_duplicate = (
        "Two readers folded the same ten events. The faster one kept its snapshot, and the other one failed with a "
        "duplicate key, at a mere read. The snapshot it wanted is there: ON CONFLICT DO NOTHING."
    )
    with tell({psycopg.errors.UniqueViolation: a_duplicate}):
        found = sandbox.answer(first, "account-1", BankAccount(), meets_another_reader, every=10)
    must_be(found, 10, "Two readers folded the same ten events.")
    assert kept(sandbox) == [10], f"Two readers at once left snapshots at {kept(sandbox)}, there should be one, at 10."


AGGREGATE = _aggregates("aggregate_with_snapshots")
OF_SNAPSHOTS = Advice(
    "What is returned is the fold of one reading: the snapshot's state and its tail, and the version of its last event. A second "
    "question can get another answer, for somebody appends in between. And type(initial) says which class it is.",
    "A snapshot is kept where the tail has at least `every` events and neither to_version nor until is given: the state that was "
    "folded, with the version and the moment of the tail's last event, under type(initial).__name__.",
    "The caller may be in a transaction, and one failed statement makes all of it fail: ON CONFLICT DO NOTHING raises nothing, "
    "and any other error is the caller's to see.",
)
_WAYS = (
    *(_how(every=every) for every in (1, 2, 3, 4, 7, 9, 10, 11)),
    *(_how(every=2 - number % 2, **ends) for number, ends in enumerate(_ENDS[1:])),
)
SNAPSHOTS = (
    *_situations(AGGREGATE, (*_given(_WAYS), (Statement(5), {"every": 11})), OF_SNAPSHOTS),
    Cases(
        call=AGGREGATE,
        story="account-1 holds 199 events. There is a snapshot of the BankAccount at version 99, and of the Statement at 100",
        before=many("account-1", 199, deposited(10)) + _snapshot(99, account(99)) + _snapshot(100, Statement(100)),
        given=(("account-1", Statement(), {}), ("account-1", Statement(), {"every": 99})),
        advice=OF_SNAPSHOTS,
    ),
    Scene(
        call=AGGREGATE,
        story="account-1 holds four events, and has a snapshot at version 1",
        before=put("account-1", *_DEPOSITS[:4], row=True) + _snapshot(1, account(1)),
        given=("account-1", BankAccount(), {"every": 3}),
        somebody=(
            Somebody("kept the very snapshot, at version 4", _snapshot(4, account(4))),
            Somebody("appended a deposit to account-1", append("account-1", deposited(5))),
        ),
        stranger=Somebody("appends to account-1", append("account-1", deposited(5))),
        advice=OF_SNAPSHOTS,
    ),
)


# 07.3 shape_of


def _class(name: str, /, **fields: Any) -> type:
    """Make a class, of these fields, as a program has it that was loaded anew."""
    columns = [(column, kind, field(default=None)) for column, kind in fields.items()]
    return make_dataclass(name, columns, frozen=True, namespace={"__module__": "bank"})


def state_class(**fields: Any) -> type:
    return _class("Account", **fields)


def account_class(**changes: Any) -> type:
    return state_class(**({"account_id": str, "balance": Decimal, "owner": owner_class()} | changes))


def owner_class(**changes: Any) -> type:
    return _class("Owner", **({"name": str} | changes))


def a_shape_is_a_text(sandbox: Sandbox) -> None:
    """A shape is a text, the same each time"""
    shape = sandbox.answer(BankAccount)
    assert isinstance(shape, str) and shape, f"shape_of(BankAccount) should return a text. It returned {shape!r}."
    again = sandbox.answer(BankAccount)
    assert shape == again, f"Two calls for one class gave two shapes, {shape!r} and {again!r}."
    assert sandbox.answer(BankAccount, 1) == shape, (
        "shape_of(BankAccount) and shape_of(BankAccount, 1) are the same shape."
    )


def other_fields_are_another_shape(sandbox: Sandbox) -> None:
    """Other fields are another shape"""
    shape = sandbox.answer(account_class())
    renamed = state_class(account_id=str, available=Decimal, owner=owner_class())
    assert sandbox.answer(renamed) != shape, (
        "The field `balance` was renamed to `available`, and the shape is the same. An old snapshot would be read, its "
        "balance dropped without a word, and the new field filled with its default."
    )
    assert sandbox.answer(account_class(limit=Decimal)) != shape, (
        "A field `limit` was added, and the shape is the same: an old snapshot would be read with the default in it."
    )
    fewer = state_class(account_id=str, balance=Decimal)
    assert sandbox.answer(fewer) != shape, "The field `owner` was removed, and the shape is the same."


def another_type_is_another_shape(sandbox: Sandbox) -> None:
    """A field of another type is another shape"""
    assert sandbox.answer(account_class(balance=int)) != sandbox.answer(account_class()), (
        "`balance` was a Decimal and is now an int, and the shape is the same. The types of the fields belong into it, "
        "not their names alone."
    )


def a_nested_change_is_another_shape(sandbox: Sandbox) -> None:
    """A change in a nested class is another shape"""
    nested = account_class(owner=owner_class(street=str))
    assert sandbox.answer(nested) != sandbox.answer(account_class()), (
        "An Account has an Owner, and the class Owner got one more field. The shape of Account is the same as before. "
        "dataclasses.fields() looks one level deep; msgspec.json.schema() describes the nested classes, too."
    )


def a_revision_is_another_shape(sandbox: Sandbox) -> None:
    """Another revision is another shape"""
    shapes = {sandbox.answer(account_class(), revision) for revision in (1, 2, 12)}
    assert len(shapes) == 3, (
        "The revisions 1, 2 and 12 of one class should be three shapes. "
        f"There are {len(shapes)}. The fields can stay as they are while `evolve` counts differently."
    )
    kind = _class("Lines", lines=int)
    shapes = {sandbox.answer(kind, revision) for revision in range(1000)}
    assert len(shapes) == 1000, (
        f"1000 revisions of one class should be 1000 shapes, and there are {len(shapes)}: a fingerprint of so few characters is "
        "soon that of another shape, too."
    )


def a_program_that_starts_again_has_the_same(sandbox: Sandbox) -> None:
    """A program that starts again finds the same shape"""
    assert sandbox.answer(account_class()) == sandbox.answer(account_class()), (
        "The program was started again: the same class, with the same fields, loaded anew. It has another shape, so each "
        "restart would void all snapshots. Does the shape hold an id() or an address in memory?"
    )
    with patch.object(builtins, "hash", _hash_of_another_process(hash)):
        elsewhere = sandbox.answer(account_class())
    assert elsewhere == sandbox.answer(account_class()), (
        "In another process the same class has another shape: Python's hash() of a text differs from process to process. "
        "hashlib.sha256(...) gives the same in each."
    )


def _hash_of_another_process(hash_here: Callable[[object], int]) -> Callable[[object], int]:
    return lambda thing: hash_here(thing) ^ 0x5EED


class Name(str):
    """A name whose place in a set is another one in each process, as that of every text is."""

    def __new__(cls, text: str, process: int) -> "Name":
        name = super().__new__(cls, text)
        name._hash = zlib.crc32(f"{process} {text}".encode())  # type: ignore[attr-defined]
        return name

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined]


def the_order_of_a_set_is_none(sandbox: Sandbox) -> None:
    """The order of a set is not in it"""
    names = ("account_id", "balance", "currency", "status", "limit", "owner", "opened_by", "lines")
    try:
        one, other = (
            sandbox.answer(make_dataclass("Account", [(Name(name, process), str) for name in names]))
            for process in (1, 2)
        )
    except Exception:  # such names are no business of the answer's
        return
    assert one == other, (
        "In another process the same class has another shape: a set of texts comes in another order in each. sorted(...), or "
        "json.dumps(..., sort_keys=True), has one order."
    )


Change = Callable[[], tuple[tuple, tuple]]  # makes the arguments of shape_of, before and after


def _inside(kind: Callable[[type], Any]) -> Change:
    """Return the change of an Owner, of whom the state holds something."""
    owners = owner_class(), owner_class(street=str)
    return lambda: tuple((state_class(held=kind(owner)),) for owner in owners)  # type: ignore[return-value]


def _kinds(before: Any, after: Any) -> Change:
    return lambda: ((state_class(held=before),), (state_class(held=after),))


def _revisions(before: int, after: int) -> Change:
    return lambda: ((account_class(), before), (account_class(), after))


# Two classes of one name, before and after a change of the program.
CHANGES: dict[str, Change] = {
    "a list of Owner, which has one field more": _inside(lambda owner: list[owner]),  # type: ignore[valid-type]
    "an Owner or None, which has one field more": _inside(lambda owner: owner | None),
    "a dict of Owner, which has one field more": _inside(lambda owner: dict[str, owner]),  # type: ignore[valid-type]
    "a tuple of Owner, which has one field more": _inside(lambda owner: tuple[owner, ...]),  # type: ignore[valid-type]
    "a dict of lists of Owner or None, which has one field more": _inside(lambda owner: dict[str, list[owner | None]]),  # type: ignore[valid-type]
    "an Owner with a House, which has one field more": lambda: (
        (account_class(owner=owner_class(house=_class("House", number=int))),),
        (account_class(owner=owner_class(house=_class("House", number=int, street=str))),),
    ),
    "an Owner, whose name was renamed": lambda: (
        (account_class(),),
        (account_class(owner=_class("Owner", title=str)),),
    ),
    "an Owner, whose name was a text and is a number": lambda: (
        (account_class(),),
        (account_class(owner=owner_class(name=int)),),
    ),
    "a list of int was one of str": _kinds(list[str], list[int]),
    "a Decimal or None was a Decimal": _kinds(Decimal, Decimal | None),
    "a dict of Decimal was one of int": _kinds(dict[str, int], dict[str, Decimal]),
    "a date was a text": _kinds(str, date),
    "a bool was an int": _kinds(int, bool),
    "two fields have changed their types with each other": lambda: (
        (state_class(a=str, b=Decimal),),
        (state_class(a=Decimal, b=str),),
    ),
    "nothing has changed": lambda: ((account_class(),), (account_class(), 1)),
    "nothing has changed, with a list of Owner": lambda: (
        (state_class(held=list[owner_class()]), 7),  # type: ignore[misc]
        (state_class(held=list[owner_class()]), 7),  # type: ignore[misc]
    ),
    "revision 11 was 1": _revisions(1, 11),
    "revision 100 was 10": _revisions(10, 100),
}


def _shapes(shape_of: Callable, _: object, change: str) -> Did:
    before, after = CHANGES[change]()
    return Did("returned the same shape" if shape_of(*before) == shape_of(*after) else "returned another shape")


SHAPES = (
    Cases(
        call=Call("shape_of(Account) before and after a change: {}", _shapes),
        given=tuple((change,) for change in CHANGES),
        in_database=False,
        advice=Advice(
            "Whatever stands inside a field counts, too: in a list, a dict or an optional one, and in the classes of nested ones. "
            "msgspec.json.schema() looks into all of it."
        ),
    ),
)


EXERCISES = (
    Exercise(
        id="07.1",
        title="A snapshot and its tail",
        minutes=12,
        difficulty="medium",
        keeps="snapshots.py",
        given=core_schema(),
        checks=(
            without_a_snapshot_all_is_folded,
            the_tail_is_folded_into_the_snapshot,
            only_the_tail_is_read,
            a_snapshot_can_be_the_end,
            the_newest_is_taken,
            other_snapshots_are_passed_over,
            the_past_is_not_read_from_the_future,
            a_moment_is_not_read_from_the_future,
            an_older_one_fits,
            its_own_version_and_moment_fit,
            *looks(*FROM_SNAPSHOTS),
        ),
        hints=(
            "Two steps. A SELECT of one row from `snapshots`, which may find none; then the loop of `aggregate_stream`, "
            "over the events that come after it.",
            "The row: `WHERE stream_id = ... AND state_type = ...`, one condition for each end that may be given, "
            "`ORDER BY version DESC LIMIT 1`. In the tail, `from_version` is the snapshot's version and 1 more; without a "
            "snapshot the version is 0, and the same sum gives 1.",
            "```python\n"
            "if row:\n"
            "    version, state = row[0], msgspec.json.decode(row[1], type=type(initial))\n"
            "for recorded in store.read_stream(stream_id, from_version=version + 1, to_version=to_version, until=until):\n"
            "    state, version = evolve(state, recorded.event), recorded.version\n```\n\n"
            "and the conditions are `(%(to_version)s::bigint IS NULL OR version <= %(to_version)s)`, and the same with "
            "`until`, `timestamptz` and `recorded_at`.",
        ),
    ),
    Exercise(
        id="07.2",
        title="Keep one now and then",
        minutes=6,
        difficulty="medium",
        keeps="snapshots.py",
        given=core_schema(),
        checks=(
            a_snapshot_is_kept,
            it_carries_the_moment_of_its_event,
            a_short_tail_keeps_nothing,
            the_next_one_comes_after_as_many_more,
            a_stream_that_was_never_read_gets_one,
            the_past_keeps_nothing,
            two_readers_keep_the_same,
            *looks(*SNAPSHOTS),
        ),
        hints=(
            "One `if` and one INSERT. When is it worth it: what do you know about `tail`, and about the two ends?",
            "Three things have to hold: `tail` is long enough, and neither end was given. The moment is that of the last "
            "event, `tail[-1].recorded_at`; the state as text is `msgspec.json.encode(state).decode()`.",
            "Below `if len(tail) >= every and to_version is None and until is None:`, execute\n\n```sql\n"
            "INSERT INTO snapshots (stream_id, state_type, shape, version, recorded_at, state)\n"
            "VALUES (%s, %s, 'v1', %s, %s, %s)\n"
            "ON CONFLICT DO NOTHING\n```",
        ),
    ),
    Exercise(
        id="07.3",
        title="The shape of a state",
        minutes=3,
        difficulty="easy",
        keeps="snapshots.py",
        given=core_schema(),
        checks=(
            a_shape_is_a_text,
            other_fields_are_another_shape,
            another_type_is_another_shape,
            a_nested_change_is_another_shape,
            a_revision_is_another_shape,
            a_program_that_starts_again_has_the_same,
            the_order_of_a_set_is_none,
            *looks(*SHAPES),
        ),
        hints=(
            "You need a text that says all there is to say about the fields, and then a short fingerprint of it. Which of "
            "the two tools above does which?",
            "`msgspec.json.schema(state_type)` is a dict, and `json.dumps(..., sort_keys=True)` makes a text of it. Put the "
            "revision into what you fingerprint, too.",
            "```python\n"
            "description = json.dumps([revision, msgspec.json.schema(state_type)], sort_keys=True)\n"
            "hashlib.sha256(description.encode()).hexdigest()\n```",
        ),
    ),
)
