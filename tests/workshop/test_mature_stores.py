"""The stores of notebook 10: what they keep, as it is shown there, and that nothing of them stays behind."""

import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from workshop.bank.eventsourcing_bank import Bank, schema_beside, settings
from workshop.classroom import Classroom
from workshop.errors import WorkshopError
from workshop.mature import requirements as mature_stores
from workshop.mature import umadb_server
from workshop.mature.requirements import LEFT_TO_YOU, read_while_one_is_late
from workshop.my_store.guarantees import REQUIREMENTS
from workshop.server.database import drop_schemas

NAMES = [requirement.name for requirement in REQUIREMENTS]


@pytest.fixture
def db(db: Classroom) -> Iterator[Classroom]:
    """A notebook's database; the schema beside it is dropped, too."""
    yield db
    drop_schemas(db.url, [schema_beside(db)])


@pytest.fixture
def client() -> Iterator[Any]:
    if reason := umadb_server.umadb_is_missing():
        pytest.skip(reason)
    with umadb_server.umadb_server() as client:
        yield client


def test_eventsourcing_meets_all_but_archiving(db: Classroom) -> None:
    told = mature_stores.requirements_of_eventsourcing(db)
    assert list(told) == NAMES
    assert list(told.values()) == ["met"] * 8 + [LEFT_TO_YOU]


def test_umadb_meets_all_but_projections_and_archiving(client: Any) -> None:
    told = mature_stores.requirements_of_umadb(client)
    assert list(told) == NAMES
    assert list(told.values()) == ["met"] * 7 + [LEFT_TO_YOU] * 2


def test_a_reader_of_eventsourcing_is_told_of_an_append_that_was_late(db: Classroom) -> None:
    assert read_while_one_is_late(db) == ([], [1, 2], [1, 2])


def test_without_the_table_lock_the_reader_skips_it(db: Classroom) -> None:
    assert read_while_one_is_late(db, POSTGRES_ENABLE_DB_FUNCTIONS="y") == ([2], [], [1, 2])


class LastWriterWins(Bank):
    """Loads the account anew before it saves, so that nothing is ever in conflict."""

    def save(self, *accounts: Any, **more: Any) -> Any:
        for account in accounts:
            for event in account.collect_events():
                stored = len(list(self.events.get(originator_id=event.originator_id)))
                object.__setattr__(event, "originator_version", stored + 1)
                self.events.put([event])
        return []


def test_a_store_without_optimistic_concurrency_is_told(db: Classroom) -> None:
    with LastWriterWins(settings(db)) as bank:
        assert mature_stores._outcome(mature_stores._one_writer_wins, bank) == "missed"


def test_a_store_that_forgets_is_told(client: Any) -> None:
    class Forgets:
        def append(self, events: list[Any], condition: Any = None) -> int:
            return client.append(events[:1])

        def __getattr__(self, name: str) -> Callable:
            return getattr(client, name)

    assert mature_stores._outcome(mature_stores._uma_reads, Forgets()) == "met"
    assert mature_stores._outcome(mature_stores._uma_one_writer_wins, Forgets()) == "missed"


def test_the_server_of_umadb_ends_with_its_experiment_also_where_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := umadb_server.umadb_is_missing():
        pytest.skip(reason)
    servers = []

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen:
        servers.append(subprocess.Popen(*arguments, **options))
        return servers[-1]

    class Recorded:
        DEVNULL, TimeoutExpired, Popen = subprocess.DEVNULL, subprocess.TimeoutExpired, staticmethod(popen)

    monkeypatch.setattr(umadb_server, "subprocess", Recorded)
    with pytest.raises(ZeroDivisionError), umadb_server.umadb_server() as client:
        assert client.head() is None
        raise ZeroDivisionError
    (server,) = servers
    assert server.poll() is not None


def test_where_there_is_no_server_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umadb_server, "_program", lambda: None)
    assert "no server for this platform" in umadb_server.umadb_is_missing()
    with pytest.raises(WorkshopError, match="no server for this platform"), umadb_server.umadb_server():
        pass


def test_the_bank_on_eventsourcing_keeps_money_exact(db: Classroom) -> None:
    with Bank(settings(db)) as bank:
        bank.open_account("account-1", "PLN")
        for amount in ("0.10", "0.20", "12345678901234567.89"):
            bank.record_deposit("account-1", Decimal(amount), "anna")
        assert bank.account("account-1").balance == Decimal("12345678901234568.19")
