"""Archiving: a stream that has ended leaves the hot table. Its events stay what they are, and stay in the log."""

from .arguments import ANY, STREAM_EXISTS, AnyVersion, check_stream_id, check_version
from .errors import own_errors
from .store import EventStore


def archive_stream(store: EventStore, stream_id: str, *, expected_version: int | AnyVersion = ANY) -> int:
    """Move all events of a stream into the archive, and refuse appends to it from then on.

    The log and the read models made of it stay as they are. The stream's snapshots are dropped. Inside a transaction
    of the caller's it takes part in it: an event that closes a stream and the archiving of it can commit together.

    Args:
        stream_id: the stream.
        expected_version: the version at which it was decided that the stream has ended, or ANY.

    Returns:
        How many events were moved: 0 where the stream is archived already.

    Raises:
        WrongExpectedVersion: the stream is at another version, or there is no such stream.
        InvalidArgument: the stream id or the expected version is none.
    """
    check_stream_id(stream_id)
    expected = None
    if not isinstance(expected_version, AnyVersion):
        expected = check_version("expected_version", expected_version, lowest=1)
    with store.transaction(), own_errors(stream_id, STREAM_EXISTS if expected is None else expected):
        row = store.execute("SELECT archive_stream(%s, %s)", (stream_id, expected)).fetchone()
    assert row is not None  # the function returns one row, or raises
    return row[0]


def restore_stream(store: EventStore, stream_id: str) -> int:
    """Bring a stream back from the archive, as it was. Appends go on after its last event.

    Returns:
        How many events were moved: 0 where the stream is not archived.

    Raises:
        WrongExpectedVersion: there is no such stream.
        InvalidArgument: the stream id is none.
    """
    check_stream_id(stream_id)
    with store.transaction(), own_errors(stream_id, STREAM_EXISTS):
        row = store.execute("SELECT restore_stream(%s)", (stream_id,)).fetchone()
    assert row is not None
    return row[0]
