"""Emmett, a library for Node. What it does is in emmett.mjs, which also times it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from tests.benchmark.place import Place
from tests.benchmark.rows import balance
from tests.benchmark.stores import from_npm
from tests.benchmark.stores.client import Client

PACKAGE = "@event-driven-io/emmett-postgresql"
SCRIPT = Path(__file__).with_name("emmett.mjs")


class Emmett(Client):
    """A Node process, driven by lines of JSON through its pipes. One a client, as long as the client."""

    name = "Emmett"
    used = (
        "emmett-postgresql in a Node process a writer, with its own pool and DeciderCommandHandler; the log by"
        " readMessagesBatch, the read model by rebuildPostgreSQLProjections, 1,000 events a page"
        " (https://event-driven-io.github.io/emmett/event-stores/postgresql.html). A rebuild hands over, and"
        " notes, one event after the other, and is measured on 2,000. Timed in Node"
    )
    rebuilds_at_most = 2_000

    @staticmethod
    def missing() -> str | None:
        return from_npm.missing(PACKAGE)

    @staticmethod
    def version() -> str:
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{from_npm.version(PACKAGE)} on Node {node}"

    @classmethod
    @contextmanager
    def running(cls, place: Place) -> Iterator[dict[str, Any]]:
        # A module finds the packages beside it, wherever it is started.
        settings = {"url": _url(place.url), "script": str(shutil.copy(SCRIPT, from_npm.FOLDER))}
        client = cls(settings)
        client.measure("migrate", {})
        client.close()
        yield settings

    def __init__(self, settings: dict[str, Any]):
        self.node = subprocess.Popen(
            ["node", settings["script"], settings["url"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.measure("append", {"label": "start", "batch": 1, "calls": 0})  # it has started when it answers

    def measure(self, task: str, arguments: dict[str, Any]) -> float:
        if task == "rebuild":
            count = min(arguments["count"], self.rebuilds_at_most)
            total = count // arguments["account_events"] * balance(arguments["account_events"])
            arguments = arguments | {"count": count, "total": str(total)}
        self.node.stdin.write(json.dumps({"task": task, "arguments": arguments}) + "\n")  # type: ignore[union-attr]
        self.node.stdin.flush()  # type: ignore[union-attr]
        line = self.node.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError("Node ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["number"]

    def close(self) -> None:
        self.node.stdin.close()  # type: ignore[union-attr]
        try:
            self.node.wait(5)
        except subprocess.TimeoutExpired:
            self.node.kill()

    def _in_node(self, *_: Any) -> Any:
        raise NotImplementedError("emmett.mjs does this")

    append_events = current_version = read_stream = handle = read_log = rebuild_balances = total = _in_node


def _url(conninfo: str) -> str:
    """Return a URL that Node's driver understands, a Unix socket's folder included."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    login = ":".join(quote(parts[name], safe="") for name in ("user", "password") if name in parts)
    host, query = parts.pop("host", "localhost"), {}
    if host.startswith("/"):
        host, query = "localhost", {"host": host}
    if "sslmode" in parts:
        query["sslmode"] = parts["sslmode"]
    address = f"{login}@{host}:{parts.get('port', 5432)}/{quote(parts['dbname'])}"
    return f"postgresql://{address}{'?' if query else ''}{urlencode(query)}"
