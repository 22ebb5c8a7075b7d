"""Where it is measured: a database of its own on the server, and a folder of its own on the disk."""

import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop.files import CHECKOUT
from workshop.server.database import open_connection

SETTINGS = ("fsync", "synchronous_commit", "wal_sync_method", "full_page_writes", "shared_buffers", "max_wal_size")


@dataclass(frozen=True)
class Place:
    """What a store may use.

    Attributes:
        url: a database that is dropped at the end. Each store makes a schema of its own in it.
        folder: on the disk of this checkout, for stores that are no PostgreSQL; deleted at the end.
    """

    url: str
    folder: Path

    def schema(self, name: str) -> str:
        """Make a schema, and return the way to a connection in it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return make_conninfo(self.url, options=f"-c search_path={name}")

    def settle(self) -> None:
        """Do now what PostgreSQL does by itself some time after much was stored: clear up, and take statistics."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


@contextmanager
def new_place(server: str) -> Iterator[Place]:
    """Make a place on a server, and remove it at the end, whoever still uses it."""
    name = f"benchmark_{uuid4().hex[:8]}"
    with open_connection(server) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        # Whatever the server's default is: here everything is durable.
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = on").format(sql.Identifier(name)))
    kept = CHECKOUT / ".benchmark"
    kept.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=kept))
    try:
        yield Place(make_conninfo(server, dbname=name), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with open_connection(server) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def describe(place: Place) -> dict[str, Any]:
    """Return what the numbers depend on: the machine, the server and how it flushes, the versions."""
    with psycopg.connect(place.url) as connection:
        server = connection.info.parameter_status("server_version")
        settings = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS}  # type: ignore[index]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "postgresql": server,
        "settings": settings,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("psycopg", "msgspec")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
