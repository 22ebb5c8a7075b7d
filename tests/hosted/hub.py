"""A real hub, as `make hub` starts it, and learners who use it over HTTP as a browser does."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import httpx
import websocket

from deploy.learner import closed_to_learners
from workshop.files import CHECKOUT

CONFIG = CHECKOUT / "deploy" / "jupyterhub" / "jupyterhub_config.py"
PROXY = CHECKOUT / ".venv" / "node_modules" / ".bin" / "configurable-http-proxy"
PATIENCE = 90  # seconds; nothing here takes as long on a machine that is not overloaded


def missing() -> str | None:
    """Return why no hub can run here, None if one can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "a hub makes system users, which takes root"
    if not shutil.which("node"):
        return "the hub's proxy needs Node.js"
    try:
        import hashauthenticator  # noqa: F401
        import jupyterhub  # noqa: F401
    except ImportError:
        return "no JupyterHub is installed: make .venv/hub"
    if not PROXY.exists():
        return "the hub's proxy is not installed: make .venv/hub"
    closed = closed_to_learners()
    return closed and f"a hub's learners cannot get into {closed}"


class Hub:
    """A hub that runs, until stop().

    Attributes:
        url: its address.
        log: the file that its output goes to.
        process: the hub itself.
    """

    def __init__(self, state: Path, admin_url: str, room: str, address: str):
        self.log = state.parent / "hub.log"
        self.url = f"http://{address}:8000"
        self.environment = os.environ | {
            "WORKSHOP_ADMIN_URL": admin_url, "WORKSHOP_ROOM": room, "WORKSHOP_HUB_STATE": str(state),
        }  # fmt: skip
        where = [f"--JupyterHub.bind_url={self.url}", f"--JupyterHub.hub_ip={address}"]
        where += [f"--ConfigurableHTTPProxy.api_url=http://{address}:8001"]
        command = [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}", *where]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/hub/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"The hub did not start:\n{self.log.read_text()}")

    def passwords(self, *names: str) -> dict[str, str]:
        """Return what an instructor hands out: passwords by login."""
        written = subprocess.run(
            [sys.executable, str(CHECKOUT / "deploy" / "hosted.py"), *names],
            env=self.environment, check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        assert written[0] == "name,login,password"
        return dict(line.split(",")[1:] for line in written[1:])

    def stop(self) -> None:
        """End the hub, which ends its proxy and the learners' servers first."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Learner:
    """Somebody in front of a browser."""

    def __init__(self, hub: Hub, login: str):
        self.login = login
        self.hub = hub
        self.base = f"{hub.url}/user/{login}"
        self.browser = httpx.Client(follow_redirects=True, timeout=PATIENCE)

    def log_in(self, password: str, name: str | None = None) -> httpx.Response:
        """Fill in the form; return the page that comes back."""
        self.browser.get(f"{self.hub.url}/hub/login")
        form = {"username": name or self.login, "password": password, "_xsrf": self._cookie("_xsrf", "/hub/")}
        # Where the hub sends the browser next, it would start a server: that is start()'s.
        return self.browser.post(f"{self.hub.url}/hub/login?next=/hub/home", data=form)

    def start(self) -> httpx.Response:
        """Start the JupyterLab, and wait until it is there, or the hub gives up; return the page that shows it."""
        deadline = time.monotonic() + PATIENCE
        page = self.browser.get(f"{self.hub.url}/hub/spawn/{self.login}")
        while "/hub/spawn-pending/" in str(page.url) and page.status_code < 400 and time.monotonic() < deadline:
            time.sleep(0.2)
            page = self.browser.get(f"{self.hub.url}/hub/spawn-pending/{self.login}")
        return page

    def stop_server(self) -> None:
        """Stop the JupyterLab, as the button on the hub's page does, and wait until it has."""
        url = f"{self.hub.url}/hub/api/users/{self.login}/server"
        sent_by = {"X-XSRFToken": self._cookie("_xsrf", "/hub/"), "Referer": f"{self.hub.url}/hub/home"}
        deadline = time.monotonic() + PATIENCE
        while self.browser.delete(url, headers=sent_by).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def get(self, path: str) -> httpx.Response:
        """Ask the learner's Jupyter server."""
        return self.browser.get(f"{self.base}/{path}")

    def run(self, *cells: str) -> list[str]:
        """Run cells in a new kernel; return what each shows: its text, or its error."""
        sent_by = {"X-XSRFToken": self._cookie("_xsrf", f"/user/{self.login}/")}
        where = {"name": "python3", "path": "notebooks/00_welcome.ipynb"}
        started = self.browser.post(f"{self.base}/api/kernels", json=where, headers=sent_by)
        assert started.status_code == 201, started.text
        kernel = f"{self.base}/api/kernels/{started.json()['id']}"
        cookies = "; ".join(f"{each.name}={each.value}" for each in self.browser.cookies.jar)
        channel = websocket.create_connection(
            f"{kernel.replace('http', 'ws', 1)}/channels", cookie=cookies, origin=self.hub.url, timeout=PATIENCE
        )
        try:
            return [_output(channel, cell) for cell in cells]
        finally:
            channel.close()
            self.browser.delete(kernel, headers=sent_by)

    def _cookie(self, name: str, path: str) -> str:
        return next(each.value or "" for each in self.browser.cookies.jar if (each.name, each.path) == (name, path))


def _output(channel: websocket.WebSocket, code: str) -> str:
    request = {"msg_id": uuid4().hex, "msg_type": "execute_request", "username": "", "session": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
    message = {"header": request, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    shown = ""
    while True:
        answer = json.loads(channel.recv())
        if answer["parent_header"].get("msg_id") != request["msg_id"]:
            continue
        kind, said = answer["msg_type"], answer["content"]
        if kind == "stream":
            shown += said["text"]
        elif kind in ("execute_result", "display_data"):
            shown += said["data"].get("text/plain", "")
        elif kind == "error":
            shown += f"{said['ename']}: {said['evalue']}"
        elif kind == "status" and said["execution_state"] == "idle":
            return shown
