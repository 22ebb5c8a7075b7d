"""The command `event-store-workshop`: it opens the kit in JupyterLab, on the first notebook.

`event-store-workshop` lays out the learner's folder and opens it; `event-store-workshop update` brings the kit to a new
edition first. `make lab` and `make update` call the same.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..errors import WorkshopError
from ..files import CHECKOUT, FOLDER, IS_INSTALLED, learners_folder
from . import checkout
from .folder import lay_out

_NAME = "event-store-workshop"
_MODULE = "workshop.opening.command"  # __name__ is another one where it is run
SETTINGS = Path(__file__).parents[1] / "jupyterlab" / "jupyter_lab_config.py"


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says; what it does not know goes to JupyterLab."""
    for stream in (sys.stdout, sys.stderr):  # a console of Windows cannot show every path
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Open the kit in JupyterLab, on its first notebook. What else is given goes to JupyterLab.",
        epilog="Your work is in the folder: notebooks/ and my_eventstore/. No update loses a line of it.",
    )
    how = "open it; or only lay out the folder; or bring the kit to a new edition, and the folder with it"
    parser.add_argument("what", nargs="?", choices=("open", "lay-out", "update"), default="open", help=how)
    parser.add_argument("--folder", type=Path, help=f"the folder to work in, else that of {FOLDER}, else {_usual()}")
    given, more = parser.parse_known_args(arguments)
    try:
        if given.what == "update":
            _update()
        folder = (given.folder or learners_folder()).absolute()
        if given.what == "update":  # by the new edition's code
            lay_out_anew = [sys.executable, "-m", _MODULE, "lay-out", f"--folder={folder}"]
            sys.exit(subprocess.run(lay_out_anew).returncode)
        for line in lay_out(folder):
            print(line)
        if given.what == "lay-out":
            print(f"{folder} is up to date.")
            return
    except WorkshopError as error:
        sys.exit(str(error))
    open_lab(folder, more)


def open_lab(folder: Path, more: list[str]) -> None:
    """Open JupyterLab on a folder, until it is shut down."""
    from jupyterlab.labapp import main as lab

    print(f"Your folder is {folder}. In another editor, choose this Python as the kernel: {sys.executable}")
    os.environ |= {FOLDER: str(folder), "JUPYTER_PREFER_ENV_PATH": "1"}  # a kernel of this Python before all others
    os.chdir(folder)
    sys.exit(lab([f"--config={SETTINGS}", f"--ServerApp.root_dir={folder}", *more]))


def _usual() -> str:
    return "event-store in your home" if IS_INSTALLED else "my_course in the checkout"


def _update() -> None:
    """Bring the kit itself to a new edition: from git, or from where packages come from.

    Raises:
        WorkshopError: it cannot be brought; the message says what to do by hand.
    """
    if not IS_INSTALLED:
        for line in checkout.give_back(learners_folder()):
            print(line)
        _run(["git", "-C", str(CHECKOUT), "pull", "--ff-only"], "See above what git says, and put that right.")
        requirements = str(CHECKOUT / "requirements.txt")
        _run([sys.executable, "-m", "pip", "install", "--quiet", "-r", requirements], "See above what pip says.")
        return
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", _NAME]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", f"--python={sys.executable}", "--upgrade", _NAME]
    else:
        raise WorkshopError(
            "There is neither pip nor uv here to bring a new edition.",
            f"Bring it as you installed the kit, such as `uvx {_NAME}@latest`; opening it renews your folder.",
        )
    _run(command, f"See above what it says. Your folder is as it was. `{_NAME}` opens it.")


def _run(command: list[str], remedy: str) -> None:
    try:
        code = subprocess.run(command).returncode
    except OSError as error:
        raise WorkshopError(f"{command[0]} cannot be run: {error.strerror}.", "Install it, then try again.") from None
    if code:
        raise WorkshopError(f"`{' '.join(command)}` failed.", remedy)


if __name__ == "__main__":
    main()
