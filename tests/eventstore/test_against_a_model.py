"""The store beside a model of it that fits on a page: whatever is done to both, they agree."""

from contextlib import nullcontext, suppress
from uuid import UUID, uuid4

import psycopg
from hypothesis import HealthCheck, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from eventstore import (
    ANY,
    STREAM_EXISTS,
    DuplicateEvent,
    EventStoreError,
    Projection,
    StreamArchived,
    WrongExpectedVersion,
    archive_stream,
    restore_stream,
)
from tests.bank import DepositRecorded, deposits
from tests.concurrency import at_once

ID_POOL = [UUID(int=number) for number in range(1, 7)]  # few, so that they meet again


class Model:
    """Streams as lists of (id, event), which of them are archived, and what an append to them ought to give."""

    def __init__(self):
        self.streams = {}
        self.archived = set()

    def copy(self):
        twin = Model()
        twin.streams = {name: list(events) for name, events in self.streams.items()}
        twin.archived = set(self.archived)
        return twin

    def append(self, stream_id, events, expected, ids):
        """Return the version that the append ends at, or the class of the error that it raises."""
        stream = self.streams.get(stream_id, [])
        stored = [event_id for event_id, _ in stream]
        known = [each for each in ids or () if each in stored]
        if stream_id in self.archived:
            return StreamArchived
        if isinstance(expected, int) and expected != len(stream):
            if ids and list(zip(ids, events, strict=True)) == stream[expected : expected + len(ids)]:
                return expected + len(ids)  # a retry
            return DuplicateEvent if known else WrongExpectedVersion
        if expected is STREAM_EXISTS and not stream:
            return WrongExpectedVersion
        if known or ids and len(set(ids)) < len(ids):
            return DuplicateEvent
        self.streams[stream_id] = stream + list(zip(ids or [None] * len(events), events, strict=True))
        return len(stream) + len(events)


class Sums(Projection):
    """A row a stream. It misbehaves in the way that it is told to, once it has written."""

    table, handles = "sums", (DepositRecorded,)
    misbehaves = None

    def create(self, connection):
        connection.execute("CREATE TABLE IF NOT EXISTS sums (stream_id text PRIMARY KEY, total numeric NOT NULL)")

    def project(self, connection, events):
        connection.execute(
            "INSERT INTO sums AS s VALUES (%s, %s)"
            " ON CONFLICT (stream_id) DO UPDATE SET total = s.total + excluded.total",
            (events[0].stream_id, sum(recorded.event.amount for recorded in events)),
        )
        if self.misbehaves:
            self.misbehaves(connection)


def fails(connection):
    raise ZeroDivisionError


def raises_rollback(connection):
    raise psycopg.Rollback


def rolls_back(connection):
    connection.execute("ROLLBACK AND CHAIN")


def hides_an_error(connection):
    with suppress(psycopg.Error):
        connection.execute("SELECT 1 / 0")


class StoreAndModel(RuleBasedStateMachine):
    store = observer = None  # set by the test

    @initialize()
    def start(self):
        self.prefix = f"account-{uuid4()}"
        self.model = Model()
        self.ends = {}  # stream and version -> what the append that ended there returned
        self.done = []  # the appends that named their ids and a version
        self.count = 0
        self.checkpoint = self.observer.settled_position().settled
        self.seen = {}  # stream -> the events that a reader of the log has seen

    def stream(self, number):
        return f"{self.prefix}-{number}"

    def append(self, stream_id, events, expected, ids, model, ends):
        before = len(model.streams.get(stream_id, []))
        outcome = model.append(stream_id, events, expected, ids)
        try:
            end = self.store.append(stream_id, events, expected_version=expected, event_ids=ids)
        except (DuplicateEvent, WrongExpectedVersion, StreamArchived) as error:
            assert type(error) is outcome, f"{error!r} instead of {outcome}"
            if outcome is WrongExpectedVersion:
                assert (error.expected, error.actual) == (expected, before)
            return
        assert end.version == outcome, f"{end} instead of {outcome}"
        recorded = self.store.read_stream(stream_id, from_version=end.version, to_version=end.version)
        assert end.position == recorded[0].position
        assert end == ends.setdefault((stream_id, end.version), end), "a retry got another answer"

    expected_versions = st.one_of(
        st.just("right"), st.just("right"), st.just(ANY), st.just(STREAM_EXISTS), st.integers(0, 8)
    )
    id_lists = st.one_of(st.none(), st.just("new"), st.just("new"), st.lists(st.sampled_from(ID_POOL), min_size=1,
                                                                            max_size=3))  # fmt: skip
    choices = st.tuples(st.integers(1, 2), st.integers(1, 3), expected_versions, id_lists)

    def prepared(self, number, size, expected, ids):
        """Turn what Hypothesis chose into the arguments of an append."""
        stream_id = self.stream(number)
        if isinstance(ids, list):
            size = len(ids)
        elif ids == "new":
            ids = [uuid4() for _ in range(size)]
        if expected == "right":
            expected = len(self.model.streams.get(stream_id, []))
        self.count += size
        return stream_id, deposits(*range(self.count - size, self.count)), expected, ids

    @rule(number=st.integers(1, 2), size=st.integers(1, 4), expected=expected_versions, ids=id_lists)
    def append_events(self, number, size, expected, ids):
        arguments = self.prepared(number, size, expected, ids)
        if arguments[3] and isinstance(arguments[2], int):
            self.done.append(arguments)
        self.append(*arguments, self.model, self.ends)

    @rule(data=st.data(), changed=st.booleans())
    def repeat_an_append(self, data, changed):
        if self.done:
            stream_id, events, expected, ids = data.draw(st.sampled_from(self.done))
            if changed:
                self.count += 1
                events = [*events[:-1], *deposits(self.count)]
            self.append(stream_id, events, expected, ids, self.model, self.ends)

    steps = st.lists(st.tuples(choices, st.sampled_from(["kept", "kept", "undone"])), max_size=3)

    @rule(steps=steps, commits=st.booleans())
    def append_in_a_transaction(self, steps, commits):
        """Each step in a savepoint of its own, which may be undone."""
        kept, self.model, ends = self.model, self.model.copy(), dict(self.ends)
        with self.store.connection.transaction():
            for choice, outcome in steps:
                before, ends_before = self.model.copy(), dict(ends)
                with self.store.connection.transaction():
                    self.append(*self.prepared(*choice), self.model, ends)
                    if outcome == "undone":
                        self.model, ends = before, ends_before
                        raise psycopg.Rollback
            self.check(self.model, 1, 2)
            if not commits:
                raise psycopg.Rollback
        self.model, self.ends = (self.model, ends) if commits else (kept, self.ends)

    misbehaviours = st.sampled_from([fails, raises_rollback, rolls_back, hides_an_error])

    @rule(choice=choices, how=misbehaviours, inside=st.booleans())
    def append_while_the_projection_misbehaves(self, choice, how, inside):
        stream_id, events, expected, ids = self.prepared(*choice)
        before = len(self.model.streams.get(stream_id, []))
        outcome = self.model.copy().append(stream_id, events, expected, ids)
        if outcome != before + len(events):  # it is refused, or a retry, and nothing is projected
            return
        (projection,) = self.store.projections
        projection.misbehaves = how
        try:
            with self.store.connection.transaction() if inside else nullcontext():
                self.store.append(stream_id, events, expected_version=expected, event_ids=ids)
        except (ZeroDivisionError, EventStoreError, psycopg.Error):
            pass
        else:
            raise AssertionError("it returned, and is undone")
        finally:
            projection.misbehaves = None

    @rule(number=st.integers(1, 3), expected=st.sampled_from(["right", "wrong", ANY]), back=st.booleans())
    def move_to_the_archive_or_back(self, number, expected, back):
        stream_id = self.stream(number)
        version = len(self.model.streams.get(stream_id, []))
        is_there = stream_id in self.model.archived
        how = {} if back or expected is ANY else {"expected_version": max(1, version + (expected == "wrong"))}
        try:
            moved = (restore_stream if back else archive_stream)(self.store, stream_id, **how)
        except WrongExpectedVersion as error:
            assert error.actual == version and (version == 0 or how and expected == "wrong")
            return
        assert moved == (version if is_there == back else 0) and version
        (self.model.archived.discard if back else self.model.archived.add)(stream_id)

    @rule(turns=st.integers(1, 3), archives=st.booleans())
    def append_from_threads_that_share_the_store(self, turns, archives):
        streams = [self.stream(number) for number in (1, 2, 3) if self.stream(number) not in self.model.archived]
        plans = {stream_id: deposits(*range(self.count, self.count + turns)) for stream_id in streams}
        self.count += turns

        def write(stream_id):
            return [self.store.append(stream_id, [event]).version for event in plans[stream_id]]

        tasks = [lambda each=each: write(each) for each in streams]
        outcomes = at_once([*tasks, lambda: self.store.read_stream(self.stream(4))])
        for stream_id, versions in zip(streams, outcomes, strict=False):
            expected = [self.model.append(stream_id, [event], ANY, None) for event in plans[stream_id]]
            assert versions == expected
        assert outcomes[-1] == []

    @rule(number=st.integers(1, 3), first=st.integers(1, 12), length=st.none() | st.integers(0, 6))
    def read_a_range(self, number, first, length):
        to_version = None if length is None else first + length - 1
        how = {"archived": self.stream(number) in self.model.archived}
        recorded = self.store.read_stream(self.stream(number), from_version=first, to_version=to_version, **how)
        stream = self.model.streams.get(self.stream(number), [])
        assert [each.event for each in recorded] == [event for _, event in stream[first - 1 : to_version]]

    @rule(limit=st.integers(1, 5))
    def read_on_in_the_log(self, limit):
        for recorded in self.observer.read_all(after=self.checkpoint, limit=limit):
            self.checkpoint = recorded.position
            seen = self.seen.setdefault(recorded.stream_id, [])
            seen.append(recorded.event)
            assert recorded.version == len(seen)

    @invariant()
    def they_agree(self):
        if hasattr(self, "model"):
            self.check(self.model, 1, 2, 3)

    def check(self, model, *numbers):
        for stream_id in map(self.stream, numbers):
            stream = model.streams.get(stream_id, [])
            recorded = self.store.read_stream(stream_id, archived=stream_id in model.archived)
            assert [each.event for each in recorded] == [event for _, event in stream]
            assert [each.version for each in recorded] == list(range(1, len(stream) + 1))
            assert all(given in (None, each.id) for (given, _), each in zip(stream, recorded, strict=True))
            info = self.store.stream_info(stream_id)
            assert (info.version if info else 0) == len(stream)
            assert bool(info and info.archived_at) == (stream_id in model.archived)
            total = self.store.execute("SELECT total FROM sums WHERE stream_id = %s", (stream_id,)).fetchone()
            assert total == ((sum(event.amount for _, event in stream),) if stream else None)

    def teardown(self):
        if hasattr(self, "model"):
            self.read_on_in_the_log(10_000)
            streams = {name: [event for _, event in stream] for name, stream in self.model.streams.items()}
            assert self.seen == {name: events for name, events in streams.items() if events}, "of the log"


def test_whatever_is_done_the_store_does_what_the_model_says(store, new_store):
    live = new_store()
    live.projections = (Sums(),)
    live.create_schema()
    machine = type("Machine", (StoreAndModel,), {"store": live, "observer": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, derandomize=True, verbosity=Verbosity.quiet,
            database=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
