"""The classroom works in a plain Python program too: it prints text."""

import os
import subprocess
import sys
from pathlib import Path

from workshop.files import CHECKOUT

PROGRAM = """
from workshop import check, hint, progress, solution

check("00.1", lambda history: sum(amount or 0 for type, amount in history))
progress()
{more}
"""


def run(folder: Path, more: str = "") -> str:
    program = folder / "program.py"
    program.write_text(PROGRAM.format(more=more))
    done = subprocess.run(
        [sys.executable, program], cwd=folder, env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_a_program_prints_text(tmp_path: Path) -> None:
    said = run(tmp_path)
    assert "✗ failed: Withdrawals are taken off" in said
    assert "exercises solved" in said
    assert "<" not in said and "object at" not in said


def test_hints_and_solutions_are_text_too(tmp_path: Path) -> None:
    said = run(tmp_path, 'hint("00.1"); solution("00.1")')
    assert "Start from 0." in said and "def balance(history):" in said
