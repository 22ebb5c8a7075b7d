"""How the classroom speaks: rich HTML in JupyterLab, plain text elsewhere. Outcomes by word and sign, never by colour
alone; colours are JupyterLab's own, so both themes read well."""

import textwrap
from html import escape

import pandas as pd

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


class Box:
    """A framed outcome, made line by line: as HTML and as plain text.

    Args:
        head: its first line.
        outcome: what gives it its colour, such as "passed".
    """

    def __init__(self, head: str, outcome: str):
        self._head = head
        self._outcome = outcome
        self._text = [head]
        self._rows: list[str] = []

    def title(self, text: str) -> None:
        """Begin a part of its own."""
        self._text += ["", text]
        self._rows.append(f'<div style="{_HEAD}; margin-top: 10px">{escape(text)}</div>')

    def result(self, outcome: str, label: str, message: str) -> None:
        """Add an outcome, its name and, indented, its message."""
        self._text += [f"  {_SIGNS[outcome]} {outcome}: {label}", *(f"      {line}" for line in message.splitlines())]
        colour = _COLOURS[outcome]
        label = escape(label)
        if outcome in ("not reached", "not tested"):
            label = f'<span style="color: {colour}">{label}</span>'
        elif outcome in ("failed", "missed"):
            label = f"<b>{label}</b>"
        self._rows.append(
            f'<div style="{_ROW}"><span style="color: {colour}"><b>{_SIGNS[outcome]}</b> {outcome}:</span> '
            f"<div>{label}{_message(message)}</div></div>"
        )

    def prose(self, text: str, *, apart: bool = False) -> None:
        """Add a sentence, if there is one; as plain text indented, or apart from what is above."""
        if text:
            self._text += ["", text] if apart else [f"  {text}"]
            style = "color: var(--jp-ui-font-color2, inherit); margin-top: 6px"
            self._rows.append(f'<div style="{style}">{_inline(text)}</div>')

    def progress(self, name: str, done: int, total: int) -> None:
        """Add how much of a part is done, as a bar and in words."""
        bar = "■" * done + "□" * (total - done)
        self._text.append(f"  {name:<24} {bar}  {done} of {total}")
        squares = f'<span style="letter-spacing: 3px; color: {_COLOURS["passed"]}">{bar}</span>'
        cells = f"<span>{escape(name)}</span> {squares} <span>{done} of {total}</span>"
        self._rows.append(f'<div style="{_PROGRESS}">{cells}</div>')

    def shown(self) -> Shown:
        """Return it, to be shown."""
        style = _BOX.format(colour=_COLOURS[self._outcome])
        head = f'<div style="{_HEAD}">{escape(self._head)}</div>'
        return Shown("\n".join(self._text), f'<div style="{style}">{head}{"".join(self._rows)}</div>')


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


def count(number: int, noun: str) -> str:
    """Return a number and what is counted, such as "2 checks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
