"""How a room is shown: for a projector, so large and in high contrast, by words and signs, in both themes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from math import ceil
from statistics import median_low

from ..checks.course import EXERCISES
from ..display import Shown
from .agenda import Agenda
from .hold_ups import FULL, HoldUps
from .read_model import RoomModel, Work

NAMES = ("shown", "initials", "numbers")
_LISTED = 4  # learners and checks in a panel, for each takes two lines
_IN_A_LINE = 8  # names, before the rest of them is a number
_LEGEND = (
    "✓ passed &emsp; ✗3 failed three times so far &emsp; · not tried &emsp; framed: tried last"
    " &emsp; underlined: due by now"
)
# As page.css has it, in em of the grid's type, and the screen of a projector, in pixels: how many columns of learners
# there are depends on what fits there.
_NAME, _CELL, _GAP = 8.0, 2.7, 1.5
_SCREEN = (1850, 950)
_LINE = 1.3
_PANEL_LINE = 42  # letters in a line of the panels, at least


@dataclass(frozen=True)
class View:
    """What there is to show of a room.

    Attributes:
        room: its name; None where it is one learner's own log.
        began: when it began, as the instructor says; None for what the model knows of that.
        now: by the server's clock.
        names: one of NAMES.
        problem: why this is not live; empty where it is.
        hold_ups: who keeps it from being live.
        away: the learners who have never connected.
        looked_at: the position up to which the instructor has seen what was shared.
    """

    room: str | None
    model: RoomModel
    agenda: Agenda
    began: datetime | None
    now: datetime
    names: str = "shown"
    problem: str = ""
    hold_ups: HoldUps | None = None
    away: frozenset[str] = frozenset()
    looked_at: int = 0

    def called(self) -> dict[str, str]:
        """Return what each learner is called on the screen, by role."""
        if self.room is None:
            return dict.fromkeys(self.model.learners, "you")
        names = dict(sorted(self.model.learners.items()))
        if self.names == "shown":
            return names
        if self.names == "numbers":
            return {learner: str(number) for number, learner in enumerate(names, 1)}
        called: dict[str, str] = {}
        for learner, name in names.items():
            initials = "".join(part[0] for part in name.replace("_", " ").split()).upper()
            same = sum(other.rstrip("0123456789") == initials for other in called.values())
            called[learner] = initials + (str(same + 1) if same else "")
        return called


@dataclass(frozen=True)
class Line:
    """A line of a panel, as it is."""

    text: str

    def __str__(self) -> str:
        return self.text

    def html(self) -> str:
        return f"<div>{escape(self.text)}</div>"

    def lines(self) -> int:
        return ceil(len(self.text) / _PANEL_LINE)


@dataclass(frozen=True)
class Failing:
    """A check that somebody failed on, its name in full: who, on which exercise and what else there is to say of it."""

    who: tuple[str, ...]
    check: str

    def __str__(self) -> str:
        return "  ".join((*self.who, self.check))

    def html(self) -> str:
        who = "".join(f"<span>{escape(each)}</span>" for each in self.who)
        return f'<div class="who">{who}</div><div class="check">{escape(self.check)}</div>'

    def lines(self) -> int:
        return 1 + ceil(len(self.check) / _PANEL_LINE)


@dataclass(frozen=True)
class Panel:
    """A part of the page: a title, one thing in large type, if any, and rows."""

    title: str
    rows: Sequence[Line | Failing]
    large: str = ""

    def __str__(self) -> str:
        title = f"{self.title}: {self.large}" if self.large else self.title
        return "\n".join([title, *(f"  {row}" for row in self.rows)])

    def html(self) -> str:
        large = f'<div class="large">{escape(self.large)}</div>' if self.large else ""
        rows = "".join(row.html() for row in self.rows)
        return f'<div class="panel"><div class="head">{escape(self.title)}</div>{large}{rows}</div>'

    def lines(self) -> int:
        return 1 + 2 * bool(self.large) + sum(row.lines() for row in self.rows)


def show_room(view: View) -> Shown:
    """Show a room."""
    model, agenda, now, called = view.model, view.agenda, view.now, view.called()
    exercises = agenda.exercises or list(EXERCISES)
    # Who came early was there before what the instructor calls the beginning.
    since = min(filter(None, (view.began, model.began(now))), default=None)
    began = view.began or since
    minute = (now - began).total_seconds() / 60 if began else 0.0
    problem = view.problem or _held_up(view, called)
    title = "Your attempts" if view.room is None else f"Room {view.room}"
    head = f"{title} · {'not live' if problem else 'live'} · {now.astimezone():%H:%M:%S}"
    active = model.active(since)
    tried = "" if view.room is None else f"{len(active)} of {len(model.learners)} learners have tried something, "
    tried += f"since {since.astimezone():%H:%M}" if since and since <= now else "not begun"
    alarms = [*filter(None, (problem, _full(view)))]
    notes = [*filter(None, (_away(view, called), _shared(view, called)))]
    panels = [
        _pace(model, agenda, exercises, minute, active),
        _stuck(model, now, since, called),
        _most_failed(model, now),
    ]
    text = [f"{head} · {tried}", *alarms, *notes]
    for panel in panels:
        text += ["", str(panel)]
    text += ["", " " * 16 + "".join(f"{each:>6}" for each in exercises)]
    for learner, name in called.items():
        signs = (_sign(model.work(learner, each))[1] for each in exercises)
        text.append(f"{name:<16}" + "".join(f"{sign:>6}" for sign in signs))
    due = set(exercises[: agenda.due(minute)]) if agenda.exercises else set()
    lines = 2 + len(notes) + 2 * len(alarms) + max(panel.lines() for panel in panels)
    columns = _columns(len(called), len(exercises), lines)
    rows = ceil(len(called) / columns) or 1
    wide = columns * (_NAME + _CELL * len(exercises)) + _GAP * (columns - 1)
    learners = list(called.items())
    html = (
        f'<div class="page" style="--lines: {lines}; --rows: {rows + 1}; --wide: {wide:g}">'
        f'<div class="line"><span class="head">{escape(head)}</span><span>{escape(tried)}</span></div>'
        + "".join(f'<div class="problem">{escape(alarm)}</div>' for alarm in alarms)
        + "".join(f"<div>{escape(note)}</div>" for note in notes)
        + f'<div class="panels">{"".join(panel.html() for panel in panels)}</div><div class="grids">'
        + "".join(
            _grid(model, exercises, learners[first : first + rows], due) for first in range(0, len(learners), rows)
        )
        + f'</div><div class="legend">{_LEGEND}</div></div>'
    )
    return _shown(text, html)


def show_answers(view: View) -> Shown:
    """Show the answers that learners shared, the newest first."""
    called = view.called()
    text, html = [], []
    for shared in view.model.shared():
        head = f"{called[shared.learner]}, {shared.exercise_id}, {shared.at.astimezone():%H:%M}"
        answer = _printable(shared.answer)
        text += [head, answer, ""]
        html.append(f'<div class="head">{escape(head)}</div><pre>{escape(answer)}</pre>')
    if not text:
        text, html = ["Nobody has shared an answer."], ["<p>Nobody has shared an answer.</p>"]
    return _shown(text, f"<div>{''.join(html)}</div>")


def _shown(text: Iterable[str], html: str) -> Shown:
    # JupyterLab would typeset what stands between dollar signs, and a rule of LaTeX covers the screen.
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return Shown("\n".join(text), f'<style>{style}</style><div class="room mathjax_ignore">{html}</div>')


def _printable(text: str) -> str:
    """Return a text of a learner's that shows what is in it, and turns no line round."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def _held_up(view: View, called: dict[str, str]) -> str:
    """Return who keeps the log from being read to its end, and what becomes of that; empty where nobody does."""
    if view.hold_ups is None or not view.hold_ups.held_by:
        return ""
    who = " and ".join(called.get(learner, learner) for learner in view.hold_ups.held_by)
    return f"Held up by {who}: a lock or a transaction is kept, and what came after it cannot be shown yet. " + (
        "That connection is being ended."
        if view.hold_ups.may_end
        else f"We may not end that connection; who made the room may: python -m workshop.room reset {view.room} NAME."
    )


def _full(view: View) -> str:
    if view.hold_ups is None or view.hold_ups.queue < FULL:
        return ""
    return (
        f"The server's queue of notifications is {view.hold_ups.queue:.0%} full, and attempts are refused when it is. "
        "It empties when those who listen, and keep a transaction open, end that."
    )


def _away(view: View, called: dict[str, str]) -> str:
    names = [called[learner] for learner in called if learner in view.away and not view.model.tries_now(learner)]
    return f"Never connected: {_some(names)}." if names else ""


def _shared(view: View, called: dict[str, str]) -> str:
    answers = [
        f"{called[each.learner]} {each.exercise_id} {each.at.astimezone():%H:%M}"
        + (" (new)" if each.position > view.looked_at else "")
        for each in view.model.shared()
    ]
    return f"Shared, for board.answers(): {_some(answers)}." if answers else ""


def _some(names: list[str]) -> str:
    more = len(names) - _IN_A_LINE
    return ", ".join(names[:_IN_A_LINE]) + (f" and {more} more" if more > 0 else "")


def _pace(model: RoomModel, agenda: Agenda, exercises: list[str], minute: float, active: list[str]) -> Panel:
    if minute < 0:
        return Panel("Pace", [Line(f"The agenda has {agenda.minutes:g} minutes.")], f"begins in {ceil(-minute)} min")
    done = [sum(model.work(learner, each).passed for each in exercises) for learner in active]
    behind = agenda.behind(minute, done)
    word = "on time" if behind == 0 else f"{abs(behind)} min {'behind' if behind > 0 else 'ahead'}"
    what = agenda.at(minute)
    title = f"{what} {EXERCISES[what].title}" if what in EXERCISES else f"notebook {what}" if what.isdigit() else what
    rows = [
        Line(f"Minute {int(minute)} of {agenda.minutes:g}: {title}"),
        Line(f"Due by now: {agenda.due(minute)} of {len(exercises)} exercises."),
    ]
    if half := median_low(done or [0]):
        rows += [Line(f"Half of those at work have {half} or more.")] * (len(model.learners) > 1)
    return Panel("Pace", rows, word)


def _stuck(model: RoomModel, now: datetime, since: datetime | None, called: dict[str, str]) -> Panel:
    stuck = model.stuck(now, since)
    rows = [
        Failing(
            (called[each.learner], each.exercise_id, f"{each.minutes} min", f"✗{each.failures}")
            + ((f"quiet {each.quiet} min",) if each.quiet >= 5 else ()),
            each.failed_check,
        )
        for each in stuck[:_LISTED]
    ]
    shown = f"{len(rows)} of " if len(rows) < len(stuck) else ""
    return Panel(f"Stuck, the longest first: {shown}{len(stuck)}", rows)


def _most_failed(model: RoomModel, now: datetime) -> Panel:
    rows = [
        Failing((f"{each.learners} learner{'' if each.learners == 1 else 's'}", each.exercise_id), each.failed_check)
        for each in model.most_failed(now)[:_LISTED]
    ]
    return Panel("Failed most in the last 10 minutes" + ("" if rows else ": nothing"), rows)


def _columns(learners: int, exercises: int, lines: int) -> int:
    """Return in how many columns learners stand, so that their type is as large as a projector's screen allows."""
    width, height = _SCREEN

    def size(columns: int) -> float:
        wide = columns * (_NAME + _CELL * exercises) + _GAP * (columns - 1)
        return min(width / wide, height / _LINE / (lines + 1 + ceil(learners / columns)))

    return max((1, 2, 3), key=size)


def _grid(model: RoomModel, exercises: list[str], learners: list[tuple[str, str]], due: set[str]) -> str:
    head = "".join(f'<th class="{"due" if each in due else ""}">{each}</th>' for each in exercises)
    rows = []
    for learner, name in learners:
        cells = []
        for each in exercises:
            kind, sign = _sign(model.work(learner, each))
            cells.append(f'<td class="{kind}{" now" if model.tries_now(learner) == each else ""}">{sign}</td>')
        rows.append(f'<tr><th class="name" title="{escape(name)}">{escape(name)}</th>{"".join(cells)}</tr>')
    return f'<table class="grid"><tr><th class="name"></th>{head}</tr>{"".join(rows)}</table>'


def _sign(work: Work) -> tuple[str, str]:
    if work.passed:
        return "passed", "✓"
    return ("failed", f"✗{work.failures}") if work.failures else ("none", "·")
