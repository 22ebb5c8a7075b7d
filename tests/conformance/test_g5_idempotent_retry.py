"""G5: an append repeated with its event_ids and its explicit expected_version stores nothing twice."""

from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from eventstore import ANY, NO_STREAM, STREAM_EXISTS, Appended, DuplicateEvent, WrongExpectedVersion
from tests.bank import CashWithdrawn, DepositRecorded, deposits
from tests.concurrency import at_once, waiting

from .unreliable_network import UnreliableNetwork


def ids(count):
    return [uuid4() for _ in range(count)]


def everything(store, stream_id="account-1"):
    """All that a reader sees of a stream."""
    return store.read_stream(stream_id), store.stream_info(stream_id)


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("after", [0, 2])
def test_a_retry_returns_the_first_result_and_stores_nothing(store, before, size, after):
    """Before, and after, as many other events are in the stream."""
    if before:
        store.append("account-1", deposits(*range(before)))
    append = {"expected_version": before, "event_ids": ids(size), "metadata": {"try": 1}}
    events = deposits(*range(10, 10 + size))
    first = store.append("account-1", events, **append)
    if after:
        store.append("account-1", deposits(*range(20, 20 + after)))
        store.append("account-2", deposits(30))
    stored = everything(store)
    for _ in range(3):
        assert store.append("account-1", events, **append) == first
    assert everything(store) == stored
    assert [each.id for each in stored[0]][before : before + size] == append["event_ids"]
    assert store.append("account-1", deposits(40)).version == before + size + after + 1


@pytest.mark.parametrize("others", [0, 3])
def test_an_append_whose_answer_was_lost_with_the_connection_can_be_repeated_on_a_new_one(
    store, new_store, connect, others
):
    """The server commits, its answer is on its way, and the connection breaks."""
    store.append("account-1", deposits(1))
    events, event_ids = deposits(2, 3), ids(2)
    with UnreliableNetwork(store.connection.info) as network:
        far = new_store(host=network.host, hostaddr=network.host, port=network.port, sslmode="disable")
        assert far.append("account-2", deposits(1)).version == 1, "until then the connection works"
        network.lose_the_next_answer()
        with pytest.raises(psycopg.OperationalError):
            far.append("account-1", events, expected_version=1, event_ids=event_ids)
        assert network.lost, "the connection broke for another reason"
        assert far.connection.closed
    assert store.stream_info("account-1").version == 3, "the append was not stored, so this test says nothing"
    first = Appended(3, store.read_stream("account-1")[-1].position)
    for amount in range(others):
        store.append("account-1", deposits(amount))
        store.append("account-2", deposits(amount))
    stored = everything(store)
    assert new_store().append("account-1", events, expected_version=1, event_ids=event_ids) == first
    assert everything(store) == stored


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_retry_waits_for_a_first_try_that_is_still_open_and_answers_right(store, new_store, before, commits):
    other, observer = new_store(), new_store()
    if before:
        store.append("account-1", deposits(1))
    append = {"expected_version": before, "event_ids": ids(2)}
    store.connection.execute("BEGIN")
    first = store.append("account-1", deposits(2, 3), **append)
    with waiting(
        lambda: other.append("account-1", deposits(2, 3), **append), other.connection, observer.connection
    ) as retry:
        store.connection.execute("COMMIT" if commits else "ROLLBACK")
    recorded = store.read_stream("account-1")
    assert [each.event for each in recorded[before:]] == deposits(2, 3), "not stored just once"
    assert retry.result() == Appended(before + 2, recorded[-1].position)
    assert (retry.result() == first) == commits, "what was rolled back was no result"
    assert store.stream_info("account-1").version == before + 2


def test_eight_tries_at_once_store_the_events_once_and_all_get_one_answer(store, new_store):
    stores = [new_store() for _ in range(8)]
    for attempt in range(5):
        stream_id, event_ids = f"account-{attempt}", ids(3)
        answers = at_once(
            [
                lambda each=each, stream_id=stream_id, event_ids=event_ids: each.append(
                    stream_id, deposits(1, 2, 3), expected_version=NO_STREAM, event_ids=event_ids
                )
                for each in stores
            ]
        )
        recorded = store.read_stream(stream_id)
        assert answers == [Appended(3, recorded[-1].position)] * 8
        assert [each.id for each in recorded] == event_ids


def test_a_retry_within_the_transaction_of_the_first_try_returns_its_result(store):
    append = {"expected_version": NO_STREAM, "event_ids": ids(2)}
    with store.connection.transaction():
        first = store.append("account-1", deposits(1, 2), **append)
        assert store.append("account-1", deposits(1, 2), **append) == first
    assert len(store.read_stream("account-1")) == 2


@pytest.fixture
def known(store):
    """Ids of the events 2 to 4 of account-1, which has five."""
    known = ids(3)
    store.append("account-1", deposits(1))
    store.append("account-1", deposits(2, 3, 4), expected_version=1, event_ids=known)
    store.append("account-1", deposits(5))
    return known


NEW = uuid4()


@pytest.mark.parametrize("expected", [1, 2, 5, 0, 9, ANY, STREAM_EXISTS], ids=str)
@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda a, b, c: [a, b, NEW], id="the last is new"),
        pytest.param(lambda a, b, c: [NEW, b, c], id="the first is new"),
        pytest.param(lambda a, b, c: [a, b, c, NEW], id="one more"),
        pytest.param(lambda a, b, c: [b, a, c], id="in another order"),
        pytest.param(lambda a, b, c: [a, a, a], id="one thrice"),
    ],
)
def test_ids_of_which_some_are_known_or_misplaced_are_duplicates(store, known, choose, expected):
    given = choose(*known)
    refused(store, given, expected)


@pytest.mark.parametrize("expected", [0, 2, 5, 9, ANY, STREAM_EXISTS], ids=str)
def test_a_whole_append_that_is_known_is_a_duplicate_without_its_own_expected_version(store, known, expected):
    refused(store, known, expected)


def refused(store, given, expected):
    """Appending with these ids is refused as a duplicate, and changes nothing."""
    stored = everything(store)
    with pytest.raises(DuplicateEvent) as caught:
        store.append("account-1", deposits(*range(len(given))), expected_version=expected, event_ids=given)
    assert caught.value.stream_id == "account-1"
    assert "account-1" in str(caught.value)
    assert everything(store) == stored
    assert store.append("account-1", deposits(6), expected_version=5).version == 6


@pytest.mark.parametrize("expected", [ANY, NO_STREAM], ids=str)
def test_the_same_id_twice_in_one_batch_is_a_duplicate(store, expected):
    same = uuid4()
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(1, 2), expected_version=expected, event_ids=[same, same])
    assert everything(store) == ([], None)


def test_other_ids_at_a_version_that_has_passed_are_a_conflict_and_no_retry(store, known):
    stored = everything(store)
    with pytest.raises(WrongExpectedVersion) as caught:
        store.append("account-1", deposits(2, 3, 4), expected_version=1, event_ids=ids(3))
    assert (caught.value.expected, caught.value.actual) == (1, 5)
    with pytest.raises(WrongExpectedVersion):
        store.append("account-1", deposits(2, 3, 4), expected_version=1)
    assert everything(store) == stored


def test_an_id_is_known_in_its_own_stream_only(store, known):
    assert store.append("account-2", deposits(1, 2, 3), expected_version=NO_STREAM, event_ids=known).version == 3
    assert [each.id for each in store.read_stream("account-2")] == known


def test_an_append_that_was_refused_can_be_repeated_at_the_right_version_with_the_same_ids(store):
    store.append("account-1", deposits(1))
    event_ids = ids(2)
    with pytest.raises(WrongExpectedVersion):
        store.append("account-1", deposits(2, 3), expected_version=NO_STREAM, event_ids=event_ids)
    assert store.append("account-1", deposits(2, 3), expected_version=1, event_ids=event_ids).version == 3


def test_events_without_given_ids_get_ids_of_their_own(store):
    store.append("account-1", deposits(*[1] * 50))
    store.append("account-1", deposits(1), expected_version=50)
    assert len({each.id for each in store.read_stream("account-1")}) == 51


def test_a_known_id_at_the_highest_version_is_a_duplicate(store):
    event_id = uuid4()
    store.append("account-1", deposits(1), event_ids=[event_id])
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(1), expected_version=2**63 - 1, event_ids=[event_id])


# Other events, other constraints


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("changed", ["its data", "its type"])
def test_another_event_under_a_known_id_is_no_retry_and_stores_nothing(store, changed, size):
    """By the ids alone it would be taken for one: dropped, and answered as if it were stored."""
    append = {"expected_version": NO_STREAM, "event_ids": ids(size)}
    events = deposits(*range(size))
    store.append("account-1", events, **append)
    stored = everything(store)
    last = events[-1]
    other = deposits(999)[0] if changed == "its data" else CashWithdrawn("1", last.amount, last.cashier_id)
    with pytest.raises(DuplicateEvent):
        store.append("account-1", [*events[:-1], other], **append)
    assert everything(store) == stored
    assert store.append("account-1", events, **append).repeated


def test_a_retry_may_bring_other_metadata_as_who_tries_again_at_another_time(store):
    append = {"expected_version": NO_STREAM, "event_ids": ids(2)}
    first = store.append("account-1", deposits(1, 2), metadata={"try": 1}, **append)
    assert store.append("account-1", deposits(1, 2), metadata={"try": 2}, **append) == first
    assert [each.metadata for each in store.read_stream("account-1")] == [{"try": 1}] * 2


@pytest.mark.one_machine("Citus allows no unique index without the stream's id")
@pytest.mark.parametrize("value", ["one", "(stream_id, id)=(x)"])
def test_a_unique_index_of_the_callers_own_is_not_taken_for_a_duplicate_event(store, value):
    store.execute("CREATE UNIQUE INDEX one_cashier ON events ((data ->> 'cashier_id'))")
    event = DepositRecorded("1", Decimal(1), value)
    store.append("account-1", [event])
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        store.append("account-2", [event])
    assert caught.value.diag.constraint_name == "one_cashier"
    assert store.stream_info("account-2") is None


def test_a_stream_whose_row_was_lost_is_not_taken_for_a_duplicate_event(store):
    store.append("account-1", deposits(1))
    store.execute("DELETE FROM streams")
    with pytest.raises(psycopg.errors.UniqueViolation, match="version"):
        store.append("account-1", deposits(2))


@pytest.mark.one_machine("Citus renames no constraint of a distributed table")
def test_a_duplicate_is_known_whatever_its_constraint_is_called(store):
    store.execute("ALTER TABLE events RENAME CONSTRAINT events_stream_id_id_key TO sent_once")
    event_ids = ids(1)
    store.append("account-1", deposits(1), event_ids=event_ids)
    with pytest.raises(DuplicateEvent):
        store.append("account-1", deposits(1), event_ids=event_ids)
