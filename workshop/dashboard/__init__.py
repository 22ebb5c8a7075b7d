"""The room, live: who is where, who is stuck, what fails, and how late it is."""

from .live import Dashboard, dashboard
from .read_model import RoomModel

__all__ = ["Dashboard", "RoomModel", "dashboard"]
