"""An embedded PostgreSQL: started on first use, shared by every process of a learner's folder, stopped after the last.

Who needs the server holds a lock, which the operating system releases however a process ends. Everything else is done
by the keeper, a small process of its own: it starts the server, waits until nobody is left, and stops it.

* `DATA.users.lock`: shared, held by every user of the server until its end; exclusive while the server is stopped;
* `DATA.keeper.lock`: held by the keeper, as long as it and its server live.

Whoever finds no keeper calls one. What the keeper could not do comes back through its output, as an error.

The log of the server is `DATA.log`. All of these lie beside the data directory DATA.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .programs import START_TIMEOUT, WINDOWS, EmbeddedServerError, beside, failure, folder_of_programs, postmaster
from .programs import start as start_server
from .programs import stop as stop_server

POLL = 0.3  # seconds between two looks of the keeper
SOCKET_LIMIT = 103  # bytes in the path of a socket: 103 on macOS, 107 on Linux

_users: dict[tuple[int, Path], Any] = {}  # by process id too: a forked child does not inherit the lock
_mutex = threading.Lock()  # file locks belong to the process, so threads need their own


def running_server(data: Path) -> str:
    """Return the libpq URL of the server on the data directory `data`, created and started if need be.

    From now until this process ends, however it ends, the server stays up; calling again brings back a server
    that was killed. PG* environment variables are removed from this process, since they mean another server and
    libpq would apply some of them (PGSERVICE, PGHOSTADDR, PGOPTIONS, ...) to any URL.

    Args:
        data: the data directory; its parent also gets the lock files and the log.

    Raises:
        EmbeddedServerError: no server could be started.
    """
    data = Path(data).resolve()
    _forget_other_servers()
    try:
        folder_of_programs()  # first, as fasteners and psutil may come with the wheel
        with _mutex:
            data.parent.mkdir(parents=True, exist_ok=True)
            _become_user(data)
            deadline = time.monotonic() + 2 * START_TIMEOUT
            while True:
                if not _has_keeper(data) and (reason := _call_keeper(data)):
                    raise EmbeddedServerError(reason)
                if url := _answering(data):
                    return url
                if time.monotonic() > deadline:
                    raise failure(data, f"it does not answer within {2 * START_TIMEOUT} s.")
                time.sleep(0.02)
    except (OSError, subprocess.SubprocessError, threading.ThreadError) as error:
        raise failure(data, error) from None


def _forget_other_servers() -> None:
    from psycopg.pq import Conninfo  # imported here, as the keeper has no use for it

    known = {option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    for name in known | {"PGDATESTYLE", "PGTZ", "PGGEQO"}:
        os.environ.pop(name, None)


# ---------------------------------------------------------------------------------------------- who uses it, and how


def _lock(data: Path, name: str) -> Any:
    from fasteners import InterProcessReaderWriterLock

    return InterProcessReaderWriterLock(beside(data, f"{name}.lock"))


def _is_current(lock: Any) -> bool:
    """Whether the file that `lock` holds open is still the one at its path, i.e. was not deleted."""
    try:
        return os.path.samestat(os.fstat(lock.lockfile.fileno()), os.stat(lock.path))
    except FileNotFoundError:
        return False


def _become_user(data: Path) -> None:
    """Hold the shared lock until this process ends; waits while a keeper is stopping the server.

    The file is opened once only: closing any other descriptor of it would drop the lock (POSIX).
    """
    held = _users.get((os.getpid(), data))
    while held is None or not _is_current(held):
        held = _lock(data, "users")
        if not held.acquire_read_lock(timeout=START_TIMEOUT):
            raise OSError(f"another process does not release {beside(data, 'users.lock')}")
    _users[os.getpid(), data] = held


def _has_keeper(data: Path) -> bool:
    lock = _lock(data, "keeper")
    if lock.acquire_read_lock(blocking=False):
        lock.release_read_lock()
        return False
    lock.lockfile.close()
    return True


def _call_keeper(data: Path) -> str:
    """Start a keeper, and wait until the server is there; return why it is not, or nothing."""
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # Ctrl-C in the terminal and a kernel's interrupt are not for the server. On Windows no window opens, either.
    how |= {"creationflags": 0x00000200 | 0x08000000} if WINDOWS else {"start_new_session": True}
    called = subprocess.run(_command(data), cwd=data.anchor, text=True, encoding="utf-8", errors="replace", **how)
    if called.returncode:
        raise OSError(f"no keeper could be called: {called.stdout.strip().splitlines()[-1:]}")
    return called.stdout


def _command(data: Path, *more: str) -> list[str]:
    # With -P, and this package behind all others: a file of a learner's, named like a module, is not to be imported.
    package = Path(__file__).parents[2]
    code = f"import sys; sys.path.append({str(package)!r}); from workshop.server.embedded import main; main()"
    return [sys.executable, "-P", "-c", code, *more, str(data)]


def _answering(data: Path) -> str | None:
    """Return the URL of the server, if it answers there."""
    from psycopg.pq import PGconn, Ping

    url = _url(data)
    # A ping is a connection attempt; it also succeeds when all connections are taken.
    if url and PGconn.ping(f"{url}{'&' if '?' in url else '?'}connect_timeout=5".encode()) == Ping.OK:
        return url
    return None


def _url(data: Path) -> str | None:
    if WINDOWS:
        if not postmaster(data):
            return None  # another server may have got the port of a stale postmaster.pid
        try:
            port = (data / "postmaster.pid").read_text(errors="replace").split("\n")[3]
            password = beside(data, "password").read_text()
        except (OSError, IndexError):
            return None
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    folder = data
    if len(os.fsencode(folder / ".s.PGSQL.5432")) > SOCKET_LIMIT or "," in str(folder):  # "," separates hosts
        folder = _short_name(data)
    return f"postgresql://postgres@:5432/postgres?host={quote(os.fsencode(folder), safe='/')}"


def _short_name(data: Path) -> Path:
    """Return a link to `data` whose path suits a socket; a fresh one if ours is missing.

    In the sticky temp folder nobody else can replace a link of ours, hence nobody can pose as the server.
    """
    name = f"postgresql-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    link = Path(min(tempfile.gettempdir(), "/tmp", key=len), name)
    if not (link.is_symlink() and link.lstat().st_uid == os.geteuid() and Path(os.readlink(link)) == data):
        link.unlink(missing_ok=True)
        link.symlink_to(data)
    return link


# ---------------------------------------------------------------------------------------------------------- the keeper


def keep(data: Path) -> None:
    """Start the server on `data`; when nobody uses it any more, or its folder is gone, stop it.

    Where that fails, the reason is the output. The output is closed once the server is there.
    """
    keeper, users = _lock(data, "keeper"), _lock(data, "users")
    if not keeper.acquire_write_lock(timeout=2):  # it may be taken for a moment by one who looks for a keeper
        return
    try:
        server = _bring_up(data)
    except (EmbeddedServerError, OSError, subprocess.SubprocessError) as error:
        said = error if isinstance(error, EmbeddedServerError) else failure(data, error)
        os.write(1, str(said).encode())
        return
    finally:
        with open(os.devnull, "wb") as nothing:  # whoever called waits for the end of the output
            os.dup2(nothing.fileno(), 1), os.dup2(nothing.fileno(), 2)
    # A server that was killed is not started again: whoever needs it calls the next keeper.
    while postmaster(data) == server and not users.acquire_write_lock(blocking=False):
        if not _is_current(users) or not (data / "PG_VERSION").exists():
            break  # the folder was deleted; one of that name made since has a keeper of its own
        time.sleep(POLL)
    _stop(data, server)
    # In this order: who gets the users' lock next must not take us for the keeper of the next server.
    keeper.release_write_lock()


def _bring_up(data: Path) -> Any:
    """Return the server's process, having started it if it does not run."""
    deadline = time.monotonic() + START_TIMEOUT
    while not (server := postmaster(data)):
        try:
            start_server(data)
        except EmbeddedServerError:
            # What a killed server leaves behind (backends in the middle of a query) ends by itself soon.
            in_use = "still in use" in beside(data, "log").read_text(errors="replace")[-1000:]
            if not in_use or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    return server


def _stop(data: Path, server: Any) -> None:
    if not server.is_running():
        return
    try:
        if server == postmaster(data):
            stop_server(data)
    except (OSError, subprocess.SubprocessError, EmbeddedServerError):
        pass
    if server.is_running():  # hung, or without its data directory: at once, recovering at the next start
        server.send_signal(getattr(signal, "SIGQUIT", signal.SIGTERM))


def main() -> None:
    """Become the keeper: nobody's child, and so not waited for, nor ended with the kernel that called it."""
    data = Path(sys.argv[-1])
    if WINDOWS and "--keep" not in sys.argv:
        subprocess.Popen(_command(data, "--keep"), stdin=subprocess.DEVNULL).returncode = 0
    elif WINDOWS or not os.fork():
        keep(data)


if __name__ == "__main__":
    main()
