"""UmaDB for one experiment: the server that its package brings along, on a free port of this machine, and a client."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WorkshopError
from ..files import free_port

if TYPE_CHECKING:
    import umadb

_STARTS_WITHIN = 15  # seconds


def umadb_is_missing() -> str:
    """Return why UmaDB cannot run here, nothing if it can."""
    if find_spec("umadb") is None:
        return "Skipped: the package umadb is not installed. With pip install umadb, this cell runs."
    if _program() is None:
        return "Skipped: the package umadb brings no server for this platform."
    return ""


@contextmanager
def umadb_server() -> "Iterator[umadb.Client]":
    """Start an empty UmaDB server, and yield a client; at the end the server is stopped, whatever happened.

    Raises:
        WorkshopError: there is no server for this platform, or it does not start.
    """
    if reason := umadb_is_missing():
        raise WorkshopError(reason, "Look at the stored output in solutions/ instead.")
    import umadb

    # The server keeps its file open until it has ended, and Windows deletes no open files: so it ends first.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, running_server(Path(folder)) as url:
        yield umadb.Client(url)


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Start UmaDB's server on a file in a folder, and yield its URL once it answers; at the end it is stopped.

    Raises:
        WorkshopError: it does not start.
    """
    address = f"127.0.0.1:{free_port()}"
    log = folder / "umadb.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(_program()), "--listen", address, "--db-path", str(folder / "uma.db")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(f"http://{address}", server, log)
        yield f"http://{address}"
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    import umadb

    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            umadb.Client(url).head()
            return
        except Exception:  # its errors have no base class of their own, and any of them means: not yet
            if server.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise WorkshopError(
                    f"UmaDB's server does not start; it says: {said[-1]}.", "Run the cell again."
                ) from None
            time.sleep(0.05)


def _program() -> str | None:
    """Return the server's program, which is installed beside Python."""
    return shutil.which("umadb", path=str(Path(sys.executable).parent))
