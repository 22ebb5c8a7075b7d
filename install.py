"""Makes a virtual environment for the kit, or mends one, and installs into it: with any Python, and nothing but it.

`make` calls it in a checkout. On a memory stick made by `make bundle` it is the one line, `python3 install.py`: there
it installs from the packages beside it, without a network, and opens the kit.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.join(HERE, "wheels")
OLDEST, NEWEST = (3, 11), (3, 14)  # as in pyproject.toml
PROGRAM = "Scripts" if os.name == "nt" else "bin"


def check_version():
    """Say what to do under a Python that the kit was not tried with."""
    here = sys.version_info[:2]
    if OLDEST <= here <= NEWEST and sys.implementation.name == "cpython":
        return
    name = "{} {}.{}".format(sys.implementation.name, *here).replace("cpython", "Python")
    reason = "that is older than pandas and matplotlib, which it uses, still support"
    if here > NEWEST or sys.implementation.name != "cpython":
        reason = (
            "it was not tried with that, and packages may be missing for it. PostgreSQL's is for every Python;"
            " psycopg, msgspec, pandas, matplotlib and pyzmq come for each Python anew"
        )
    sys.exit(
        f"The kit runs on Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, and {sys.executable} is {name}: {reason}.\n"
        + "Name another one: `make lab PYTHON=python3.12`, or on Windows `py -3.12 install.py`. Where there is none,\n"
        + "`uvx --python 3.12 event-store-workshop` brings one along, without the rights of an administrator."
    )


def works(python):
    """Whether a virtual environment's Python runs, is one that the kit was tried with, and has pip."""
    code = f"import pip, sys; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    try:
        return subprocess.call([python, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_venv(folder):
    """Make a virtual environment, unless a good one is there; return its Python. Nothing half-made is left."""
    python = os.path.join(folder, PROGRAM, "python")
    if works(python):
        return python
    check_version()
    import shutil
    import venv

    if os.path.exists(folder):
        print(f"{folder} does not work any more, or not yet: it is made anew.")
    shutil.rmtree(folder, ignore_errors=True)  # an environment alone; what a learner wrote is never in it
    try:
        venv.create(folder, with_pip=True)
    except (Exception, SystemExit) as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(
            f"{sys.executable} cannot make a virtual environment: {error}.\n"
            + "On Debian and Ubuntu: `apt install python3-venv`, then this again. Anywhere: name another Python,\n"
            + "`make lab PYTHON=python3.12`, or let uv bring one: `uvx event-store-workshop`."
        )
    return python


def main():
    if os.path.isdir(PACKAGES):  # a memory stick
        python = make_venv(os.path.join(os.path.expanduser("~"), "event-store", ".venv"))
        what = ["--no-index", "--find-links", PACKAGES, "--upgrade", "event-store-workshop"]
    else:
        python = make_venv(os.path.join(HERE, ".venv"))
        what = sys.argv[1:] or ["-r", os.path.join(HERE, "requirements.txt")]
    print("Installing the kit and what it needs, once: this takes a minute or two.", flush=True)
    isolated = ["--isolated"] if os.path.isdir(PACKAGES) else []  # from whatever this machine's pip is told otherwise
    code = subprocess.call([python, "-m", "pip", "--disable-pip-version-check", *isolated, "install", "--quiet", *what])
    if code:
        sys.exit("pip could not install it; see above. Run this again once that is put right.")
    if os.path.isdir(PACKAGES):
        sys.exit(subprocess.call([python, "-m", "workshop.opening.command"] + sys.argv[1:]))


if __name__ == "__main__":
    main()
