"""The classroom around the event store: the database, the exercises, their checks and hints."""

from importlib import import_module

_CLASSROOM = ("check", "hint", "progress", "share", "solution", "start", "table")
_ROOM = ("join", "leave")

__all__ = [*_CLASSROOM, *_ROOM]


def __getattr__(name: str) -> object:
    """Load what a notebook calls when it is called: the commands of a room need neither pandas nor an exercise."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".server.joining" if name in _ROOM else ".classroom", __name__), name)
