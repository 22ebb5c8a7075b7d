"""An event store on PostgreSQL: the reference of what a learner of this kit has built by the end."""

from .arguments import ANY, NO_STREAM, STREAM_EXISTS
from .errors import (
    DuplicateEvent,
    EventStoreError,
    InvalidArgument,
    InvalidEvent,
    UnknownEventType,
    WrongExpectedVersion,
)
from .events import EventTypes
from .records import Appended, RecordedEvent, StreamInfo
from .store import EventStore

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Appended",
    "DuplicateEvent",
    "EventStore",
    "EventStoreError",
    "EventTypes",
    "InvalidArgument",
    "InvalidEvent",
    "RecordedEvent",
    "StreamInfo",
    "UnknownEventType",
    "WrongExpectedVersion",
]
