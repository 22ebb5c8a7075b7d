"""Archiving: a stream that has ended leaves the hot table. Its events stay what they are, and stay in the log."""

from .arguments import ANY, STREAM_EXISTS, AnyVersion, check_stream_id, expected_value
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
        InvalidArgument: the stream id or the expected version is not one.
    """
    check_stream_id(stream_id)
    expected = None if expected_version is STREAM_EXISTS else expected_value(expected_version, lowest=1)
    with store.transaction(of_one_statement=True), own_errors(stream_id, expected or STREAM_EXISTS):
        (moved,) = store.one_row("SELECT archive_stream(%s, %s)", (stream_id, expected))
    return int(moved)


def restore_stream(store: EventStore, stream_id: str) -> int:
    """Bring a stream back from the archive, as it was. Appends go on after its last event.

    Args:
        stream_id: the stream.

    Returns:
        How many events were moved: 0 where the stream is not archived.

    Raises:
        WrongExpectedVersion: there is no such stream.
        InvalidArgument: the stream id is not one.
    """
    check_stream_id(stream_id)
    with store.transaction(of_one_statement=True), own_errors(stream_id, STREAM_EXISTS):
        (moved,) = store.one_row("SELECT restore_stream(%s)", (stream_id,))
    return int(moved)
