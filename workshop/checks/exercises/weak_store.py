"""An event store with a fault: exercise 10.2 asks which guarantee it breaks. Try to find out without reading on."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from eventstore import ANY, Appended, EventStore


class WeakStore(EventStore):
    """Keeps each guarantee of the first tier but one."""

    def append(
        self,
        stream_id: str,
        events: Iterable[object],
        *,
        expected_version: Any = ANY,
        metadata: Mapping[str, Any] | None = None,
        event_ids: Iterable[UUID] | None = None,
    ) -> Appended:
        events, ids = list(events), None if event_ids is None else list(event_ids)
        if not events or (ids is not None and len(ids) != len(events)):
            return super().append(
                stream_id, events, expected_version=expected_version, metadata=metadata, event_ids=ids
            )
        for number, event in enumerate(events):
            appended = super().append(
                stream_id,
                [event],
                expected_version=expected_version,
                metadata=metadata,
                event_ids=ids and [ids[number]],
            )
            if expected_version is not ANY:
                expected_version = appended.version
        return appended
