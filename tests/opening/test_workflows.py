"""What stands under .github/: read by a linter, as nothing here can run it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workshop.files import CHECKOUT

GITHUB = CHECKOUT / ".github"


def test_the_workflows_have_no_findings() -> None:
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent))
    if not zizmor:
        pytest.skip("zizmor comes with requirements-dev.txt")
    ran = subprocess.run([zizmor, "--offline", "--no-progress", GITHUB], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", sorted((GITHUB / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_they_name_files_that_exist_and_say_that_they_are_unproven(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "Unproven until its" in text.replace("\n# ", " ")
    for name in ("install.py", "requirements-dev.txt", "tests/nbval.cfg", "tests/opening"):
        assert (CHECKOUT / name).exists()
    for job in yaml.safe_load(text)["jobs"].values():
        assert all("run" in step or "uses" in step for step in job["steps"])


def test_the_issue_form_asks_for_the_line_that_00_prints() -> None:
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "it-does-not-work.yml").read_text(encoding="utf-8"))
    fields = {field["id"]: field for field in form["body"]}
    assert {"line", "how", "system", "what"} == set(fields)
    assert "schema 00_welcome, empty." in fields["line"]["attributes"]["placeholder"]
    assert all(field["validations"]["required"] for field in fields.values())
