"""The store beside a model of it that fits on a page: whatever is done to both, they agree."""

from uuid import UUID, uuid4

import psycopg
from hypothesis import HealthCheck, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from eventstore import ANY, STREAM_EXISTS, DuplicateEvent, WrongExpectedVersion
from tests.bank import deposits

ID_POOL = [UUID(int=number) for number in range(1, 7)]  # few, so that they meet again


class Model:
    """Streams as lists of (id, event), and what an append to them ought to give."""

    def __init__(self):
        self.streams = {}

    def copy(self):
        twin = Model()
        twin.streams = {name: list(events) for name, events in self.streams.items()}
        return twin

    def append(self, stream_id, events, expected, ids):
        """Return the version that the append ends at, or the class of the error that it raises."""
        stream = self.streams.get(stream_id, [])
        stored = [event_id for event_id, _ in stream]
        known = [each for each in ids or () if each in stored]
        if isinstance(expected, int) and expected != len(stream):
            if ids and ids == stored[expected : expected + len(ids)]:
                return expected + len(ids)  # a retry
            return DuplicateEvent if known else WrongExpectedVersion
        if expected is STREAM_EXISTS and not stream:
            return WrongExpectedVersion
        if known or ids and len(set(ids)) < len(ids):
            return DuplicateEvent
        self.streams[stream_id] = stream + list(zip(ids or [None] * len(events), events, strict=True))
        return len(stream) + len(events)


class StoreAndModel(RuleBasedStateMachine):
    store = None  # set by the test

    @initialize()
    def start(self):
        self.prefix = f"account-{uuid4()}"
        self.model = Model()
        self.ends = {}  # stream and version -> what the append that ended there returned
        self.done = []  # the appends that named their ids and a version
        self.count = 0

    def stream(self, number):
        return f"{self.prefix}-{number}"

    def append(self, stream_id, events, expected, ids, model, ends):
        before = len(model.streams.get(stream_id, []))
        outcome = model.append(stream_id, events, expected, ids)
        try:
            with self.store.connection.transaction():  # a savepoint where a transaction is open
                end = self.store.append(stream_id, events, expected_version=expected, event_ids=ids)
        except (DuplicateEvent, WrongExpectedVersion) as error:
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

    @rule(data=st.data())
    def repeat_an_append(self, data):
        if self.done:
            self.append(*data.draw(st.sampled_from(self.done)), self.model, self.ends)

    @rule(choices=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), expected_versions, id_lists), max_size=3),
          commits=st.booleans())  # fmt: skip
    def append_in_a_transaction(self, choices, commits):
        kept, self.model = self.model, self.model.copy()
        ends = dict(self.ends)
        with self.store.connection.transaction():
            for choice in choices:
                self.append(*self.prepared(*choice), self.model, ends)
            self.check(self.model, 1, 2)
            if not commits:
                raise psycopg.Rollback
        if commits:
            self.ends = ends
        else:
            self.model = kept

    @rule(number=st.integers(1, 3), first=st.integers(1, 12), length=st.none() | st.integers(0, 6))
    def read_a_range(self, number, first, length):
        to_version = None if length is None else first + length - 1
        recorded = self.store.read_stream(self.stream(number), from_version=first, to_version=to_version)
        stream = self.model.streams.get(self.stream(number), [])
        assert [each.event for each in recorded] == [event for _, event in stream[first - 1 : to_version]]

    @invariant()
    def they_agree(self):
        if hasattr(self, "model"):
            self.check(self.model, 1, 2, 3)

    def check(self, model, *numbers):
        for stream_id in map(self.stream, numbers):
            stream = model.streams.get(stream_id, [])
            recorded = self.store.read_stream(stream_id)
            assert [each.event for each in recorded] == [event for _, event in stream]
            assert [each.version for each in recorded] == list(range(1, len(stream) + 1))
            assert all(given in (None, each.id) for (given, _), each in zip(stream, recorded, strict=True))
            info = self.store.stream_info(stream_id)
            assert (info.version if info else 0) == len(stream)


def test_whatever_is_done_the_store_does_what_the_model_says(store):
    machine = type("Machine", (StoreAndModel,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, derandomize=True, verbosity=Verbosity.quiet,
            database=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
