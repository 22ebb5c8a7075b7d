"""The classroom around the event store: the database, the exercises, their checks and hints."""

from .classroom import check, hint, progress, share, solution, start, table

__all__ = ["check", "hint", "progress", "share", "solution", "start", "table"]
