"""The instructor's dashboard of a room: who is where, who is stuck, what fails, and how late it is; live, by push.

It is built of what the kit teaches: the room's log is an event store, a Subscription hears of new events the moment
they are committed, and a read model in memory is what they add up to.
"""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import Any
from uuid import uuid4

import psycopg
from IPython.display import display
from psycopg import sql
from psycopg.conninfo import make_conninfo

from eventstore import Subscription

from ..attempts.events import EVENT_TYPES
from ..attempts.log import LearnersLog
from ..display import Shown
from ..errors import WorkshopError
from ..server.database import open_connection, server_url
from ..server.rooms import group_of, learner_of, rooms_on
from .agenda import Agenda
from .hold_ups import LOOK, HoldUps
from .page import NAMES, View, show_answers, show_room
from .read_model import RoomModel

# In seconds
_REDRAW = 10.0  # at the latest: minutes go by, also where nothing happens
_REST = 0.2  # between two drawings: thirty learners can be quicker than a browser

_showing: "Dashboard | None" = None


def dashboard(
    room: str | None = None,
    server: str | None = None,
    *,
    agenda: Any = "one hour",
    began: Any = None,
    names: str = "shown",
) -> "Dashboard":
    """Show a room, live. Call it again to show it otherwise: the one before ends.

    Args:
        room: the name of the room; without it, what you have tried yourself is shown, from your own log.
        server: the URL of its PostgreSQL, as the role that made the room; without it, that of WORKSHOP_ADMIN_URL, or
            the server of the notebooks, where your own log is, too.
        agenda: "one hour", "half a day", "a full day", or a list of your own: see Agenda.
        began: when the room began, such as "14:05" or a datetime; without it, the moment of the first attempt, or of
            the first after two hours in which nobody tried anything.
        names: "shown", "initials" or "numbers", where a room may not want to be shown by name.

    Returns:
        The dashboard, with `.answers()` for what learners shared, and `.stop()`.

    Raises:
        WorkshopError: there is no such room, its log cannot be read, or an argument is none.
    """
    global _showing
    server = server or (room and os.environ.get("WORKSHOP_ADMIN_URL")) or server_url()
    board = Dashboard(room, server, Agenda(agenda), _moment(began), names)
    if _showing:
        _showing.stop()
    _showing = board
    board.show()
    return board


class Dashboard:
    """A room as it is now, or one learner's own log.

    Attributes:
        model: the read model.
    """

    def __init__(
        self, room: str | None, server: str, agenda: Agenda, began: datetime | None = None, names: str = "shown"
    ):
        if names not in NAMES:
            raise WorkshopError(f"names={names!r} is none of {', '.join(NAMES)}.", 'Write names="shown", for one.')
        self.room = room
        self._learner: str | None
        url, self._schema, self._learner = _own_log(server) if room is None else (_log_of(room, server), "room", None)
        self.model = RoomModel(self._learner)
        self._hold_ups = HoldUps()
        self._agenda, self._began, self._names = agenda, began, names
        self._label = f"dashboard_{uuid4().hex[:8]}"
        self._url = make_conninfo(url, application_name=self._label, keepalives_idle=10, keepalives_interval=5)
        self._clock = timedelta()  # how far the server's clock is ahead of ours
        self._problem = ""  # why it is not live, if it is not
        self._away: frozenset[str] = frozenset()
        self._looked_at = 0  # the position up to which the instructor has seen what was shared
        self._lock = Lock()  # the model changes in one thread, and is drawn in another
        self._changed, self._stopping = Event(), Event()
        self._subscription = Subscription(self._label, self._connect, EVENT_TYPES, self._project)
        try:
            self._subscription.start()
        except psycopg.Error as error:
            raise WorkshopError(
                f"The log of room {room!r} cannot be read: {_line(error)}",
                "Connect as the role that made the room, and make sure that it was made to the end.",
            ) from None
        if room is not None:
            Thread(target=self._keep_the_way_clear, name="hold_ups", daemon=True).start()

    def show(self) -> None:
        """Show the room below the cell that runs, and keep that up to date until stop() is called."""
        handle = display(self.page(), display_id=True)
        if handle:  # there is none where nothing but text is shown
            Thread(target=self._keep_drawing, args=[handle], name="dashboard", daemon=True).start()

    def page(self) -> Shown:
        """Return the room as it is now."""
        with self._lock:
            return show_room(self.view())

    def answers(self) -> Shown:
        """Return the answers that learners shared. From then on the page calls none of them new."""
        with self._lock:
            self._looked_at = self.model.position
            self._changed.set()
            return show_answers(self.view())

    def view(self, now: datetime | None = None) -> View:
        """Return what there is to show, now unless told otherwise."""
        problem = self._problem
        try:
            self._subscription.wait_for(0)
        except Exception as error:  # what had ended it
            problem = f"Ended: {_line(error)} Run this cell again."
        now = now or datetime.now(UTC) + self._clock
        return View(
            self.room, self.model, self._agenda, self._began, now, self._names,
            problem, self._hold_ups, self._away, self._looked_at,
        )  # fmt: skip

    def stop(self) -> None:
        """End the subscription. What is shown stays, and says that it is old."""
        if not self._stopping.is_set():
            self._problem = "Stopped. Run this cell again to go on."
            self._stopping.set()
            self._changed.set()
            with suppress(Exception):  # the room may be gone
                self._subscription.stop()
            with suppress(WorkshopError, psycopg.Error), open_connection(self._url) as connection:
                self._use_schema(connection)
                connection.execute("DELETE FROM subscriptions WHERE name = %s", (self._label,))

    def _project(self, connection: psycopg.Connection, events: Any) -> None:
        """The handler of the subscription."""
        with self._lock:
            self.model.project(connection, events)
        self._changed.set()

    def _connect(self) -> psycopg.Connection:
        """Connect to the room's log; the subscription calls this again where the connection was lost."""
        connection = None
        try:
            connection = open_connection(self._url)
            self._enter(connection)
            self._problem = ""
        except Exception as error:
            gone = re.search('database ".+" does not exist', str(error))
            why = "The room is gone, or being made anew." if gone else f"Reconnecting: {_line(error)}"
            self._problem = f"{why} What is shown is what was known before."
            if connection:
                connection.close()
            raise
        finally:
            self._changed.set()
        return connection

    def _enter(self, connection: psycopg.Connection) -> None:
        """See what is there before there are events to handle."""
        self._use_schema(connection)
        (now,) = connection.execute("SELECT clock_timestamp()").fetchone()  # type: ignore[misc]
        self._clock = now - datetime.now(UTC)
        # Dashboards whose kernel was killed: appends would go on to notify them.
        connection.execute(
            "DELETE FROM subscriptions WHERE name LIKE 'dashboard\\_%'"
            " AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = name)"
        )
        new = connection.execute("INSERT INTO subscriptions (name) VALUES (%s) ON CONFLICT DO NOTHING", (self._label,))
        with self._lock:
            if new.rowcount:  # the first time, or the room was made anew meanwhile
                self.model = RoomModel(self._learner)
            self.model.project(connection, ())

    def _use_schema(self, connection: psycopg.Connection) -> None:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(self._schema)))

    def _keep_the_way_clear(self) -> None:
        """Look who holds up the log, on a connection of its own: that of the subscription waits for events."""
        url = make_conninfo(self._url, application_name="hold_ups")
        while not self._stopping.is_set():
            # The subscription tells that there is no connection.
            with suppress(WorkshopError, psycopg.Error), open_connection(url) as connection:
                self._hold_ups = hold_ups = HoldUps()
                while not self._stopping.wait(LOOK):
                    before = hold_ups.held_by, self._away
                    hold_ups.look(connection)
                    learners = connection.execute(_LEARNERS).fetchall()
                    self._away = frozenset(learner for learner, _, away in learners if away)
                    with self._lock:
                        self.model.learners |= {learner: called for learner, called, _ in learners}
                    if before != (hold_ups.held_by, self._away):
                        self._changed.set()
            self._stopping.wait(LOOK)

    def _keep_drawing(self, handle: Any) -> None:
        while not self._stopping.is_set():
            self._changed.wait(_REDRAW)
            self._changed.clear()
            handle.update(self.page())
            self._stopping.wait(_REST)
        handle.update(self.page())


# With whether they have never connected: the server counts the sessions of each database, once they are some time old.
_LEARNERS = """
SELECT name, coalesce(called, name),
       coalesce(sessions, 0) = 0 AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = name)
FROM room.learners LEFT JOIN pg_stat_database ON datname = name
"""


def _own_log(server: str) -> tuple[str, str, str]:
    """Return the URL of a learner's own log, its schema, and who the learner is.

    Raises:
        WorkshopError: it cannot be opened.
    """
    try:
        log = LearnersLog(server)  # it makes what is not there yet
    except psycopg.Error as error:
        raise WorkshopError(
            f"The record of your attempts cannot be used: {_line(error)}", "Run the first code cell of a notebook."
        ) from None
    log.close()
    return log.url, log.schema, learner_of(log.stream_id)


def _log_of(room: str, server: str) -> str:
    """Return the URL of a room's log.

    Raises:
        WorkshopError: there is no such room.
    """
    with open_connection(server) as connection:
        rooms = rooms_on(connection)
    if room not in rooms:
        others = f", only {', '.join(rooms)}" if rooms else ", and no other"
        raise WorkshopError(
            f"There is no room {room!r} on this server{others}.",
            "Set WORKSHOP_ADMIN_URL to its server before you start JupyterLab, or make it: "
            "python -m workshop.room make --help",
        )
    return make_conninfo(server, dbname=group_of(room))


def _line(error: Exception) -> str:
    """Return the first line of an error, as a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".") + "."


def _moment(began: Any) -> datetime | None:
    """Return when a room began.

    Raises:
        WorkshopError: it is no moment.
    """
    if isinstance(began, str) and re.fullmatch(r"([01]?\d|2[0-3])[:.][0-5]\d", began):
        hour, minute = map(int, re.split(r"[:.]", began))
        began = datetime.now().replace(hour=hour, minute=minute, second=0, microsecond=0)
    if began is None or isinstance(began, datetime):
        return began and began.astimezone(UTC)
    raise WorkshopError(f"began={began!r} is no moment.", 'Write the time of today, such as began="14:05".')
