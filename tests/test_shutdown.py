"""The program's exit waits for native code that runs, and lets none begin."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import sys, threading, time
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("exits", sys.argv[1])
exits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exits)
begun = threading.Event()
"""
WHOLE = """
def work():
    with exits.unbroken():
        begun.set()
        time.sleep(0.5)
        print("whole", flush=True)
    with exits.unbroken():
        print("one more", flush=True)
"""
POOL = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
def work():
    with exits.unbroken():
        begun.set()
        time.sleep(0.5)
        pool.submit(print, "too late")
"""
LONG = """
exits.PATIENCE_S = 0.1
def work():
    with exits.unbroken():
        begun.set()
        time.sleep(60)
"""
END = """
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


@pytest.mark.parametrize(("work", "printed"), [(WHOLE, "whole\n"), (POOL, ""), (LONG, "")])
def test_the_end_waits_for_what_has_begun(work: str, printed: str) -> None:
    from uniultra import shutdown

    run = subprocess.run(
        [sys.executable, "-c", BEGIN + work + END, str(shutdown.__file__)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, printed, "")
