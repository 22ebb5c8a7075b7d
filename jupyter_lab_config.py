"""JupyterLab reads this file when it is started in this folder: no questions, no news, nothing but the kit."""

from pathlib import Path

c = get_config()  # noqa: F821

# Settings (no news, no update checks) and the extensions that stay out of a learner's way.
c.LabApp.app_settings_dir = str(Path(__file__).resolve().parent / "workshop" / "jupyterlab")
# The tests' requirements bring nbgrader along, and it would add its panels.
c.ServerApp.jpserver_extensions = {"jupyterlab": True, "nbgrader": False}
# In a container one is often root; JupyterLab listens on this machine alone, and asks for its token.
c.ServerApp.allow_root = True
