"""An event store on PostgreSQL: the reference of what a learner of this kit has built by the end.

It is read in the order of the notebooks:

* 01: schema/10, 20 and 30: the tables
* 02: schema/40 and 50; then arguments.py, errors.py, records.py, and in store.py `append` and `read_stream`
* 03: events.py, which stands on round_trip.py; aggregation.py
* 04: decider.py
* 06: projections.py, and in store.py `_project`; schema/21 and 26: the log
* 07: schema/60; snapshots.py
* 08: schema/28, 35, 70 and 72; log.py; schema/80 to 83; reader.py, bell.py, worker.py, subscriptions.py
* 09: schema/24, 25, 32, 51, 90 and 91; archiving.py
* and how it comes to be: in store.py `create_schema`; schema/00 and 95
"""

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

# fmt: off
__all__ = [
    "ANY", "NO_STREAM", "STREAM_EXISTS", "Appended", "Decider", "DuplicateEvent", "EventStore", "EventStoreError",
    "EventTypes", "InvalidArgument", "InvalidEvent", "Log", "LogPosition", "Projection", "RecordedEvent",
    "StreamArchived", "StreamInfo", "Subscription", "UnknownEventType", "WrongExpectedVersion", "aggregate_stream",
    "aggregate_with_snapshots", "archive_stream", "handle", "rebuild", "restore_stream",
]
