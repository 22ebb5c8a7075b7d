"""Reading the log from a checkpoint: what is written and the checkpoint commit together.

So every event has its effect once: killed anywhere, a reader begins again where its last transaction left off. Nothing
is kept here: the checkpoint is in the table subscriptions, and what was put aside in parked_events.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from .errors import EventStoreError, InvalidArgument
from .log import Log, names_of
from .records import LogPosition, RecordedEvent

Handler = Callable[[psycopg.Connection[Any], Sequence[RecordedEvent]], Any]


def handle_next(log: Log, name: str, handler: Handler, size: int, **wanted: Any) -> tuple[int, LogPosition]:
    """Handle the next events and move the checkpoint behind them, in one transaction.

    Args:
        log: on an autocommit connection.
        name: under which the checkpoint is kept.
        handler: called with the connection and with the next events in the order of the log.
        size: how many events at most.
        wanted: which events: the arguments `category` and `event_types` of read_all.

    Returns:
        The checkpoint, and how far the log could be read.

    Raises:
        EventStoreError: the checkpoint is one of another log.
        Exception: what the handler raises, or what reading does. Nothing has changed then.
    """
    with log.transaction():
        checkpoint = checkpoint_of(log, name, lock=True)
        position = position_from(log, name, checkpoint)
        events = log.read_all(after=checkpoint, limit=size, up_to=position.settled, **wanted)
        if events:
            handler(log.connection, events)
        # Where there was no more to read, others' events are passed by, too.
        reached = events[-1].position if len(events) == size else max(checkpoint, position.settled)
        if reached > checkpoint:
            _move(log, name, reached)
    return reached, position


def park(log: Log, name: str, error: Exception, **wanted: Any) -> int:
    """Put the next event aside, with the error that it raised, and move the checkpoint behind it; return that."""
    reason = f"{type(error).__name__}: {error}".replace("\0", "").encode(errors="replace").decode()
    with log.transaction():
        reached = checkpoint = checkpoint_of(log, name, lock=True)
        for (position,) in log.execute(
            "INSERT INTO parked_events (subscription, position, error)"
            " SELECT %s, position, %s FROM read_all(%s, 1, %s, %s) RETURNING position",
            (name, reason, checkpoint, wanted["category"], names_of(log.types, **wanted)),
        ):
            reached = position
        _move(log, name, reached)
    return reached


def retry_parked(log: Log, name: str, handler: Handler) -> int:
    """Hand each parked event to the handler once more, in a transaction of its own; return how many stay parked."""
    mine = "FROM parked_events WHERE subscription = %s"
    for (position,) in log.execute(f"SELECT position {mine} ORDER BY position", (name,)).fetchall():
        try:
            with log.transaction():
                checkpoint_of(log, name, lock=True)
                if log.execute(f"DELETE {mine} AND position = %s", (name, position)).rowcount:
                    handler(log.connection, log.read_all(after=position - 1, limit=1, up_to=position))
        except Exception:
            if log.connection.closed:
                raise
    return int(log.one_row(f"SELECT count(*) {mine}", (name,))[0])


def replay(log: Log, name: str, table: str) -> None:
    """Empty a read model, and begin again at the beginning of the log."""
    with log.transaction():
        checkpoint_of(log, name, lock=True)
        _move(log, name, 0)
        log.execute("DELETE FROM parked_events WHERE subscription = %s", (name,))
        log.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        log.execute("SELECT pg_notify(events_channel(), '')")  # for another process, if it is the one who works


def checkpoint_of(log: Log, name: str, *, lock: bool = False) -> int:
    """Return the position of the last event that is handled, and keep others from moving it, if told to."""
    select = "SELECT checkpoint FROM subscriptions WHERE name = %s" + " FOR UPDATE" * lock
    if (row := log.execute(select, (name,)).fetchone()) is None:
        raise InvalidArgument(f"there is no subscription {name!r}; it may have been removed meanwhile")
    return int(row[0])


def position_from(log: Log, name: str, checkpoint: int) -> LogPosition:
    """Return how far the log can be read; raise EventStoreError where the checkpoint is not one of this log's."""
    position = log.settled_position()
    if checkpoint > position.drawn:
        raise EventStoreError(
            f"subscription {name!r} has handled events up to position {checkpoint}, and the log has come to "
            f"{position.drawn} only: another one is in its place. Replay the subscription, or set its checkpoint"
        )
    return position


def _move(log: Log, name: str, checkpoint: int) -> None:
    log.execute("UPDATE subscriptions SET checkpoint = %s, asleep = false WHERE name = %s", (checkpoint, name))
