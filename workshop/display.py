"""How the classroom speaks: rich HTML in JupyterLab, plain text elsewhere. Outcomes by word and sign, never by colour
alone; colours are JupyterLab's own, so both themes read well."""

import textwrap
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from .checking import Report

if TYPE_CHECKING:
    from .conformance import Conformance

_SIGNS = {"passed": "✓", "failed": "✗", "not reached": "·", "met": "✓", "missed": "✗", "not tested": "·"}
# Mixed with the colour of the text around, so that they are darker on a light page and lighter on a dark one.
_COLOURS = {
    "passed": "color-mix(in srgb, var(--jp-success-color1, #388e3c) 70%, currentColor)",
    "failed": "color-mix(in srgb, var(--jp-error-color1, #e53935) 75%, currentColor)",
    "not reached": "var(--jp-ui-font-color2, inherit)",
    "not started": "var(--jp-brand-color1, #1976d2)",
}
_COLOURS |= {"met": _COLOURS["passed"], "missed": _COLOURS["failed"], "not tested": _COLOURS["not reached"]}
_BOX = (
    "font-family: var(--jp-content-font-family, sans-serif); font-size: 14px; line-height: 1.5; max-width: 58em;"
    " color: var(--jp-content-font-color1, inherit); border-left: 4px solid {colour}; padding: 6px 14px; margin: 6px 0"
)
_HEAD = "font-weight: 600; margin-bottom: 4px"
# The outcome in a column of its own. Where styles are taken away, as on GitHub, it is a line with a colon.
_ROW = "display: grid; grid-template-columns: 7.5em minmax(0, 1fr); column-gap: 8px; margin: 1px 0"
_PROGRESS = "display: grid; grid-template-columns: 12em 12em auto; column-gap: 8px"
_CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: 13px; line-height: 1.4; white-space: pre;"
    " background: var(--jp-cell-editor-background, #f5f5f5); color: var(--jp-content-font-color1, inherit);"
    " border: 1px solid var(--jp-cell-editor-border-color, #e0e0e0); padding: 6px 10px; margin: 6px 0; overflow-x: auto"
)


class Shown:
    """Something to show: HTML for JupyterLab, plain text for every other reader."""

    def __init__(self, text: str, html: str):
        self._text = text
        self._html = html

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


class Rows(pd.DataFrame):
    """Rows of a query, shown without pandas' row numbers, which would stand beside versions and look like them."""

    @property
    def _constructor(self) -> type["Rows"]:
        return Rows

    def __repr__(self) -> str:
        return self._no_rows() if self.empty else self.to_string(index=False)

    def _repr_html_(self) -> str:
        if self.empty:
            return f"<p>{escape(self._no_rows())}</p>"
        shown = self.to_html(index=False, border=0, justify="left")
        return shown.replace("<td>", '<td style="text-align: left">').replace("<th>", '<th style="text-align: left">')

    def _no_rows(self) -> str:
        return f"No rows. The columns are {', '.join(self.columns)}."


def show_report(report: Report, note: str = "", sent: str = "") -> Shown:
    """Show what came of an exercise's checks, a line each, where to go next, and what was sent to the room."""
    exercise = report.exercise
    name = f"{exercise.id} {exercise.title}"
    if not report.started:
        next_step = (
            f"Write your answer in the place of `...`, so that no `...` is left, and run the cell again. "
            f'A nudge: `hint("{exercise.id}")`'
        )
        return Shown(
            f"{name}: not started\n  {next_step}", _box("not started", f"{name}: not started", _prose(next_step))
        )
    passed = sum(result.outcome == "passed" for result in report.results)
    if report.passed:
        head, colour = f"{name}: solved, {_count(passed, 'check')} passed", "passed"
        closing = note
    else:
        head, colour = f"{name}: not yet, {passed} of {_count(len(exercise.checks), 'check')} passed", "failed"
        closing = f'Stuck? `hint("{exercise.id}")` gives a nudge, and one more each time.'
    text = [f"{head}"]
    rows = []
    for result in report.results:
        text += _lines(result.outcome, result.label, result.message)
        rows.append(_row(result.outcome, result.label, result.message))
    for line in filter(None, (closing, sent)):
        text.append(f"  {line}")
        rows.append(_prose(line))
    return Shown("\n".join(text), _box(colour, head, "".join(rows)))


def show_progress(notebooks: list[tuple[str, int, int]]) -> Shown:
    """Show how many exercises are solved: for each notebook its name, how many are solved, and how many there are."""
    solved, total = sum(row[1] for row in notebooks), sum(row[2] for row in notebooks)
    head = f"{solved} of {_count(total, 'exercise')} solved"
    text, rows = [head], []
    for name, done, count in notebooks:
        bar = "■" * done + "□" * (count - done)
        text.append(f"  {name:<24} {bar}  {done} of {count}")
        squares = f'<span style="letter-spacing: 3px; color: {_COLOURS["passed"]}">{bar}</span>'
        cells = f"<span>{escape(name)}</span> {squares} <span>{done} of {count}</span>"
        rows.append(f'<div style="{_PROGRESS}">{cells}</div>')
    return Shown("\n".join(text), _box("not started", head, "".join(rows)))


def show_conformance(report: "Conformance") -> Shown:
    """Show which guarantees and requirements a store meets, a line each, and which of its parts are whose."""
    whose = "Your event store" if report.store == "my_eventstore" else "The reference"
    met = sum(row.outcome == "met" for row in report.guarantees.values())
    head = f"{whose}: {met} of {_count(len(report.guarantees), 'guarantee')} met"
    groups: list[tuple[str, dict[Any, Any]]] = [("", report.guarantees), ("The nine requirements", report.requirements)]
    text, rows = [head], []
    for title, group in groups:
        if title:
            text += ["", title]
            rows.append(f'<div style="{_HEAD}; margin-top: 10px">{title}</div>')
        for key, row in group.items():
            label = row.name if row.name.startswith(str(key)) else f"{key} {row.name}"
            text += _lines(row.outcome, label, row.message)
            rows.append(_row(row.outcome, label, row.message))
    for line in _parts(report):
        text += ["", line]
        rows.append(_prose(line))
    return Shown("\n".join(text), _box("passed" if met == len(report.guarantees) else "failed", head, "".join(rows)))


def _parts(report: "Conformance") -> list[str]:
    """Return which parts of a store are the learner's, and which the reference's, and why."""
    if not report.parts:
        return []
    yours = [str(part) for part in report.parts if part.yours and part.tested]
    untested = [str(part) for part in report.parts if not part.tested]
    unsolved = [str(part) for part in report.parts if part.exercise and not part.yours]
    others = [str(part) for part in report.parts if not part.exercise and not part.yours]
    return [
        f"Yours: {', '.join(yours) or 'nothing yet'}.",
        *([f"Yours, and tested by their exercises alone: {', '.join(untested)}."] if untested else []),
        *([f"From the reference, until you solve the exercise: {', '.join(unsolved)}."] if unsolved else []),
        f"From the reference, because no exercise asks for it: {', '.join(others)}; and in Python what surrounds your "
        "functions: event types, arguments, errors, subscriptions.",
    ]


def _box(colour: str, head: str, inner: str) -> str:
    style = _BOX.format(colour=_COLOURS[colour])
    return f'<div style="{style}"><div style="{_HEAD}">{escape(head)}</div>{inner}</div>'


def _lines(outcome: str, label: str, message: str) -> list[str]:
    """Return a result as plain text: its outcome, its name and, indented, its message."""
    return [f"  {_SIGNS[outcome]} {outcome}: {label}", *(f"      {line}" for line in message.splitlines())]


def _row(outcome: str, label: str, message: str) -> str:
    """Return a result as HTML: its outcome, and beside it its name and its message."""
    colour = _COLOURS[outcome]
    label = escape(label)
    if outcome in ("not reached", "not tested"):
        label = f'<span style="color: {colour}">{label}</span>'
    elif outcome in ("failed", "missed"):
        label = f"<b>{label}</b>"
    return (
        f'<div style="{_ROW}"><span style="color: {colour}"><b>{_SIGNS[outcome]}</b> {outcome}:</span> '
        f"<div>{label}{_message(message)}</div></div>"
    )


def _prose(text: str) -> str:
    return f'<div style="color: var(--jp-ui-font-color2, inherit); margin-top: 6px">{_inline(text)}</div>'


def _message(message: str) -> str:
    """Turn a message into HTML: its prose as text, its code, indented or a line with a mark under it, as code."""
    shown: list[str] = []
    code: list[str] = []
    for line in [*message.splitlines(), ""]:
        if line.startswith(("line ", "    ")) or line.strip() == "^" or (code and line.startswith(" ")):
            code.append(line)
            continue
        if code:
            shown.append(f'<pre style="{_CODE}">{escape(textwrap.dedent(chr(10).join(code)))}</pre>')
            code = []
        if line:
            shown.append(f"<div>{_inline(line)}</div>")
    return "".join(shown)


def _inline(text: str) -> str:
    """Escape a line, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
