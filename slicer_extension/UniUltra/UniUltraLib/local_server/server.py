"""A UniUltra server on this machine, used by this Slicer only: starts, watches and stops it.

It listens on 127.0.0.1 only. If Slicer is killed, the server ends too, because the pipe between them closes.
Reading `state` never blocks: whatever waits runs in a thread.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

from ..control.state import Problem
from ..errors import ServerError
from ..wire.client import Client
from .environments import Environment
from .process_log import ProcessLog
from .processes import Process, ProcessProblem

HOST = "127.0.0.1"
PORT = 8000
STOPPED, STARTING, RUNNING, DIED = "stopped", "starting", "running", "died"
SEARCHING, ASKING, MAKING, STOPPING = "searching", "asking", "making", "stopping"  # of `LocalControl`
_NEARBY = 20
STARTUP_SECONDS = 300  # a server that does not answer by then is given up
# Runs in the server's own Python before anything else: reads the pipe from Slicer until it closes.
_TIED = """
import os, signal, subprocess, sys, threading, time
def end_with_slicer():
    while os.read(0, 4096):
        pass
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(os.getpid())])
        os._exit(1)
    os.killpg(0, signal.SIGTERM)
    time.sleep(10)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end_with_slicer, daemon=True).start()
sys.path[:] = [place for place in sys.path if place]
import runpy
runpy.run_module("uniultra.cli", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class LocalServerState:
    """What the panel shows.

    Attributes:
        kind: one of the constants above.
        address: the server's, once it is known; to connect to when `kind` is running.
        problem: why no server runs.
        question: what will be downloaded, when `kind` is asking.
    """

    kind: str = STOPPED
    address: str = ""
    problem: Optional[Problem] = None
    question: str = ""

    @property
    def busy(self) -> bool:
        """Whether work is in progress that `LocalControl.stop` can stop."""
        return self.kind in (SEARCHING, MAKING, STARTING)


class LocalServer:
    """One server of an environment over one studies folder.

    Args:
        environment: see `environments.find`.
        variables: cleaned, see `processes.clean_environment`.
        log: receives the server's output.
    """

    def __init__(self, environment: Environment, variables: Mapping[str, str], log: ProcessLog) -> None:
        self.environment, self.log = environment, log
        self._variables = variables
        self._process: Optional[Process] = None
        self._watcher: Optional[threading.Thread] = None
        self._stopping = threading.Event()
        self._state = LocalServerState()

    @property
    def state(self) -> LocalServerState:
        """The current state."""
        return self._state

    def start(self, studies: Path) -> str:
        """Start the server on a studies folder, created if missing; returns the future address.

        Raises:
            ProcessProblem: the server already runs or does not start, or the folder cannot be created.
        """
        if self._state.kind in (STARTING, RUNNING):
            raise ProcessProblem("The local server is already running. Stop it first.")
        port = free_port()
        try:
            studies.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise ProcessProblem("The studies folder cannot be created. Choose another folder.") from None
        command = [str(self.environment.python), "-c", _TIED, "serve", "--studies", str(studies)]
        command += ["--host", HOST, "--port", str(port)]
        address = f"http://{HOST}:{port}"
        self._stopping.clear()
        self._process = Process(command, self._variables, self.log, folder=studies, tied=True)
        atexit.register(self.stop)
        self._state = LocalServerState(STARTING, address)
        self._watcher = threading.Thread(target=self._watch, args=(self._process, address), daemon=True)
        self._watcher.start()
        return address

    def stop(self, seconds: float = 10) -> None:
        """Stop the server and all its children, and wait for the end; does nothing when it is not running."""
        self._stopping.set()
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.stop(seconds)
            self._process = None
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join(5)
        if self._state.kind != DIED:
            self._state = LocalServerState()

    def _watch(self, process: Process, address: str) -> None:
        until = time.monotonic() + STARTUP_SECONDS
        while process.status is None and not self._stopping.wait(0.3):
            if answers(address) and process.status is None:
                self._state = LocalServerState(RUNNING, address)
                break
            if time.monotonic() > until:
                process.stop()
                self._die(address, f"it did not answer within {STARTUP_SECONDS:g} s")
                return
        while process.wait(0.5) is None:
            if self._stopping.is_set():
                return
        if not self._stopping.is_set():
            self._die(address, f"it ended unexpectedly ({_status(process.status)})")

    def _die(self, address: str, cause: str) -> None:
        output = self.log.reason()
        text = f"the local server is gone: {cause}." + (f" Its last output: {output}" if output else "")
        step = "Correct what it names, or look at its log; then start it again."
        self._state = LocalServerState(DIED, address, Problem(address, text, step))


def answers(address: str) -> bool:
    """Whether a UniUltra or MONAI Label server answers at an address."""
    client = Client(address, timeout=(1.0, 2.0))
    try:
        client.info()
        return True
    except ServerError:
        return False
    finally:
        client.close()


def free_port(preferred: int = PORT) -> int:
    """A free port: the preferred one, one of the next few, or any."""
    for port in range(preferred, preferred + _NEARBY):
        if can_listen(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def can_listen(port: int) -> bool:
    """Whether a port of this machine is free."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # as the server does, so that a port in TIME_WAIT counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            return True
        except (OSError, OverflowError):
            return False


def _status(status: Optional[int]) -> str:
    if status is not None and status < 0 and os.name != "nt":
        return f"signal {-status}" + (", often too little memory" if status == -9 else "")
    return f"status {status}"
