"""JupyterLab's settings for the kit: no questions, no news, nothing but the notebooks.

Jupyter looks for settings in folders of its own, never in the one it is started in, so it has to be told of this file:
`make lab` does it, and by hand it is `jupyter lab --config=jupyter_lab_config.py`.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821

# Where to start. The root is the whole kit: notebooks link to eventstore/, and solutions/ and my_eventstore/ are a
# click away.
c.ServerApp.root_dir = str(HERE)
c.LabApp.default_url = "/lab/tree/notebooks/00_welcome.ipynb"
# In a container one is often root; JupyterLab listens on this machine alone, and asks for its token.
c.ServerApp.allow_root = True

# overrides.json5 there says how JupyterLab behaves, and page_config.json5 which of its parts stay away.
c.LabApp.app_settings_dir = str(HERE / "workshop" / "jupyterlab")
# The tests' requirements bring nbgrader, and nbgrader brings the classic Notebook. Here they would add nothing but
# panels, buttons and warnings. Language servers are not part of the kit, and jupyter_lsp would list all it misses.
c.ServerApp.jpserver_extensions = {
    "jupyter_lsp": False,
    "nbgrader.server_extensions.assignment_list": False,
    "nbgrader.server_extensions.course_list": False,
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.validate_assignment": False,
    "notebook": False,
}
# What notebook and kernel say to each other goes encrypted, or each kernel warns that it does not.
c.KernelManager.transport_encryption = "auto"
