"""The classroom around the event store: the database, the exercises, their checks and hints."""

from importlib import import_module

_CLASSROOM = ("check", "hint", "progress", "share", "solution", "start", "table")
_PREDICTIONS = ("outcome", "predict")
_ROOM = ("join", "leave")

__all__ = [*_CLASSROOM, *_PREDICTIONS, *_ROOM]


def __getattr__(name: str) -> object:
    """Load what a notebook calls when it is called: the commands of a room need neither pandas nor an exercise."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    where = ".server.joining" if name in _ROOM else ".predictions" if name in _PREDICTIONS else ".classroom"
    return getattr(import_module(where, __name__), name)
