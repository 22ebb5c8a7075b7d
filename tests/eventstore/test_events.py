"""Events and JSON: what is stored comes back exactly, and what is registered is what can be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import EventStore, EventTypes, InvalidArgument, InvalidEvent, RecordedEvent, UnknownEventType
from tests.bank import AccountClosed, AccountOpened, DepositRecorded, deposits


class Channel(Enum):
    BRANCH = "branch"
    ONLINE = "online"


class Risk(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Person:
    name: str
    born: date | None = None
    alias: "list[str]" = field(default_factory=list)


@dataclass(frozen=True)
class LoanGranted:
    loan_id: UUID
    amount: Decimal
    granted_at: datetime
    borrower: Person
    note: str
    months: int = 12
    ratio: float = 0.5
    approved: bool = True
    channel: Channel = Channel.BRANCH
    risk: Risk = Risk.LOW
    guarantor: Person | None = None
    comment: str | None = None
    first_due: date | None = None
    office_hours: tuple[time, time] | None = None
    instalments: list[Decimal] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    limits: dict[str, Decimal] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    raw: bytes = b""
    anything: Any = None


PLAIN = LoanGranted(
    loan_id=UUID(int=1), amount=Decimal("1.10"), granted_at=datetime(2024, 2, 29, tzinfo=UTC),
    borrower=Person("Ann"), note="",
)  # fmt: skip


def exact(value: Any) -> Any:
    """The value with what `==` overlooks made visible: types, the digits of a decimal, the offset of a datetime."""
    if hasattr(value, "__dataclass_fields__"):
        return type(value), [exact(getattr(value, name)) for name in value.__dataclass_fields__]
    if isinstance(value, Mapping):
        return dict, {key: exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [exact(item) for item in value]
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    if isinstance(value, datetime):
        return datetime, value, value.utcoffset()
    return type(value), value


@pytest.fixture
def loans(store, new_store):
    return new_store(LoanGranted)


def assert_comes_back(store, *events):
    stream_id = f"loan-{uuid4()}"
    store.append(stream_id, events)
    assert exact([each.event for each in store.read_stream(stream_id)]) == exact(list(events))


def changed(**fields: Any) -> LoanGranted:
    return LoanGranted(**{name: getattr(PLAIN, name) for name in LoanGranted.__dataclass_fields__} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        *[
            {"amount": Decimal(text)}
            for text in ("0", "0.00", "-0", "1.10", "1E+3", "1E-30", "-1234567890.123456789", "9" * 60, "1E+400")
        ],
        {"instalments": [Decimal("0.10"), Decimal("0.100")], "limits": {"a b": Decimal("1.0"), "": Decimal("-1.00")}},
        {"granted_at": datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)},
        {"granted_at": datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=5, minutes=45)))},
        {"granted_at": datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Warsaw"))},
        {"granted_at": datetime(2024, 10, 27, 2, 30, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))},
        {"granted_at": datetime(1, 1, 1, tzinfo=UTC)},
        {"granted_at": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
        {"loan_id": UUID("ffffffff-ffff-ffff-ffff-ffffffffffff")},
        {"borrower": Person("Zoë", date(1900, 1, 1), ["Z", ""]), "guarantor": Person("Bo")},
        {"people": [Person("A"), Person("B", alias=["b"])]},
        {"comment": ""}, {"comment": "there"}, {"first_due": date(2024, 2, 29)},
        {"channel": Channel.ONLINE, "risk": Risk.HIGH},
        {"approved": False, "months": 0}, {"months": -(2**63)}, {"months": 2**64}, {"months": 10**300},
        {"ratio": 0.1}, {"ratio": -1e-300}, {"ratio": 5e-324}, {"ratio": 1e308}, {"ratio": 1e23}, {"ratio": 3.0},
        {"office_hours": (time(8), time(17, 30, 0, 5))},
        pytest.param({"tags": frozenset({"a", "b", "ä"})}, id="tags: frozenset"),
        {"raw": bytes(range(256))},
        {"anything": {"a": [1, 1.5, None, True, {"b": []}]}},
        *[
            {"note": text, "limits": {text: Decimal(1)}, "anything": [text]}
            for text in (
                "Zażółć gęślą jaźń", "日本語", "😀👩‍👩‍👧", "e\u0301", "\u202eabc", "\ufeff", "\uffff", "\U0010ffff",
                "NaN", "Infinity", "-Infinity", "null", "\\u0000", "\\\\u0000", "\\ud800", "T10:00:00",
                "at T10:00:00\"", "2024-02-29T10:00:00", "a\nb\r\n\tc\b\f\x01\x7f",
                "'; DROP TABLE events; --", "%s %(a)s {}", "\\", '"',
                "x" * 100_000,
            )
        ],
    ],
    ids=lambda fields: ascii(fields)[:60],
)  # fmt: skip
def test_a_value_comes_back_exactly_as_it_was_given(loans, fields):
    assert_comes_back(loans, changed(**fields))


HOURS = {  # of local time: one is skipped in spring, and one comes twice in autumn
    "Berlin, skipped": datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    "Berlin, the first time": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
    "Berlin, the second time": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "New York, skipped": datetime(2026, 3, 8, 2, 30, tzinfo=ZoneInfo("America/New_York")),
    "New York, the second time": datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1),
}


@pytest.mark.parametrize("moment", HOURS.values(), ids=HOURS)
@pytest.mark.parametrize("place", ["a field", "a field of a field", "a list", "a dict", "a struct", "metadata"])
def test_a_moment_in_an_hour_that_the_clocks_skip_or_repeat_is_stored_as_the_moment_that_it_is(
    store, new_store, moment, place
):
    """Python's == says no to such a local time, whatever it is compared with."""
    appointments = new_store(Appointment)
    if place == "metadata":
        appointments.append("account-1", deposits(1), metadata={"at": moment.isoformat()})
        assert appointments.read_stream("account-1")[0].metadata == {"at": moment.isoformat()}
        return
    event = {
        "a field": Appointment(at=moment, tags=frozenset("abcdefgh")),
        "a field of a field": Appointment(inner=Appointment(at=moment), share=0.1),
        "a list": Appointment(ats=[datetime(2026, 1, 1, tzinfo=UTC), moment]),
        "a dict": Appointment(by_name={"b": moment, "a": moment}),
        "a struct": Appointment(slot=Slot(moment)),
    }[place]
    appointments.append("account-1", [event])
    back = appointments.read_stream("account-1")[0].event
    there, here = moments_of(event), moments_of(back)
    assert [each.astimezone(UTC) for each in here] == [each.astimezone(UTC) for each in there] and here
    assert [each.utcoffset() for each in here] == [each.utcoffset() for each in there]
    assert back.tags == event.tags


class Slot(msgspec.Struct, frozen=True):
    begins: datetime


@dataclass(frozen=True)
class Appointment:
    at: datetime | None = None
    inner: "Appointment | None" = None
    ats: list[datetime] = field(default_factory=list)
    by_name: dict[str, datetime] = field(default_factory=dict)
    slot: Slot | None = None
    tags: frozenset[str] = frozenset()
    share: float = 0.0
    whatever: Any = None


def moments_of(event):
    found = [event.at, *event.ats, *(event.by_name[name] for name in sorted(event.by_name))]
    found += [event.slot.begins] if event.slot else []
    return [each for each in found if each] + (moments_of(event.inner) if event.inner else [])


def test_beside_such_a_moment_what_would_not_come_back_is_refused_as_ever(store, new_store):
    moment = HOURS["Berlin, the second time"]
    appointments = new_store(Appointment)
    for whatever in (Decimal("1.10"), (1, 2), Person("x"), moment, {1: "a"}):
        with pytest.raises(InvalidEvent):
            appointments.append("account-1", [Appointment(at=moment, whatever=whatever)])
    assert appointments.read_stream("account-1") == []


class Odd(tzinfo):
    """A zone that does not know its offset: a datetime in it is as good as a naive one."""

    def utcoffset(self, when):
        return None


def test_a_zone_that_does_not_know_its_offset_is_none(store, new_store):
    moment = datetime(2026, 1, 1, tzinfo=Odd())
    with pytest.raises(InvalidEvent, match="without a time zone"):
        new_store(Appointment).append("account-1", [Appointment(at=moment)])
    with pytest.raises(InvalidArgument, match="time zone"):
        store.read_stream("account-1", until=moment)


def test_what_jsonb_does_not_keep_is_as_the_docstring_says(store, new_store):
    """The order of a dict's keys, the sign of zero, and whether a whole number was written with an exponent."""
    appointments = new_store(Appointment)
    given_order = {name: HOURS["Berlin, skipped"] for name in ("bread", "egg", "apples")}
    appointments.append(
        "account-1", [Appointment(by_name=given_order, share=-0.0, whatever=1e16)], metadata={"n": 1e16}
    )
    (recorded,) = appointments.read_stream("account-1")
    assert list(recorded.event.by_name) == ["egg", "bread", "apples"], "by length, then by letters"
    assert str(recorded.event.share) == "0.0"
    assert [type(each) for each in (recorded.event.whatever, recorded.metadata["n"])] == [int, int]
    assert recorded.event.whatever == 1e16 == recorded.metadata["n"]
    for words in ("order of a dict's keys", "-0.0", "1e16"):
        assert words in EventTypes.__doc__


def test_a_decimal_beyond_all_floats_comes_back_beside_the_word_infinity(loans):
    assert_comes_back(loans, changed(amount=Decimal("1E+400"), note="To Infinity and beyond"))


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)
people = st.builds(Person, text, st.none() | st.dates(), st.lists(text, max_size=3))
whatever = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
loans_granted = st.builds(
    LoanGranted, st.uuids(), decimals, moments, people, text, st.integers(),
    st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.sampled_from(Channel), st.sampled_from(Risk),
    st.none() | people, st.none() | text, st.none() | st.dates(), st.none() | st.tuples(st.times(), st.times()),
    st.lists(decimals, max_size=3), st.lists(people, max_size=3), st.dictionaries(text, decimals, max_size=3),
    st.frozensets(text, max_size=3), st.binary(max_size=9), whatever,
)  # fmt: skip


@settings(max_examples=120, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(events=st.lists(loans_granted, min_size=1, max_size=3))
def test_whatever_events_are_stored_come_back_exactly(loans, events):
    assert_comes_back(loans, *events)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(text, whatever, max_size=4))
def test_whatever_metadata_is_stored_comes_back_exactly(store, metadata):
    stream_id = f"account-{uuid4()}"
    store.append(stream_id, deposits(1, 2), metadata=metadata)
    assert exact([each.metadata for each in store.read_stream(stream_id)]) == exact([metadata, metadata])


@pytest.mark.parametrize(("given_metadata", "expected"), [(None, {}), ({}, {}), (MappingProxyType({"a": 1}), {"a": 1})])
def test_metadata_can_be_left_out_or_be_any_mapping(store, given_metadata, expected):
    store.append("account-1", deposits(1), metadata=given_metadata)
    assert store.read_stream("account-1")[0].metadata == expected


def test_a_recorded_event_says_all_that_is_known_of_it(store):
    event_id = uuid4()
    end = store.append("account-1", [AccountOpened("1", "PLN")], metadata={"by": "me"}, event_ids=[event_id])
    (recorded,) = store.read_stream("account-1")
    assert recorded == RecordedEvent(
        "account-1", 1, end.position, event_id, "AccountOpened", AccountOpened("1", "PLN"), {"by": "me"},
        recorded.recorded_at,
    )  # fmt: skip


def test_events_and_ids_can_come_from_generators(store):
    event_ids = [uuid4(), uuid4()]
    store.append("account-1", (event for event in deposits(1, 2)), event_ids=(each for each in event_ids))
    assert [each.id for each in store.read_stream("account-1")] == event_ids


def test_an_event_is_stored_under_its_name_as_readable_json(store):
    store.append("account-1", [DepositRecorded("1", Decimal("10.50"), "cashier-1")])
    row = store.connection.execute("SELECT type, data FROM events").fetchone()
    assert row == ("DepositRecorded", {"account_id": "1", "amount": "10.50", "cashier_id": "cashier-1"})


def test_a_class_that_moved_reads_the_events_of_the_same_name(store, connect):
    @dataclass(frozen=True)
    class AccountClosed:  # another class, of the same name, with a new field
        account_id: str
        reason: str = "unknown"

    store.append("account-1", [globals()["AccountClosed"]("1")])
    moved = type(store)(connect(), EventTypes(AccountClosed))
    assert moved.read_stream("account-1")[0].event == AccountClosed("1", "unknown")
    with pytest.raises(UnknownEventType, match="AccountClosed"):
        moved.append("account-1", [globals()["AccountClosed"]("1")])


def test_reading_an_event_of_an_unregistered_type_says_which_and_where(store, connect):
    store.append("account-1", [AccountOpened("1", "PLN"), AccountClosed("1")])
    poor = type(store)(connect(), EventTypes(AccountOpened))
    with pytest.raises(UnknownEventType) as caught:
        poor.read_stream("account-1")
    for part in ("AccountClosed", "event 2", "account-1", "AccountOpened"):
        assert part in str(caught.value)
    assert len(poor.read_stream("account-1", to_version=1)) == 1


def test_reading_an_event_that_does_not_fit_its_class_says_which_and_why(store, connect):
    @dataclass(frozen=True)
    class AccountOpened:
        account_id: int
        currency: str

    store.append("account-1", [globals()["AccountOpened"]("one", "PLN")])
    with pytest.raises(InvalidEvent) as caught:
        type(store)(connect(), EventTypes(AccountOpened)).read_stream("account-1")
    for part in ("event 1", "account-1", "AccountOpened", "account_id"):
        assert part in str(caught.value)


@pytest.mark.parametrize("given_class", [dict, int, "AccountOpened", AccountOpened("1", "PLN"), None, Channel])
def test_what_is_no_dataclass_cannot_be_an_event_type(given_class):
    with pytest.raises(TypeError, match="dataclass"):
        EventTypes(given_class)


def test_two_event_types_cannot_share_a_name():
    other = type("AccountOpened", (AccountOpened,), {})
    for classes in ((AccountOpened, other), (AccountOpened, AccountOpened)):
        with pytest.raises(ValueError, match="AccountOpened"):
            EventTypes(*classes)


def test_a_field_that_cannot_become_json_is_refused_when_its_event_is_appended(connect):
    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(InvalidEvent, match="Odd"):
        EventStore(connect(), EventTypes(Odd)).append("odd-1", [Odd(1j)])


def test_an_append_says_whether_it_was_a_repetition_which_makes_its_answer_no_other(store):
    append = {"expected_version": 0, "event_ids": [uuid4(), uuid4()]}
    first = store.append("account-1", deposits(1, 2), **append)
    again = store.append("account-1", deposits(1, 2), **append)
    assert (first.repeated, again.repeated) == (False, True)
    assert again == first


def test_stream_info_is_what_the_events_say(store):
    assert store.stream_info("account-1-a") is None
    for amount in range(3):
        store.append("account-1-a", deposits(amount, amount))
    recorded = store.read_stream("account-1-a")
    info = store.stream_info("account-1-a")
    assert (info.stream_id, info.version) == ("account-1-a", 6)
    assert (info.created_at, info.updated_at) == (recorded[0].recorded_at, recorded[-1].recorded_at)
    assert info.created_at < info.updated_at


def test_a_callers_row_factory_does_not_reach_the_store(store, new_store):
    from psycopg.rows import dict_row

    other = new_store(row_factory=dict_row)
    assert other.append("account-1", deposits(1)).version == 1
    assert other.stream_info("account-1").version == 1
    assert [each.event for each in other.read_stream("account-1")] == deposits(1)
