"""Where make bench installs the stores that come from npm."""

import json
import shutil
from pathlib import Path

from workshop.files import CHECKOUT

FOLDER = CHECKOUT / ".benchmark" / "npm"


def package(name: str) -> Path:
    """Return the folder of a package."""
    return FOLDER / "node_modules" / name


def missing(name: str) -> str | None:
    """Return why a package cannot be used, or None where it can."""
    if package(name).is_dir():
        return None
    return "not installed (make bench does)" if shutil.which("npm") else "it needs Node, and there is no npm here"


def version(name: str) -> str:
    """Return the version of an installed package."""
    return json.loads((package(name) / "package.json").read_text(encoding="utf-8"))["version"]
