"""A cell that is interrupted: its threads and statements end, and it says so in a line."""

import ctypes
from contextlib import suppress
from threading import Thread

import psycopg


class Interrupted(KeyboardInterrupt):
    """A cell was interrupted in the middle of the kit's own code: what that means, in a line."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: show this line alone, for the code that was interrupted is none of the learner's."""
        return [str(self)]


def end_thread(thread: Thread, connection: psycopg.Connection) -> None:
    """End what a thread does: the statement that it waits for on its connection, and its own loop."""
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=1)
    if thread.ident:  # Python raises it there, before the thread's next step
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
