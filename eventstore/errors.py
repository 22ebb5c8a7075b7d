"""What can go wrong, one class each. Every message says what was wrong; the attributes carry the values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as postgres


class EventStoreError(Exception):
    """The base of all errors that this package raises itself."""

    _text = ""  # made of the arguments: it is these, not the message, that survive the way from another process

    def __str__(self) -> str:
        return self._text.format(*self.args) if self._text else super().__str__()


class InvalidArgument(EventStoreError, ValueError):
    """A stream id, version, range or other argument cannot be what it is. Nothing was stored."""


class InvalidEvent(InvalidArgument):
    """An event, or its metadata, would not be read back as it was given. Nothing was stored."""


class UnknownEventType(EventStoreError, LookupError):
    """An event's class is not registered (on append), or its stored name is not (on reading)."""


class DuplicateEvent(EventStoreError):
    """An event with one of these ids is already in the stream, and this is no plain retry. Nothing was stored.

    Attributes:
        stream_id: the stream.
    """

    _text = (
        "stream {0!r} already holds an event with one of these ids, or an id was given twice; only a repetition of the "
        "whole append, the same events with their explicit expected_version, counts as a retry"
    )

    def __init__(self, stream_id: str):
        super().__init__(stream_id)
        self.stream_id = stream_id


class WrongExpectedVersion(EventStoreError):
    """The stream is not at the version the writer expected: somebody else appended first. Nothing was stored.

    Attributes:
        stream_id: the stream.
        expected: the version that was expected, as it was given.
        actual: the version that the stream was at; 0 where there was no such stream.
    """

    _text = "Wrong expected version: {1} (stream: {0}, stream version: {2})"

    def __init__(self, stream_id: str, expected: object, actual: int):
        super().__init__(stream_id, expected, actual)
        self.stream_id, self.expected, self.actual = stream_id, expected, actual


class StreamArchived(EventStoreError):
    """The stream is in the archive: nothing can be appended to it, and it is read on request only.

    Attributes:
        stream_id: the stream.
    """

    _text = "stream {0!r} is archived: read it with read_stream(..., archived=True), or use restore_stream first"

    def __init__(self, stream_id: str):
        super().__init__(stream_id)
        self.stream_id = stream_id


@contextmanager
def own_errors(stream_id: str, expected_version: object) -> Iterator[None]:
    """Turn what the functions in schema/ raise into the errors of this package."""
    try:
        yield
    except postgres.UniqueViolation as error:
        # Raised by append_to_stream it names no key; and the caller may have unique indexes of their own.
        key = error.diag.message_detail or ""
        if (key or error.diag.constraint_name) and not re.match(r"[^(]*\((stream_id, id|id, stream_id)\)=", key):
            raise
        raise DuplicateEvent(stream_id) from error
    except psycopg.DatabaseError as error:
        if error.sqlstate == "ES001":
            actual = int(error.diag.message_detail or 0)
            raise WrongExpectedVersion(stream_id, expected_version, actual) from None  # PostgreSQL's says no more
        if error.sqlstate == "ES003":
            raise StreamArchived(stream_id) from None
        raise
