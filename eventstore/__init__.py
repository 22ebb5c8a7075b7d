"""An event store on PostgreSQL: the reference of what a learner of this kit has built by the end."""

from .aggregation import aggregate_stream
from .arguments import ANY, NO_STREAM, STREAM_EXISTS
from .decider import Decider, handle
from .errors import (
    DuplicateEvent,
    EventStoreError,
    InvalidArgument,
    InvalidEvent,
    UnknownEventType,
    WrongExpectedVersion,
)
from .events import EventTypes
from .projections import Projection, rebuild
from .records import Appended, RecordedEvent, StreamInfo
from .snapshots import aggregate_with_snapshots
from .store import EventStore

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
    "NO_STREAM",
    "Projection",
    "RecordedEvent",
    "STREAM_EXISTS",
    "StreamInfo",
    "UnknownEventType",
    "WrongExpectedVersion",
    "aggregate_stream",
    "aggregate_with_snapshots",
    "handle",
    "rebuild",
]
