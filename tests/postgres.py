"""Which PostgreSQL the tests run on: an embedded one, one in a Docker container, or the one at DATABASE_URL."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

KINDS = ("embedded", "docker", "url")


def _runs(process: Any) -> bool:
    import psutil

    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Server:
    """A PostgreSQL server; `url` says where it is."""

    url: str

    def connect(self, **how: Any) -> psycopg.Connection:
        """Return a new connection, in autocommit mode unless told otherwise."""
        return psycopg.connect(self.url, **{"autocommit": True, "connect_timeout": 10} | how)

    def kill(self) -> None:
        """End the server at once, as a crash would: SIGKILL."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server again after `kill`, and wait until it answers; its URL may be another."""
        raise NotImplementedError

    def remove(self) -> None:
        """Stop the server and remove its data."""


class EmbeddedServer(Server):
    """A server from the wheel, on a data directory of its own in the temp folder (never the checkout's).

    Args:
        settings: what the server is started with, beside or instead of the kit's own.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        # A short path, as the server's socket lies in it. The start also frees this process of PG* variables.
        self._data = Path(tempfile.mkdtemp(prefix="es-")).resolve() / "data"
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self._data.parent, ignore_errors=True)
            raise

    def start(self) -> None:
        from workshop.server import embedded

        command = embedded._command

        def with_settings(*arguments: Any) -> list[str]:
            *before, code, data = command(*arguments)
            what = f"from workshop.server import programs; programs.SETTINGS |= {self._settings!r}; from workshop"
            return [*before, code.replace("from workshop", what, 1), data]

        with pytest.MonkeyPatch.context() as patch:
            if self._settings:  # it is another process that starts the server
                patch.setattr(embedded, "_command", with_settings)
            self.url = embedded.running_server(self._data)

    def kill(self) -> None:
        import psutil

        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split("\n")[0]))
        postmaster.suspend()  # it is to start nothing more while its children are counted
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):  # without its postmaster, it may end by itself
                process.kill()
        while any(map(_runs, family)):
            time.sleep(0.01)

    def remove(self) -> None:
        import psutil

        # The keeper ends once the folder is gone, and may make it anew (to look at a lock) before it does.
        keepers = [each for each in psutil.process_iter(["cmdline"]) if str(self._data) in (each.info["cmdline"] or ())]
        with suppress(psutil.NoSuchProcess):  # a test may have killed it, and not started it again
            self.kill()
        shutil.rmtree(self._data.parent, ignore_errors=True)
        deadline = time.monotonic() + 10
        while any(map(_runs, keepers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self._data.parent, ignore_errors=True)


class DockerServer(Server):
    """A server in a container of its own; needs a Docker engine."""

    def __init__(self) -> None:
        from testcontainers.community.postgres import PostgresContainer

        self._container = PostgresContainer(os.environ.get("POSTGRES_IMAGE", "postgres:18"), driver=None)
        self._container.start()
        self.url = self._container.get_connection_url(driver=None)

    def start(self) -> None:
        container = self._container.get_wrapped_container()
        container.start()
        deadline = time.monotonic() + 60
        while True:
            container.reload()  # the port outside may be another now
            try:
                self.url = self._container.get_connection_url(driver=None)
                return self.connect().close()
            except (psycopg.OperationalError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def kill(self) -> None:
        container = self._container.get_wrapped_container()
        container.kill(signal="SIGKILL")
        container.wait()

    def remove(self) -> None:
        self._container.stop()


class GivenServer(Server):
    """The server at DATABASE_URL: not ours to kill or remove."""

    def __init__(self) -> None:
        self.url = os.environ["DATABASE_URL"]


def check_available(kind: str) -> None:
    """Raise pytest.UsageError where the kind of server that was asked for cannot be had."""
    if kind == "url" and not os.environ.get("DATABASE_URL"):
        raise pytest.UsageError("--postgres=url: DATABASE_URL is not set; set it to the libpq URL of a PostgreSQL")
    if kind == "docker":
        try:
            import docker

            docker.from_env(timeout=10).ping()
        except Exception as error:
            raise pytest.UsageError(
                f"--postgres=docker: no Docker engine answers ({error}); start one, or use --postgres=embedded"
            ) from error


def server(kind: str) -> Server:
    """Return a new server of that kind, running; for `url` the one that is given."""
    return {"embedded": EmbeddedServer, "docker": DockerServer, "url": GivenServer}[kind]()
