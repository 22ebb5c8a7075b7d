"""What can go wrong, one class each. Every message says what was wrong; the attributes carry the values."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as postgres


class EventStoreError(Exception):
    """The base of all errors that this package raises itself."""


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

    def __init__(self, stream_id: str):
        super().__init__(stream_id)  # the arguments, not the message: so it survives the way from another process
        self.stream_id = stream_id

    def __str__(self) -> str:
        return (
            f"stream {self.stream_id!r} already holds an event with one of these ids, or an id was given twice; "
            "only a repetition of the whole append, with its explicit expected_version, counts as a retry"
        )


class WrongExpectedVersion(EventStoreError):
    """The stream is not at the version the writer expected: somebody else appended first. Nothing was stored.

    Attributes:
        stream_id: the stream.
        expected: the version that was expected, as it was given.
        actual: the version that the stream was at; 0 where there was no such stream.
    """

    def __init__(self, stream_id: str, expected: object, actual: int):
        super().__init__(stream_id, expected, actual)
        self.stream_id = stream_id
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"Wrong expected version: {self.expected} (stream: {self.stream_id}, stream version: {self.actual})"


class StreamArchived(EventStoreError):
    """The stream is in the archive: nothing can be appended to it, and it is read on request only.

    Attributes:
        stream_id: the stream.
    """

    def __init__(self, stream_id: str):
        super().__init__(stream_id)
        self.stream_id = stream_id

    def __str__(self) -> str:
        return (
            f"stream {self.stream_id!r} is archived: read it with read_stream(..., archived=True), "
            "or bring it back with restore_stream"
        )


@contextmanager
def own_errors(stream_id: str, expected_version: object) -> Iterator[None]:
    """Turn what the functions in schema/ raise into the errors of this package."""
    try:
        yield
    except postgres.UniqueViolation as error:
        raise DuplicateEvent(stream_id) from error
    except psycopg.DatabaseError as error:
        if error.sqlstate == "ES001":
            actual = int(error.diag.message_detail or 0)
            raise WrongExpectedVersion(stream_id, expected_version, actual) from None  # PostgreSQL's says no more
        if error.sqlstate == "ES003":
            raise StreamArchived(stream_id) from None
        raise
