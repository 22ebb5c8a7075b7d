"""The classroom around the event store: the database, the exercises, their checks and hints."""

from .classroom import check, hint, progress, share, solution, start, table
from .joining import join, leave

__all__ = ["check", "hint", "join", "leave", "progress", "share", "solution", "start", "table"]
