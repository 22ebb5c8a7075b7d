"""Run the tests as `make test` does: `python -m tests`, with pytest's arguments behind it.

First in several processes, each with a server of its own; then, one by one, those that are marked `alone`.
"""

import subprocess
import sys

import pytest

NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.cfg"]  # whatever kernel it names
PYTEST = [sys.executable, "-m", "pytest", *NBVAL, "--durations=10"]
TOGETHER = ["--alone=without", "--numprocesses=auto"]
BY_THEMSELVES = ["--alone=only"]
NONE_THERE = pytest.ExitCode.NO_TESTS_COLLECTED


def main(arguments: list[str]) -> int:
    """Return pytest's first exit code that is no success. That there was no test is none if it was so both times."""
    codes = [subprocess.run([*PYTEST, *how, *arguments]).returncode for how in (TOGETHER, BY_THEMSELVES)]
    return next((code for code in codes if code not in (pytest.ExitCode.OK, NONE_THERE)), min(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
