"""A real JupyterLab in a real browser: the server as a learner starts it, and what one does in a notebook."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

CHECKOUT = Path(__file__).resolve().parents[2]
SETTINGS = CHECKOUT / "workshop" / "jupyterlab" / "jupyter_lab_config.py"
SECOND = 1000  # Playwright counts in milliseconds
# Nothing here takes this long on a machine that is not overloaded. A hang is to become a failure.
PATIENCE = 60 * SECOND

expect.set_options(timeout=PATIENCE)


def chromium_path() -> str | None:
    """Return the system's Chromium: CHROMIUM, or one of its usual names; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium, without its own calls to the internet."""
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    # Without a graphics card, what turns or blinks is drawn by the processor.
    drawing = ["--disable-gpu", "--disable-software-rasterizer", "--force-prefers-reduced-motion"]
    args = [*quiet, *drawing, *as_root]
    return playwright.chromium.launch(executable_path=chromium_path(), args=args, timeout=PATIENCE)


class JupyterLab:
    """A server for somebody who never used Jupyter before, on copies of the notebooks.

    Attributes:
        log: the file that its output goes to.
        url: its address, and its token.
    """

    def __init__(self, scratch: Path, database_url: str):
        self._folder = scratch / "kit"
        shutil.copytree(CHECKOUT / "notebooks", self._folder / "notebooks")
        self.log = scratch / "jupyterlab.log"
        home = scratch / "home"
        home.mkdir()
        runtime = scratch / "runtime"
        others = ("JUPYTER", "IPYTHON", "XDG_")  # settings of whoever runs the tests
        environment = {name: value for name, value in os.environ.items() if not name.startswith(others)} | {
            "HOME": str(home),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "MY_EVENTSTORE": str(scratch / "my_eventstore"),
            "DATABASE_URL": database_url,
        }
        command = [sys.executable, "-m", "jupyterlab", f"--config={SETTINGS}", "--no-browser", "--port=0"]
        # The tests ask JupyterLab itself what its cells hold and when a run has ended.
        command += [f"--ServerApp.root_dir={self._folder}", "--LabApp.expose_app_in_browser=True"]
        with self.log.open("w") as log:
            self._process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        try:
            self.url = self._wait_until_up(runtime)
        except BaseException:
            self.stop()
            raise

    def copy_of(self, notebook: str, folder: str) -> str:
        """Copy a notebook into a folder; return the path to open it at."""
        copy = self._folder / folder / notebook
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / "notebooks" / notebook, copy)
        return f"{folder}/{notebook}"

    def write(self, path: str, notebook: str) -> str:
        """Write a notebook; return the path to open it at."""
        file = self._folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(notebook, encoding="utf-8")
        return path

    def _wait_until_up(self, runtime: Path) -> str:
        deadline = time.monotonic() + PATIENCE / SECOND
        while time.monotonic() < deadline and self._process.poll() is None:
            for path in runtime.glob("jpserver-*.json"):  # written when the server listens
                try:
                    server = json.loads(path.read_text())
                except ValueError:  # it is being written
                    continue
                return f"{server['url']}?token={server['token']}"
            time.sleep(0.05)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Tab:
    """JupyterLab in a tab of the browser.

    Attributes:
        page: the tab.
        requests: all addresses that were asked for.
        errors: what went wrong in the browser.
    """

    def __init__(self, page: Page, url: str):
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        _wait_for_notebook(page, "notebooks/00_welcome.ipynb")

    def use_theme(self, name: str) -> None:
        """Change JupyterLab's theme."""
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # The page has its name before it has its colours.
        layer = "getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()"
        self.page.wait_for_function(f"light => {layer} && ({layer} === 'white') === light", arg="Light" in name)

    def close_all(self) -> None:
        """Close the notebooks, and end their kernels."""
        self.page.evaluate("() => [...jupyterapp.shell.widgets('main')].forEach(widget => widget.dispose())")
        self.page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")


class Notebook:
    """A notebook in JupyterLab, and what a learner does with it.

    Attributes:
        page: the tab of the browser.
        panel: the notebook in it, in front of other open ones.
    """

    def __init__(self, page: Page, path: str):
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', {path})", path)
        _wait_for_notebook(page, path)

    def cells(self) -> list[dict[str, Any]]:
        """Return the cells: their type, source, outputs, and whether they run."""
        return self.page.evaluate(
            "() => [...jupyterapp.shell.currentWidget.content.model.cells].map(cell => "
            "({...cell.toJSON(), source: cell.sharedModel.source, state: cell.sharedModel.executionState}))"
        )

    def index(self, text: str) -> int:
        """Return the number of the first code cell that holds a text."""
        found = [n for n, cell in enumerate(self.cells()) if cell["cell_type"] == "code" and text in cell["source"]]
        return found[0]

    def cell(self, text: str) -> Locator:
        """Return the first code cell that holds a text, as it is in the page."""
        # By its number: an editor puts only the lines that can be seen into the page.
        return self.panel.locator(".jp-Notebook-cell").nth(self.index(text))

    def output(self, text: str) -> Locator:
        """Return the output of the first code cell that holds a text."""
        return self.cell(text).locator(".jp-OutputArea-output")

    def write(self, text: str, source: str) -> None:
        """Replace the source of the first code cell that holds a text, by keyboard."""
        self.cell(text).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def run(self, text: str, *, wait: bool = True) -> None:
        """Run the first code cell that holds a text, with Shift+Enter."""
        index = self.index(text)
        before = self.cells()[index]["execution_count"]
        self.cell(text).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        if wait:
            self.wait_until_run(index, before)

    def wait_until_run(self, index: int, before: int | None) -> None:
        """Wait until a cell has a new number, and runs no more."""
        self.page.wait_for_function(
            "([index, before]) => { const cell = jupyterapp.shell.currentWidget.content.model.cells.get(index);"
            " return cell.executionCount && cell.executionCount !== before"
            " && cell.sharedModel.executionState === 'idle' }",
            arg=[index, before],
        )

    def run_all(self) -> None:
        """Restart the kernel and run all cells, as the button with the two arrows does; wait for the last."""
        self.page.evaluate(
            "() => { window.allRan = false;"
            " jupyterapp.commands.execute('notebook:restart-run-all').then(() => { window.allRan = true }) }"
        )
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm").click()
        self.page.wait_for_function("() => window.allRan")


def _wait_for_notebook(page: Page, path: str) -> None:
    """Wait until a notebook shows, with its kernel at its service."""
    page.wait_for_function(
        "path => { const panel = window.jupyterapp?.shell.currentWidget;"
        " return panel?.context?.path === path && panel.content?.widgets?.length > 1"
        " && panel.sessionContext?.session?.kernel?.status === 'idle' }",
        arg=path,
    )


def solved(notebook: str, exercise: str) -> str:
    """Return the cell of an exercise in SQL, solved, as it stands in solutions/."""
    cells = json.loads((CHECKOUT / "solutions" / notebook).read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return next(source for source in sources if source.startswith(f"%%sql {exercise}\n"))


def without_answer(cell: str) -> str:
    """Return a solved cell with nothing in the place of the answer."""
    return re.sub(r"^ *-- BEGIN SOLUTION.*-- END SOLUTION\n", "", cell, flags=re.DOTALL | re.MULTILINE)
