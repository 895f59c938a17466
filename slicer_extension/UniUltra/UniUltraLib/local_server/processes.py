"""Runs another program without Slicer's environment variables, and stops it with all that it started.

On Windows a job is ended through `taskkill /T`; this project has not run that part.
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
# What Slicer's launcher sets for its own Python and libraries, and what would lead another Python astray.
_SLICERS = re.compile(
    r"^(PYTHON(?!UTF8$|WARNINGS$)\w*|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_\w+|QT_\w+|QML2?_\w+|TCL_LIBRARY|TK_LIBRARY|"
    r"SLICER_\w+|Slicer_\w+|SSL_CERT_FILE|VIRTUAL_ENV|__PYVENV_LAUNCHER__|ITK_AUTOLOAD_PATH|VTK_\w+|CTK_\w+)$"
)
_MAX_LINE = 64 * 1024


class ProcessProblem(UniUltraLibError):
    """A program that cannot be started, or that failed; the text says which and what to do."""


def clean_environment(environment: Mapping[str, str]) -> Dict[str, str]:
    """`environment` without what belongs to Slicer: its Python's and libraries' paths, its folders on PATH.

    On the desktop give it `slicer.util.startupEnvironment()`, else `os.environ`.
    """
    home = environment.get("SLICER_HOME", "")
    cleaned = {key: value for key, value in environment.items() if not _SLICERS.match(key)}
    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    cleaned["PATH"] = os.pathsep.join(f for f in folders if not (home and _within(f, home)))
    # Lines come as they are written, and in one encoding on every system.
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
        ProcessProblem: it cannot be started, or takes longer.
    """
    name = Path(command[0]).name
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
        raise ProcessProblem(
            f"{name} did not answer within {seconds:g} s. Try again, or choose another."
        ) from None
    except (OSError, ValueError):
        raise ProcessProblem(f"{name} cannot be started. Check that it is there and may be run.") from None


class Process:
    """A running program whose lines go to `log` as they come.

    With `tied`, it is handed a pipe that closes when this process ends, however it ends.

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
            raise ProcessProblem(
                f"{Path(command[0]).name} cannot be started. Check that it is there and may be run."
            ) from None
        self._log = log
        self._ending = threading.Lock()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="UniUltra log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid

    @property
    def status(self) -> Optional[int]:
        """Its exit status, None while it runs. When it is seen to have ended, what it started ends too."""
        with self._ending:
            status = self._process.poll()
            if status is not None and not self._ended:
                # Now, or never: later the system may give its number to another group.
                self._ended = True
                if not WINDOWS:
                    self._signal(force=True)
        return status

    def wait(self, seconds: float) -> Optional[int]:
        """Wait for its end at most so long; its exit status, None when it still runs."""
        until = time.monotonic() + seconds
        while (status := self.status) is None:
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.05))
        # A child of it may hold the pipe open: then the last lines are not waited for.
        self._reader.join(2)
        return status

    def stop(self, seconds: float = 10) -> None:
        """End it and all it started: asked first, after `seconds` by force. Returns when it has ended."""
        if self.status is None:
            self._signal(force=False)
            if self.wait(seconds) is None:
                self._signal(force=True)
                self.wait(5)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it is gone, which is what was wanted
                self._process.stdin.close()
        self._reader.join(2)

    def _signal(self, force: bool) -> None:
        if WINDOWS:
            command = ["taskkill", "/T", *(["/F"] if force else []), "/PID", str(self.pid)]
            subprocess.run(command, capture_output=True, check=False, **_no_window())
            return
        with contextlib.suppress(
            ProcessLookupError, PermissionError
        ):  # none is left; macOS raises the second
            # Its own session: the group holds it and its children only.
            os.killpg(self.pid, signal.SIGKILL if force else signal.SIGTERM)

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        try:
            # Bounded: a line without an end must not fill the memory.
            for line in iter(lambda: stream.readline(_MAX_LINE), b""):
                self._log.add(line.decode("utf-8", "replace"))
        except (OSError, ValueError):
            pass  # closed while it was read


def _no_window() -> Dict[str, Any]:
    return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0)} if WINDOWS else {}
