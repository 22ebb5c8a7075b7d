"""JupyterLab's settings for the kit: no questions, no news, nothing but the notebooks.

Jupyter looks for settings in folders of its own, so it has to be told of this file and of the folder to open:
`event-store-workshop` and `make lab` do it, and by hand it is `--config=` with this file, `--ServerApp.root_dir=` with
the folder.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821

c.LabApp.default_url = "/lab/tree/notebooks/00_welcome.ipynb"
# In a container one is often root; JupyterLab listens on this machine alone, and asks for its token.
c.ServerApp.allow_root = True

# overrides.json5 there says how JupyterLab behaves, and page_config.json5 which of its parts stay away.
c.LabApp.app_settings_dir = str(HERE)
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
