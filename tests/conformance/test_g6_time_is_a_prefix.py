"""G6: recorded_at never goes backwards within a stream, so reading until a moment gives a prefix of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from eventstore import InvalidArgument, aggregate_stream
from tests.bank import deposits
from tests.concurrency import waiting
from workshop.bank import BankAccount, evolve

TICK = timedelta(microseconds=1)  # the resolution of PostgreSQL's timestamps


def assert_time_is_a_prefix(store, stream_id, moments=None):
    recorded = store.read_stream(stream_id)
    times = [each.recorded_at for each in recorded]
    assert times == sorted(times), "recorded_at goes backwards"
    for moment in {*times} if moments is None else moments:
        for until in (moment - TICK, moment, moment + TICK):
            expected = [each for each in recorded if each.recorded_at <= until]
            assert store.read_stream(stream_id, until=until) == expected == recorded[: len(expected)]


def test_a_transaction_that_began_first_and_appends_last_does_not_turn_time_back(store, new_store):
    other = new_store()
    store.append("account-1", deposits(1))
    with store.connection.transaction():
        began = store.connection.execute("SELECT now()").fetchone()[0]
        other.append("account-1", deposits(2))
        store.append("account-1", deposits(3))
    recorded = store.read_stream("account-1")
    assert [each.event for each in recorded] == deposits(1, 2, 3)
    assert began < recorded[1].recorded_at <= recorded[2].recorded_at
    assert_time_is_a_prefix(store, "account-1")


def test_an_append_that_waited_for_another_is_not_recorded_before_it(store, new_store):
    """Its statement began before the other's last event was written, so the clock is to be read after the wait."""
    other, observer = new_store(), new_store()
    store.connection.execute("BEGIN")
    store.append("account-1", deposits(1))
    with waiting(lambda: other.append("account-1", deposits(3)), other.connection, observer.connection) as behind:
        store.append("account-1", deposits(2))
        store.connection.execute("COMMIT")
    assert behind.result().version == 3
    assert [each.event for each in store.read_stream("account-1")] == deposits(1, 2, 3)
    assert_time_is_a_prefix(store, "account-1")


def test_a_clock_that_was_set_back_does_not_turn_time_back(store):
    """As after a failover to a machine whose clock lags: the last event is an hour ahead of us."""
    store.append("account-1", deposits(1))
    store.connection.execute("UPDATE streams SET version = 2")
    ahead = store.connection.execute(
        "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at) "
        "SELECT stream_id, 2, gen_random_uuid(), type, data, metadata, clock_timestamp() + interval '1 hour' "
        "FROM events RETURNING recorded_at"
    ).fetchone()[0]
    store.append("account-1", deposits(3, 4))
    store.append("account-2", deposits(1))
    assert [each.recorded_at for each in store.read_stream("account-1")][1:] == [ahead] * 3
    assert store.read_stream("account-2")[0].recorded_at < ahead, "one stream's clock is not the other's"
    assert_time_is_a_prefix(store, "account-1")


def test_time_is_a_prefix_whatever_transactions_overlap(store, new_store):
    """Eight writers on one stream, half of them in transactions that began a while before."""

    def write(number):
        writer = new_store()
        for round_ in range(12):
            if number % 2:
                with writer.connection.transaction():
                    writer.connection.execute("SELECT now()")
                    time.sleep(0.001 * (number + round_ % 3))
                    writer.append("account-1", deposits(number))
            else:
                writer.append("account-1", deposits(number, number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert store.stream_info("account-1").version == 12 * (4 + 8)
    times = [each.recorded_at for each in store.read_stream("account-1")]
    assert_time_is_a_prefix(store, "account-1", times[::10])


@pytest.fixture
def moments(store):
    """The moments of four appends to account-1, one event each, well apart."""
    for amount in range(1, 5):
        store.append("account-1", deposits(amount))
        time.sleep(0.002)
    times = [each.recorded_at for each in store.read_stream("account-1")]
    assert len(set(times)) == 4
    return times


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda t: {"until": t[2]}, [1, 2, 3]),
        (lambda t: {"until": t[2] - TICK}, [1, 2]),
        (lambda t: {"until": t[0] - TICK}, []),
        (lambda t: {"until": t[3] + timedelta(days=3650)}, [1, 2, 3, 4]),
        (lambda t: {"since": t[2]}, [3, 4]),
        (lambda t: {"since": t[2] + TICK}, [4]),
        (lambda t: {"since": t[3] + TICK}, []),
        (lambda t: {"since": datetime(1970, 1, 1, tzinfo=UTC)}, [1, 2, 3, 4]),
        (lambda t: {"since": t[1], "until": t[2]}, [2, 3]),
        (lambda t: {"since": t[1], "until": t[1]}, [2]),
        (lambda t: {"since": t[1] + TICK, "until": t[2] - TICK}, []),
        (lambda t: {"until": t[2], "from_version": 2}, [2, 3]),
        (lambda t: {"until": t[2], "to_version": 1}, [1]),
        (lambda t: {"until": t[2].astimezone(timezone(timedelta(hours=-11)))}, [1, 2, 3]),
        (lambda t: {"since": t[2].astimezone(timezone(timedelta(hours=13)))}, [3, 4]),
    ],
)
def test_a_range_of_moments_includes_both_of_its_ends(store, moments, given, expected):
    assert [each.version for each in store.read_stream("account-1", **given(moments))] == expected


def collect(seen, event):
    """Be an evolve whose state is all that it met."""
    return (*seen, event)


def test_the_state_at_a_version_and_at_a_moment_is_that_of_the_events_until_then(store, moments, function):
    aggregate_stream = function("aggregate_stream")
    whole = tuple(deposits(1, 2, 3, 4))
    assert aggregate_stream(store, "account-1", (), collect) == (whole, 4)
    for version, moment in enumerate(moments, 1):
        then = (whole[:version], version)
        assert aggregate_stream(store, "account-1", (), collect, to_version=version) == then
        assert aggregate_stream(store, "account-1", (), collect, until=moment) == then
        before = (whole[: version - 1], version - 1)
        assert aggregate_stream(store, "account-1", (), collect, until=moment - TICK) == before


def test_a_snapshot_does_not_change_the_state_at_any_version_or_moment(store, moments, function):
    aggregate_with_snapshots = function("aggregate_with_snapshots")
    for version in (2, 4):  # as readers who came by at these versions left them
        store.append("account-2", deposits(version - 1, version, account="account-2"))
        aggregate_with_snapshots(store, "account-2", BankAccount(), evolve, every=2)
    assert store.connection.execute("SELECT count(*) FROM snapshots").fetchone() == (2,), "none was kept"
    for recorded in store.read_stream("account-2"):
        for how in {"to_version": recorded.version}, {"until": recorded.recorded_at}, {"until": moments[-1]}, {}:
            state = aggregate_stream(store, "account-2", BankAccount(), evolve, **how)
            assert aggregate_with_snapshots(store, "account-2", BankAccount(), evolve, every=2, **how) == state


def test_events_of_one_append_are_of_one_moment(store):
    store.append("account-1", deposits(*range(100)))
    assert len({each.recorded_at for each in store.read_stream("account-1")}) == 1


def test_recorded_at_has_a_time_zone_and_is_the_time_of_the_database(store):
    before = store.connection.execute("SELECT clock_timestamp()").fetchone()[0]
    store.append("account-1", deposits(1))
    after = store.connection.execute("SELECT clock_timestamp()").fetchone()[0]
    recorded_at = store.read_stream("account-1")[0].recorded_at
    assert recorded_at.tzinfo is not None
    assert before <= recorded_at <= after


# When the clocks change


BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2026, 10, 25, 2, 50, tzinfo=BERLIN)  # 00:50 UTC
SECOND = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)  # 01:10 UTC, twenty minutes later


def test_a_range_over_the_hour_that_comes_twice_is_a_range_and_turned_round_it_is_refused(store):
    """What the clock showed is no order: it was set back in between."""
    store.append("account-1", deposits(1))
    assert store.read_stream("account-1", since=FIRST, until=SECOND) == []
    with pytest.raises(InvalidArgument, match="turn the range round"):
        store.read_stream("account-1", since=SECOND, until=FIRST)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Apia", "UTC"])
def test_a_moment_that_the_store_handed_out_can_be_asked_for_whatever_the_zone_of_the_session(store, new_store, zone):
    """It comes in the zone of the session, and the events were recorded in the hour that comes twice."""
    reader = new_store(options=f"-c TimeZone={zone}")
    for minutes in (30, 50, 70, 90, 110):
        moment = datetime(2026, 10, 24, 23, 40, tzinfo=UTC) + timedelta(minutes=minutes)
        store.execute(
            "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at) SELECT 'account-1',"
            " count(*) + 1, gen_random_uuid(), 'DepositRecorded', %s, '{}', %s FROM events",
            ('{"account_id": "1", "amount": "1", "cashier_id": "x"}', moment),
        )
    recorded = reader.read_stream("account-1")
    for number, first in enumerate(recorded, 1):
        assert len(reader.read_stream("account-1", until=first.recorded_at)) == number
        for last, second in enumerate(recorded[number - 1 :], number):
            found = reader.read_stream("account-1", since=first.recorded_at, until=second.recorded_at)
            assert [each.version for each in found] == list(range(number, last + 1))
