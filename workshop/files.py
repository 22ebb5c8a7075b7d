"""Files: where the kit is, writing one whole or not at all, one with passwords in it; and a port that nobody uses."""

import os
import socket
import tempfile
from pathlib import Path
from typing import TextIO

from .errors import WorkshopError

CHECKOUT = Path(__file__).resolve().parent.parent


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
