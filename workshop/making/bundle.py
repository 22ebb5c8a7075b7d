"""The kit for a day without a network: `python -m workshop.making.bundle FOLDER`, or `make bundle ARGS=FOLDER`.

FOLDER, such as a memory stick, gets the kit and all packages that it needs, for each supported Python on Linux, Windows
and macOS. There one line installs it and opens it: `python3 install.py`, on Windows `py install.py`.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import WorkshopError
from ..files import CHECKOUT, IS_INSTALLED

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def _linux(machine: str) -> list[str]:
    return [f"manylinux_2_{minor}_{machine}" for minor in range(34, 16, -1)] + [f"manylinux2014_{machine}"]


# As uv calls a system, to say what is needed there; and the tags of packages that run there.
SYSTEMS = {
    "x86_64-manylinux_2_34": _linux("x86_64"),
    "aarch64-manylinux_2_34": _linux("aarch64"),
    "x86_64-pc-windows-msvc": ["win_amd64"],
    "aarch64-apple-darwin": ["macosx_14_0_arm64"],
    "x86_64-apple-darwin": ["macosx_14_0_x86_64"],
}
_READ_ME = """\
Build your own event store, without a network: Linux (x86_64, aarch64; glibc 2.34 or newer), Windows (x86_64), macOS 14
or newer (both kinds of processor), with {pythons}. In a shell, in this folder:

    python3 install.py      on Linux and macOS
    py install.py           on Windows

It installs into the folder event-store in your home, and opens JupyterLab there. The same line opens it again, and
brings a newer edition from a newer stick: what you wrote stays.
"""


def make_bundle(folder: Path, pythons: list[str], systems: list[str]) -> None:
    """Put the kit and its packages into a folder.

    Args:
        folder: where to; it is made if need be. What is there already is not fetched again.
        pythons: versions of Python, of PYTHONS.
        systems: of SYSTEMS.

    Raises:
        WorkshopError: something is not to be had, or the folder cannot be written.
    """
    if IS_INSTALLED:
        raise WorkshopError("A bundle is made in a checkout of the kit.", "Get one with git, or as a ZIP.")
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for old in wheels.glob("event_store_workshop-*.whl"):
        old.unlink()
    _run("pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={wheels}", str(CHECKOUT))
    with tempfile.TemporaryDirectory() as scratch:
        for system in systems:
            for python in pythons:
                print(f"Python {python} on {system} ...", flush=True)
                needed = Path(scratch, f"{system}-{python}.txt")
                # What is needed differs from system to system, and pip would take it to be as it is here.
                _run(
                    "uv", "pip", "compile", "--quiet", "--only-binary=:all:", f"--python-platform={system}",
                    f"--python-version={python}", f"--output-file={needed}", str(CHECKOUT / "pyproject.toml"),
                )  # fmt: skip
                tags = [f"--platform={tag}" for tag in SYSTEMS[system]]
                _run(
                    "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={python}",
                    *tags, f"--dest={wheels}", f"--find-links={wheels}", "-r", str(needed),
                )  # fmt: skip
    shutil.copy(CHECKOUT / "install.py", folder)
    names = " or ".join([", ".join(pythons[:-1]), pythons[-1]] if len(pythons) > 1 else pythons)
    (folder / "README.txt").write_text(_READ_ME.format(pythons=f"Python {names}"), encoding="utf-8")


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise WorkshopError(
            f"`{module} {arguments[0]}` failed: {' / '.join(said)}", "Put that right, and run it again."
        )


def main(arguments: list[str] | None = None) -> None:
    """Make the bundle that the command line asks for, and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m workshop.making.bundle", description=__doc__.partition(":")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=CHECKOUT / "bundle", help="such as a memory stick")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="one version of Python; again for more")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="one kind of machine; again for more")
    given = parser.parse_args(arguments)
    try:
        make_bundle(given.folder, given.python or list(PYTHONS), given.system or list(SYSTEMS))
    except (WorkshopError, OSError) as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in given.folder.rglob("*") if path.is_file())
    print(f"{given.folder}: {size / 1e6:,.0f} MB. README.txt there has the line that installs from it.")


if __name__ == "__main__":
    main()
