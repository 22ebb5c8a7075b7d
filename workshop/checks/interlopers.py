"""Who comes in between: others who look, somebody who does something of their own, an error that is raised."""

from dataclasses import replace
from typing import Literal

import psycopg
from psycopg.errors import DeadlockDetected, DiskFull, LockNotAvailable

from .sandbox import run_task
from .scene import Somebody
from .stage import CLOSED, Nobody, Play, Seen, Stage

Act = Literal["commits", "holds", "gives up"]
Kind = Literal["error", "server", "lost"]
MOST_PLACES = 12  # of one scene at which somebody comes in between


class Broke(ConnectionError, TimeoutError, ValueError, LookupError, RuntimeError):
    """The error that is raised on purpose: whoever catches too much catches it."""


class Looks(Nobody):
    """Others look at every place, and a stranger does something of their own; nobody changes anything.

    Attributes:
        looks: what others saw, with the number of the place.
    """

    def __init__(self, stranger: Somebody | None):
        self._stranger = stranger
        self._settings: list[str] = []
        self.looks: list[tuple[int, dict[str, list[str]]]] = []

    def begin(self, play: Play) -> None:
        self._settings = play.stage.settings()
        if play.stage.gates:
            numbers = f"generate_series(1, {MOST_PLACES})"
            play.stage.somebody.execute(f"SELECT pg_advisory_lock({play.stage.gates}, {numbers})")

    def at_place(self, play: Play, number: int, is_call: bool) -> None:
        self._look(play, number)

    def at_gate(self, play: Play, number: int) -> None:
        if number <= MOST_PLACES:
            self._look(play, number)
            play.stage.somebody.execute(f"SELECT pg_advisory_unlock({play.stage.gates}, {number})")

    def end(self, play: Play) -> None:
        play.stage.somebody.execute("SELECT pg_advisory_unlock_all()")
        if not play.stage.connection.closed:
            changed = {it.split()[0] for it in set(play.stage.settings()) ^ set(self._settings)}
            play.left.extend(f"the session's setting {name} is changed" for name in sorted(changed))

    def _look(self, play: Play, number: int) -> None:
        who = "somebody who only reads"
        try:
            self.looks.append((number, play.stage.look()))
            if self._stranger:
                who = f"somebody who {self._stranger.did}"
                with play.stage.somebody.transaction(force_rollback=True):
                    run_task(self._stranger.act, play.stage.somebody)
        except LockNotAvailable:
            if (waits := f"{who} has to wait for it") not in play.left:
                play.left.append(waits)


class Comes(Nobody):
    """Somebody comes in between, at one place, and commits, holds their transaction open, or gives up.

    Who must wait for the answer comes after it. Who holds their transaction open goes on when the answer waits for
    them.

    Args:
        at: the number of the place, from 1; 0 is before the call, -1 after it.

    Attributes:
        held_up: whether the answer waited for them.
    """

    changes_rows = True

    def __init__(self, somebody: Somebody, act: Act, at: int):
        self._somebody, self._act, self._at = somebody, act, at
        self._holds_gate = self._is_open = False
        self._is_late = at == -1
        self.held_up = False

    def begin(self, play: Play) -> None:
        if self._at == 0:
            self._come(play)
        elif play.stage.gates and self._at > 0:
            play.stage.somebody.execute(f"SELECT pg_advisory_lock({play.stage.gates}, {self._at})")
            self._holds_gate = True

    def at_place(self, play: Play, number: int, is_call: bool) -> None:
        if number == self._at and not play.stage.gates:
            self._come(play)

    def at_gate(self, play: Play, number: int) -> None:
        if number == self._at:
            self._come(play)
            self._open_gate(play)

    def silence(self, play: Play) -> None:
        if self._is_open and play.stage.is_blocked():
            self.held_up = True
            self._go_on(play)

    def end(self, play: Play) -> None:
        if self._holds_gate:
            self._open_gate(play)
        if self._is_open:
            self._go_on(play)
        if self._is_late and play.stage.is_idle():  # else the caller is not done, who rolls back in the end
            play.stage.somebody.execute("SET lock_timeout = '5s'")
            self._do(play)
            play.stage.somebody.execute("SET lock_timeout = '1ms'")

    def _come(self, play: Play) -> None:
        connection = play.stage.somebody
        try:
            connection.execute("BEGIN")
            if not self._do(play):
                connection.rollback()
            elif self._act == "commits":
                connection.commit()
            else:
                self._is_open = True
        except LockNotAvailable:
            connection.rollback()
            self._is_late = play.waited = True

    def _do(self, play: Play) -> bool:
        """Do what they do; return False where it is refused, as an append to an archived stream is."""
        try:
            run_task(self._somebody.act, play.stage.somebody)
        except LockNotAvailable:
            raise
        except psycopg.Error as error:
            if not self._at or not (error.sqlstate or "").startswith("ES"):
                raise
            return False
        return True

    def _open_gate(self, play: Play) -> None:
        self._holds_gate = False
        play.stage.somebody.execute(f"SELECT pg_advisory_unlock({play.stage.gates}, {self._at})")

    def _go_on(self, play: Play) -> None:
        self._is_open = False
        connection = play.stage.somebody
        try:
            if self._somebody.then:
                run_task(self._somebody.then, connection)
        except (LockNotAvailable, DeadlockDetected):
            connection.rollback()
            if self.held_up:
                play.left.append("they wait for each other: a deadlock")
            return
        connection.rollback() if self._act == "gives up" else connection.commit()


class Breaks(Nobody):
    """An error is raised at one place."""

    THROUGH = "let that error through"

    def __init__(self, kind: Kind, at: int):
        self._kind, self._at = kind, at
        self.error: Exception | None = None
        self.was_met = False

    def begin(self, play: Play) -> None:
        if play.stage.gates:
            play.stage.connection.unwatched(f"SET stage.breaks = '{self._at}'")
            self.was_met = True

    def at_place(self, play: Play, number: int, is_call: bool) -> Exception | None:
        if number != self._at or play.stage.gates:
            return None
        at_commit = play.places[-1] == "COMMIT"
        if self._kind == "error" and at_commit:
            return None  # psycopg would lose count of its transactions
        self.was_met = True
        if self._kind == "lost":
            play.stage.end_connection()  # the statement finds out
        elif self._kind == "error" or is_call:
            self.error = Broke("the stage breaks here")
        else:
            self.error = _disk_full(play.stage, at_commit)
        return self.error

    def heard(self, seen: Seen) -> Seen:
        """Return what was seen, with what came of the very error that was raised here; a connection is lost with it."""
        if self._kind == "lost":
            seen = replace(seen, left=tuple(it for it in seen.left if it != CLOSED))
        error = seen.error
        if error is None:
            return seen
        if self._kind == "lost":
            is_it = isinstance(error, psycopg.OperationalError)
        else:
            is_it = error is self.error or "on the stage" in str(error)
        return replace(
            seen, outcome=self.THROUGH if is_it else f"raised another error, {type(error).__name__}: {error}"
        )


def _disk_full(stage: Stage, at_commit: bool) -> Exception | None:
    """Have the server raise an error on the caller's connection: the transaction fails. COMMIT does so itself."""
    said = "RAISE EXCEPTION 'no space left on the stage' USING ERRCODE = 'disk_full'"
    try:
        if at_commit:
            stage.connection.unwatched(
                "CREATE TEMP TABLE stage_commit (); CREATE FUNCTION pg_temp.stage_commit() RETURNS trigger"
                f" LANGUAGE plpgsql AS $$ BEGIN {said}; END $$;"
                " CREATE CONSTRAINT TRIGGER stage_commit AFTER INSERT ON stage_commit DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION pg_temp.stage_commit(); INSERT INTO stage_commit DEFAULT VALUES"
            )
            return None  # COMMIT raises it
        stage.connection.unwatched(f"DO $$ BEGIN {said}; END $$")
    except DiskFull as error:
        return error
    return None
