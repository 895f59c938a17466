"""Creates an environment for the server: asks, runs the plan's commands, checks what came out."""

from __future__ import annotations

import shutil
import threading
import zipfile
from pathlib import Path
from typing import Callable, Mapping, Optional

from .environments import UNFINISHED, Environment, check, source_tree
from .install_plan import Plan
from .process_log import ProcessLog
from .processes import Process, ProcessProblem

FOUND_BY = "making it"


class Cancelled(ProcessProblem):
    """A person stopped it; nothing was kept."""


def make(
    plan: Plan,
    ask: Callable[[str], bool],
    environment: Mapping[str, str],
    log: ProcessLog,
    cancelled: Optional[threading.Event] = None,
) -> Optional[Environment]:
    """Make the environment of a plan; None when `ask(plan.question)` says no, and then nothing was done.

    Blocks for minutes: call `ask` through whatever brings it to the GUI's thread.

    Raises:
        ProcessProblem: a command failed (the log says why), or the result does not start.
        Cancelled: `cancelled` was set.
    """
    if not ask(plan.question):
        return None
    stop = cancelled or threading.Event()
    if (plan.folder / UNFINISHED).exists():
        shutil.rmtree(plan.folder)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        (plan.folder / UNFINISHED).touch()
        for step in plan.steps:
            log.add(f"{step.text} ...")
            _run(step.command, {**environment, **plan.variables}, log, stop)
        found = check(plan.python, environment, FOUND_BY)
        (plan.folder / UNFINISHED).unlink()
    except OSError:
        _remove(plan.folder)
        raise ProcessProblem(
            "The environment's folder cannot be written. Choose another folder, or free some room."
        ) from None
    except ProcessProblem:
        _remove(plan.folder)
        raise
    log.add(f"UniUltra {found.version} is ready.")
    return found


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a .zip of UniUltra's sources into `folder`; gives the source tree in it.

    Raises:
        ProcessProblem: it is no such archive.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)  # keeps members within the folder, whatever they are called
    except (zipfile.BadZipFile, OSError):
        raise ProcessProblem(
            "Expected a .zip of UniUltra's sources; it cannot be unpacked. Download it again."
        ) from None
    for place in (folder, *sorted(f for f in folder.iterdir() if f.is_dir())):
        if source_tree(place) == place:
            return place
    raise ProcessProblem("The archive holds no UniUltra sources. Download the project's own .zip.")


def _run(
    command: "tuple[str, ...]", environment: Mapping[str, str], log: ProcessLog, stop: threading.Event
) -> None:
    running = Process(command, environment, log)
    try:
        while (status := running.wait(0.2)) is None:
            if stop.is_set():
                raise Cancelled("Stopped; nothing was kept. Start again at any time.")
    finally:
        running.stop(3)
    if status != 0:
        name = Path(command[0]).name
        raise ProcessProblem(f"{name} failed (status {status}): {log.reason()} The log has more.")


def _remove(folder: Path) -> None:
    """Only what this module began: the mark goes last."""
    if (folder / UNFINISHED).exists():
        shutil.rmtree(folder, ignore_errors=True)
