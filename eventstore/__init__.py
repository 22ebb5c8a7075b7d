"""An event store on PostgreSQL: the reference of what a learner of this kit has built by the end."""

from .aggregation import aggregate_stream
from .archiving import archive_stream, restore_stream
from .arguments import ANY, NO_STREAM, STREAM_EXISTS
from .decider import Decider, handle
from .errors import (
    DuplicateEvent,
    EventStoreError,
    InvalidArgument,
    InvalidEvent,
    StreamArchived,
    UnknownEventType,
    WrongExpectedVersion,
)
from .events import EventTypes
from .log import Log
from .projections import Projection, rebuild
from .records import Appended, LogPosition, RecordedEvent, StreamInfo
from .snapshots import aggregate_with_snapshots
from .store import EventStore
from .subscriptions import Subscription

__all__ = [
    "ANY",
    "Appended",
    "Decider",
    "DuplicateEvent",
    "EventStore",
    "EventStoreError",
    "EventTypes",
    "InvalidArgument",
    "InvalidEvent",
    "Log",
    "LogPosition",
    "NO_STREAM",
    "Projection",
    "RecordedEvent",
    "STREAM_EXISTS",
    "StreamArchived",
    "StreamInfo",
    "Subscription",
    "UnknownEventType",
    "WrongExpectedVersion",
    "aggregate_stream",
    "aggregate_with_snapshots",
    "archive_stream",
    "handle",
    "rebuild",
    "restore_stream",
]
