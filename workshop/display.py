"""How the classroom speaks: rich HTML in JupyterLab, plain text elsewhere.

Outcomes stand there by word and sign, never by colour alone; a screen reader hears the words. Colours are JupyterLab's
own, where it is one, mixed with that of the text around: so they are darker on a light page and lighter on a dark one,
in VS Code and on Colab, too.
"""

import os
import sys
import textwrap
from html import escape
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.display import display

_SIGNS = {"passed": "✓", "failed": "✗", "not reached": "·", "met": "✓", "missed": "✗", "not tested": "·"}
_COLOURS = {
    "passed": "color-mix(in srgb, var(--jp-success-color1, #388e3c) 50%, currentColor)",
    "failed": "color-mix(in srgb, var(--jp-error-color1, #e53935) 45%, currentColor)",
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
    " background: color-mix(in srgb, currentColor 6%, transparent); color: inherit;"
    " border: 1px solid color-mix(in srgb, currentColor 15%, transparent); padding: 6px 10px; margin: 6px 0;"
    " overflow-x: auto"
)
_MOST_ROWS = 60  # a table that has more shows its first and its last, or it would fill the notebook's file
_EACH_END = 20
_MOST_CHARACTERS = 500  # of a cell


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
    """Rows of a query, shown without pandas' row numbers, which would stand beside versions and look like them.

    All rows are there to work with. Of many, the first and the last are shown, and of a long text its beginning.
    """

    @property
    def _constructor(self) -> type["Rows"]:
        return Rows

    def __repr__(self) -> str:
        if self.empty:
            return self._no_rows()
        return "\n".join([part.to_string(index=False) for part in self._shown()] + self._left_out())

    def _repr_html_(self) -> str:
        if self.empty:
            return f"<p>{escape(self._no_rows())}</p>"
        shown = "".join(
            [part.to_html(index=False, border=0, justify="left") for part in self._shown()]
            + [f"<p>{escape(line)}</p>" for line in self._left_out()]
        )
        return shown.replace("<td>", '<td style="text-align: left">').replace("<th>", '<th style="text-align: left">')

    def _shown(self) -> list[pd.DataFrame]:
        ends = [self] if len(self) <= _MOST_ROWS else [self.head(_EACH_END), self.tail(_EACH_END)]
        # Not with map(), which would take a column of texts and NULLs for one of texts and NaNs.
        return [
            pd.DataFrame([map(_bounded, row) for row in end.itertuples(index=False)], columns=end.columns, dtype=object)
            for end in ends
        ]

    def _left_out(self) -> list[str]:
        return [f"{len(self):,} rows: the first {_EACH_END} and the last."] if len(self) > _MOST_ROWS else []

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
            f'<div role="listitem" style="{_ROW}"><span style="color: {colour}">'
            f'<b aria-hidden="true">{_SIGNS[outcome]}</b> {outcome}:</span> '
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
        squares = f'<span aria-hidden="true" style="letter-spacing: 3px; color: {_COLOURS["passed"]}">{bar}</span>'
        cells = f"<span>{escape(name)}</span> {squares} <span>{done} of {total}</span>"
        self._rows.append(f'<div role="listitem" style="{_PROGRESS}">{cells}</div>')

    def shown(self) -> Shown:
        """Return it, to be shown."""
        style = _BOX.format(colour=_COLOURS[self._outcome])
        head = f'<div style="{_HEAD}">{escape(self._head)}</div>'
        rows = f'<div role="list">{"".join(self._rows)}</div>'
        return Shown("\n".join(self._text), f'<div role="group" style="{style}">{head}{rows}</div>')


def _bounded(value: Any) -> Any:
    """Return a cell as it is, or the beginning of its text and how long that is."""
    text = str(value)
    return value if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"


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


class Line:
    """A line that says how far something is, each time in the place of the one before.

    Where nobody looks on, as in a program whose output goes to a file, there is none.
    """

    def __init__(self) -> None:
        self._place = display(Shown("", ""), display_id=True) if _in_notebook() else None

    def show(self, text: str) -> None:
        """Show a text in the place of the one before."""
        if self._place:
            self._place.update(Shown(text, f"<div>{escape(text)}</div>"))
        elif sys.stdout.isatty():
            print(f"\r{text}", end="", flush=True)


def show_figures_in_the_notebook() -> None:
    """Have matplotlib draw below the cell, whatever MPLBACKEND says in the environment of whoever runs a notebook."""
    if _in_notebook():
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        if "matplotlib" in sys.modules:  # it has looked already
            get_ipython().run_line_magic("matplotlib", "inline")


def say_where_names_are_made() -> None:
    """Have a NameError say how to come by what cells further up make: whoever restarts a kernel has lost it."""

    def shown(shell: Any, kind: type, error: NameError, trace: Any, tb_offset: int | None = None) -> None:
        if kind is NameError:
            error.add_note(f"Does a cell further up make `{error.name}`? Run → Run All Above Selected Cell.")
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    if shell := get_ipython():
        shell.set_custom_exc((NameError,), shown)


def _in_notebook() -> bool:
    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


def count(number: int, noun: str) -> str:
    """Return a number and what is counted, such as "2 checks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
