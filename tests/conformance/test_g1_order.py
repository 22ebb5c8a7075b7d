"""G1: versions of a stream are 1, 2, 3, ... without a gap, and a stream is read in that order."""

import pytest

from tests.bank import deposits


@pytest.fixture
def five(store):
    """A store whose stream account-1 has deposits of 1 to 5."""
    store.append("account-1", deposits(1, 2, 3, 4, 5))
    return store


def amounts(recorded):
    return [int(each.event.amount) for each in recorded]


def test_versions_count_from_one_over_single_events_and_batches(store):
    ends = []
    first = 1
    for size in (1, 3, 1, 20, 2):
        ends.append(store.append("account-1", deposits(*range(first, first + size))).version)
        first += size
    assert ends == [1, 4, 5, 25, 27], "append returns the version of its last event"
    recorded = store.read_stream("account-1")
    assert [each.version for each in recorded] == list(range(1, 28))
    assert amounts(recorded) == list(range(1, 28)), "the events are in the order in which they were given"


def test_a_batch_of_a_thousand_keeps_its_order(store):
    store.append("account-1", deposits(*range(1, 1001)))
    assert amounts(store.read_stream("account-1")) == list(range(1, 1001))


def test_each_stream_has_versions_of_its_own(store):
    for amount in range(1, 7):
        store.append("account-1", deposits(amount))
        store.append("account-2", deposits(amount * 10, amount * 10 + 1))
        store.append("account-11", deposits(amount * 100))
    assert [each.version for each in store.read_stream("account-1")] == list(range(1, 7))
    assert amounts(store.read_stream("account-1")) == [1, 2, 3, 4, 5, 6]
    assert [each.version for each in store.read_stream("account-2")] == list(range(1, 13))
    assert amounts(store.read_stream("account-2")) == [10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61]
    assert amounts(store.read_stream("account-11")) == [100, 200, 300, 400, 500, 600]


def test_positions_rise_with_the_versions_and_are_shared_by_no_two_events(store):
    ends = [store.append(f"account-{amount % 2}", deposits(amount, amount)) for amount in range(6)]
    streams = [store.read_stream("account-0"), store.read_stream("account-1")]
    positions = [[each.position for each in stream] for stream in streams]
    assert all(each == sorted(each) for each in positions)
    assert len({*positions[0], *positions[1]}) == 12
    assert [end.position for end in ends[0::2]] == positions[0][1::2], "append returns its last event's position"
    assert [end.position for end in ends[1::2]] == positions[1][1::2]


def test_the_order_of_reading_does_not_hang_on_how_the_table_lies_on_disk(store):
    """Without ORDER BY the events come as the table lies, which is the right order until something moves them."""
    for amount in range(1, 6):
        store.append("account-1", deposits(amount))
    store.connection.execute("CREATE INDEX newest_first ON events (position DESC)")
    store.connection.execute("CLUSTER events USING newest_first")
    store.connection.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
    assert amounts(store.read_stream("account-1")) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"from_version": 1}, [1, 2, 3, 4, 5]),
        ({"from_version": 4}, [4, 5]),
        ({"from_version": 6}, []),
        ({"from_version": 600}, []),
        ({"to_version": 2}, [1, 2]),
        ({"to_version": 0}, []),
        ({"to_version": 500}, [1, 2, 3, 4, 5]),
        ({"from_version": 2, "to_version": 4}, [2, 3, 4]),
        ({"from_version": 3, "to_version": 3}, [3]),
        ({"from_version": 4, "to_version": 3}, []),
    ],
)
def test_a_range_of_versions_includes_both_of_its_ends(five, given, expected):
    recorded = five.read_stream("account-1", **given)
    assert [each.version for each in recorded] == expected
    assert amounts(recorded) == expected


def test_a_stream_that_does_not_exist_is_empty(store):
    assert list(store.read_stream("account-404")) == []
