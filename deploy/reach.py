"""Whether system users who own nothing can get at the kit and at the Python that runs it."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def closed_to_learners() -> Path | None:
    """Return what they cannot get into: the checkout, the interpreter, or a folder on the way there; or None."""
    python = Path(sys.executable).resolve()
    for path in (*CHECKOUT.parents, CHECKOUT, CHECKOUT / "notebooks", *python.parents, python):
        if not path.stat().st_mode & 0o001:
            return path
    return None
