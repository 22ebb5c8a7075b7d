"""A file with passwords in it."""

import os
from pathlib import Path
from typing import TextIO

from ..errors import WorkshopError


def new_file(path: Path) -> TextIO:
    """Make a file that its owner alone can read, and open it to write text, such as CSV.

    Raises:
        WorkshopError: it is there already, or cannot be made.
    """
    try:
        return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", newline="", encoding="utf-8")
    except FileExistsError:
        raise WorkshopError(
            f"{path} is there already, and may be the only place where its passwords are.", "Name another file."
        ) from None
    except OSError as error:
        raise WorkshopError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None
