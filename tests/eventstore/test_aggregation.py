"""A stream as a state: the fold and its version, and events that outlive the names and shapes of their classes."""

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import (
    EventStore,
    EventTypes,
    InvalidEvent,
    UnknownEventType,
    WrongExpectedVersion,
    aggregate_stream,
)
from tests.bank import AccountClosed, AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded, deposits
from workshop.bank import BankAccount, evolve

# The fold

amounts = st.decimals(min_value=0, max_value=10**9, places=2)
events = st.one_of(
    st.builds(AccountOpened, st.just("account-1"), st.sampled_from(["PLN", "EUR"])),
    st.builds(DepositRecorded, st.just("account-1"), amounts, st.just("cashier-7")),
    st.builds(CashWithdrawn, st.just("account-1"), amounts, st.just("cashier-7")),
    st.just(AccountClosed("account-1")),
    st.just(CashierEmployed("cashier-7", "Anna")),  # nothing to an account
)
batches = st.lists(st.lists(events, min_size=1, max_size=4), max_size=4)
each_history = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def collect(seen: tuple, event: object) -> tuple:
    """Be an evolve whose state is all that it met, in order: no two histories have the same."""
    return (*seen, event)


def appended(store: EventStore, batches: list[list[object]]) -> tuple[str, list[object]]:
    """Append batches to a stream of their own; return its id, and the events as they were appended."""
    stream_id = f"account-{uuid4()}"
    for batch in batches:
        store.append(stream_id, batch)
    return stream_id, [event for batch in batches for event in batch]


@each_history
@given(batches=batches)
def test_the_state_is_the_fold_of_what_was_appended(store, batches):
    stream_id, history = appended(store, batches)
    assert aggregate_stream(store, stream_id, (), collect) == (tuple(history), len(history))
    assert aggregate_stream(store, stream_id, BankAccount(), evolve)[0] == reduce(evolve, history, BankAccount())


@each_history
@given(batches=batches)
def test_the_state_at_each_version_is_the_fold_of_the_events_up_to_it(store, batches):
    stream_id, history = appended(store, batches)
    for version in range(len(history) + 1):
        expected = reduce(evolve, history[:version], BankAccount()), version
        assert aggregate_stream(store, stream_id, BankAccount(), evolve, to_version=version) == expected


@each_history
@given(batches=batches, share=st.floats(0, 1))
def test_to_fold_in_two_parts_is_to_fold_at_once(store, batches, share):
    stream_id, history = appended(store, batches)
    middle = round(share * len(history))
    half_way, version = aggregate_stream(store, stream_id, BankAccount(), evolve, to_version=middle)
    rest = [recorded.event for recorded in store.read_stream(stream_id, from_version=version + 1)]
    assert len(rest) == len(history) - middle
    assert (reduce(evolve, rest, half_way), len(history)) == aggregate_stream(store, stream_id, BankAccount(), evolve)


@each_history
@given(batches=batches)
def test_a_second_reading_gives_the_same_state_and_leaves_the_first_one_alone(store, batches):
    stream_id, history = appended(store, batches)
    initial = BankAccount()
    first = aggregate_stream(store, stream_id, initial, evolve)
    assert (
        aggregate_stream(store, stream_id, initial, evolve) == first == (reduce(evolve, history, initial), len(history))
    )
    assert initial == BankAccount()


def test_a_stream_that_is_not_there_is_the_initial_state_itself_at_version_0(store):
    initial = object()
    state, version = aggregate_stream(store, "account-404", initial, evolve)
    assert state is initial
    assert version == 0


def test_the_version_is_the_one_that_a_writer_expects(store):
    store.append("account-2", deposits(1, 2, 3))  # so that no position is a version
    for expected in range(3):
        _, version = aggregate_stream(store, "account-1", BankAccount(), evolve)
        assert version == expected
        store.append("account-1", deposits(1), expected_version=version)
    _, version = aggregate_stream(store, "account-1", BankAccount(), evolve, to_version=2)
    with pytest.raises(WrongExpectedVersion):
        store.append("account-1", deposits(1), expected_version=version)


def test_the_version_is_read_and_not_counted(store):
    store.execute("INSERT INTO streams (id, version) VALUES ('account-1', 6)")
    store.execute(  # the first five events are not here any more
        "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
        " VALUES ('account-1', 6, gen_random_uuid(), 'AccountClosed', '{\"account_id\": \"1\"}', '{}', now())"
    )
    assert aggregate_stream(store, "account-1", (), collect) == ((AccountClosed("1"),), 6)


def test_the_state_at_a_moment_is_that_of_the_events_until_then(store):
    for amount in (1, 2, 3):
        store.append("account-1", deposits(amount))
    for recorded in store.read_stream("account-1"):
        _, version = aggregate_stream(store, "account-1", (), collect, until=recorded.recorded_at)
        assert version == recorded.version


def test_state_and_version_are_of_one_reading(store, new_store):
    other = new_store()
    store.append("account-1", deposits(1, 2))

    def overtaken(seen, event):  # while the fold goes on, somebody else appends
        other.append("account-1", deposits(9))
        return (*seen, event)

    assert aggregate_stream(store, "account-1", (), overtaken) == (tuple(deposits(1, 2)), 2)


def test_what_evolve_raises_reaches_the_caller(store):
    store.append("account-1", deposits(1))
    with pytest.raises(ZeroDivisionError):
        aggregate_stream(store, "account-1", 0, lambda state, event: 1 // 0)


# Names


@dataclass(frozen=True)
class MoneyPaidIn:
    account_id: str
    amount: Decimal
    cashier_id: str


PAID_IN = MoneyPaidIn("1", Decimal("1.50"), "cashier-1")
RECORDED = DepositRecorded("1", Decimal("1.50"), "cashier-1")


@pytest.fixture
def store_of(store, connect):
    """Make event stores for other event types, all on the tables of this test: other programs, or other releases."""
    return lambda *classes, **how: EventStore(connect(), EventTypes(*classes, **how))


def stored_types(store: EventStore) -> list[str]:
    return [name for (name,) in store.execute("SELECT type FROM events ORDER BY position")]


def test_a_class_that_was_renamed_reads_and_writes_under_the_old_name(store, store_of):
    store.append("account-1", [RECORDED])
    renamed = store_of(DepositRecorded=MoneyPaidIn)
    renamed.append("account-1", [PAID_IN])
    assert [each.event for each in renamed.read_stream("account-1")] == [PAID_IN, PAID_IN]
    assert [each.type for each in renamed.read_stream("account-1")] == ["DepositRecorded", "DepositRecorded"]
    # and so the program that knows the old class alone still reads all of them
    assert [each.event for each in store.read_stream("account-1")] == [RECORDED, RECORDED]


def test_a_class_with_several_names_is_written_under_the_first_and_read_under_all(store, store_of):
    store.append("account-1", [RECORDED])
    both = store_of(MoneyPaidIn, DepositRecorded=MoneyPaidIn, PaymentReceived=MoneyPaidIn)
    both.append("account-1", [PAID_IN])
    store_of(PaymentReceived=MoneyPaidIn).append("account-1", [PAID_IN])
    assert stored_types(store) == ["DepositRecorded", "MoneyPaidIn", "PaymentReceived"]
    assert [each.event for each in both.read_stream("account-1")] == [PAID_IN] * 3
    assert set(both.types.names([MoneyPaidIn])) == {"DepositRecorded", "MoneyPaidIn", "PaymentReceived"}


def test_the_first_of_several_names_counts_even_where_none_is_the_classs_own(store, store_of):
    store_of(DepositRecorded=MoneyPaidIn, PaymentReceived=MoneyPaidIn).append("account-1", [PAID_IN])
    assert stored_types(store) == ["DepositRecorded"]


def test_a_name_stands_for_one_class(store):
    with pytest.raises(ValueError, match="DepositRecorded"):
        EventTypes(DepositRecorded, DepositRecorded=MoneyPaidIn)
    with pytest.raises(TypeError, match="dataclass"):
        EventTypes(DepositRecorded=dict)


def test_an_unknown_type_stops_the_fold_and_says_which_and_where(store, store_of):
    store.append("account-1", [AccountOpened("1", "PLN"), RECORDED])
    forgetful = store_of(AccountOpened)
    with pytest.raises(UnknownEventType) as caught:
        aggregate_stream(forgetful, "account-1", BankAccount(), evolve)
    for part in ("event 2", "'account-1'", "'DepositRecorded'", "registered: AccountOpened"):
        assert part in str(caught.value)
    # what comes before it can be read
    assert aggregate_stream(forgetful, "account-1", BankAccount(), evolve, to_version=1)[1] == 1


def test_a_new_name_for_a_class_does_not_read_what_was_stored_under_the_old_one(store, store_of):
    store.append("account-1", [RECORDED])
    with pytest.raises(UnknownEventType, match="'DepositRecorded', which is not registered"):
        store_of(MoneyPaidIn).read_stream("account-1")


# Shapes


@dataclass(frozen=True)
class DepositRecordedIn2019:
    account_id: str
    amount_cents: int
    cashier: str


def upcast(data):
    if "amount_cents" not in data:
        return data
    return {
        "account_id": data["account_id"],
        "amount": f"{Decimal(data['amount_cents']) / 100:.2f}",
        "cashier_id": data["cashier"],
    }


@pytest.fixture
def in_2019(store_of):
    """The program of 2019, when a deposit had another shape."""
    return store_of(AccountOpened, DepositRecorded=DepositRecordedIn2019)


@pytest.fixture
def today(store_of):
    return store_of(AccountOpened, DepositRecorded, upcasters={"DepositRecorded": upcast})


def stored_data(store: EventStore) -> list[str]:
    return [data for (data,) in store.execute("SELECT data::text FROM events ORDER BY position")]


def test_old_and_new_events_of_one_stream_are_read_as_one_class(in_2019, today):
    in_2019.append("account-1", [AccountOpened("1", "PLN"), DepositRecordedIn2019("1", 10050, "cashier-1")])
    before = stored_data(today)
    today.append("account-1", [DepositRecorded("1", Decimal("20.00"), "cashier-2")])
    assert [each.event for each in today.read_stream("account-1")] == [
        AccountOpened("1", "PLN"),
        DepositRecorded("1", Decimal("100.50"), "cashier-1"),
        DepositRecorded("1", Decimal("20.00"), "cashier-2"),
    ]
    account, version = aggregate_stream(today, "account-1", BankAccount(), evolve)
    assert (account.balance, version) == (Decimal("120.50"), 3)
    assert stored_data(today)[:2] == before, "events are never rewritten"


def test_without_its_upcaster_an_old_event_is_refused_not_guessed(in_2019, store):
    in_2019.append("account-1", [DepositRecordedIn2019("1", 10050, "cashier-1")])
    with pytest.raises(InvalidEvent) as caught:
        store.read_stream("account-1")
    for part in ("event 1", "'account-1'", "DepositRecorded", "`amount`"):
        assert part in str(caught.value)


def test_a_new_field_with_a_default_and_a_field_that_is_gone_need_no_upcaster(store, store_of):
    @dataclass(frozen=True)
    class DepositRecorded:  # without the cashier, with a channel
        account_id: str
        amount: Decimal
        channel: str = "branch"

    store.append("account-1", [RECORDED])
    (recorded,) = store_of(DepositRecorded).read_stream("account-1")
    assert recorded.event == DepositRecorded("1", Decimal("1.50"), "branch")


def test_an_upcaster_gets_the_events_of_its_name_alone(store, store_of):
    store.append("account-1", [AccountOpened("1", "PLN"), RECORDED, AccountClosed("1")])
    met = []
    types = {"upcasters": {"DepositRecorded": lambda data: met.append(data) or data}}
    store_of(AccountOpened, DepositRecorded, AccountClosed, **types).read_stream("account-1")
    assert met == [{"account_id": "1", "amount": "1.50", "cashier_id": "cashier-1"}]


def test_an_upcaster_goes_with_the_stored_name_whatever_the_class_is_called(in_2019, store_of):
    in_2019.append("account-1", [DepositRecordedIn2019("1", 150, "cashier-1")])
    renamed = store_of(MoneyPaidIn, DepositRecorded=MoneyPaidIn, upcasters={"DepositRecorded": upcast})
    renamed.append("account-1", [PAID_IN])
    assert [(each.type, each.event) for each in renamed.read_stream("account-1")] == [
        ("DepositRecorded", PAID_IN),
        ("MoneyPaidIn", PAID_IN),
    ]


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        (lambda data: {"account_id": data["number"]}, "KeyError: 'number'"),
        (lambda data: 1 // 0, "ZeroDivisionError"),
        (lambda data: {**data, "amount": "a lot"}, "amount"),
        (lambda data: None, "null"),
        (lambda data: {"amount": object()}, "object"),
    ],
)
def test_an_upcaster_that_fails_is_an_invalid_event_that_says_which_and_why(store, store_of, faulty, says):
    store.append("account-1", [AccountOpened("1", "PLN"), RECORDED])
    careless = store_of(AccountOpened, DepositRecorded, upcasters={"DepositRecorded": faulty})
    with pytest.raises(InvalidEvent) as caught:
        careless.read_stream("account-1")
    for part in ("event 2", "'account-1'", "DepositRecorded", says):
        assert part in str(caught.value)
    assert caught.value.__cause__ is not None


def test_an_event_that_its_own_upcaster_would_spoil_is_refused_before_it_is_stored(store, store_of):
    def old_shape_only(data):
        return {**data, "amount": data["amount_cents"]}

    def doubles(data):
        return {**data, "amount": str(2 * Decimal(data["amount"]))}

    for faulty, says in ((old_shape_only, "KeyError: 'amount_cents'"), (doubles, "comes back as")):
        careless = store_of(DepositRecorded, upcasters={"DepositRecorded": faulty})
        with pytest.raises(InvalidEvent, match="DepositRecorded") as caught:
            careless.append("account-1", [RECORDED])
        assert says in str(caught.value)
    assert stored_types(store) == []


def test_an_upcaster_without_a_class_is_a_mistake_told_at_once():
    with pytest.raises(ValueError, match="upcaster for DepositRecoded, and no class of that name"):
        EventTypes(DepositRecorded, upcasters={"DepositRecoded": upcast})
    with pytest.raises(ValueError, match="upcaster for MoneyPaidIn"):  # it goes by the stored name
        EventTypes(DepositRecorded=MoneyPaidIn, upcasters={"MoneyPaidIn": upcast})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cents=st.integers(0, 10**15))
def test_an_upcaster_of_cents_is_exact(cents):
    types = EventTypes(DepositRecorded, upcasters={"DepositRecorded": upcast})
    data = f'{{"account_id": "1", "amount_cents": {cents}, "cashier": "cashier-1"}}'
    row = ("account-1", 1, 1, uuid4(), "DepositRecorded", data, "{}", None)
    assert types.record(row).event.amount * 100 == cents
