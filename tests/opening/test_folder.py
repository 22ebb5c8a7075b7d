"""The learner's folder: laid out, opened again, and brought to a new edition, whatever the learner did there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workshop.errors import WorkshopError
from workshop.files import CHECKOUT, learners_folder
from workshop.opening import checkout, folder, merging

NAME = "notebooks/02_appending.ipynb"
STUB, ANSWER = "append_to_stream = ...", "append_to_stream = my_own"


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit of which a new edition can be made."""
    kit = tmp_path / "kit"
    for place in ("notebooks", "solutions", "instructors"):
        shutil.copytree(CHECKOUT / place, kit / place)
    monkeypatch.setattr(folder, "CHECKOUT", kit)
    write(kit / NAME, {"text": "The old text", "exercise": f'{STUB}\n\ncheck("02.1", append_to_stream)'})
    return kit


@pytest.fixture
def new_edition(kit: Path) -> Callable[[], None]:
    def publish() -> None:
        write(kit / NAME, {"text": "The new text", "exercise": f'{STUB}\n\ncheck("02.1", append_to_stream)'})

    return publish


def write(path: Path, cells: dict[str, str]) -> None:
    made = [{"cell_type": "code" if "=" in text else "markdown", "id": id, "metadata": {}, "source": text}
            for id, text in cells.items()]  # fmt: skip
    for cell in made:
        cell |= {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


def change(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def text(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in merging.read(path.read_text(encoding="utf-8"))["cells"])


def test_laid_out_its_links_lead_to_files_and_nothing_there_is_imported(kit: Path, tmp_path: Path) -> None:
    home = tmp_path / "ünser Ordner"
    assert folder.lay_out(home) == []
    for notebook in home.glob("*/*.ipynb"):
        for link in merging_links(notebook):
            assert (notebook.parent / link).is_file(), (notebook.name, link)
    for name in ("00_welcome.ipynb", "AGENTS.md"):
        assert (home / "notebooks" / name).read_text() == (kit / "notebooks" / name).read_text()
    code = "import eventstore, workshop; print(eventstore.__file__); print(workshop.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True)
    assert all(Path(line).is_relative_to(CHECKOUT) for line in ran.stdout.splitlines())


def merging_links(notebook: Path) -> list[str]:
    import re

    found = re.findall(r"\]\(([^)\s#]+)[^)]*\)", text(notebook))
    return [link for link in found if not re.match("https?:|mailto:", link)]


def test_opened_again_it_is_as_it_was_left(kit: Path, tmp_path: Path) -> None:
    folder.lay_out(tmp_path / "home")
    change(tmp_path / "home" / NAME, "The old text", "mine")
    (tmp_path / "home/notebooks/01_tables.ipynb").unlink()
    (tmp_path / "home/notebooks/00_welcome.ipynb").write_text("broken")
    assert folder.lay_out(tmp_path / "home") == []
    assert "mine" in text(tmp_path / "home" / NAME)
    assert (tmp_path / "home/notebooks/01_tables.ipynb").exists(), "what was deleted is there again"
    assert (tmp_path / "home/notebooks/00_welcome.ipynb").read_text() == "broken"


def test_not_touched(kit: Path, tmp_path: Path, new_edition: Callable[[], None]) -> None:
    folder.lay_out(tmp_path / "home")
    new_edition()
    assert folder.lay_out(tmp_path / "home") == []
    assert (tmp_path / "home" / NAME).read_text() == (kit / NAME).read_text()
    assert not (tmp_path / "home/before_update").exists()


def test_changed(kit: Path, tmp_path: Path, new_edition: Callable[[], None]) -> None:
    mine = tmp_path / "home" / NAME
    folder.lay_out(tmp_path / "home")
    change(mine, STUB, ANSWER)
    before = mine.read_text()
    new_edition()
    (line,) = folder.lay_out(tmp_path / "home")
    assert NAME in line and "1 of your cells" in line and f"before_update/{NAME}" in line
    assert "The new text" in text(mine) and ANSWER in text(mine) and STUB not in text(mine)
    assert (tmp_path / "home/before_update" / NAME).read_text() == before
    assert folder.lay_out(tmp_path / "home") == []


def test_run(kit: Path, tmp_path: Path, new_edition: Callable[[], None]) -> None:
    mine = tmp_path / "home" / NAME
    folder.lay_out(tmp_path / "home")
    change(mine, '"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "ran"}]')
    change(mine, '"execution_count": null', '"execution_count": 7')
    new_edition()
    assert folder.lay_out(tmp_path / "home") == []
    assert "The new text" in text(mine) and '"ran"' in mine.read_text()


def test_renamed(kit: Path, tmp_path: Path, new_edition: Callable[[], None]) -> None:
    folder.lay_out(tmp_path / "home")
    mine = (tmp_path / "home" / NAME).rename(tmp_path / "home/notebooks/my own.ipynb")
    change(mine, STUB, ANSWER)
    new_edition()
    assert folder.lay_out(tmp_path / "home") == []
    assert ANSWER in text(mine) and "The new text" in text(tmp_path / "home" / NAME)


def test_deleted(kit: Path, tmp_path: Path, new_edition: Callable[[], None]) -> None:
    folder.lay_out(tmp_path / "home")
    (tmp_path / "home" / NAME).unlink()
    new_edition()
    assert folder.lay_out(tmp_path / "home") == []
    assert "The new text" in text(tmp_path / "home" / NAME)


@pytest.mark.parametrize("broken", [b"", b"<<<<<<< HEAD\n{}", b"\xff\xfe\x00", b'{"cells": 3, "nbformat": 4}'])
def test_broken(kit: Path, tmp_path: Path, new_edition: Callable[[], None], broken: bytes) -> None:
    folder.lay_out(tmp_path / "home")
    (tmp_path / "home" / NAME).write_bytes(broken)
    new_edition()
    (line,) = folder.lay_out(tmp_path / "home")
    assert "02_appending_yours.ipynb" in line
    assert "The new text" in text(tmp_path / "home" / NAME)
    assert (tmp_path / "home/notebooks/02_appending_yours.ipynb").read_bytes() == broken


def test_what_the_reference_says_is_renewed_and_what_was_tried_in_it_stays(kit: Path, tmp_path: Path) -> None:
    folder.lay_out(tmp_path / "home")
    store, copy = tmp_path / "home/eventstore/store.py", tmp_path / "home/.delivered/eventstore/store.py"
    for path in (store, copy):
        path.write_text("# of the old edition")
    assert folder.lay_out(tmp_path / "home") == []
    assert store.read_text() == (CHECKOUT / "eventstore/store.py").read_text()
    copy.write_text("# of the old edition")
    store.write_text("# mine")
    (line,) = folder.lay_out(tmp_path / "home")
    assert store.with_name("store_yours.py").read_text() == "# mine" and "store_yours.py" in line


def test_what_is_no_more_goes_unless_it_was_changed(kit: Path, tmp_path: Path) -> None:
    for name in ("11_old.ipynb", "12_old.ipynb"):
        write(kit / "notebooks" / name, {"text": "old"})
    folder.lay_out(tmp_path / "home")
    change(tmp_path / "home/notebooks/12_old.ipynb", "old", "mine")
    for name in ("11_old.ipynb", "12_old.ipynb"):
        (kit / "notebooks" / name).unlink()
    folder.lay_out(tmp_path / "home")
    assert not (tmp_path / "home/notebooks/11_old.ipynb").exists()
    assert "mine" in text(tmp_path / "home/notebooks/12_old.ipynb")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_folder_of_the_first_edition_is_taken_over(kit: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "notebooks").mkdir(parents=True)
    for name in ("eventstore", "workshop", "docs"):
        (home / name).symlink_to(CHECKOUT / name)
    write(home / NAME, {"text": "An older text", "exercise": f'{ANSWER}\n\ncheck("02.1", append_to_stream)'})
    shutil.copy(kit / "notebooks/01_tables.ipynb", home / "notebooks")
    (line,) = folder.lay_out(home)
    assert "02_appending_yours.ipynb" in line and ANSWER in text(home / "notebooks/02_appending_yours.ipynb")
    assert not (home / "eventstore").is_symlink() and (home / "eventstore/store.py").exists()
    assert (CHECKOUT / "eventstore/store.py").exists()


def test_what_the_first_edition_kept_in_the_checkout_moves_into_the_folder(kit: Path) -> None:
    (kit / "my_eventstore").mkdir()
    (kit / "my_eventstore/store.py").write_text("mine")
    (kit / ".postgresql").mkdir()
    folder.lay_out(kit / "my_course")
    assert (kit / "my_course/my_eventstore/store.py").read_text() == "mine" and (kit / "my_course/.postgresql").exists()


def test_a_folder_that_cannot_be_written_is_told(kit: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(WorkshopError, match="cannot be laid out: .*\n.*--folder"):
        folder.lay_out(tmp_path / "home")


def test_the_learners_folder_is_that_of_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = learners_folder.__wrapped__
    monkeypatch.delenv("WORKSHOP_FOLDER", raising=False)
    folder.lay_out(tmp_path / "copied")
    for here in ("copied", "copied/notebooks", "copied/solutions"):
        monkeypatch.chdir(tmp_path / here)
        assert find() == tmp_path / "copied"
    monkeypatch.chdir(tmp_path)
    assert find() == CHECKOUT / "my_course"
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "named"))
    assert find() == tmp_path / "named"


@pytest.mark.skipif(not shutil.which("git"), reason="no git on this machine")
def test_what_was_changed_where_git_would_stop_is_taken_into_the_folder(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*command: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(["git", *identity, *command], cwd=kit, check=True, capture_output=True, text=True).stdout

    monkeypatch.setattr(checkout, "CHECKOUT", kit)
    git("init", "--quiet"), git("add", "."), git("commit", "--quiet", "-m", "The first edition")
    home = tmp_path / "home"
    change(kit / NAME, STUB, ANSWER)
    change(kit / "notebooks/01_tables.ipynb", '"outputs": []', '"outputs": [{"output_type": "stream", "text": "ran"}]')
    change(kit / "solutions/01_tables.ipynb", '"cells": [', '<<<<<<< "cells": [')
    change(kit / "instructors/dashboard.ipynb", '"outputs": []', '"outputs": [{"output_type": "stream"}]')
    (kit / "notebooks/03_aggregation.ipynb").unlink()
    lines = checkout.give_back(home)
    assert git("status", "--porcelain") == "" and len(lines) == 2
    assert ANSWER in text(home / NAME) and not (home / "notebooks/01_tables.ipynb").exists()
    assert "<<<<<<<" in (home / "solutions/01_tables.ipynb").read_text()
    write(kit / NAME, {"text": "The new text", "exercise": f'{STUB}\n\ncheck("02.1", append_to_stream)'})
    folder.lay_out(home)
    assert "The new text" in text(home / NAME) and ANSWER in text(home / NAME)
    git("checkout", "--quiet", "."), change(kit / NAME, STUB, "append_to_stream = another")
    (line,) = checkout.give_back(home)
    assert "02_appending_from_git.ipynb" in line and ANSWER in text(home / NAME)
