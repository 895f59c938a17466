"""The real server in a process of its own, with a studies folder and a HOME that go with the test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from uniultra.errors import UniUltraError

ROOT = Path(__file__).resolve().parents[2]
ECHO_CINE = "examples_ybr_color"


class ServerProcess:
    """Stock `monailabel start_server` with the app, on a port that it keeps when it starts again."""

    def __init__(
        self,
        studies: Path,
        home: Path,
        conf: Mapping[str, str] | None = None,
        weights: Path | None = None,
        script: Sequence[str] | None = None,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._studies, self._home = studies, home
        self._conf = {"models": "uniultra_mini", **(conf or {})}
        app = ("-m", "monailabel.main", "start_server", "--app", str(ROOT / "apps" / "uniultra"))
        self._script = app if script is None else script  # what Python runs
        self._weights = {} if weights is None else {"UNIULTRA_WEIGHTS": str(weights)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 120, *, wait: bool = True) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, *self._script, "--studies", str(self._studies)]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        for key, value in self._conf.items():
            command += ["--conf", key, value]
        environment = {
            **os.environ,
            "HOME": str(self._home),
            "MONAI_LABEL_SESSION_PATH": str(self._home / "sessions"),
            "OMP_NUM_THREADS": "1",
            **self._weights,
        }
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._home)
        if wait:
            _wait(self.address, self._process, self._home / "server.log", time.monotonic() + seconds)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it as a person would."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def running_server(
    studies: Path,
    home: Path,
    seconds: float = 120,
    *,
    conf: Mapping[str, str] | None = None,
    weights: Path | None = None,
    campaign: Mapping[str, Any] | None = None,
    script: Sequence[str] | None = None,
) -> Iterator[str]:
    """A server with further settings, weights of its own or a campaign; gives its address once it answers."""
    if campaign is not None:
        write_campaign(studies, campaign)
    server = ServerProcess(studies, home, conf, weights, script)
    try:
        server.start(seconds)
        yield server.address
    finally:
        server.stop()


def write_campaign(studies: Path, settings: Mapping[str, Any]) -> None:
    """Make these the studies folder's campaign file; the server reads it again when it has changed."""
    (studies / "campaign.yaml").write_text(yaml.safe_dump(dict(settings), sort_keys=False), "utf-8")


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


def echo_cine(folder: Path) -> Path | None:
    """The 30-frame echo cine of the pydicom wheel, as `make demo` gets it; None where it cannot be had."""
    shared = ROOT.parent / "shared" / "dicom" / f"{ECHO_CINE}.dcm"
    if shared.is_file():
        return shared
    from uniultra.demo import fetch_sample_dicom

    try:
        fetch_sample_dicom(folder)
    except (OSError, subprocess.SubprocessError, UniUltraError):
        return None
    return next(folder.rglob(f"{ECHO_CINE}.dcm"), None)
