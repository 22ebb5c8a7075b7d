"""A process that does nothing but run a subscription; tests kill it.

    python -m tests.eventstore.projecting_process URL SCHEMA NAME BATCH

It keeps the cashiers' dashboard and counts deliveries, and says a line once it is given its first events.
"""

import sys
from collections.abc import Sequence

import psycopg

from eventstore import RecordedEvent, Subscription
from tests.subscribing import Deliveries
from workshop.bank import event_types
from workshop.bank.read_models import CashierDashboard


class Both:
    """The handler. How many batches it began is counted by a sequence, which no rollback takes back."""

    def __init__(self) -> None:
        self.told = False
        self.deliveries, self.dashboard = Deliveries(), CashierDashboard()

    def __call__(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        connection.execute("SELECT nextval('batches_begun')")
        if not self.told:
            print("working", flush=True)
            self.told = True
        self.deliveries.project(connection, events)
        self.dashboard.project(connection, self.dashboard.wanted(events))
        connection.execute("INSERT INTO batches_done DEFAULT VALUES")


if __name__ == "__main__":
    url, schema, name, batch = sys.argv[1:]

    def connect() -> psycopg.Connection:
        return psycopg.connect(url, options=f"-c search_path={schema}", application_name=f"{schema} {name}")

    Subscription(name, connect, event_types(), Both(), batch=int(batch)).run()
