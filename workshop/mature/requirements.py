"""Which of the nine requirements the mature stores of notebook 10 meet: a small check each, that runs.

A check raises AssertionError where the requirement is not met. Where a store leaves one to you, there is no check.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import IntegrityError
from eventsourcing.projection import ApplicationSubscription, ProjectionRunner
from psycopg import sql

from ..bank.eventsourcing_bank import Account, Bank, Dashboard, DashboardProjection, schema_beside, settings
from ..my_store.guarantees import REQUIREMENTS
from ..server.database import Database

if TYPE_CHECKING:
    import umadb

LEFT_TO_YOU = "left to you"
_PATIENCE = 5  # seconds
TEN = Decimal("10.00")


def requirements_of_eventsourcing(database: Database) -> dict[str, str]:
    """Return what the library `eventsourcing` meets for each of the nine requirements."""
    with Bank(settings(database)) as bank:
        checks = (_appends, _reads, _keeps_order, _reads_its_writes, _one_writer_wins, _pushes)
        done = [_outcome(check, bank) for check in checks]
    done.append(_outcome(_skips_nothing, database))
    done.append(_outcome(_projects, database))
    return _named([*done, LEFT_TO_YOU])


def requirements_of_umadb(client: "umadb.Client") -> dict[str, str]:
    """Return what UmaDB meets, for each of the nine requirements."""
    checks = (_uma_appends, _uma_reads, _uma_keeps_order, _uma_reads_its_writes, _uma_one_writer_wins, _uma_pushes)
    done = [_outcome(check, client) for check in (*checks, _uma_skips_nothing)]
    return _named([*done, LEFT_TO_YOU, LEFT_TO_YOU])


def _outcome(check: Callable[[Any], None], subject: Any) -> str:
    try:
        check(subject)
    except AssertionError:
        return "missed"
    return "met"


def _named(outcomes: list[str]) -> dict[str, str]:
    return {requirement.name: outcome for requirement, outcome in zip(REQUIREMENTS, outcomes, strict=True)}


# eventsourcing


def _stream(bank: Bank, account_id: str) -> list[Any]:
    return list(bank.events.get(originator_id=Account.create_id(account_id)))


def _appends(bank: Bank) -> None:
    bank.open_account("append", "PLN")
    bank.record_deposit("append", TEN, "anna")
    assert [type(event).__name__ for event in _stream(bank, "append")] == ["AccountOpened", "DepositRecorded"]


def _reads(bank: Bank) -> None:
    bank.open_account("read", "PLN")
    bank.open_account("another", "EUR")
    assert [event.currency for event in _stream(bank, "read")] == ["PLN"]
    assert not _stream(bank, "nobody")


def _keeps_order(bank: Bank) -> None:
    bank.open_account("order", "PLN")
    for amount in range(1, 6):
        bank.record_deposit("order", Decimal(amount), "anna")
    assert [event.originator_version for event in _stream(bank, "order")] == [1, 2, 3, 4, 5, 6]
    assert [event.amount for event in _stream(bank, "order")[1:]] == [1, 2, 3, 4, 5]


def _reads_its_writes(bank: Bank) -> None:
    bank.open_account("own", "PLN")
    bank.record_deposit("own", TEN, "anna")
    assert bank.account("own").balance == TEN
    with Bank(dict(bank.env)) as elsewhere:
        assert elsewhere.account("own").balance == TEN


def _one_writer_wins(bank: Bank) -> None:
    bank.open_account("race", "PLN")
    one, other = bank.account("race"), bank.account("race")  # both have seen version 1
    one.record_deposit(TEN, "anna")
    other.record_deposit(TEN, "ben")
    other.record_deposit(TEN, "ben")
    bank.save(one)
    try:
        bank.save(other)
    except IntegrityError:
        assert bank.account("race").balance == TEN, "half of a refused append was stored"
    else:
        raise AssertionError("both writers won")


def _pushes(bank: Bank) -> None:
    last = bank.recorder.max_notification_id()
    with ApplicationSubscription(bank, gt=last) as subscription, _in_the_background(next, subscription) as heard:
        bank.open_account("push", "PLN")
        try:
            event, _ = heard.result(_PATIENCE)
            assert event.account_id == "push"
        except TimeoutError:
            raise AssertionError("nobody was told") from None
        finally:
            subscription.stop()


def _skips_nothing(database: Database) -> None:
    first, then, log = read_while_one_is_late(database)
    assert first + then == log


def _projects(database: Database) -> None:
    with ProjectionRunner(
        application_class=Bank, projection_class=DashboardProjection, view_class=Dashboard, env=settings(database)
    ) as runner:
        runner.app.open_account("project", "PLN")
        runner.app.record_deposit("project", TEN, "the dashboard")
        runner.wait(runner.app.recorder.max_notification_id(), timeout=_PATIENCE)
    found = database.execute("SELECT deposits, total FROM dashboard WHERE cashier_id = 'the dashboard'").fetchone()
    assert found == (1, TEN)


def read_while_one_is_late(database: Database, **more: str) -> tuple[list[int], list[int], list[int]]:
    """Read the library's log, empty at first, by position while one append is still open and another one comes in.

    The first append is held open at its commit by a trigger, so that both meet on every run.

    Args:
        more: more settings of the library.

    Returns:
        The positions that a reader sees while the first append is open; those that it sees when it reads on
        afterwards; and those that are in the log then.
    """
    with Bank(settings(database, **more)) as bank:

        def read(after: int) -> list[int]:
            return [notification.id for notification in bank.notification_log.select(after + 1, 10)]

        with (
            _gate(database, sql.Identifier(schema_beside(database), bank.recorder.events_table_name)) as gate,  # type: ignore[attr-defined]
            ThreadPoolExecutor(2) as pool,
        ):
            try:
                late = pool.submit(bank.open_account, "late", "PLN")
                gate.wait_for(late, "locktype = 'advisory' AND classid = 10 AND objid = {key}::bigint::oid")
                quick = pool.submit(bank.open_account, "quick", "PLN")
                gate.wait_for(quick, "relation = {name}::regclass")
                first = read(after=0)
            finally:
                gate.open()
            late.result()
            quick.result()
        return first, read(after=max(first, default=0)), read(after=0)


class _Gate:
    """Keeps the append of a late account from its commit until it is opened."""

    def __init__(self, database: Database, table: sql.Identifier):
        self.table = table
        self.connection = database.connect()
        self.key = self.connection.info.backend_pid
        self.execute("SELECT pg_advisory_lock(10, {key})")
        self.execute("""
            CREATE OR REPLACE FUNCTION be_late() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock(10, {key});
                RETURN NEW;
            END $$
        """)
        self.execute(
            "CREATE TRIGGER be_late AFTER INSERT ON {table} FOR EACH ROW"
            """ WHEN (convert_from(NEW.state, 'UTF8') LIKE '%"late"%') EXECUTE FUNCTION be_late()"""
        )

    def execute(self, statement: str) -> Any:
        name = self.table.as_string(self.connection)
        parts = {"key": sql.Literal(self.key), "table": self.table, "name": sql.Literal(name)}
        return self.connection.execute(sql.SQL(statement).format(**parts))

    def wait_for(self, append: Future, lock: str) -> None:
        """Wait until an append waits for a lock, or is done."""
        deadline = monotonic() + _PATIENCE
        while not append.done():
            if self.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND " + lock).fetchone() != (0,):
                return
            assert monotonic() < deadline, "the append neither ends nor waits"
            sleep(0.01)

    def open(self) -> None:
        self.execute("SELECT pg_advisory_unlock_all()")


@contextmanager
def _gate(database: Database, table: sql.Identifier) -> Iterator[_Gate]:
    gate = _Gate(database, table)
    try:
        yield gate
    finally:
        gate.execute("DROP TRIGGER be_late ON {table}")
        gate.connection.close()


@contextmanager
def _in_the_background(action: Callable[..., Any], *arguments: Any) -> Iterator[Future]:
    """Run a call on a thread of its own, and wait for its end at the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(action, *arguments)


# UmaDB: a stream is what carries a tag


def tagged(stream_id: str) -> "umadb.Query":
    """Return the query for the events of a stream."""
    import umadb

    return umadb.Query(items=[umadb.QueryItem(tags=[stream_id])])


def _event(stream_id: str, data: str) -> "umadb.Event":
    import umadb

    return umadb.Event("Noted", data.encode(), [stream_id])


def _notes(client: "umadb.Client", stream_id: str) -> list[str]:
    return [recorded.event.data.decode() for recorded in client.read(tagged(stream_id))]


def _uma_appends(client: "umadb.Client") -> None:
    client.append([_event("append", "1")])
    client.append([_event("append", "2")])
    assert _notes(client, "append") == ["1", "2"]


def _uma_reads(client: "umadb.Client") -> None:
    client.append([_event("read", "mine"), _event("another", "not mine")])
    assert _notes(client, "read") == ["mine"] and not _notes(client, "nobody")


def _uma_keeps_order(client: "umadb.Client") -> None:
    for number in range(5):
        client.append([_event("order", str(number))])
    assert _notes(client, "order") == ["0", "1", "2", "3", "4"]


def _uma_reads_its_writes(client: "umadb.Client") -> None:
    position = client.append([_event("own", "mine")])
    assert [recorded.position for recorded in client.read(tagged("own"))] == [position]


def _uma_one_writer_wins(client: "umadb.Client") -> None:
    import umadb

    seen = client.append([_event("race", "opened")])
    condition = umadb.AppendCondition(tagged("race"), seen)  # both writers have seen that much
    client.append([_event("race", "one")], condition)
    try:
        client.append([_event("race", "other"), _event("race", "other")], condition)
    except umadb.IntegrityError:
        assert _notes(client, "race") == ["opened", "one"], "half of a refused append was stored"
    else:
        raise AssertionError("both writers won")


def _uma_pushes(client: "umadb.Client") -> None:
    subscription = client.subscribe(tagged("push"), after=client.head())
    with _in_the_background(next, subscription) as heard:
        client.append([_event("push", "hello")])
        try:
            assert heard.result(_PATIENCE).event.data == b"hello"
        except TimeoutError:
            raise AssertionError("nobody was told") from None
        finally:
            subscription.cancel()


def _uma_skips_nothing(client: "umadb.Client") -> None:
    """Four writers at once, and a reader who follows by position."""
    before = client.head() or 0
    seen: list[int] = []

    def append(name: str) -> list[int]:
        return [client.append([_event(name, "")]) for _ in range(25)]

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(append, name) for name in "abcd"]
        deadline = monotonic() + _PATIENCE
        while len(seen) < 100 and monotonic() < deadline:
            seen += [recorded.position for recorded in client.read(start=(seen[-1] if seen else before) + 1)]
            sleep(0.005)  # a client that asks without a pause is hung up on
    assert sorted(position for writer in writers for position in writer.result()) == seen
