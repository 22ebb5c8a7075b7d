"""What a rebuild costs beside the bare SELECT and fold of the same rows: `python -m tests.benchmark.rebuild [URL]`.

Both read 100,000 events of 1,000 accounts in the order of the log, on an autocommit connection of their own, in turn,
so that a busy moment of the machine hits both. The bare fold is what a script would do: JSON into dicts, amounts into
Decimals, a balance and a version an account, in memory. It makes no event objects, knows no projection, waits for no
lock and writes no row. It is the limit, not a rival.
"""

import gc
import statistics
import time
from collections.abc import Callable
from decimal import Decimal

import psycopg

from eventstore import EventStore, rebuild
from tests.benchmark.scratch import scratch_database
from workshop.bank import event_types
from workshop.bank.read_models import AccountBalances

EVENTS, ACCOUNTS, ROUNDS = 100_000, 1_000, 7

# A history, restored as from a backup: each account is opened, then deposits and withdrawals take turns.
HISTORY = """
    INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)
    SELECT account, version, gen_random_uuid(), type,
           CASE type WHEN 'AccountOpened' THEN jsonb_build_object('account_id', account, 'currency', 'PLN')
           ELSE jsonb_build_object('account_id', account, 'amount', amount, 'cashier_id', 'cashier-' || n %% 20) END,
           '{}', timestamptz '2026-01-01 09:00+01' + n * interval '1 second'
    FROM generate_series(0, %(events)s - 1) AS n,
    LATERAL (SELECT 'account-' || n %% %(accounts)s, n / %(accounts)s + 1) AS event (account, version),
    LATERAL (SELECT CASE WHEN version = 1 THEN 'AccountOpened' WHEN version %% 2 = 0 THEN 'DepositRecorded'
                    ELSE 'CashWithdrawn' END,
                    CASE version %% 2 WHEN 0 THEN '100.00' ELSE '50.50' END) AS what (type, amount)
    ORDER BY n
"""


def main() -> None:
    with scratch_database() as database:
        store = EventStore(database.connection, event_types(), [AccountBalances()])
        store.create_schema()
        fill(store)
        bare = database.connect()
        gc.collect()
        gc.freeze()  # what was imported, pandas above all, is not to be looked through at each collection
        kit, limit, ratio = measure(lambda: rebuild(store, AccountBalances()), lambda: fold(bare))
        rows = store.execute("SELECT account_id, balance, version FROM account_balances").fetchall()
        assert {account: (balance, version) for account, balance, version in rows} == fold(bare)
        print(f"PostgreSQL {bare.info.server_version // 10000}, {EVENTS} events of {ACCOUNTS} accounts,")
        print(f"medians of {ROUNDS} rounds, kit and bare fold in turn")
        print("rebuild (s)   bare SELECT and fold (s)   rebuild / bare")
        print(f"{kit:11.2f} {limit:26.2f} {ratio:16.2f}")


def fill(store: EventStore) -> None:
    store.execute(HISTORY, {"events": EVENTS, "accounts": ACCOUNTS})
    store.execute("INSERT INTO streams (id, version) SELECT stream_id, max(version) FROM events GROUP BY stream_id")
    store.execute("ANALYZE events")


def fold(connection: psycopg.Connection) -> dict[str, tuple[Decimal, int]]:
    """Return each account's balance and version, folded from the bare rows."""
    accounts: dict[str, tuple[Decimal, int]] = {}
    for type, data, version in connection.execute(
        "SELECT type, data, version FROM events WHERE type = ANY (%s) ORDER BY position",
        (["AccountOpened", "DepositRecorded", "CashWithdrawn", "AccountClosed"],),
    ):
        balance, _ = accounts.get(data["account_id"], (Decimal(0), 0))
        if type == "DepositRecorded":
            balance += Decimal(data["amount"])
        elif type == "CashWithdrawn":
            balance -= Decimal(data["amount"])
        accounts[data["account_id"]] = balance, version
    return accounts


def measure(*tasks: Callable[[], object]) -> tuple[float, ...]:
    """Return the median seconds of each task, and the median of the rounds' ratios of the first to the second."""
    seconds: list[tuple[float, ...]] = []
    for _ in range(ROUNDS):
        taken = []
        for task in tasks:
            start = time.perf_counter()
            task()
            taken.append(time.perf_counter() - start)
        seconds.append(tuple(taken))
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    return *medians, statistics.median(kit / bare for kit, bare in seconds)


if __name__ == "__main__":
    main()
