"""Starts one learner's JupyterLab under a hub, as that learner: the folder is laid out first, then this becomes it.

The learner's folder is ~/event-store, and is laid out as everywhere: a notebook that was deleted is there again after
the next start, and when the kit is of a new edition, so are the notebooks, with what the learner wrote.
"""

import os
import sys
from pathlib import Path

from workshop.errors import WorkshopError
from workshop.files import CHECKOUT, FOLDER
from workshop.opening.command import SETTINGS
from workshop.opening.folder import lay_out


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
        for line in lay_out(folder):
            print(line)
    except WorkshopError as error:
        sys.exit(str(error))
    os.environ[FOLDER] = str(folder)
    os.chdir(folder)
    settings = [f"--config={SETTINGS}", f"--ServerApp.root_dir={folder}"]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *settings, *sys.argv[1:]])


if __name__ == "__main__":
    main()
