"""G2: an append is visible to the same connection at once, to every other once it commits."""

from tests.bank import deposits
from tests.concurrency import at_once


def test_an_append_is_visible_at_once_to_its_own_connection_and_to_others(store, new_store):
    other = new_store()
    for amount in range(1, 6):
        appended = store.append("account-1", deposits(amount))
        for reader in (store, other):
            last = reader.read_stream("account-1")[-1]
            assert (last.version, last.position, last.event) == (amount, appended.position, *deposits(amount))
            assert reader.stream_info("account-1").version == amount


def test_an_append_in_a_transaction_is_visible_to_others_only_after_the_commit(store, new_store):
    other = new_store()
    store.append("account-1", deposits(1))
    with store.connection.transaction():
        store.append("account-1", deposits(2))
        store.append("account-2", deposits(3))
        assert [each.event for each in store.read_stream("account-1")] == deposits(1, 2), "not to its own connection"
        assert store.stream_info("account-1").version == 2
        assert [each.event for each in other.read_stream("account-1")] == deposits(1), "visible before the commit"
        assert other.stream_info("account-1").version == 1
        assert other.stream_info("account-2") is None
    assert [each.event for each in other.read_stream("account-1")] == deposits(1, 2)
    assert other.stream_info("account-2").version == 1


def test_a_connection_without_autocommit_appends_in_a_transaction_until_it_commits(store, new_store):
    writer = new_store(autocommit=False)
    writer.append("account-1", deposits(1))
    assert len(writer.read_stream("account-1")) == 1
    assert store.read_stream("account-1") == []
    writer.connection.commit()
    assert len(store.read_stream("account-1")) == 1


def test_threads_that_share_a_store_each_get_their_own_answer(store):
    def versions(stream_id):
        return [store.append(stream_id, deposits(amount)).version for amount in range(1, 51)]

    answers = at_once([lambda number=number: versions(f"account-{number}") for number in range(8)])
    assert answers == [list(range(1, 51))] * 8
