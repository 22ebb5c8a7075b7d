"""The exercises are tested as the classroom is: on the session's server, with a folder of the test's own."""

from ..workshop.conftest import my_eventstore

__all__ = ["my_eventstore"]
