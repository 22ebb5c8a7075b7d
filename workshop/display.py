"""How the classroom speaks: rich HTML in JupyterLab, plain text elsewhere. Outcomes by word and sign, never by colour
alone; colours are JupyterLab's own, so both themes read well."""

from html import escape

from .checking import Report

_SIGNS = {"passed": "✓", "failed": "✗", "not reached": "·"}
_COLOURS = {
    "passed": "var(--jp-success-color0, #1b5e20)",
    "failed": "var(--jp-error-color0, #b71c1c)",
    "not reached": "var(--jp-ui-font-color2, #616161)",
    "not started": "var(--jp-brand-color1, #1976d2)",
}
_BOX = (
    "font-family: var(--jp-ui-font-family, sans-serif); font-size: 14px; line-height: 1.5; max-width: 62em;"
    " color: var(--jp-ui-font-color1, inherit); border-left: 4px solid {colour}; padding: 4px 12px; margin: 4px 0"
)
_CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: 13px; white-space: pre-wrap;"
    " background: var(--jp-layout-color2, #eee); color: var(--jp-content-font-color1, inherit);"
    " padding: 6px 10px; margin: 4px 0; line-height: 1.4"
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


def show_report(report: Report, note: str = "") -> Shown:
    """Show what came of an exercise's checks, a line each, and where to go next."""
    exercise = report.exercise
    name = f"{exercise.id} {exercise.title}"
    if not report.started:
        next_step = f'Write your answer in the place of ... and run the cell again. A nudge: hint("{exercise.id}")'
        return Shown(
            f"{name}: not started\n  {next_step}", _box("not started", f"{name}: not started", _prose(next_step))
        )
    passed = sum(result.outcome == "passed" for result in report.results)
    if report.passed:
        head, colour = f"{name}: solved, {_count(passed, 'check')} passed", "passed"
        closing = note
    else:
        head, colour = f"{name}: not yet, {passed} of {_count(len(report.results), 'check')} passed", "failed"
        closing = f'Stuck? hint("{exercise.id}") gives a nudge, and one more each time.'
    text = [f"{head}"]
    rows = []
    for result in report.results:
        sign = _SIGNS[result.outcome]
        text.append(f"  {sign} {result.outcome}: {result.label}")
        text += [f"      {line}" for line in result.message.splitlines()]
        rows.append(
            f'<div><span style="color: {_COLOURS[result.outcome]}"><b>{sign}</b> {result.outcome}</span>: '
            f"{escape(result.label)}</div>" + (_message(result.message) if result.message else "")
        )
    if closing:
        text.append(f"  {closing}")
        rows.append(_prose(closing))
    return Shown("\n".join(text), _box(colour, head, "".join(rows)))


def show_progress(notebooks: list[tuple[str, int, int]]) -> Shown:
    """Show how many exercises are solved: for each notebook its name, how many are solved, and how many there are."""
    solved, total = sum(row[1] for row in notebooks), sum(row[2] for row in notebooks)
    head = f"{solved} of {_count(total, 'exercise')} solved"
    text, rows = [head], []
    for name, done, count in notebooks:
        bar = "■" * done + "□" * (count - done)
        text.append(f"  {name:<24} {bar}  {done} of {count}")
        rows.append(
            f'<tr><td style="text-align: left">{escape(name)}</td><td style="text-align: left; letter-spacing: 2px">'
            f"{bar}</td><td>{done} of {count}</td></tr>"
        )
    return Shown("\n".join(text), _box("not started", head, f"<table>{''.join(rows)}</table>"))


def _box(colour: str, head: str, inner: str) -> str:
    style = _BOX.format(colour=_COLOURS[colour])
    return f'<div style="{style}"><div><b>{escape(head)}</b></div>{inner}</div>'


def _prose(text: str) -> str:
    return f'<div style="color: var(--jp-ui-font-color2, inherit); margin-top: 4px">{_inline(text)}</div>'


def _message(message: str) -> str:
    """Turn a message into HTML: its prose as text, the line of code that it points at, with its mark, as code."""
    prose: list[str] = []
    code: list[str] = []
    for line in message.splitlines():
        if line.startswith("line ") or line.strip() == "^" or (code and line.startswith(" ")):
            code.append(line)
        else:
            prose.append(line)
    shown = "".join(f'<div style="margin-left: 1.6em">{_inline(line)}</div>' for line in prose)
    return shown + (f'<pre style="{_CODE}; margin-left: 1.7em">{escape(chr(10).join(code))}</pre>' if code else "")


def _inline(text: str) -> str:
    """Escape a line, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
