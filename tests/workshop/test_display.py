"""How outcomes are shown: the same words as text and as HTML, by word and sign, in JupyterLab's own colours."""

import re

import pytest

from workshop import display
from workshop.checks.course import EXERCISES
from workshop.checks.report import Report, Result
from workshop.display import Box, Shown

from ..exercises.mistakes import must_be_well_shown

NOT_STARTED = Report(EXERCISES["01.1"], ()).shown()
SOLVED = Report(EXERCISES["01.1"], (Result("It works", "passed"),)).shown("Kept as my_eventstore/x.")
NOT_YET = Report(
    EXERCISES["01.1"],
    (
        Result("One", "passed"),
        Result("Two", "failed", "Use `a < b` & <b>bold</b>.\nline 1: SELECT '<script>'\n             ^\nHint: none"),
        Result("Three", "not reached"),
    ),
).shown()


def _progress() -> Shown:
    box = Box("1 of 4 exercises solved", "not started")
    box.progress("00_welcome", 1, 1)
    box.progress("01_tables", 0, 3)
    return box.shown()


PROGRESS = _progress()
each = pytest.mark.parametrize("shown", [NOT_STARTED, SOLVED, NOT_YET, PROGRESS], ids=str)


@each
def test_html_is_well_formed_and_says_what_the_text_says(shown: Shown) -> None:
    must_be_well_shown(shown)


@each
def test_colours_are_jupyterlabs(shown: Shown) -> None:
    without_variables = re.sub(r"var\(--jp-[\w-]+, [^)]+\)", "", shown._repr_html_())
    mixed = r"color-mix\(in srgb, (currentColor)? *\d+%, (currentColor|transparent)\)"
    without_variables = re.sub(mixed, "", without_variables)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", without_variables)
    for value in re.findall(r"(?<![-\w])(?:color|background(?:-color)?):([^;\"]*)", without_variables):
        assert value.strip() in ("", "inherit")


def test_an_outcome_is_a_word_and_a_sign() -> None:
    for shown in (repr(NOT_YET), re.sub(r"<[^>]*>", "", NOT_YET._repr_html_())):
        for told in ("✓ passed: One", "✗ failed: Two", "· not reached: Three"):
            assert told in shown
    signs = set(display._SIGNS.values())
    assert len(signs) == 3


def test_each_state_has_its_word_and_its_next_step() -> None:
    assert "not started" in repr(NOT_STARTED) and 'hint("01.1")' in repr(NOT_STARTED)
    assert "solved, 1 check passed" in repr(SOLVED) and "Kept as my_eventstore/x." in repr(SOLVED)
    assert "not yet, 1 of " in repr(NOT_YET) and 'hint("01.1")' in repr(NOT_YET)
    assert "hint(" not in repr(SOLVED)


def test_what_a_learner_wrote_is_escaped() -> None:
    shown = NOT_YET._repr_html_()
    assert "<script" not in shown and "<b>bold" not in shown
    assert "<code>a &lt; b</code> &amp; &lt;b&gt;bold&lt;/b&gt;" in shown


def test_code_keeps_its_columns() -> None:
    assert "<pre" in NOT_YET._repr_html_()
    assert "line 1: SELECT &#x27;&lt;script&gt;&#x27;\n             ^</pre>" in NOT_YET._repr_html_()
    assert "      line 1: SELECT '<script>'\n                   ^\n" in repr(NOT_YET)
