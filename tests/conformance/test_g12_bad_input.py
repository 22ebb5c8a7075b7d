"""G12: bad input gets a clear error, and nothing is stored."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from eventstore import EventStoreError, InvalidArgument, InvalidEvent, UnknownEventType
from tests.bank import deposits


@dataclass(frozen=True)
class Part:
    text: str = "part"
    number: float = 0.0
    moment: datetime = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    text: str = "note"
    count: int = 0
    number: float = 0.0
    amount: Decimal = Decimal(0)
    moment: datetime | None = None
    part: Part = Part()
    parts: list[Part] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    anything: Any = None


@dataclass(frozen=True)
class Unregistered:
    text: str = "nobody knows me"


@dataclass(frozen=True)
class SpecialNote(Note):
    """Its base is registered, but under that name it would come back as its base."""


@pytest.fixture
def notes(store, new_store):
    """A store that knows notes; whatever the test tries is to leave nothing stored, and the store in working order."""
    notes = new_store(Note)
    yield notes
    stored = store.connection.execute("SELECT (SELECT count(*) FROM streams), (SELECT count(*) FROM events)")
    assert stored.fetchone() == (0, 0), "something was stored"
    assert notes.append("account-1", [Note()]).version == 1


def refused(error, words, attempt, *args, **kwargs):
    with pytest.raises(EventStoreError) as caught:
        attempt(*args, **kwargs)
    assert isinstance(caught.value, error), repr(caught.value)
    for word in [words] if isinstance(words, str) else words:
        assert word in str(caught.value), f"the message does not say {word!r}: {caught.value}"


cyclic_list: list[Any] = []
cyclic_list.append(cyclic_list)
cyclic_dict: dict[str, Any] = {}
cyclic_dict["self"] = cyclic_dict
NAIVE = datetime(2024, 2, 29, 12, 30)
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("stream_id", "words"),
    [
        ("", ["1 to 255", "0"]),
        ("a" * 256, ["1 to 255", "256"]),
        ("a" * 100_000, "1 to 255"),
        ("account\0", "NUL"),
        ("\0", "NUL"),
        ("account-\ud800", ["UTF-8", "surrogate"]),
        (None, "None"),
        (1, "1"),
        (b"account-1", "b'account-1'"),
        (uuid4(), "UUID"),
        (["account-1"], "account-1"),
    ],
)
@pytest.mark.parametrize("use", ["append", "read_stream", "stream_info"])
def test_a_stream_id_that_is_none_is_refused(notes, use, stream_id, words):
    arguments = {"append": ([Note()],), "read_stream": (), "stream_info": ()}[use]
    refused(InvalidArgument, ["stream id", *([words] if isinstance(words, str) else words)],
            getattr(notes, use), stream_id, *arguments)  # fmt: skip


@pytest.mark.parametrize("stream_id", ["a", " ", "a" * 255, "ż" * 255, "😀" * 255, "a'; DROP TABLE events; --", "%s"])
def test_unusual_stream_ids_are_fine(store, stream_id):
    store.append(stream_id, deposits(1))
    assert [each.stream_id for each in store.read_stream(stream_id)] == [stream_id]
    assert store.stream_info(stream_id).stream_id == stream_id


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "no events"),
        ((), "no events"),
        (iter([]), "no events"),
        (None, "NoneType"),
        (Note(), "Note"),
        ({"text": "note"}, "dict"),
        ("note", "str"),
        (b"note", "bytes"),
    ],
)
def test_what_is_no_list_of_events_is_refused(notes, events, words):
    refused(InvalidEvent, ["events", words], notes.append, "account-1", events)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Unregistered(), "Unregistered"),
        (SpecialNote(), "SpecialNote"),
        (Part(), "Part"),
        ({"text": "note"}, "dict"),
        ("note", "str"),
        (None, "NoneType"),
        (Note, "type"),
        (object(), "object"),
    ],
)
def test_an_event_of_an_unregistered_type_is_refused_also_behind_good_ones(notes, event, name):
    refused(UnknownEventType, [name, "registered"], notes.append, "account-1", [event])
    refused(UnknownEventType, [name, "registered"], notes.append, "account-1", [Note(), event])


@pytest.mark.parametrize(
    ("event", "words"),
    [
        pytest.param(Note(text="a\0b"), ["text", "NUL"], id="NUL in text"),
        pytest.param(Note(part=Part(text="\0")), ["part.text", "NUL"], id="NUL within"),
        pytest.param(Note(parts=[Part(), Part(text="\0")]), ["parts[1].text", "NUL"], id="NUL in a list"),
        pytest.param(Note(extra={"a": ["\0"]}), ["extra.a[0]", "NUL"], id="NUL in a dict"),
        pytest.param(Note(extra={"\0": 1}), ["extra", "NUL"], id="NUL in a key"),
        pytest.param(Note(anything="\0"), ["anything", "NUL"], id="NUL anywhere"),
        pytest.param(Note(text="\\u0000\0"), ["text", "NUL"], id="NUL behind its literal name"),
        pytest.param(Note(number=NAN), ["number", "nan", "finite"], id="NaN"),
        pytest.param(Note(number=INFINITY), ["number", "inf", "finite"], id="infinity"),
        pytest.param(Note(number=-INFINITY), ["number", "inf", "finite"], id="minus infinity"),
        pytest.param(Note(part=Part(number=NAN)), ["part.number", "finite"], id="NaN within"),
        pytest.param(Note(anything=NAN), ["anything", "finite"], id="NaN anywhere"),
        pytest.param(Note(extra={"x": [INFINITY]}), ["extra.x[0]", "finite"], id="infinity in a dict"),
        pytest.param(Note(amount=Decimal("NaN")), ["amount", "NaN", "finite"], id="decimal NaN"),
        pytest.param(Note(amount=Decimal("Infinity")), ["amount", "finite"], id="decimal infinity"),
        pytest.param(Note(amount=Decimal("-Infinity")), ["amount", "finite"], id="decimal minus infinity"),
        pytest.param(
            Note(amount=Decimal("sNaN")), ["amount", "finite"], id="decimal signalling NaN",
        ),  # fmt: skip
        pytest.param(Note(moment=NAIVE), ["moment", "time zone"], id="naive datetime"),
        pytest.param(Note(part=Part(moment=NAIVE)), ["part.moment", "time zone"], id="naive datetime within"),
        pytest.param(Note(anything=NAIVE), ["anything", "time zone"], id="naive datetime anywhere"),
        pytest.param(Note(moment=NAIVE.replace(microsecond=7)), ["moment", "time zone"], id="naive with microseconds"),
        pytest.param(Note(text="\ud800"), ["Note", "surrogate"], id="lone surrogate"),
        pytest.param(Note(extra={"\udfff": 1}), ["Note", "surrogate"], id="lone surrogate in a key"),
        pytest.param(Note(text=5), ["Note", "text"], id="int as text"),
        pytest.param(Note(text=None), ["Note", "text"], id="None as text"),
        pytest.param(Note(count="5"), ["Note", "count"], id="text as int"),
        pytest.param(Note(count=1.5), ["Note", "count"], id="float as int"),
        pytest.param(Note(count=True), ["Note", "count"], id="bool as int"),
        pytest.param(Note(count=10**5000), ["Note"], id="int too large for JSON"),
        pytest.param(Note(amount="5"), ["Note", "amount"], id="text as decimal"),
        pytest.param(Note(amount=0.1), ["Note", "amount"], id="float as decimal"),
        pytest.param(Note(number="5"), ["Note", "number"], id="text as float"),
        pytest.param(Note(number=2**53 + 1), ["Note", "number"], id="int that no float can hold"),
        pytest.param(Note(moment="2024-02-29T12:30:00Z"), ["Note", "moment"], id="text as datetime"),
        pytest.param(Note(moment=date(2024, 2, 29)), ["Note", "moment"], id="date as datetime"),
        pytest.param(Note(part={"text": "part"}), ["Note", "part"], id="dict as dataclass"),
        pytest.param(Note(part=None), ["Note", "part"], id="None as dataclass"),
        pytest.param(Note(parts=(Part(),)), ["Note", "parts"], id="tuple as list"),
        pytest.param(Note(anything=(1, 2)), ["Note", "anything"], id="tuple anywhere"),
        pytest.param(Note(anything=Decimal(1)), ["Note", "anything"], id="decimal anywhere"),
        pytest.param(Note(anything={1}), ["Note", "anything"], id="set anywhere"),
        pytest.param(Note(anything=object()), ["Note", "object"], id="object"),
        pytest.param(Note(anything=len), ["Note"], id="function"),
        pytest.param(Note(extra={1: "one"}), ["Note", "extra"], id="number as key"),
        pytest.param(
            Note(anything=cyclic_list), ["Note", "contains itself"], id="cyclic list",
        ),  # fmt: skip
        pytest.param(
            Note(extra=cyclic_dict), ["Note", "contains itself"], id="cyclic dict",
        ),  # fmt: skip
        pytest.param(
            Note(anything=1e23), ["Note", "anything"], id="float that comes back as another number",
        ),  # fmt: skip
    ],
)  # fmt: skip
def test_an_event_that_would_not_come_back_as_it_was_given_is_refused(notes, event, words):
    refused(InvalidEvent, words, notes.append, "account-1", [event])
    refused(InvalidEvent, words, notes.append, "account-1", [Note(), event, Note()])


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        pytest.param([], "list", id="list"),
        pytest.param([("a", 1)], "list", id="pairs"),
        pytest.param("{}", "str", id="text"),
        pytest.param(5, "int", id="number"),
        pytest.param(True, "bool", id="bool"),
        pytest.param(Note(), "Note", id="dataclass"),
        pytest.param({"a": "\0"}, ["metadata.a", "NUL"], id="NUL"),
        pytest.param({"\0": 1}, ["metadata", "NUL"], id="NUL in a key"),
        pytest.param({"a": [{"b": "\0"}]}, ["metadata.a[0].b", "NUL"], id="NUL within"),
        pytest.param({"a": NAN}, ["metadata.a", "finite"], id="NaN"),
        pytest.param({"a": [INFINITY]}, ["metadata.a[0]", "finite"], id="infinity"),
        pytest.param({"a": Decimal("1.10")}, "metadata", id="decimal"),
        pytest.param({"a": Decimal("NaN")}, ["metadata.a", "finite"], id="decimal NaN"),
        pytest.param({"a": NAIVE}, ["metadata.a", "time zone"], id="naive datetime"),
        pytest.param({"a": datetime(2024, 1, 1, tzinfo=UTC)}, "metadata", id="datetime"),
        pytest.param({"a": uuid4()}, "metadata", id="UUID"),
        pytest.param({"a": (1, 2)}, "metadata", id="tuple"),
        pytest.param({"a": {1}}, "metadata", id="set"),
        pytest.param({"a": object()}, "metadata", id="object"),
        pytest.param({"a": "\ud800"}, ["metadata", "surrogate"], id="lone surrogate"),
        pytest.param({1: "a"}, "metadata", id="number as key"),
        pytest.param({None: "a"}, "metadata", id="None as key"),
        pytest.param({"a": {2: "b"}}, "metadata", id="number as key within"),
        pytest.param({"a": 10**5000}, "metadata", id="int too large for JSON"),
        pytest.param({"a": cyclic_list}, "metadata", id="cyclic list"),
        pytest.param(cyclic_dict, "metadata", id="cyclic dict"),
        pytest.param(
            {"a": Decimal("sNaN")}, "metadata", id="decimal signalling NaN",
        ),  # fmt: skip
        pytest.param(
            {"a": 1e23}, "metadata", id="float that comes back as another number",
        ),  # fmt: skip
    ],
)  # fmt: skip
def test_metadata_that_is_no_json_object_is_refused(notes, metadata, words):
    refused(InvalidEvent, ["metadata", *([words] if isinstance(words, str) else words)],
            notes.append, "account-1", [Note()], metadata=metadata)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (-1, "-1"), (-2, "-2"), (-(2**63), "-9223372036854775808"), (2**63, "bigint"), ("1", "'1'"), ("", "''"),
        (1.0, "1.0"), (True, "True"), (False, "False"), (None, "None"), (Decimal(1), "Decimal"), ([1], "[1]"),
        (NAN, "nan"),
    ],
)  # fmt: skip
def test_an_expected_version_that_is_none_is_refused(notes, version, words):
    refused(InvalidArgument, ["expected_version", words], notes.append, "account-1", [Note()], expected_version=version)


@pytest.mark.parametrize("name", ["from_version", "to_version"])
@pytest.mark.parametrize("version", [-1, "1", 1.0, True, 2**63, NAN])
def test_a_range_whose_end_is_no_version_is_refused(notes, name, version):
    refused(InvalidArgument, name, notes.read_stream, "account-1", **{name: version})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"from_version": 0}, "from_version"),
        ({"from_version": None}, "from_version"),
        ({"from_version": 5, "to_version": 3}, ["5", "3", "turn"]),
        ({"from_version": 2, "to_version": 0}, ["2", "0", "turn"]),
        ({"since": NAIVE}, ["since", "time zone"]),
        ({"until": NAIVE}, ["until", "time zone"]),
        ({"until": "2024-02-29"}, ["until", "2024-02-29"]),
        ({"since": date(2024, 2, 29)}, "since"),
        ({"until": 1709164800}, "until"),
        ({"since": datetime(2024, 2, 2, tzinfo=UTC), "until": datetime(2024, 2, 1, tzinfo=UTC)}, ["since", "turn"]),
    ],
)
def test_a_range_that_is_none_is_refused(notes, given, words):
    refused(InvalidArgument, words, notes.read_stream, "account-1", **given)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([], ["event_ids", "2", "0"]),
        ([uuid4()], ["event_ids", "2", "1"]),
        ([uuid4() for _ in range(3)], ["event_ids", "2", "3"]),
        ([uuid4(), str(uuid4())], ["id", "UUID"]),
        ([uuid4(), None], ["id", "None"]),
        ([1, 2], ["id", "1"]),
        ("ab", ["id", "'a'"]),
        pytest.param(
            uuid4(), "event_ids",
        ),
        pytest.param(
            5, "event_ids",
        ),
    ],
)  # fmt: skip
def test_event_ids_that_are_not_one_uuid_an_event_are_refused(notes, ids, words):
    refused(InvalidEvent, words, notes.append, "account-1", [Note(), Note()], event_ids=ids)


def test_bad_input_leaves_an_existing_stream_and_the_callers_transaction_alone(store, new_store):
    """It is refused before the database hears of it, so a transaction goes on."""
    notes = new_store(Note)
    with notes.connection.transaction():
        notes.append("account-1", [Note()])
        for attempt in (
            {"events": [Note(text="\0")]},
            {"events": [Unregistered()]},
            {"events": []},
            {"events": [Note()], "metadata": {"a": "\0"}},
            {"events": [Note()], "expected_version": -1},
        ):
            with pytest.raises(EventStoreError):
                notes.append("account-1", **attempt)
        notes.append("account-1", [Note()], expected_version=1)
    assert notes.stream_info("account-1").version == 2
