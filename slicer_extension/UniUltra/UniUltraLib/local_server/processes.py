"""Runs other programs without Slicer's environment variables, and stops them with all their children.

On Windows a process tree is ended by `taskkill /T`; this project has not run that part.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from ..errors import UniUltraLibError
from .process_log import ProcessLog

WINDOWS = sys.platform == "win32"
# What Slicer's launcher sets for its own Python and libraries, and what would misdirect another Python.
_SLICERS = re.compile(
    r"^(PYTHON(?!UTF8$|WARNINGS$)\w*|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_\w+|QT_\w+|QML2?_\w+|TCL_LIBRARY|TK_LIBRARY|"
    r"SLICER_\w+|Slicer_\w+|SSL_CERT_FILE|VIRTUAL_ENV|__PYVENV_LAUNCHER__|ITK_AUTOLOAD_PATH|VTK_\w+|CTK_\w+)$"
)
_MAX_LINE = 64 * 1024


class ProcessProblem(UniUltraLibError):
    """A program cannot be started, or failed; the message names it and says what to do."""


def clean_environment(environment: Mapping[str, str]) -> Dict[str, str]:
    """`environment` without Slicer's entries: paths of its Python and libraries, its folders on PATH.

    Pass `slicer.util.startupEnvironment()` on the desktop, `os.environ` elsewhere.
    """
    home = environment.get("SLICER_HOME", "")
    cleaned = {key: value for key, value in environment.items() if not _SLICERS.match(key)}
    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    cleaned["PATH"] = os.pathsep.join(f for f in folders if not (home and _within(f, home)))
    # Unbuffered output, in one encoding on every system.
    cleaned.update(PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8:replace")
    return cleaned


def _within(folder: str, home: str) -> bool:
    inner, outer = Path(os.path.normcase(folder)), Path(os.path.normcase(home))
    return inner == outer or outer in inner.parents


def output_of(
    command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end.

    Raises:
        ProcessProblem: it cannot be started, or takes longer than `seconds`.
    """
    try:
        return subprocess.run(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
            **_no_window(),
        )
    except subprocess.TimeoutExpired:
        name = Path(command[0]).name
        raise ProcessProblem(
            f"{name} did not answer within {seconds:g} s. Try again, or choose another."
        ) from None
    except (OSError, ValueError):
        raise _not_started(command) from None


class Process:
    """A running program whose output goes to `log` line by line.

    With `tied`, its standard input is a pipe that closes when this process ends, however it ends.

    Raises:
        ProcessProblem: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: ProcessLog,
        *,
        folder: Optional[Path] = None,
        tied: bool = False,
    ) -> None:
        group: Dict[str, Any] = {} if WINDOWS else {"start_new_session": True}
        try:
            self._process = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **group,
                **_no_window(),
            )
        except (OSError, ValueError):
            raise _not_started(command) from None
        self._log = log
        self._ending = threading.Lock()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="UniUltra log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def status(self) -> Optional[int]:
        """The exit status, None while it runs. Once the end is noticed, its children are killed."""
        with self._ending:
            status = self._process.poll()
            if status is not None and not self._ended:
                # Only now: later the system may reuse the ID for another process group.
                self._ended = True
                if not WINDOWS:
                    self._signal(force=True)
        return status

    def wait(self, seconds: float) -> Optional[int]:
        """Wait for the end, at most `seconds`; the exit status, None while it still runs."""
        until = time.monotonic() + seconds
        while (status := self.status) is None:
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.05))
        # With a limit: a child may keep the pipe open.
        self._reader.join(2)
        return status

    def stop(self, seconds: float = 10) -> None:
        """Terminate it and its children, after `seconds` by force; returns when it has ended."""
        if self.status is None:
            self._signal(force=False)
            if self.wait(seconds) is None:
                self._signal(force=True)
                self.wait(5)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # already gone
                self._process.stdin.close()
        self._reader.join(2)

    def _signal(self, force: bool) -> None:
        if WINDOWS:
            command = ["taskkill", "/T", *(["/F"] if force else []), "/PID", str(self.pid)]
            subprocess.run(command, capture_output=True, check=False, **_no_window())
            return
        # It leads a session of its own: the group contains it and its children only. When none is left, Linux
        # raises the first of these errors, macOS the second.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL if force else signal.SIGTERM)

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # closed while it was read
            # Bounded: a line without an end must not fill the memory.
            for line in iter(lambda: stream.readline(_MAX_LINE), b""):
                self._log.add(line.decode("utf-8", "replace"))


def _not_started(command: Sequence[str]) -> ProcessProblem:
    name = Path(command[0]).name
    return ProcessProblem(f"{name} cannot be started. Check that it exists and is executable.")


def _no_window() -> Dict[str, Any]:
    return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)} if WINDOWS else {}
