"""The suite is a program of a checkout, started by `uniultra evaluate --suite`."""

import subprocess
import sys

import pytest

from uniultra.cli import evaluate, main

WORDS = ["evaluate", "--suite", "absent", "--data", "nowhere"]


def test_the_command_starts_the_program_of_the_checkout(tmp_path, capfd):
    output = ["--work", str(tmp_path), "--output", str(tmp_path / "out.json"), "--system", "unet"]
    assert main.main([*WORDS, *output]) == 2
    assert "Unknown suite; expected one of seeds" in capfd.readouterr().err


def test_a_wheel_says_that_a_checkout_is_needed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evaluate, "__file__", str(tmp_path / "site-packages/uniultra/cli/evaluate.py"))
    assert main.main(WORDS) == 2
    assert "checkout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["absent"], "Unknown suite"), (["seeds"], "--work"), (["none.yaml"], "--work")],
)
def test_the_program_refuses_in_one_line(project_root, words, message):
    command = [sys.executable, str(project_root / "training/suite"), *words, "--data", "nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and message in ended.stderr and "Traceback" not in ended.stderr
