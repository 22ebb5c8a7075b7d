"""The kit as a learner sees it: JupyterLab with the kit's settings, notebook 02, and what its cells answer."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="the browser tests need Playwright: make test installs it")

from playwright.sync_api import Browser, expect, sync_playwright

from workshop.checks.course import EXERCISES, NOTEBOOKS
from workshop.display import Box

from ..postgres import Server
from ..workshop.rooms import ScratchRoom
from ..workshop.simulated_room import LEARNERS, play, script
from .lab import CHECKOUT, SECOND, JupyterLab, Notebook, Tab, chromium_path, launch, solved, without_answer

NOTEBOOK = "02_appending.ipynb"
SET_UP = 'start("02_appending")'
# A cell that nobody needs: the tests write into it.
SPARE = "def balance_of("
INTERRUPTIONS = ".jp-Dialog, .Toastify__toast"

OpenNotebook = Callable[[str], Notebook]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    if not chromium_path():
        pytest.skip("no Chromium on this machine: install chromium, or set CHROMIUM to the path of one")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyterlab(chromium: Browser, postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """A JupyterLab for somebody who never used one."""
    server = JupyterLab(tmp_path_factory.mktemp("jupyterlab"), postgres.url)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tab(chromium: Browser, jupyterlab: JupyterLab) -> Tab:
    """JupyterLab in a tab of the browser, as it opens by itself."""
    return Tab(chromium.new_page(viewport={"width": 1280, "height": 900}), jupyterlab.url)


@pytest.fixture
def open_notebook(tab: Tab, jupyterlab: JupyterLab, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Open a fresh copy of a notebook; it is closed, and its kernel ended, with the test."""

    def open_notebook(name: str) -> Notebook:
        return Notebook(tab.page, jupyterlab.copy_of(name, folder=request.node.originalname))

    yield open_notebook
    tab.close_all()


def test_first_look(tab: Tab, jupyterlab: JupyterLab) -> None:
    """Notebook 00 opens by itself, and nothing else does; nothing comes from the internet."""
    expect(tab.page.locator(".jp-NotebookPanel")).to_have_count(1)
    expect(tab.page.get_by_role("heading", name="Build your own event store")).to_be_visible()
    expect(tab.page.locator(".jp-RenderedMermaid img").first).to_be_visible()
    expect(tab.page.locator(INTERRUPTIONS)).to_have_count(0)
    commands = tab.page.evaluate("() => jupyterapp.commands.listCommands()")
    assert not [command for command in commands if command.startswith(("nbgrader", "jupyter-notebook"))]
    assert not tab.errors
    here = (jupyterlab.url.split("?")[0], "data:", "blob:")
    assert not [address for address in tab.requests if not address.startswith(here)]
    log = jupyterlab.log.read_text()
    assert not re.search(r"^\[E |Traceback|nbgrader", log, re.MULTILINE), log


def test_an_unsolved_notebook_runs_through(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(NOTEBOOK)
    notebook.run_all()
    first = notebook.cells()
    for cell in first:
        errors = [output for output in cell.get("outputs", []) if output["output_type"] == "error"]
        assert not errors, cell["source"]
    exercises = [cell for cell in first if re.search(r"^%%sql \d|^check\(", cell["source"], re.MULTILINE)]
    assert len(exercises) == len(NOTEBOOKS["02_appending"])
    for cell in exercises:
        assert "not started" in cell["outputs"][0]["data"]["text/plain"]

    diagrams = sum(cell["source"].count("```mermaid") for cell in first)
    expect(notebook.panel.locator(".jp-RenderedMermaid img")).to_have_count(diagrams)
    expect(notebook.panel.locator(".jp-RenderedMermaid.jp-mod-warning")).to_have_count(0)
    expect(notebook.page.locator(INTERRUPTIONS)).to_have_count(0)

    notebook.run_all()
    assert [cell.get("outputs") for cell in notebook.cells()] == [cell.get("outputs") for cell in first]


def test_a_wrong_answer_a_hint_and_the_right_one(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(NOTEBOOK)
    notebook.run(SET_UP)
    exercise = "%%sql 02.2"
    notebook.write(exercise, without_answer(solved(NOTEBOOK, "02.2")))
    notebook.run(exercise)
    report = notebook.output(exercise)
    expect(report).to_contain_text("02.2 Expect a version: not yet, ")
    expect(report).to_contain_text("✓ passed: The expected version lets the event in")
    expect(report).to_contain_text("✗ failed: Another version raises")
    expect(report).to_contain_text("· not reached: A refused append leaves nothing behind")
    expect(report).to_contain_text('hint("02.2")')

    notebook.write(SPARE, 'hint("02.2")')
    notebook.run('hint("02.2")')
    expect(notebook.output('hint("02.2")')).to_contain_text("02.2 Expect a version, hint 1 of")

    notebook.write(exercise, solved(NOTEBOOK, "02.2"))
    notebook.run(exercise)
    expect(report).to_contain_text("02.2 Expect a version: solved, ")


CONTRASTS = """element => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const paint = colours => {  // one over the other, the last on top; as red, green, blue
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = colour => {
        const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        if (!texts.currentNode.data.trim()) continue;
        const behind = [];
        for (let node = texts.currentNode.parentElement; node; node = node.parentElement)
            behind.unshift(getComputedStyle(node).backgroundColor);
        const colour = getComputedStyle(texts.currentNode.parentElement).color;
        const [dark, light] = [luminance(paint(behind)), luminance(paint([...behind, colour]))].sort((a, b) => a - b);
        found.push([texts.currentNode.data.trim(), (light + 0.05) / (dark + 0.05)]);
    }
    return found;
}"""


# Each coloured part of a cell with its colour, and the colour of what has none under "".
COLOURS = """element => {
    const colour = part => getComputedStyle(part).color;
    const parts = [...element.querySelectorAll('.cm-line span')].map(part => [part.textContent, colour(part)]);
    return [["", colour(element.querySelector('.cm-content'))], ...parts];
}"""


def test_reports_can_be_read_in_both_themes(tab: Tab, open_notebook: OpenNotebook) -> None:
    """All text of a report has the contrast that WCAG asks for, AA: 4.5 to 1."""
    notebook = open_notebook(NOTEBOOK)
    notebook.run(SET_UP)
    no_sql = solved(NOTEBOOK, "02.1").replace("RETURNING s.version INTO", "RETURNING s.versions INTO")
    answers = {"02.1": no_sql, "02.2": without_answer(solved(NOTEBOOK, "02.2")), "02.5": solved(NOTEBOOK, "02.5")}
    for exercise, answer in answers.items():
        notebook.write(f"%%sql {exercise}", answer)
        notebook.run(f"%%sql {exercise}")
    notebook.run("%%sql 02.3")  # not started
    notebook.write(SPARE, 'hint("02.2")\nsolution("02.2")\ntable("SELECT 1 AS n")')
    notebook.run('hint("02.2")')

    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        tab.use_theme(theme)
        texts: list[tuple[str, float]] = []
        for cell in (*(f"%%sql {exercise}" for exercise in (*answers, "02.3")), 'hint("02.2")'):
            for output in notebook.output(cell).all():
                texts += output.evaluate(CONTRASTS)
        shown = " ".join(text for text, _ in texts)
        for part in ("passed", "failed", "not reached", "not started", "PostgreSQL says", "line ", "Stuck?", "Kept as"):
            assert part in shown
        assert not [(text, round(ratio, 2)) for text, ratio in texts if ratio < 4.5], theme


def test_sql_is_coloured_as_sql_in_both_themes(tab: Tab, open_notebook: OpenNotebook) -> None:
    """Also within the body of a function, and as soon as it is written; Python stays Python."""
    notebook = open_notebook(NOTEBOOK)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        tab.use_theme(theme)
        for cell, keyword, string in (("%%sql 02.4", "DECLARE", "'ES001'"), (SPARE, "return", '"DepositRecorded"')):
            colours = dict(notebook.cell(cell).evaluate(COLOURS))
            assert len({colours[part] for part in (keyword, string, "")}) == 3, (theme, colours)
    notebook.write(SPARE, "%%sql\nSELECT 1 AS one -- a comment")
    written = notebook.cell("SELECT 1 AS one")
    expect(written.locator(".cm-line").nth(1).locator("span").first).to_have_text("SELECT")
    notebook.run(SET_UP)
    notebook.run("SELECT 1 AS one")
    expect(notebook.output("SELECT 1 AS one").locator("td")).to_have_text("1")


# Pages that are not JupyterLab, and define none of its colours: background, and colour of the text.
PAGES = {
    "VS Code, dark": ("#1f1f1f", "#cccccc"),
    "VS Code, light": ("#ffffff", "#3b3b3b"),
    "VS Code, dark, high contrast": ("#000000", "#ffffff"),
    "VS Code, light, high contrast": ("#ffffff", "#292929"),
    "Colab, light": ("#ffffff", "#212121"),
    "Colab, light, its grey": ("#f7f7f7", "#212121"),
    "Colab, dark": ("#383838", "#d5d5d5"),
}


@pytest.mark.parametrize("page", PAGES)
def test_reports_can_be_read_elsewhere(chromium: Browser, page: str) -> None:
    background, colour = PAGES[page]
    box = Box("Not yet", "failed")
    for outcome in ("passed", "failed", "not reached", "met", "missed", "not tested"):
        box.result(outcome, outcome, "Use `a < b`.\nline 1: SELECT\n        ^\nHint: none")
    box.title("A title")
    box.prose("Some prose, and `code`.")
    box.progress("00_welcome", 1, 2)
    tab = chromium.new_page()
    tab.set_content(f"<body style='background: {background}; color: {colour}'>{box.shown()._repr_html_()}</body>")
    texts = tab.locator("body").evaluate(CONTRASTS)
    tab.close()
    assert {"passed:", "failed:", "line 1: SELECT\n        ^", "1 of 2"} <= {text for text, _ in texts}
    assert not [(text, round(ratio, 2)) for text, ratio in texts if ratio < 4.5]


def test_a_screen_reader_hears_words_and_no_signs(chromium: Browser) -> None:
    box = Box("Not yet", "failed")
    box.result("passed", "It works", "")
    box.progress("00_welcome", 1, 2)
    tab = chromium.new_page()
    tab.set_content(box.shown()._repr_html_())
    heard = tab.locator("body").aria_snapshot()
    tab.close()
    assert "list" in heard and "passed:" in heard and "1 of 2" in heard
    assert not re.search("[✓✗■□]", heard)


def test_a_kernel_goes_on_after_an_interrupt(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(NOTEBOOK)
    notebook.run(SET_UP)
    sleep = 'db.execute("SELECT pg_sleep(20)")'
    notebook.write(SPARE, sleep)
    notebook.run(sleep, wait=False)
    notebook.page.wait_for_function(
        "index => jupyterapp.shell.currentWidget.content.model.cells.get(index).sharedModel.executionState"
        " === 'running' && jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'",
        arg=notebook.index(sleep),
    )
    notebook.panel.get_by_role("button", name="Interrupt the kernel").click()
    expect(notebook.output(sleep)).to_contain_text("KeyboardInterrupt")

    again = 'db.execute("SELECT 6 * 7").fetchone()'
    notebook.write(sleep, again)
    notebook.run(again)
    expect(notebook.output(again)).to_have_text("(42,)")
    notebook.run(SET_UP)
    expect(notebook.output(SET_UP)).to_contain_text("schema 02_appending, empty.")


def test_a_server_that_is_not_there_takes_two_lines(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(NOTEBOOK)
    elsewhere = 'import os\nos.environ["DATABASE_URL"] = "postgresql://postgres@127.0.0.1:1/postgres"'
    notebook.write(SPARE, elsewhere)
    notebook.run(elsewhere)
    notebook.run(SET_UP)
    lines: Any = notebook.output(SET_UP).inner_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("No PostgreSQL ") and " 127.0.0.1:1/postgres: " in lines[0]
    assert "DATABASE_URL" in lines[1]


def test_the_dashboard_is_live_and_reads_well_on_a_projector(
    tab: Tab, jupyterlab: JupyterLab, postgres: Server
) -> None:
    """Thirty learners on one screen, in both themes; an attempt shows within a second or so, by push."""
    room = ScratchRoom(postgres.url, LEARNERS[:1], bare=LEARNERS[1:])
    viewport = tab.page.viewport_size
    try:
        play(room, script())
        text = (CHECKOUT / "instructors/dashboard.ipynb").read_text(encoding="utf-8")
        path = jupyterlab.write("instructors/dashboard.ipynb", text.replace("oslo", room.name))
        tab.page.set_viewport_size({"width": 1920, "height": 1080})
        notebook = Notebook(tab.page, path)
        cell = "board = dashboard("
        notebook.run(cell)
        shown = notebook.output(cell).locator(".room")
        expect(shown).to_contain_text("28 of 30 learners")
        with room.connect("zoe") as zoe:
            data = '{"exercise_id": "01.1", "attempt": 1}'
            zoe.execute("SELECT room.record_attempt(gen_random_uuid(), 'ExercisePassed', %s, 0)", (data,))
        expect(shown).to_contain_text("29 of 30 learners", timeout=1.5 * SECOND)

        everything = f"{cell}{room.name!r}, agenda=[(300, {' '.join(EXERCISES)!r})])"
        for source in (None, f"from workshop.dashboard import dashboard\n{everything}"):
            if source:
                notebook.write(cell, source)
                notebook.run(cell)
                expect(shown).to_contain_text("10.2")
            for theme in ("JupyterLab Dark", "JupyterLab Light"):
                tab.use_theme(theme)
                assert shown.evaluate("each => each.scrollWidth <= each.clientWidth && each.clientHeight < 1000")
                # To be read from the last row; beside the file browser, where the output has not all of the screen.
                # What is shown may be replaced at any moment: it is looked up and measured in one go.
                page = notebook.output(cell).last
                panel = "each => parseFloat(getComputedStyle(each.querySelector('.panel')).fontSize)"
                assert page.evaluate(panel) >= 18
                texts = page.evaluate(f"each => ({CONTRASTS})(each.querySelector('.room'))")
                assert len(texts) > 200
                assert not [(text, round(ratio, 2)) for text, ratio in texts if ratio < 4.5], theme
    finally:
        tab.page.set_viewport_size(viewport)
        tab.close_all()
        room.take_down()
