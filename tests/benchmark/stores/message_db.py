"""Message DB: a store that is nothing but SQL functions on PostgreSQL, called from psycopg."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import psycopg

from tests.benchmark.place import Place
from tests.benchmark.stores import balances, from_npm
from tests.benchmark.stores.client import PAGE, Client, Conflict
from workshop.bank import EVENTS, BankAccount, decide, evolve

PACKAGE = "@eventide/message-db"

# In the order of its own install.sh. Two parts are left out: the extension pgcrypto, from which it takes
# gen_random_uuid, which PostgreSQL has had itself since 13; and the role message_store, which belongs to the server.
SCRIPTS = (
    "schema/message-store", "tables/messages", "types/message", "functions/message-store-version",
    "functions/hash-64", "functions/acquire-lock", "functions/category", "functions/is-category", "functions/id",
    "functions/cardinal-id", "functions/stream-version", "functions/write-message", "functions/get-stream-messages",
    "functions/get-category-messages", "functions/get-last-stream-message",
    "indexes/messages-id", "indexes/messages-stream", "indexes/messages-category",
)  # fmt: skip
WRITE = "SELECT write_message(%s, %s, %s, %s, NULL, %s)"


class MessageDb(Client):
    name = "Message DB"
    used = (
        "its functions write_message, get_stream_messages and get_category_messages, called with psycopg"
        " (http://docs.eventide-project.org/user-guide/message-db/server-functions.html). It writes one message a call:"
        " several are one transaction, sent as a pipeline. It locks the category, so writers of different streams of"
        " one category wait for each other. Its log is read by category"
    )

    @staticmethod
    def missing() -> str | None:
        return from_npm.missing(PACKAGE)

    @staticmethod
    def version() -> str:
        return from_npm.version(PACKAGE)

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        with psycopg.connect(place.url, autocommit=True, options="-c search_path=message_store,public") as connection:
            for script in SCRIPTS:
                path = from_npm.package(PACKAGE) / "database" / f"{script}.sql"
                connection.execute(path.read_bytes())
        yield {"url": place.url}

    def __init__(self, settings: dict[str, Any]):
        # Its documentation sets the search path of the role that uses it; this is the same for a connection.
        search_path = "-c search_path=message_store,public"
        self.connection = psycopg.connect(settings["url"], autocommit=True, options=search_path)
        self.decoders = {cls.__name__: msgspec.json.Decoder(cls) for cls in EVENTS}

    def append_events(self, stream_id: str, events: list[object], version: int) -> None:
        # Its versions begin with 0, and -1 is that of a stream that is not there.
        calls = [
            (str(uuid4()), stream_id, type(event).__name__, msgspec.json.encode(event).decode(), number - 1)
            for number, event in enumerate(events, version)
        ]
        try:
            if len(calls) == 1:
                self.connection.execute(WRITE, calls[0])
            else:
                with self.connection.transaction(), self.connection.cursor() as cursor:
                    cursor.executemany(WRITE, calls)
        except psycopg.errors.RaiseException as error:
            if "Wrong expected version" not in str(error):
                raise
            raise Conflict from None

    def current_version(self, stream_id: str) -> int:
        row = self.connection.execute("SELECT stream_version(%s)", (stream_id,)).fetchone()
        return 0 if row is None or row[0] is None else row[0] + 1

    def read_stream(self, stream_id: str) -> list[Any]:
        return [event for _, event in self._read("get_stream_messages(%s, 0, -1)", (stream_id,))]

    def _read(self, function: str, parameters: tuple) -> list[tuple[tuple, Any]]:
        query = "SELECT id, stream_name, type, position, global_position, data, metadata, time FROM " + function
        rows = self.connection.cursor(binary=True).execute(query, parameters).fetchall()
        return [(row, self.decoders[row[2]].decode(row[5])) for row in rows]

    def handle(self, stream_id: str, command: object) -> None:
        account = BankAccount()
        recorded = self.read_stream(stream_id)
        for event in recorded:
            account = evolve(account, event)
        self.append_events(stream_id, decide(command, account), len(recorded))

    def read_log(self, count: int) -> int:
        return sum(map(len, self._pages(count)))

    def _pages(self, count: int) -> Iterator[list[tuple[tuple, Any]]]:
        position = 1
        while count > 0:
            page = self._read("get_category_messages('account', %s, %s)", (position, min(PAGE, count)))
            if not page:
                return
            yield page
            count -= len(page)
            position = page[-1][0][4] + 1

    def rebuild_balances(self, count: int) -> None:
        with self.connection.transaction():
            balances.empty(self.connection)
            for page in self._pages(count):
                balances.add(self.connection, (event for _, event in page))

    def total(self) -> Decimal:
        return balances.total(self.connection)
