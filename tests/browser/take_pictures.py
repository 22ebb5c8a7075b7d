"""Take the README's pictures, docs/check-*.png, from a real JupyterLab: `python -m tests.browser.take_pictures`.

Then make them small with any PNG optimiser: 64 colours are plenty.
"""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from ..postgres import server
from . import lab

NOTEBOOK, EXERCISE = "02_appending.ipynb", "02.2"
WIDTH = 1040  # of the window; the longest line of the answer fits

# The classic mistake: it looks before it locks.
LOOKS_FIRST = """    SELECT s.version INTO actual FROM streams s WHERE s.id = append_event.stream_id;
    IF coalesce(actual, 0) <> expected_version THEN
        RAISE EXCEPTION 'Wrong expected version: % (stream: %, stream version: %)',
                expected_version, append_event.stream_id, actual
            USING ERRCODE = 'ES001', DETAIL = actual;
    END IF;

"""


def take_pictures(folder: Path, notebook: lab.Notebook) -> None:
    """Take one picture of an answer that fails, and one of an answer that passes."""
    notebook.run('start("02_appending")')
    passes = re.sub(r".*(BEGIN|END) SOLUTION\n", "", lab.solved(NOTEBOOK, EXERCISE))
    locks = lab.without_answer(lab.solved(NOTEBOOK, EXERCISE)).replace("    actual := new_version - 1;\n\n", "")
    fails = locks.replace("BEGIN\n", f"BEGIN\n{LOOKS_FIRST}")
    check = f"%%sql {EXERCISE}"
    for name, answer in (("check-failed", fails), ("check-passed", passes)):
        notebook.write(check, answer)
        notebook.run(check)
        cell = notebook.cell(check)
        notebook.cell("def balance_of(").locator(".cm-content").click()  # no frame around the cell, and no cursor in it
        cell.screenshot(path=folder / f"{name}.png", animations="disabled")


def main() -> None:
    """Start a PostgreSQL, a JupyterLab and a browser of their own, and take the pictures."""
    postgres = server("embedded")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        jupyterlab = lab.JupyterLab(Path(scratch), postgres.url)
        try:
            with lab.launch(playwright) as browser:
                page = browser.new_page(viewport={"width": WIDTH, "height": 1400}, device_scale_factor=2)
                tab = lab.Tab(page, jupyterlab.url)
                page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
                take_pictures(lab.CHECKOUT / "docs", lab.Notebook(page, jupyterlab.copy_of(NOTEBOOK, "pictures")))
                tab.close_all()
        finally:
            jupyterlab.stop()
            postgres.remove()


if __name__ == "__main__":
    main()
