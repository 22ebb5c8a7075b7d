"""What hosts the kit elsewhere, as far as it can be tried on this machine: Kubernetes, dev containers, Binder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest
import yaml

from workshop.files import CHECKOUT

from ..postgres import Server

VALUES = CHECKOUT / "deploy" / "kubernetes" / "values.yaml"


def test_the_configuration_for_kubernetes_runs_in_a_hub(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In JupyterHub's own way to load one, with the environment that the values give; on a real server."""
    app = pytest.importorskip("jupyterhub.app", reason="no JupyterHub is installed: make .venv/hub")
    pytest.importorskip("hashauthenticator", reason="not installed: make .venv/hub")
    values = yaml.safe_load(VALUES.read_text())["hub"]
    secrets = {"admin-url": postgres.url, "hub-secret": "0123456789abcdef" * 4}
    for name, value in values["extraEnv"].items():
        if isinstance(value, dict):
            reference = value["valueFrom"]["secretKeyRef"]
            assert reference["name"] == "event-store-workshop"
            value = secrets.pop(reference["key"])
        monkeypatch.setenv(name, value)
    assert not secrets, "not all that README has one put into the secret is used"
    config = tmp_path / "jupyterhub_config.py"
    config.write_text("c = get_config()\n" + "\n".join(values["extraConfig"].values()))

    hub = app.JupyterHub()
    hub.load_config_file(str(config))
    authenticator = hub.config.JupyterHub.authenticator_class(config=hub.config)

    assert authenticator.allow_all and authenticator.validate_username("ada_lovelace")
    assert len(authenticator.get_password("ada_lovelace")) == 12
    assert callable(hub.config.Spawner.pre_spawn_hook)


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
def test_kubernetes_and_dev_containers_start_what_is_there() -> None:
    command = yaml.safe_load(VALUES.read_text())["singleuser"]["cmd"]
    dockerfile = (CHECKOUT / "deploy" / "Dockerfile").read_text()
    assert "WORKDIR /opt/event-store\nCOPY . ." in dockerfile and "CMD " + json.dumps(command) in dockerfile
    assert (CHECKOUT / Path(command[1]).relative_to("/opt/event-store")).exists()

    container = json.loads((CHECKOUT / ".devcontainer" / "devcontainer.json").read_text())
    assert (CHECKOUT / ".devcontainer" / container["build"]["dockerfile"]).exists()
    for name in container["customizations"]["codespaces"]["openFiles"]:
        assert name.startswith("my_course/") and (CHECKOUT / name.removeprefix("my_course/")).exists()
    make, target = container["postCreateCommand"].split()
    subprocess.run([make, "--dry-run", target], cwd=CHECKOUT, check=True, capture_output=True)


def test_the_hubs_image_installs_what_the_hub_imports() -> None:
    """What makes rooms, and neither pandas nor a notebook's kernel; JupyterHub is there, in the chart's own image."""
    asked = re.search(r"grep -hoE '(.+)'", (CHECKOUT / "deploy" / "Dockerfile").read_text())[1]  # type: ignore[index]
    files = (CHECKOUT / "pyproject.toml", CHECKOUT / "deploy" / "jupyterhub" / "requirements.txt")
    installed = re.findall(rf"(?:{asked})", "\n".join(path.read_text() for path in files))
    assert sorted(installed) == ["jupyterhub-hashauthenticator", "msgspec", "psycopg[binary]"]
    code = "import workshop.room.__main__, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    others = packages_distributions()
    brought = {name for module in set(done.stdout.split()) - sys.stdlib_module_names for name in others.get(module, [])}
    assert brought - {"event-store-workshop", "setuptools"} <= {
        "psycopg",
        "psycopg-binary",
        "msgspec",
        "typing_extensions",
    }


def test_what_git_ignores_is_in_no_image() -> None:
    """The Dockerfile copies what lies in the checkout; names and passwords may."""
    lines = (CHECKOUT / ".gitignore").read_text().splitlines()
    ignored = {line.rstrip("/") for line in lines if line and not line.startswith("#")}
    assert {"names.txt", "*.csv", "wheels", "room.json", "my_course"} <= ignored
    kept_out = set((CHECKOUT / ".dockerignore").read_text().splitlines())
    assert {".git"} | {f"**/{pattern}" for pattern in ignored} <= kept_out


@pytest.mark.skipif(os.name == "nt", reason="Binder's machines run Linux")
def test_what_binder_starts_is_the_kit(tmp_path: Path) -> None:
    """Binder runs binder/start with the command of a JupyterLab, and installs binder/requirements.txt."""
    assert (CHECKOUT / "binder" / "requirements.txt").read_text() == "-r ../requirements.txt\n"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path), "PATH": path}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--ServerApp.base_url=/user/somebody/"]
    with (tmp_path / "log").open("w") as log:
        lab = subprocess.Popen(
            [CHECKOUT / "binder" / "start", *command], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := list(tmp_path.glob("jpserver-*.json"))) and time.monotonic() < deadline:
            assert lab.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        time.sleep(0.1)  # it is written at once, but not quite
        server = json.loads(found[0].read_text())
        assert server["base_url"] == "/user/somebody/"
        assert server["root_dir"] == str(CHECKOUT / "my_course")
        page = httpx.get(f"{server['url']}lab/tree/notebooks/00_welcome.ipynb", params={"token": server["token"]},
                         follow_redirects=True, timeout=60)  # fmt: skip
        assert page.status_code == 200
        autosave = f"{server['url']}lab/api/settings/@jupyterlab/docmanager-extension:plugin"
        setting = httpx.get(autosave, params={"token": server["token"]}, timeout=60).json()
        assert setting["schema"]["properties"]["autosaveInterval"]["default"] == 30, "not the kit's settings"
    finally:
        lab.terminate()
        lab.wait(30)
