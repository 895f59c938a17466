"""Calls that Windows does not know, or understands otherwise: each has a fallback, and a test of it.

A new one fails the first test until it is listed with the test of what happens where it is missing.
"""

import ast
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from UniUltraLib.local_server import processes
from UniUltraLib.local_server.process_log import ProcessLog
from UniUltraLib.local_server.server import _TIED  # private: a program, which only the real Slicer would run

from uniultra.adapt import job as jobs
from uniultra.adapt import process as adapt_process
from uniultra.datasets import samples
from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.train import trainer

ROOT = Path(__file__).parents[2]
CODE = ("lib/uniultra", "slicer_extension/UniUltra/UniUltraLib")
MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
NAMES = {
    "os": {
        *(
            "fork",
            "forkpty",
            "getegid",
            "geteuid",
            "getgid",
            "getpgid",
            "getppid",
            "getuid",
            "kill",
            "killpg",
        ),
        *("lchown", "chown", "link", "mkfifo", "nice", "posix_spawn", "rename", "sched_getaffinity"),
        *("sched_setaffinity", "setpgid", "setpriority", "setsid", "statvfs", "symlink", "uname", "waitpid"),
        "O_RDONLY",  # of a folder, to bring it to the disk
    },
    "signal": {"SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "pause", "setitimer"},
}
WORDS = {"start_new_session", "preexec_fn", "pass_fds", "process_group", "num_workers"}
CALLS = {"ProcessPoolExecutor", "rename"}  # a fork on Linux alone; a rename never over a file elsewhere
HERE = "tests/files/test_platforms.py"
LISTED = {
    "lib/uniultra/adapt/process.py": {
        ("os.getppid", "os.kill"): f"{HERE}::test_without_posix_no_training_watches_its_parent",
        ("os.nice",): f"{HERE}::test_a_training_without_a_niceness",
    },
    "lib/uniultra/datasets/samples.py": {
        ("ProcessPoolExecutor",): f"{HERE}::test_pictures_are_prepared_by_processes_that_are_no_forks",
    },
    "lib/uniultra/evaluate/accuracy/accuracy.py": {("ProcessPoolExecutor",): "it spawns on every system"},
    "lib/uniultra/files/atomic.py": {("os.O_RDONLY",): f"{HERE}::test_a_folder_that_cannot_be_opened"},
    "lib/uniultra/train/loop.py": {
        ("num_workers",): (
            "tests/train/test_trainer.py::test_processes_that_draw_batches_ahead_change_nothing"
        )
    },
    "lib/uniultra/train/trainer.py": {("os.sched_getaffinity",): f"{HERE}::test_processors_without_affinity"},
    "lib/uniultra/weights/bundle.py": {
        ("rename",): "tests/weights/test_bundle.py::test_a_failed_save_leaves_the_old_bundle"
    },
    "slicer_extension/UniUltra/UniUltraLib/local_server/processes.py": {
        ("os.killpg", "signal.SIGKILL", "start_new_session"): f"{HERE}::test_a_program_is_ended_by_taskkill",
    },
    "slicer_extension/UniUltra/UniUltraLib/local_server/server.py": {
        ("os.killpg", "signal.SIGKILL"): f"{HERE}::test_a_server_without_slicer_ends_by_taskkill",
    },
}


def calls(tree: ast.AST) -> set[str]:
    """What of the lists above a program names, also in the programs that it holds as text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} & MODULES
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, ()):
                found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in WORDS:
                found.add(node.value)
            elif node.value.startswith("\nimport "):
                found |= calls(ast.parse(node.value))
        if isinstance(node, ast.Call):
            function = node.func
            found |= {word.arg for word in node.keywords if word.arg in WORDS}
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            own = isinstance(function, ast.Attribute) and getattr(function.value, "id", "") == "self"
            found |= {name} & CALLS if not own else set()
    return found


def test_each_call_that_needs_posix_has_a_tested_fallback():
    found = {
        path.relative_to(ROOT).as_posix(): named
        for folder in CODE
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (named := calls(ast.parse(path.read_text("utf-8"))))
    }
    listed = {file: {name for names in tests for name in names} for file, tests in LISTED.items()}
    assert found == listed
    for tests in LISTED.values():
        for test in tests.values():
            file, _, name = test.partition("::")
            assert not name or f"def {name}(" in (ROOT / file).read_text("utf-8"), f"there is no {test}"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import fcntl", {"fcntl"}),
        ("from resource import setrlimit", {"resource"}),
        ("os.fork()", {"os.fork"}),
        ("Popen(x, preexec_fn=f)", {"preexec_fn"}),
        ("path.rename(other)", {"rename"}),
        ("PROGRAM = '\\nimport os\\nos.setsid()'", {"os.setsid"}),
        ("path.replace(other); os.open(path, os.O_RDWR)", set()),
    ],
)
def test_such_calls_are_found(code, expected):
    assert calls(ast.parse(code)) == expected


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    """Windows cannot open a folder: nothing is, and the file is written all the same."""
    target, replaced = tmp_path / "file", []
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "open", lambda *_: pytest.fail("a folder was opened"))
        patch.setattr(atomic.os, "name", "nt")
        atomic.sync_folder(tmp_path)
        replaced.append(True)
    atomic.write(target, b"whole")
    assert replaced and target.read_bytes() == b"whole"


def test_a_refused_replacement_leaves_the_old_file_whole(tmp_path, monkeypatch):
    """Windows replaces no file that another program has open."""
    target = tmp_path / "file"
    atomic.write(target, b"old")

    def refuse(self, other):
        raise PermissionError("in use")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="in use"):
            atomic.write(target, b"new")
    assert target.read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_posix_no_training_watches_its_parent(tmp_path, monkeypatch):
    worked = []
    monkeypatch.setattr(
        adapt_process, "JobFolder", lambda _: SimpleNamespace(lock=_NoLock, ended=lambda: None)
    )
    monkeypatch.setattr(adapt_process, "work", worked.append)
    monkeypatch.setattr(adapt_process, "_follow", lambda _: pytest.fail("it was watched"))
    monkeypatch.setattr(adapt_process, "os", SimpleNamespace(name="nt"))
    assert adapt_process.main([str(tmp_path), "--parent", "1"]) == 0 and len(worked) == 1


class _NoLock:
    def acquire(self, timeout):
        return self

    __enter__ = __exit__ = lambda self, *_: None


def test_a_training_without_a_niceness(monkeypatch):
    ended = []

    def refuse():
        raise ModelError("It was begun.")

    folder = SimpleNamespace(
        job=lambda: SimpleNamespace(nice=5, threads=1), note=lambda **_: None, end=ended.append
    )
    monkeypatch.setattr("uniultra.adapt.run.AdaptationRun", lambda _: SimpleNamespace(run=refuse))
    monkeypatch.setattr(adapt_process, "os", SimpleNamespace(environ={}))
    adapt_process.work(folder)
    assert [end.error for end in ended] == ["It was begun."] and isinstance(ended[0], jobs.Ended)


def test_processors_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert trainer._processors() == os.cpu_count()  # private: nothing public says it


def test_pictures_are_prepared_by_processes_that_are_no_forks(monkeypatch):
    how = samples.Preparation(64, "pad", whole=True, pseudo=False, seed=3)
    expected = samples.pool([], 2, how, workers=1)
    spawn = partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context("spawn"))
    monkeypatch.setattr(samples, "ProcessPoolExecutor", spawn)
    assert [made.picture.tolist() for made in samples.pool([], 2, how, workers=1)] == [
        made.picture.tolist() for made in expected
    ]


def test_a_program_is_ended_by_taskkill(monkeypatch):
    told = []

    def run(command, **_):
        told.append(command)
        os.kill(program.pid, signal.SIGTERM)  # what taskkill does

    monkeypatch.setattr(processes, "WINDOWS", True)
    program = processes.Process(
        [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, ProcessLog()
    )
    assert os.getpgid(program.pid) == os.getpgid(0), "it is in no group of its own"
    monkeypatch.setattr(processes.subprocess, "run", run)
    program.stop()
    assert told == [["taskkill", "/T", "/PID", str(program.pid)]] and program.status is not None


def test_a_server_without_slicer_ends_by_taskkill():
    begin = "import os, subprocess\nos.name = 'nt'\nsubprocess.run = lambda words: print(*words, flush=1)\n"
    tied = _TIED[: _TIED.index("sys.path")] + "time.sleep(60)\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + tied],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stdout.startswith("taskkill /T /F /PID ")
