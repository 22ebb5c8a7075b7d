"""How a room is shown: for a projector, so large and in high contrast, by words and signs, in both themes."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from statistics import median_low

from ..checks.course import EXERCISES
from ..display import Shown
from .agenda import Agenda
from .hold_ups import HoldUps
from .read_model import RoomModel, Work

NAMES = ("shown", "initials", "numbers")
_LISTED = 6  # in a panel
_NARROW = 12  # exercises: with fewer, the grid is larger, and more than a few learners stand in two columns
_LEGEND = (
    "✓ passed &emsp; ✗3 failed three times so far &emsp; · not tried &emsp; framed: tried last"
    " &emsp; underlined: due by now"
)

# Sizes go with the width of the output, so that thirty learners fit on one screen, whatever it is.
_STYLE = """
<style>
.room { container-type: inline-size; color: var(--jp-content-font-color1, inherit);
        font-family: var(--jp-content-font-family, sans-serif) }
.room .page { font-size: clamp(11px, 1.05cqw, 22px); line-height: 1.3; padding: .2em .4em }
.room .line { display: flex; justify-content: space-between; gap: 1em; font-size: 1.15em; margin-bottom: .4em }
.room .panels { display: grid; grid-template-columns: 4fr 7fr 5fr; gap: .7em; margin-bottom: .7em }
.room .panel { border: 2px solid color-mix(in srgb, currentColor 45%, transparent); border-radius: 4px;
               padding: .3em .7em; min-width: 0 }
.room .head { font-weight: 700 }
.room .large { font-size: 1.9em; font-weight: 700; line-height: 1.2 }
.room .item { display: grid; grid-template-columns: 8.5em 2.8em 4em 2.5em minmax(0, 1fr); column-gap: .4em }
.room .check { display: grid; grid-template-columns: 6.5em 3em minmax(0, 1fr); column-gap: .4em }
.room .item > *, .room .check > * { white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.room .check > :last-child { white-space: normal }
.room .grids { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 2em }
.room .narrow .panels { font-size: 1.1em }
.room .narrow .grids { font-size: 1.2em }
.room .wide .grids { font-size: .78em }
.room table.grid { width: 100%; table-layout: fixed; border-collapse: separate; border-spacing: 2px 1px; margin: 0;
                   font-size: inherit; border: none }
.room table.grid th, .room table.grid td { text-align: center; padding: 0; border: none; white-space: nowrap;
                   background: none; font-size: inherit; line-height: 1.32; max-width: none }
.room table.grid th.name { text-align: left; width: 8em; overflow: hidden; text-overflow: ellipsis }
.room .narrow table.grid th.name { width: 10em }
.room table.grid th.due { text-decoration: underline; text-underline-offset: .15em; text-decoration-thickness: 2px }
.room table.grid tr { background: none !important }
.room table.grid td { border-radius: 3px; box-sizing: border-box; border: 2px solid transparent }
.room .wide table.grid td, .room .wide table.grid th { line-height: 1.15 }
.room td.passed { background: color-mix(in srgb, var(--jp-success-color1, #388e3c) 38%, transparent) !important }
.room td.failed { background: color-mix(in srgb, var(--jp-error-color1, #d32f2f) 38%, transparent) !important;
                  font-weight: 700 }
.room td.none { color: color-mix(in srgb, currentColor 75%, transparent) }
.room table.grid td.now { border-color: currentColor }
.room .problem { border: 3px solid currentColor; padding: .2em .7em; margin-bottom: .5em; font-weight: 700 }
.room pre { font-size: 1em; white-space: pre-wrap; border: 1px solid currentColor; padding: .4em .7em }
</style>
"""


def show_room(
    room: str | None,
    model: RoomModel,
    agenda: Agenda,
    began: datetime | None,
    now: datetime,
    names: str,
    problem: str = "",
    hold_ups: HoldUps | None = None,
) -> Shown:
    """Show a room.

    Args:
        room: its name; None where it is one learner's own log.
        began: when it began; None for what the model knows of that.
        now: by the server's clock.
        names: one of NAMES.
        problem: why this is not live; empty where it is.
        hold_ups: who keeps it from being live.
    """
    called = _called(room, model, names)
    exercises = agenda.exercises or list(EXERCISES)
    # Who came early was there before what the instructor calls the beginning.
    since = min(filter(None, (began, model.began(now))), default=None)
    began = began or since
    minute = (now - began).total_seconds() / 60 if began else 0.0
    problem = problem or _held_up(room, hold_ups, called)
    title = "Your attempts" if room is None else f"Room {room}"
    head = f"{title} · {'not live' if problem else 'live'} · {now.astimezone():%H:%M:%S}"
    active = model.active(since)
    tried = "" if room is None else f"{len(active)} of {len(model.learners)} learners have tried something, "
    tried += f"since {since.astimezone():%H:%M}" if since else "not begun"
    panels = [
        _pace(model, agenda, exercises, minute, active),
        _stuck(model, now, since, called),
        _most_failed(model, now),
    ]
    text = [f"{head} · {tried}", *filter(None, [problem])]
    for title, large, rows in panels:
        text += ["", f"{title}: {large}" if large else title, *("  " + "  ".join(row) for row in rows)]
    text += ["", " " * 16 + "".join(f"{each:>6}" for each in exercises)]
    for learner, name in called.items():
        signs = (_sign(model.work(learner, each))[1] for each in exercises)
        text.append(f"{name:<16}" + "".join(f"{sign:>6}" for sign in signs))
    due = set(exercises[: agenda.due(minute)]) if agenda.exercises else set()
    narrow = len(exercises) < _NARROW
    columns = _columns(called, 2 if narrow and len(called) > _LISTED else 1)
    html = (
        f'{_STYLE}<div class="room"><div class="page {"narrow" if narrow else "wide"}">'
        f'<div class="line"><span class="head">{escape(head)}</span><span>{escape(tried)}</span></div>'
        + (f'<div class="problem">{escape(problem)}</div>' if problem else "")
        + f'<div class="panels">{"".join(map(_panel, panels))}</div><div class="grids">'
        + "".join(_grid(model, exercises, part, due) for part in columns)
        + f"</div><div>{_LEGEND}</div></div></div>"
    )
    return Shown("\n".join(text), html)


def _held_up(room: str | None, hold_ups: HoldUps | None, called: dict[str, str]) -> str:
    """Return who keeps the log from being read to its end, and what becomes of that; empty where nobody does."""
    if hold_ups is None or not hold_ups.held_by:
        return ""
    who = " and ".join(called.get(learner, learner) for learner in hold_ups.held_by)
    return f"Held up by {who}: a lock in the room's log is kept, and what came after it cannot be shown yet. " + (
        "That connection is being ended."
        if hold_ups.may_end
        else f"We may not end that connection; who made the room may: python -m workshop.room reset {room} NAME."
    )


def show_answers(room: str | None, model: RoomModel, names: str) -> Shown:
    """Show the answers that learners shared."""
    called = _called(room, model, names)
    if not model.shared:
        return Shown("Nobody has shared an answer.", "<p>Nobody has shared an answer.</p>")
    text, html = [], []
    for (learner, exercise_id), answer in sorted(model.shared.items()):
        head = f"{called.get(learner, learner)}, {exercise_id}"
        text += [head, answer, ""]
        html.append(f'<div class="head">{escape(head)}</div><pre>{escape(answer)}</pre>')
    return Shown("\n".join(text), f'{_STYLE}<div class="room"><div class="page">{"".join(html)}</div></div>')


Panel = tuple[str, str, Sequence[tuple[str, ...]]]  # its title, one thing in large type, and rows


def _pace(model: RoomModel, agenda: Agenda, exercises: list[str], minute: float, active: list[str]) -> Panel:
    done = [sum(model.work(learner, each).passed for each in exercises) for learner in active]
    behind = agenda.behind(minute, done)
    word = "on time" if behind == 0 else f"{abs(behind)} min {'behind' if behind > 0 else 'ahead'}"
    what = agenda.at(minute)
    title = f"{what} {EXERCISES[what].title}" if what in EXERCISES else f"notebook {what}" if what.isdigit() else what
    rows = [
        (f"Minute {int(minute)} of {agenda.minutes:g}: {title}",),
        (f"Due by now: {agenda.due(minute)} of {len(exercises)} exercises.",),
    ]
    if len(model.learners) > 1:
        rows.append((f"Half of those at work have {median_low(done or [0])} or more.",))
    return "Pace", word, rows


def _stuck(model: RoomModel, now: datetime, since: datetime | None, called: dict[str, str]) -> Panel:
    stuck = model.stuck(now, since)
    rows = [
        (
            called[each.learner], each.exercise_id, f"{each.minutes} min", f"✗{each.failures}",
            (f"(quiet {each.quiet} min) " if each.quiet >= 5 else "") + each.failed_check,
        )
        for each in stuck[:_LISTED]
    ]  # fmt: skip
    more = len(stuck) - len(rows)
    return f"Stuck, the longest first: {len(stuck)}" + (f", {more} of them not listed" if more else ""), "", rows


def _most_failed(model: RoomModel, now: datetime) -> Panel:
    rows = [
        (f"{each.learners} learner{'' if each.learners == 1 else 's'}", each.exercise_id, each.failed_check)
        for each in model.most_failed(now)[:_LISTED]
    ]
    return "Failed most in the last 10 minutes" + ("" if rows else ": nothing"), "", rows


def _panel(panel: Panel) -> str:
    title, large, rows = panel
    lines = [f'<div class="head">{escape(title)}</div>', f'<div class="large">{escape(large)}</div>' if large else ""]
    for row in rows:
        kind = {5: "item", 3: "check"}.get(len(row), "")
        lines.append(f'<div class="{kind}">' + "".join(f"<span>{escape(cell)}</span>" for cell in row) + "</div>")
    return f'<div class="panel">{"".join(lines)}</div>'


def _columns(called: dict[str, str], count: int) -> list[dict[str, str]]:
    """Split learners into so many columns."""
    items = list(called.items())
    size = -(-len(items) // count) or 1
    return [dict(items[first : first + size]) for first in range(0, len(items), size)]


def _grid(model: RoomModel, exercises: list[str], called: dict[str, str], due: set[str]) -> str:
    head = "".join(f'<th class="{"due" if each in due else ""}">{each}</th>' for each in exercises)
    rows = []
    for learner, name in called.items():
        cells = []
        for each in exercises:
            kind, sign = _sign(model.work(learner, each))
            cells.append(f'<td class="{kind}{" now" if model.tries_now(learner) == each else ""}">{sign}</td>')
        rows.append(f'<tr><th class="name">{escape(name)}</th>{"".join(cells)}</tr>')
    return f'<table class="grid"><tr><th class="name"></th>{head}</tr>{"".join(rows)}</table>'


def _sign(work: Work) -> tuple[str, str]:
    if work.passed:
        return "passed", "✓"
    return ("failed", f"✗{work.failures}") if work.failures else ("none", "·")


def _called(room: str | None, model: RoomModel, names: str) -> dict[str, str]:
    """Return what each learner is called on the screen."""
    if room is None:
        return dict.fromkeys(model.learners, "you")
    plain = {learner: learner.removeprefix(f"{room}_") for learner in sorted(model.learners)}
    if names == "shown":
        return plain
    if names == "numbers":
        return {learner: str(number) for number, learner in enumerate(plain, 1)}
    called: dict[str, str] = {}
    for learner, name in plain.items():
        initials = "".join(part[0] for part in name.split("_") if part).upper()
        same = sum(other.rstrip("0123456789") == initials for other in called.values())
        called[learner] = initials + (str(same + 1) if same else "")
    return called
