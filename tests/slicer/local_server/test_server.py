"""A server on this machine: the project's real one, and a tiny one that fails in every way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_project import make_tree
from UniUltraLib.local_server import process_log
from UniUltraLib.local_server import server as local_server
from UniUltraLib.local_server.environments import Environment, check
from UniUltraLib.local_server.process_log import ProcessLog
from UniUltraLib.local_server.processes import ProcessProblem, clean_environment
from UniUltraLib.local_server.server import DIED, RUNNING, STARTING, STOPPED, LocalServer, free_port
from UniUltraLib.wire.client import Client


@pytest.fixture
def tiny(tmp_path: Path) -> Environment:
    """This Python, told to take `uniultra` from a tiny tree."""
    return Environment(Path(sys.executable), str(make_tree(tmp_path) / "lib"), "the test")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tiny: Environment) -> Iterator[LocalServer]:
    """A local server of the tiny project, not started."""
    variables = {**clean_environment(os.environ), "PYTHONPATH": tiny.version}
    made = LocalServer(tiny, variables, ProcessLog())
    yield made
    made.stop(2)


def alive(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not (status.is_file() and status.read_text().rpartition(")")[2].split()[0] == "Z")
    except ProcessLookupError:
        return False


def gone(pid: int, seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


def wait_for(server: LocalServer, kind: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while server.state.kind != kind and time.monotonic() < until:
        time.sleep(0.05)
    assert server.state.kind == kind, (server.state, server.log.tail(20))


def test_the_real_server_starts_answers_and_stops(tmp_path: Path) -> None:
    variables = {**clean_environment(os.environ), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    variables["MONAI_LABEL_SESSION_PATH"] = str(tmp_path / "sessions")
    environment = check(Path(sys.executable), variables, "the test")
    log = ProcessLog()
    server = LocalServer(environment, variables, log)
    studies = tmp_path / "my studies"
    studies.mkdir()
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(studies / "one.png")
    address = server.start(studies)
    try:
        assert server.state.kind == STARTING and server.state.address == address
        with pytest.raises(ProcessProblem, match="already"):
            server.start(studies)
        wait_for(server, RUNNING, 240)
        client = Client(address)
        assert "uniultra_mini" in client.info()["models"]
        assert client.image_ids() == ["one"]
        client.close()
        assert log.tail(1)
        process = server._process  # to see below that it is gone: the panel needs no number of it
        assert process is not None
        pid = process.pid
    finally:
        server.stop()
    assert gone(pid)
    assert server.state.kind == STOPPED
    assert not local_server.answers(address)


def test_it_runs_again_after_a_stop(server: LocalServer, tmp_path: Path) -> None:
    studies = tmp_path / "new" / "studies"
    for _ in range(2):
        address = server.start(studies)
        wait_for(server, RUNNING)
        assert local_server.answers(address)
        child = int((studies / "child").read_text())
        assert alive(child)
        server.stop()
        assert server.state == local_server.LocalServerState()
        assert gone(child), "what the server started must end with it"


def test_lines_come_as_they_are_written_without_secrets(server: LocalServer, studies: Path) -> None:
    server.start(studies)
    wait_for(server, RUNNING)
    number, lines = server.log.since(0)
    assert "starting" in lines
    text = "\n".join(lines)
    assert "hidden-token" not in text and "secret-word" not in text
    assert "see http://***@host/" in lines
    assert server.log.since(number)[1] == []
    assert '"PYTHONHOME": null, "LD_LIBRARY_PATH": null' in text


def test_a_server_that_refuses_to_start_says_why(server: LocalServer, studies: Path) -> None:
    (studies / "fail").touch()
    server.start(studies)
    wait_for(server, DIED)
    problem = server.state.problem
    assert problem is not None
    assert "status 2" in problem.cause
    assert "Expected weights; there are none. Fetch them." in problem.cause
    (studies / "fail").unlink()
    server.start(studies)
    wait_for(server, RUNNING)
    assert server.state.problem is None


def test_a_server_that_dies_is_noticed_with_what_it_left_behind(server: LocalServer, studies: Path) -> None:
    address = server.start(studies)
    wait_for(server, RUNNING)
    child = int((studies / "child").read_text())
    os.kill(int((studies / "self").read_text()), 9)
    wait_for(server, DIED)
    problem = server.state.problem
    assert problem is not None and problem.address == address
    assert "signal 9, often too little memory" in problem.cause
    assert "listening" in problem.cause
    assert gone(child)


def test_a_server_that_never_answers_is_given_up(
    server: LocalServer, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studies / "silent").touch()
    monkeypatch.setattr(local_server, "STARTUP_SECONDS", 3)
    server.start(studies)
    wait_for(server, DIED)
    problem = server.state.problem
    assert problem is not None and "did not answer within 3 s" in problem.cause
    assert gone(int((studies / "self").read_text()))


def test_a_python_that_is_gone(tmp_path: Path) -> None:
    server = LocalServer(Environment(tmp_path / "python", "0.4.0", "the test"), {}, ProcessLog())
    with pytest.raises(ProcessProblem, match="cannot be started"):
        server.start(tmp_path / "studies")
    assert server.state.kind == STOPPED
    (tmp_path / "file").touch()
    with pytest.raises(ProcessProblem, match="studies folder"):
        server.start(tmp_path / "file" / "studies")
    server.stop()


def test_a_port_that_is_taken_is_not_used() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_no_server_outlives_this_program_however_it_ends(tiny: Environment, tmp_path: Path) -> None:
    """Slicer killed: no exit handler runs, and the server and what it started end all the same."""
    code = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from UniUltraLib.local_server.environments import Environment\n"
        "from UniUltraLib.local_server.server import LocalServer\n"
        "from UniUltraLib.local_server.process_log import ProcessLog\n"
        "variables = {**os.environ, 'PYTHONPATH': sys.argv[2]}\n"
        "server = LocalServer(Environment(Path(sys.executable), '', ''), variables, ProcessLog())\n"
        "server.start(Path(sys.argv[3]))\n"
        "while server.state.kind == 'starting': time.sleep(0.05)\n"
        "print(server.state.kind, flush=True)\n"
        "sys.stdin.readline(); os.kill(os.getpid(), 9) if sys.argv[4] == 'killed' else sys.exit(0)\n"
    )
    module = Path(local_server.__file__).parents[2]
    for ending in ("killed", "exits"):
        studies = tmp_path / ending
        run = subprocess.Popen(
            [sys.executable, "-c", code, str(module), tiny.version, str(studies), ending],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None and run.stdin is not None
        assert run.stdout.readline().strip() == RUNNING
        pids = [int((studies / name).read_text()) for name in ("self", "child")]
        run.stdin.write("\n")
        run.stdin.flush()
        run.wait(30)
        assert all(gone(pid) for pid in pids), ending
        run.stdin.close()
        run.stdout.close()


def test_the_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_log, "LINES", 10)
    monkeypatch.setattr(process_log, "WIDTH", 50)
    log = ProcessLog()
    for n in range(100):
        log.add(f"line {n} {'x' * 99}\n")
    count, lines = log.since(0)
    assert (count, len(lines)) == (100, 10)
    assert all(len(line) <= 50 for line in lines)
    assert log.since(97)[1] == lines[-3:]
    assert log.since(500)[1] == []
    log.add("\x1b[31mAuthorization: Bearer abcdef\x1b[0m 10 %\r20 %\r 100 %\n")
    assert log.tail(1) == [" 100 %"]
    log.add("Authorization: Bearer abcdef, password=letmein and the token is here")
    assert log.tail(1) == ["Authorization: Bearer ***, password=*** and the to"]
