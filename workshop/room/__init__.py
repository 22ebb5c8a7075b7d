"""A room on a PostgreSQL server: for each learner a role and a database of their own, and a log for all.

In a shell: `python -m workshop.room --help`. What it keeps apart, and what it cannot, is said in room.py.
"""

from .catalog import Learner
from .room import Room, Seat

__all__ = ["Learner", "Room", "Seat"]
