"""A connection that says what is about to be sent through it, and when it waits for somebody else.

Everything that psycopg sends passes one door, `Connection.wait`: statements on cursors of every kind, also those that
were made before, `transaction()`, `commit()`, settings made by attribute. So somebody can come in between any two
statements, and an error rise at any of them, without a thread, a pause or luck.
"""

import re
from threading import Lock
from typing import Any, Protocol

import psycopg
from psycopg import sql

# What sends nothing that others could notice, or only reads on: these are no places to come in between.
_GOES_ON = re.compile(
    r"notifies|copy_to|BasePipeline\..*|.*\._(close|enter|read|read_row|rollback|stream_fetchone|end_copy_out)_gen"
)
# Just before these is the same as just before the statement that follows.
_OPENING = re.compile(r"\s*(BEGIN|START\s+TRANSACTION|SAVEPOINT|RELEASE|ROLLBACK|ABORT)\b", re.IGNORECASE)


class Watch(Protocol):
    """Who watches a connection."""

    def before(self, statement: str) -> None:
        """Be told that a statement is about to be sent; what this raises is raised in its place."""

    def silence(self) -> None:
        """Be told, every two milliseconds, that the server has not answered yet."""


class Watched(psycopg.Connection):
    """A connection that is watched, as long as it has a watch."""

    watch: Watch | None = None

    @classmethod
    def of(cls, connection: psycopg.Connection) -> "Watched":
        """Make one of an open connection."""
        connection.__class__ = cls
        return connection  # type: ignore[return-value]

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        watch = self.watch
        if watch is None:
            return super().wait(gen, *args, **kwargs)
        if statement := said_by(gen, self):
            watch.before(statement)
        kwargs["interval"] = 0.002
        return super().wait(_telling(gen, watch), *args, **kwargs)

    def unwatched(self, statement: str) -> psycopg.Cursor:
        """Run a statement of ours on it, in whatever transaction it is in."""
        watch, self.watch = self.watch, None
        lock, self.lock = self.lock, Lock()  # its own may be held by the statement that we come before
        try:
            return psycopg.Cursor(self).execute(statement.encode())
        finally:
            self.watch, self.lock = watch, lock


def _telling(gen: Any, watch: Watch) -> Any:
    """Be a generator of psycopg's, and tell of each time that nothing had come."""
    try:
        wanted = next(gen)
        while True:
            if not (ready := (yield wanted)):
                watch.silence()
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value


def said_by(gen: Any, connection: psycopg.Connection) -> str:
    """Return the statement that a generator of psycopg's is about to send, "" where nobody need come in before it."""
    kind = gen.__qualname__
    if _GOES_ON.fullmatch(kind):
        return ""
    names = gen.gi_frame.f_locals if gen.gi_frame else {}
    if kind.endswith("Transaction._exit_gen"):
        whole = names["self"]._outer_transaction and names["exc_val"] is None and not names["self"].force_rollback
        return "COMMIT" if whole else ""
    if kind.endswith("Connection._commit_gen"):
        return "COMMIT"
    statement = names.get("query", names.get("statement"))
    if statement is None:
        return kind.rpartition(".")[2].strip("_").removesuffix("_gen")
    if isinstance(statement, sql.Composable):
        statement = statement.as_string(connection)
    elif isinstance(statement, bytes):
        statement = statement.decode()
    text = " ".join(str(statement).split())
    return "" if _OPENING.match(text) else text
