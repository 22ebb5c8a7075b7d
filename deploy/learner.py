"""Starts one learner's JupyterLab under a hub, as that learner: the folder is laid out first, then this becomes it.

The learner's folder, ~/event-store, holds copies of the notebooks, which are the learner's to change, and what they
link to. What is there stays; a notebook that was deleted is there again after the next start.
"""

import os
import sys
from pathlib import Path

from workshop.files import CHECKOUT, write_whole

LINKED = ("eventstore", "workshop", "docs", "README.md")  # to be read; the code that runs is this very one


def lay_out(folder: Path) -> None:
    """Copy the notebooks into a learner's folder, and link what they refer to, where that is missing.

    Raises:
        OSError: the folder cannot be written.
    """
    notebooks = folder / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    for notebook in sorted((CHECKOUT / "notebooks").glob("*.ipynb")):
        if not (notebooks / notebook.name).exists():
            write_whole(notebooks / notebook.name, notebook.read_text(encoding="utf-8"))
    for name in LINKED:
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(CHECKOUT / name)


def closed_to_learners() -> Path | None:
    """Return what system users who own nothing cannot get into, None if they can get to the kit and its Python."""
    python = Path(sys.executable).resolve()
    for path in (*CHECKOUT.parents, CHECKOUT, CHECKOUT / "notebooks", *python.parents, python):
        if not path.stat().st_mode & 0o001:
            return path
    return None


def main() -> None:
    folder = Path.home() / "event-store"
    try:
        lay_out(folder)
    except OSError as error:
        sys.exit(f"The learner's folder {folder} cannot be laid out: {error}.")
    os.environ["MY_EVENTSTORE"] = str(folder / "my_eventstore")
    os.chdir(folder)
    settings = [f"--config={CHECKOUT / 'jupyter_lab_config.py'}", f"--ServerApp.root_dir={folder}"]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *settings, *sys.argv[1:]])


if __name__ == "__main__":
    main()
