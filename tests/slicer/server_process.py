"""The real server in a process of its own, with a studies folder and a HOME that go with the test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running_server(studies: Path, home: Path, seconds: float = 120) -> Iterator[str]:
    """Stock `monailabel start_server` with the app; gives its address once it answers."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "monailabel.main",
        "start_server",
        "--app",
        str(ROOT / "apps" / "uniultra"),
    ]
    command += ["--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--conf", "models", "uniultra_mini"]
    environment = {
        **os.environ,
        "HOME": str(home),
        "MONAI_LABEL_SESSION_PATH": str(home / "sessions"),
        "OMP_NUM_THREADS": "1",
    }
    address = f"http://127.0.0.1:{port}"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home)
        try:
            _wait(address, process, home / "server.log", time.monotonic() + seconds)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            requests.get(f"{address}/info/", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.3)
    raise RuntimeError("the server did not start:\n" + log.read_text(errors="replace")[-2000:])
