"""Fixtures of the browser tests: one JupyterLab in one Chromium for all, a notebook of its own for each."""

from collections.abc import Callable, Iterator

import pytest

from ..postgres import Server

pytest.importorskip("playwright.sync_api", reason="the browser tests need Playwright: make test installs it")

from playwright.sync_api import Browser, sync_playwright

from . import lab


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    if not lab.chromium_path():
        pytest.skip("no Chromium on this machine: install chromium, or set CHROMIUM to the path of one")
    with sync_playwright() as playwright:
        browser = lab.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyterlab(
    chromium: Browser, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[lab.JupyterLab]:
    """A JupyterLab for somebody who never used one."""
    server = lab.JupyterLab(tmp_path_factory.mktemp("jupyterlab"), postgres.url)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tab(chromium: Browser, jupyterlab: lab.JupyterLab) -> lab.Tab:
    """JupyterLab in a tab of the browser, as it opens by itself."""
    return lab.Tab(chromium.new_page(viewport={"width": 1280, "height": 900}), jupyterlab.url)


@pytest.fixture
def open_notebook(
    tab: lab.Tab, jupyterlab: lab.JupyterLab, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], lab.Notebook]]:
    """Open a fresh copy of a notebook; it is closed, and its kernel ended, with the test."""

    def open_notebook(name: str) -> lab.Notebook:
        return lab.Notebook(tab.page, jupyterlab.copy_of(name, folder=request.node.originalname))

    yield open_notebook
    tab.close_all()
