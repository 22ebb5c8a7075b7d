"""Files: where the kit is and where the learner works; writing one whole or not at all, one with passwords in it; and a
port that nobody uses."""

import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import TextIO

from .errors import WorkshopError

_PACKAGE = Path(__file__).resolve().parent
# Where notebooks/, solutions/ and tests/ are read from, and no learner writes: the checkout, or what a wheel has of it.
IS_INSTALLED = (_PACKAGE / "kit").is_dir()
CHECKOUT = _PACKAGE / "kit" if IS_INSTALLED else _PACKAGE.parent
FOLDER = "WORKSHOP_FOLDER"  # names the learner's folder, in the environment of a kernel
DELIVERED = ".delivered"  # in the learner's folder: what was laid out there, as it was


@cache
def learners_folder() -> Path:
    """Return the learner's folder: notebooks/ to work in, my_eventstore/, the embedded PostgreSQL's data, the room.

    It is the one that WORKSHOP_FOLDER names; else the one that this kernel's notebook lies in; else the checkout's
    my_course/, or event-store/ in the home of whoever installed the kit as a package.
    """
    if named := os.environ.get(FOLDER):
        return Path(named).absolute()
    here = Path.cwd()
    laid_out = next((folder for folder in (here, *here.parents) if (folder / DELIVERED).is_dir()), None)
    return laid_out or (Path.home() / "event-store" if IS_INSTALLED else CHECKOUT / "my_course")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone: a process can be killed, and a disk full, at any moment.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        try:
            file.write(text)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def free_name(path: Path) -> Path:
    """Return a path that is not taken: that one, or with a number behind its name."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def private_file(path: Path) -> TextIO:
    """Make a file that its owner alone can read, and open it to write text, such as CSV.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be made.
    """
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", newline="", encoding="utf-8")


def new_file(path: Path) -> TextIO:
    """Make a private file for what somebody asked for by its name.

    Raises:
        WorkshopError: it is there already, or cannot be made.
    """
    try:
        return private_file(path)
    except FileExistsError:
        raise WorkshopError(
            f"{path} is there already, and may be the only place where its passwords are.", "Name another file."
        ) from None
    except OSError as error:
        raise WorkshopError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None


def free_port() -> int:
    """Return a port of this machine that nobody listens on, as long as nobody else takes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
