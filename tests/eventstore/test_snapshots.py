"""Snapshots save time and change nothing else: whatever is kept, the state is the one that a whole replay gives."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, make_dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial, wraps
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from eventstore import (
    EventStore,
    EventTypes,
    InvalidArgument,
    UnknownEventType,
    aggregate_stream,
    aggregate_with_snapshots,
)
from tests.bank import CashWithdrawn, DepositRecorded, deposits
from tests.concurrency import at_once
from workshop.files import CHECKOUT


@dataclass(frozen=True)
class Till:
    """A state that tells apart every sequence of deposits: none missing, none twice, in their order."""

    count: int = 0
    mixed: int = 7


def evolve(till: Till, event: DepositRecorded) -> Till:
    return Till(till.count + 1, (till.mixed * 31 + int(event.amount)) % 1_000_003)


def read(store: EventStore, stream_id: str = "till-1", **how: Any) -> tuple[Till, int]:
    return aggregate_with_snapshots(store, stream_id, Till(), evolve, **how)


def replay(store: EventStore, stream_id: str = "till-1", **how: Any) -> tuple[Till, int]:
    return aggregate_stream(store, stream_id, Till(), evolve, **how)


def kept(store: EventStore, stream_id: str = "till-1") -> list[int]:
    """Return the versions of the snapshots that are kept of a stream."""
    rows = store.execute("SELECT version FROM snapshots WHERE stream_id = %s ORDER BY version", (stream_id,))
    return [version for (version,) in rows]


def returning(state: Any) -> Callable:
    """Return a function, under the name of `evolve`, that makes this state of whatever came before."""
    return wraps(evolve)(lambda *_: state)


def counting(function: Callable) -> tuple[Callable, list]:
    """Return the function, under its name, and a list that grows with each call."""
    calls: list = []

    @wraps(function)
    def counted(state: Any, event: Any) -> Any:
        calls.append(event)
        return function(state, event)

    return counted, calls


# The one promise: nothing but time changes

appends = st.tuples(st.just("append"), st.integers(1, 7))
reads = st.tuples(st.just("read"), st.integers(1, 9))
looks_back = st.tuples(st.just("look back"), st.integers(1, 9), st.floats(0, 1), st.booleans())
deletions = st.tuples(st.just("delete"), st.floats(0, 1))


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(appends | reads | looks_back | deletions, min_size=1, max_size=12), every=st.integers(1, 12))
def test_the_state_is_that_of_a_replay_at_every_version_and_moment(store, steps, every):
    stream_id = f"till-{uuid4()}"
    moments = [datetime(2020, 1, 1, tzinfo=UTC)]  # and that of each event
    for kind, *how in steps:
        if kind == "append":
            store.append(stream_id, deposits(*range(len(moments), len(moments) + how[0])))
            moments = [moments[0], *(recorded.recorded_at for recorded in store.read_stream(stream_id))]
        elif kind == "read":
            assert read(store, stream_id, every=how[0]) == replay(store, stream_id)
        elif kind == "look back":
            version = round(how[1] * (len(moments) - 1))
            at = {"until": moments[version]} if how[2] else {"to_version": version}
            assert read(store, stream_id, every=how[0], **at) == replay(store, stream_id, **at)
        else:  # whoever empties a cache need not be thorough
            store.execute("DELETE FROM snapshots WHERE stream_id = %s AND version %% 7 < %s", (stream_id, how[0] * 7))
        assert read(store, stream_id, every=10**6) == replay(store, stream_id)
    for version, moment in enumerate(moments):
        for at in (
            {"to_version": version},
            {"until": moment},
            {"until": moment - timedelta(microseconds=1)},
            {"to_version": version, "until": moments[len(moments) // 2]},
        ):
            assert read(store, stream_id, every=every, **at) == replay(store, stream_id, **at), at
    assert read(store, stream_id, every=every) == replay(store, stream_id)


def test_no_stream_is_the_first_state_and_keeps_nothing(store):
    assert read(store, every=1) == (Till(), 0)
    assert kept(store) == []


# When one is kept, and what it saves


def test_one_is_kept_where_so_many_events_had_to_be_folded(store):
    found = []
    for number in range(1, 24):
        store.append("till-1", deposits(number))
        read(store, every=10)
        found.append(kept(store)[-1:])
    assert kept(store) == [10, 20]
    assert found[8] == [] and found[9] == [10] and found[18] == [10] and found[19] == [20]


def test_a_stream_that_was_never_read_gets_one_at_its_end(store):
    store.append("till-1", deposits(*range(25)))
    read(store, every=10)
    assert kept(store) == [25]


def test_only_the_tail_is_folded(store):
    store.append("till-1", deposits(*range(25)))
    read(store, every=10)
    store.append("till-1", deposits(1, 2, 3))
    counted, calls = counting(evolve)
    assert aggregate_with_snapshots(store, "till-1", Till(), counted) == replay(store)
    assert len(calls) == 3


def test_only_the_tail_is_read(store):
    """Events before the snapshot may be of types that nobody knows any more."""
    store.append("till-1", deposits(*range(10)))
    expected = read(store, every=10)
    other = EventStore(store.connection, type(store.types)(CashWithdrawn))
    assert read(other) == expected
    with pytest.raises(UnknownEventType):
        read(other, to_version=9)


@pytest.mark.parametrize("back", ["version", "moment"])
def test_a_look_back_starts_from_the_newest_that_fits(store, back):
    for number in range(1, 41):
        store.append("till-1", deposits(number))
        read(store, every=10)
    event = store.read_stream("till-1", from_version=35, to_version=35)[0]
    counted, calls = counting(evolve)
    at = {"to_version": 35} if back == "version" else {"until": event.recorded_at}
    assert aggregate_with_snapshots(store, "till-1", Till(), counted, **at) == replay(store, to_version=35)
    assert len(calls) == 5


def test_a_look_back_keeps_nothing(store):
    """Or else whoever looks at one version after the other leaves a snapshot at each."""
    store.append("till-1", deposits(*range(30)))
    end = store.read_stream("till-1")[-1].recorded_at
    for version in range(30, 0, -1):
        read(store, every=1, to_version=version)
    read(store, every=1, until=end)
    assert kept(store) == []


def test_deleted_snapshots_cost_time_and_nothing_else(store):
    store.append("till-1", deposits(*range(50)))
    before = read(store, every=10)
    store.execute("DELETE FROM snapshots")
    counted, calls = counting(evolve)
    assert aggregate_with_snapshots(store, "till-1", Till(), counted, every=10) == before
    assert len(calls) == 50
    assert kept(store) == [50]


def test_streams_do_not_mix(store):
    store.append("till-1", deposits(1, 2))
    store.append("till-2", deposits(3, 4))
    for _ in range(2):
        for stream_id in ("till-1", "till-2"):
            assert read(store, stream_id, every=1) == replay(store, stream_id)


# What makes a snapshot void


def state_class(name: str = "State", *, module: str = __name__, **fields: tuple[type, object]) -> type:
    """Make a state's class as another version of the program would have it."""
    columns = [(key, kind, field(default=default)) for key, (kind, default) in fields.items()]
    made = make_dataclass(name, columns, frozen=True)
    made.__module__ = module  # from Python 3.14 on, make_dataclass sets it itself, whatever its namespace says
    return made


def total(state: Any, event: DepositRecorded) -> Any:
    """Evolve any state: it counts in its first field, in that field's own type."""
    name = next(iter(state.__dataclass_fields__))
    return replace(state, **{name: type(getattr(state, name))(int(getattr(state, name)) + 1)})


OLD = state_class(count=(int, 0), note=(str, ""))


@dataclass(frozen=True)
class Place:
    street: str = ""


@pytest.mark.parametrize(
    "new",
    [
        state_class(number=(int, 0), note=(str, "")),
        state_class(count=(Decimal, Decimal(0)), note=(str, "")),
        state_class(count=(int, 0)),
        state_class(count=(int, 0), note=(str, ""), more=(bool, False)),
        state_class(count=(int, 0), note=(Place, Place())),
        state_class("Other", count=(int, 0), note=(str, "")),
        state_class(module="another.module", count=(int, 0), note=(str, "")),
    ],
    ids=["renamed", "another type", "one less", "one more", "nested", "another class", "a namesake"],
)
def test_a_state_of_another_shape_is_folded_anew(store, new):
    store.append("till-1", deposits(*range(20)))
    aggregate_with_snapshots(store, "till-1", OLD(), total, every=10)
    store.append("till-1", deposits(1))
    for folded in (21, 0):  # the second time from a snapshot of its own
        counted, calls = counting(total)
        state = aggregate_with_snapshots(store, "till-1", new(), counted, every=10)
        assert state == aggregate_stream(store, "till-1", new(), total)
        assert len(calls) == folded
    counted, calls = counting(total)
    assert aggregate_with_snapshots(store, "till-1", OLD(), counted) == aggregate_stream(store, "till-1", OLD(), total)
    assert len(calls) == 1, "a program of the old version, still running, keeps its snapshots"


def test_a_nested_change_is_a_change(store):
    old = state_class(count=(int, 0), place=(Place, Place()))
    other_place = state_class("Place", road=(str, ""))
    new = state_class(count=(int, 0), place=(other_place, other_place()))
    store.append("till-1", deposits(*range(20)))
    aggregate_with_snapshots(store, "till-1", old(), total, every=10)
    counted, calls = counting(total)
    aggregate_with_snapshots(store, "till-1", new(), counted)
    assert len(calls) == 20


def test_a_class_made_anew_with_the_same_fields_is_the_same(store):
    """A program that was started again has its classes made again."""
    store.append("till-1", deposits(*range(20)))
    aggregate_with_snapshots(store, "till-1", OLD(), total, every=10)
    again = state_class(count=(int, 0), note=(str, ""))
    counted, calls = counting(total)
    assert aggregate_with_snapshots(store, "till-1", again(), counted) == (again(20), 20)
    assert calls == []


def test_the_shape_is_the_same_in_another_process(store):
    store.append("till-1", deposits(1))
    aggregate_with_snapshots(store, "till-1", Till(), evolve, every=1)
    (shape,) = store.execute("SELECT shape FROM snapshots").fetchone()
    program = (
        "import tests.eventstore.test_snapshots as t, eventstore.snapshots as s; print(s._shape(t.Till(), t.evolve, 1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert done.stdout.strip() == shape


def test_a_revision_makes_older_snapshots_void(store):
    store.append("till-1", deposits(*range(20)))
    read(store, every=10)
    counted, calls = counting(evolve)
    assert aggregate_with_snapshots(store, "till-1", Till(), counted, every=10, revision=2) == replay(store)
    assert len(calls) == 20
    read(store, every=10, revision=1)
    rows = store.execute("SELECT count(DISTINCT shape), count(*) FROM snapshots").fetchone()
    assert rows == (2, 2)


def test_two_functions_into_one_class_have_snapshots_of_their_own(store):
    def backwards(till: Till, event: DepositRecorded) -> Till:
        return Till(till.count - 1, till.mixed)

    store.append("till-1", deposits(*range(20)))
    read(store, every=10)
    assert aggregate_with_snapshots(store, "till-1", Till(), backwards) == (Till(-20), 20)


def times(factor: int, till: Till, event: DepositRecorded) -> Till:
    return Till(till.count + factor, till.mixed)


def closure(factor: int) -> Callable:
    def evolve(till: Till, event: DepositRecorded) -> Till:
        return times(factor, till, event)

    return evolve


class Factor:
    def __init__(self, factor: int):
        self.factor = factor

    def evolve(self, till: Till, event: DepositRecorded) -> Till:
        return times(self.factor, till, event)

    __call__ = evolve


@pytest.mark.parametrize(
    "make",
    [
        lambda factor: partial(times, factor),
        lambda factor: lambda till, event: times(factor, till, event),
        closure,
        lambda factor: Factor(factor).evolve,
        Factor,
    ],
    ids=["partials", "lambdas", "closures", "methods", "objects"],
)
def test_a_function_without_a_name_of_its_own_never_gets_the_snapshot_of_another(store, make):
    """They are called alike, and work differently. So all is folded anew, and nothing kept."""
    store.append("till-1", deposits(*range(20)))
    for factor in (2, 3):
        for _ in range(2):
            assert aggregate_with_snapshots(store, "till-1", Till(), make(factor), every=1) == (Till(20 * factor), 20)
            at = {"to_version": 5}
            assert aggregate_with_snapshots(store, "till-1", Till(), make(factor), **at) == (Till(5 * factor), 5)
    assert kept(store) == []


def test_who_begins_with_another_state_does_not_get_the_snapshot_of_another(store):
    store.append("till-1", deposits(*range(20)))
    for first in (Till(), Till(100), Till(mixed=8)):
        counted, calls = counting(evolve)
        expected = aggregate_stream(store, "till-1", first, evolve)
        for folded in (20, 20):
            assert aggregate_with_snapshots(store, "till-1", first, counted, every=10) == expected
            assert len(calls) == folded, "the second time it starts from its own"
    assert len(kept(store)) == 3


def test_a_first_state_with_a_set_has_the_same_shape_in_every_process():
    program = (
        "import tests.eventstore.test_snapshots as t, eventstore.snapshots as s; "
        "print(s._shape(t.Rich(tags=frozenset('abcdefgh')), t.evolve, 1))"
    )
    shapes = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(shapes) == 1


def test_an_upcaster_that_was_mended_wants_another_revision(store, connect):
    def stored_as_it_was(data):
        return data

    def tenfold(data):
        return {**data, "amount": str(10 * Decimal(data["amount"]))}

    store.append("till-1", deposits(1, 2, 3))
    for revision, upcast in ((1, stored_as_it_was), (2, tenfold)):
        other = EventStore(connect(), EventTypes(DepositRecorded, upcasters={"DepositRecorded": upcast}))
        for _ in range(2):
            assert read(other, every=1, revision=revision) == replay(other)
    assert len(kept(store)) == 2


# Where nothing can be written


def who_only_reads(connect, store):
    return connect(options="-c default_transaction_read_only=on")


def who_may_only_read(connect, store):
    connection = connect()
    role = sql.Identifier(f"reader_{uuid4().hex}")
    try:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    except psycopg.errors.InsufficientPrivilege as error:
        pytest.skip(f"the tests' own role may not make roles: {error}")
    (schema,) = map(sql.Identifier, connection.execute("SELECT current_schema()").fetchone())
    for grant in ("USAGE ON SCHEMA {}", "SELECT ON ALL TABLES IN SCHEMA {}"):
        connection.execute(sql.SQL(f"GRANT {grant} TO {{}}").format(schema, role))
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER; SET ROLE {}").format(role, role))
    connection.role = role
    return connection


@pytest.mark.parametrize("who", [who_only_reads, who_may_only_read])
@pytest.mark.parametrize("where", ["alone", "in a transaction"])
def test_a_reader_who_cannot_write_gets_the_state_and_keeps_no_snapshot(store, connect, who, where):
    store.append("till-1", deposits(*range(20)))
    reader = EventStore(who(connect, store), store.types)
    try:
        with reader.connection.transaction() if where == "in a transaction" else nullcontext():
            assert read(reader, every=1) == replay(store)
            assert reader.execute("SELECT 1").fetchone() == (1,), "the caller's transaction is usable"
        assert kept(store) == []
        read(store, every=1)
        assert read(reader, every=1) == replay(store)
    finally:
        if role := getattr(reader.connection, "role", None):
            reader.execute("RESET ROLE")
            reader.execute(sql.SQL("DROP OWNED BY {}").format(role))
            reader.execute(sql.SQL("DROP ROLE {}").format(role))


# Readers at once


def test_readers_at_once_keep_one_snapshot(store, new_store):
    store.append("till-1", deposits(*range(50)))
    expected = replay(store)
    results = at_once([partial(read, new_store(), every=10) for _ in range(6)])
    assert results == [expected] * 6
    assert kept(store) == [50]


def test_a_reader_never_waits_for_the_transaction_of_another(store, new_store):
    store.append("till-1", deposits(*range(50)))
    other = new_store()
    other.execute("SET lock_timeout = '1s'")
    with store.connection.transaction():
        read(store, every=10)
        assert read(other, every=10) == replay(other)
        assert kept(other) == []
    assert kept(other) == [50]
    assert read(other, every=10) == replay(other)


def test_two_transactions_that_meet_crosswise_do_not_lock_each_other_out(store, new_store):
    for stream_id in ("till-1", "till-2"):
        store.append(stream_id, deposits(*range(20)))
    other = new_store()
    with store.connection.transaction(), other.connection.transaction():
        read(store, "till-1", every=10)
        read(other, "till-2", every=10)
        assert read(other, "till-1", every=10) == replay(other, "till-1")
        assert read(store, "till-2", every=10) == replay(store, "till-2")
    assert kept(store, "till-1") == kept(store, "till-2") == [20]


def test_a_snapshot_that_is_old_when_it_is_kept_is_harmless(store, new_store):
    store.append("till-1", deposits(*range(20)))
    other = new_store()

    @wraps(evolve)
    def slowly(till: Till, event: DepositRecorded) -> Till:
        if till.count == 19:  # the events are read, and not yet folded
            other.append("till-1", deposits(99))
        return evolve(till, event)

    assert aggregate_with_snapshots(store, "till-1", Till(), slowly, every=10)[1] == 20
    assert kept(store) == [20]
    assert read(store) == replay(store)
    assert read(store)[1] == 21


def test_a_reader_who_is_overtaken_finds_the_snapshot_there(store, new_store):
    store.append("till-1", deposits(*range(20)))
    other = new_store()

    @wraps(evolve)
    def slowly(till: Till, event: DepositRecorded) -> Till:
        if till.count == 19:
            read(other, every=10)
        return evolve(till, event)

    assert aggregate_with_snapshots(store, "till-1", Till(), slowly, every=10) == replay(store)
    assert kept(store) == [20]


# In the caller's transaction


def test_it_takes_part_in_the_transaction_of_its_caller(store, new_store):
    other = new_store()
    with pytest.raises(ZeroDivisionError), store.connection.transaction():
        store.append("till-1", deposits(*range(20)))
        assert read(store, every=10) == replay(store)
        assert kept(store) == [20]
        raise ZeroDivisionError
    assert kept(store) == [], "a snapshot of events that were never stored"
    assert read(store) == read(other) == (Till(), 0)

    manual = new_store(autocommit=False)
    manual.append("till-1", deposits(*range(30)))
    read(manual, every=10)
    manual.connection.rollback()
    assert kept(other) == []
    manual.append("till-1", deposits(*range(30)))
    read(manual, every=10)
    manual.connection.commit()
    assert kept(other) == [30]


def test_the_callers_row_factory_does_not_matter(store):
    store.connection.row_factory = psycopg.rows.dict_row
    store.append("till-1", deposits(*range(20)))
    read(store, every=10)
    assert read(store) == replay(store)


# What is no argument, and what is no state


@pytest.mark.parametrize(
    "bad",
    [
        {"every": 0}, {"every": -1}, {"every": 1.5}, {"every": True}, {"every": "10"}, {"every": None},
        {"revision": 0}, {"revision": 1.5}, {"revision": "2"},
        {"to_version": -1}, {"to_version": "3"}, {"to_version": 2**63}, {"until": datetime(2026, 1, 1)},
        {"until": "2026-01-01"},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_argument_gets_a_clear_error(store, bad):
    store.append("till-1", deposits(1))
    with pytest.raises(InvalidArgument, match=next(iter(bad))):
        read(store, **bad)


@pytest.mark.parametrize("stream_id", ["", "x" * 256, "a\0b", None])
def test_a_bad_stream_id_gets_a_clear_error(store, stream_id):
    with pytest.raises(InvalidArgument, match="stream id"):
        read(store, stream_id)


@dataclass(frozen=True)
class Loose:
    """Fields that say too little of what is in them."""

    value: Any = None
    ratio: float = 0.0
    places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Tighter(Loose):
    more: int = 0


@pytest.mark.parametrize(
    "state",
    [
        Loose(Decimal("1.10")),
        Loose({1: "a"}),
        Loose(ratio=float("nan")),
        Loose(ratio=float("inf")),
        Loose(places=("a",)),
        pytest.param(Loose(object()), id="an object"),
        Tighter(),
        None,
    ],
    ids=repr,
)
def test_a_state_that_would_come_back_otherwise_gets_a_clear_error(store, state):
    store.append("till-1", deposits(1, 2))
    with pytest.raises(InvalidArgument, match="cannot be kept in a snapshot"):
        aggregate_with_snapshots(store, "till-1", Loose(), returning(state), every=1)
    assert kept(store) == []


@pytest.mark.parametrize("initial", [0, Decimal(0), {}, [], None, "x"], ids=repr)
def test_a_state_that_is_no_dataclass_gets_a_clear_error(store, initial):
    """Two functions that fold a stream into a number would read each other's snapshots."""
    with pytest.raises(InvalidArgument, match="is a dataclass"):
        aggregate_with_snapshots(store, "till-1", initial, evolve)


def test_a_state_with_a_field_that_is_no_json_gets_a_clear_error(store):
    with pytest.raises(InvalidArgument, match="State cannot be kept in a snapshot: type .*Cursor.* is not supported"):
        aggregate_with_snapshots(store, "till-1", state_class(cursor=(psycopg.Cursor, None))(), total)


@dataclass(frozen=True)
class Rich:
    amount: Decimal = Decimal(0)
    at: datetime | None = None
    ratios: dict[str, float] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    pair: tuple[int, str] = (0, "")
    place: Place | None = None
    big: int = 0


def test_a_state_with_a_moment_in_the_hour_that_comes_twice_can_be_kept(store):
    state = Rich(at=datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
    store.append("till-1", deposits(1))
    aggregate_with_snapshots(store, "till-1", Rich(), returning(state), every=1)
    (back, _) = aggregate_with_snapshots(store, "till-1", Rich(), returning(None))
    assert kept(store) == [1] and back.at.astimezone(UTC) == state.at.astimezone(UTC)


def test_a_state_comes_back_as_it_was(store):
    state = Rich(
        Decimal("1.10"), datetime(2026, 3, 1, 10, tzinfo=UTC), {"zz": 1e300, "b": 0.1, "a": -0.0, "NUL\0": 5e-324},
        frozenset("ab"), (2**63 - 1, "ż\u2028"), Place("x"), 2**60,
    )  # fmt: skip
    store.append("till-1", deposits(1))
    aggregate_with_snapshots(store, "till-1", Rich(), returning(state), every=1)
    assert kept(store) == [1]
    counted, calls = counting(evolve)
    (back, _) = aggregate_with_snapshots(store, "till-1", Rich(), counted, revision=1)
    assert calls == [], "folded"
    assert repr(replace(back, tags=None)) == repr(replace(state, tags=None)), "in the same order, to the last digit"
    assert back.tags == state.tags
