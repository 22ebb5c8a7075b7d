"""G4: of n writers that expect one version exactly one wins; with ANY, contention never fails an append."""

from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal

import pytest

from eventstore import ANY, NO_STREAM, STREAM_EXISTS, Appended, WrongExpectedVersion
from tests.bank import deposits
from tests.concurrency import at_once, waiting
from workshop.bank import CommandRefused, OpenAccount, RecordDeposit, WithdrawCash, account_decider
from workshop.checks.watched import Watched

WRITERS = 8


def race(stores, stream_id, expected_version, batch=2):
    """Each store appends a batch at once with the others; return the winners and the rest."""
    tasks = [
        lambda store=store, n=n: store.append(
            stream_id, deposits(*[n * 100 + i for i in range(batch)]), expected_version=expected_version
        )
        for n, store in enumerate(stores, 1)
    ]
    outcomes = at_once(tasks)
    winners = {n: outcome for n, outcome in enumerate(outcomes, 1) if isinstance(outcome, Appended)}
    return winners, [outcome for outcome in outcomes if not isinstance(outcome, Appended)]


@pytest.fixture
def stores(store, new_store):
    return [new_store() for _ in range(WRITERS)]


@pytest.mark.parametrize("expected", [NO_STREAM, 3])
def test_of_eight_writers_that_expect_one_version_exactly_one_wins(store, stores, expected):
    for attempt in range(5):
        stream_id = f"account-{attempt}"
        if expected:
            store.append(stream_id, deposits(*range(1, expected + 1)))
        winners, losers = race(stores, stream_id, expected)
        assert len(winners) == 1, f"{len(winners)} writers won"
        for error in losers:
            assert isinstance(error, WrongExpectedVersion), repr(error)
            assert (error.stream_id, error.expected, error.actual) == (stream_id, expected, expected + 2)
        ((winner, appended),) = winners.items()
        recorded = store.read_stream(stream_id)
        assert [each.version for each in recorded] == list(range(1, expected + 3)), "a loser stored something"
        assert [each.event for each in recorded[expected:]] == deposits(winner * 100, winner * 100 + 1)
        assert appended == Appended(expected + 2, recorded[-1].position)
        assert store.stream_info(stream_id).version == expected + 2


@pytest.mark.parametrize("expected", [ANY, STREAM_EXISTS])
def test_with_no_version_named_all_of_eight_writers_append(store, stores, expected):
    for attempt in range(5):
        stream_id = f"account-{attempt}"
        first = 0
        if expected is STREAM_EXISTS:
            first = store.append(stream_id, deposits(1)).version
        winners, losers = race(stores, stream_id, expected)
        assert losers == []
        assert sorted(each.version for each in winners.values()) == [first + 2 * n for n in range(1, WRITERS + 1)]
        recorded = store.read_stream(stream_id)
        assert [each.version for each in recorded] == list(range(1, first + 2 * WRITERS + 1))
        for n, appended in winners.items():
            mine = recorded[appended.version - 2 : appended.version]
            assert [each.event for each in mine] == deposits(n * 100, n * 100 + 1), "a batch was torn apart"


def test_many_rounds_of_contention_under_any_fail_no_append(store, stores):
    def write(writer):
        return [writer.append(f"account-{n % 3}", deposits(*range(n % 4 + 1))) for n in range(25)]

    with ThreadPoolExecutor(WRITERS) as pool:
        ends = list(pool.map(write, stores))  # raises what an append raised
    in_all = 0
    for n in range(3):
        versions = [each.version for each in store.read_stream(f"account-{n}")]
        assert versions == list(range(1, len(versions) + 1))
        assert store.stream_info(f"account-{n}").version == len(versions)
        in_all += len(versions)
    assert in_all == WRITERS * sum(n % 4 + 1 for n in range(25))
    assert len({end.position for each in ends for end in each}) == WRITERS * 25


def test_writers_who_read_again_after_a_conflict_lose_no_update(store, stores):
    def count(writer):
        for _ in range(6):
            while True:
                recorded = writer.read_stream("account-1")
                amount = int(recorded[-1].event.amount) + 1 if recorded else 1
                try:
                    writer.append("account-1", deposits(amount), expected_version=len(recorded))
                    break
                except WrongExpectedVersion:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, stores[:4]))
    assert [each.event for each in store.read_stream("account-1")] == deposits(*range(1, 25))


def test_of_eight_commands_that_are_handled_at_once_each_decides_on_what_the_others_did(store, stores, function):
    """There is money for three of them. Whoever loses the race reads again, and is refused if it is gone by then."""
    handle = function("handle")
    handle(store, account_decider, "account-1", OpenAccount("account-1", "PLN"))
    handle(store, account_decider, "account-1", RecordDeposit(Decimal(30), "cashier-1"))
    withdraw = WithdrawCash(Decimal(10), "cashier-1")
    outcomes = at_once(
        [lambda each=each: handle(each, account_decider, "account-1", withdraw, attempts=20) for each in stores]
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, CommandRefused)]
    paid = sorted(outcome[1] for outcome in outcomes if isinstance(outcome, tuple))
    assert (paid, len(refused)) == ([3, 4, 5], WRITERS - 3), outcomes


@pytest.mark.parametrize(
    ("expected", "shown"), [(0, "0"), (1, "1"), (2, "2"), (4, "4"), (10, "10"), (2**63 - 1, "9223372036854775807")]
)
def test_another_version_than_the_streams_own_is_refused_and_named(store, expected, shown):
    end = store.append("account-1", deposits(1, 2, 3))
    with pytest.raises(WrongExpectedVersion) as caught:
        store.append("account-1", deposits(4), expected_version=expected)
    assert (caught.value.stream_id, caught.value.expected, caught.value.actual) == ("account-1", expected, 3)
    for part in ("account-1", shown, "3"):
        assert part in str(caught.value)
    assert len(store.read_stream("account-1")) == 3
    assert store.append("account-1", deposits(4), expected_version=end.version).version == 4


@pytest.mark.parametrize("expected", [1, 7, STREAM_EXISTS])
def test_a_wrong_expectation_of_a_missing_stream_leaves_no_stream_behind(store, expected):
    with pytest.raises(WrongExpectedVersion) as caught:
        store.append("account-1", deposits(1), expected_version=expected)
    assert (caught.value.expected, caught.value.actual) == (expected, 0)
    assert str(expected) in str(caught.value)
    assert store.stream_info("account-1") is None
    assert store.connection.execute("SELECT count(*) FROM streams").fetchone() == (0,)
    assert store.append("account-1", deposits(1), expected_version=NO_STREAM).version == 1


def test_no_stream_is_version_zero(store):
    assert NO_STREAM == 0
    assert store.append("account-1", deposits(1), expected_version=0).version == 1


def test_a_stream_that_exists_can_be_expected_by_that_alone(store):
    store.append("account-1", deposits(1))
    assert store.append("account-1", deposits(2), expected_version=STREAM_EXISTS).version == 2


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
@pytest.mark.parametrize("exists", [True, False], ids=["existing stream", "new stream"])
@pytest.mark.parametrize("expected", ["its version", ANY, STREAM_EXISTS], ids=str)
def test_a_writer_behind_an_open_transaction_waits_and_then_sees_how_it_ended(
    store, new_store, exists, commits, expected
):
    other, observer = new_store(), new_store()
    start = store.append("account-1", deposits(1)).version if exists else 0
    expected_version = start if expected == "its version" else expected
    store.connection.execute("BEGIN")
    store.append("account-1", deposits(10, 11))
    with waiting(
        lambda: other.append("account-1", deposits(20), expected_version=expected_version),
        other.connection,
        observer.connection,
    ) as behind:
        store.connection.execute("COMMIT" if commits else "ROLLBACK")
    after = start + 2 * commits
    loses = after == 0 if expected is STREAM_EXISTS else expected != ANY and commits
    if loses:
        assert isinstance(behind.exception(), WrongExpectedVersion)
        assert behind.exception().actual == after
    else:
        assert behind.result().version == after + 1
    events = deposits(1) * exists + deposits(10, 11) * commits + deposits(20) * (not loses)
    assert [each.event for each in store.read_stream("account-1")] == events


def test_writers_of_different_streams_do_not_wait_for_each_other(store, new_store):
    other = new_store()
    other.connection.execute("SET lock_timeout = '300ms'")
    with store.connection.transaction():
        store.append("account-1", deposits(1))
        assert other.append("account-2", deposits(1)).version == 1


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
@pytest.mark.parametrize("expected", [NO_STREAM, 1, 9], ids=["no stream", "an old version", "one that never was"])
def test_a_writer_who_has_lost_already_is_refused_however_an_open_transaction_ends(store, new_store, expected, commits):
    """It may wait for that end, or know at once that it has lost."""
    other = new_store()
    store.append("account-1", deposits(1, 2))
    store.connection.execute("BEGIN")
    store.append("account-1", deposits(3))
    with ThreadPoolExecutor(1) as pool:
        behind = pool.submit(other.append, "account-1", deposits(9), expected_version=expected)
        wait([behind], timeout=0.1)
        store.connection.execute("COMMIT" if commits else "ROLLBACK")
    assert isinstance(behind.exception(), WrongExpectedVersion)
    assert behind.exception().actual in {2, 2 + commits}
    assert len(store.read_stream("account-1")) == 2 + commits


@pytest.mark.parametrize("exists", [True, False], ids=["existing stream", "new stream"])
def test_a_writer_who_was_told_that_it_has_lost_keeps_nobody_waiting(store, new_store, exists):
    """Its transaction may go on for as long as it likes."""
    loser = new_store()
    store.execute("SET lock_timeout = '300ms'")
    if exists:
        store.append("account-1", deposits(1))
    with loser.connection.transaction():
        with pytest.raises(WrongExpectedVersion):
            loser.append("account-1", deposits(9), expected_version=5)
        assert store.append("account-1", deposits(2)).version == 1 + exists
    assert len(store.read_stream("account-1")) == 1 + exists


# What is returned


class AppendsBefore:
    """Watches a connection: somebody appends to account-1 right before its n-th statement."""

    def __init__(self, somebody, number):
        self.somebody, self.left = somebody, number

    def before(self, statement):
        self.left -= 1
        if self.left == 0:
            self.somebody.append("account-1", deposits(1))

    def silence(self):
        pass


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_append_returns_the_version_of_its_own_event_whoever_comes_in_between(store, new_store, number):
    store.append("account-1", deposits(1))
    writer = new_store()
    Watched.of(writer.connection).watch = AppendsBefore(store, number)
    appended = writer.append("account-1", deposits(7))
    writer.connection.watch = None
    (own,) = [each for each in store.read_stream("account-1") if each.event.amount == 7]
    assert (appended.version, appended.position) == (own.version, own.position)
