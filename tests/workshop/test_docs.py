"""What stands in README, CONTRIBUTING and docs/ is so: links, files, code; and the README stays short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.files import CHECKOUT

from ..postgres import Server

PAGES = [
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md")),
    *sorted((CHECKOUT / "docs").glob("*.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())


def read(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def section(title: str, page: str) -> str:
    """Return what stands under a heading of the second level."""
    return read(page).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+?)\s*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(read("README.md").splitlines()) <= 120


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?:", link):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_readme_says_where_each_file_of_the_reference_is_taught() -> None:
    table = section("What is where", "README.md")
    numbers = {int(number) for number in re.findall(r"`(\d\d)`", table)}
    for first, last in re.findall(r"`(\d\d)` to `(\d\d)`", table):
        numbers.update(range(int(first), int(last) + 1))
    modules = set(re.findall(r"`(\w+\.py)`", table))
    scripts = {int(file.name[:2]) for file in (CHECKOUT / "eventstore/schema").glob("*.sql")}
    assert scripts <= numbers
    assert {file.name for file in (CHECKOUT / "eventstore").glob("*.py")} - {"__init__.py"} == modules


def test_contributors_are_told_what_each_part_of_the_workshop_is_for() -> None:
    table = section("Where things are", "CONTRIBUTING.md")
    parts = {file.parent.name for file in (CHECKOUT / "workshop").glob("*/__init__.py")}
    assert parts <= set(re.findall(r"`(\w+)/`", table))


def test_the_package_alone_does_what_the_page_shows(postgres: Server) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", read("docs/the-package-alone.md"), re.DOTALL)
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE the_package_alone")
        try:
            program = code.replace('"postgresql://..."', f'"{postgres.url}", dbname="the_package_alone"')
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        finally:
            connection.execute("DROP DATABASE the_package_alone WITH (FORCE)")
    assert done.stdout == "1 DepositRecorded(account_id='account-1', amount=Decimal('100.00'))\n", done.stderr
