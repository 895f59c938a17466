"""Creates an environment for the server: runs the commands of a plan and checks the result."""

from __future__ import annotations

import shutil
import threading
import zipfile
from pathlib import Path
from typing import Mapping

from .environments import UNFINISHED, Environment, check, source_tree
from .install_plan import InstallPlan
from .process_log import ProcessLog
from .processes import Process, ProcessProblem


class InstallCancelled(ProcessProblem):
    """The person stopped the installation; its files were removed."""


def make(
    plan: InstallPlan, environment: Mapping[str, str], log: ProcessLog, cancelled: threading.Event
) -> Environment:
    """Create the environment of a plan whose question was answered with yes; blocks for minutes.

    Raises:
        ProcessProblem: a command failed (the log says why), or the result does not start.
        InstallCancelled: `cancelled` was set.
    """
    if (plan.folder / UNFINISHED).exists():
        shutil.rmtree(plan.folder)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        (plan.folder / UNFINISHED).touch()
        for step in plan.steps:
            log.add(f"{step.text} ...")
            _run(step.command, {**environment, **plan.variables}, log, cancelled)
        created = check(plan.python, environment, "creating it")
        (plan.folder / UNFINISHED).unlink()
    except (OSError, ProcessProblem) as error:
        # Only a folder this module began to fill: a complete environment carries no mark.
        if (plan.folder / UNFINISHED).exists():
            shutil.rmtree(plan.folder, ignore_errors=True)
        if isinstance(error, ProcessProblem):
            raise
        raise ProcessProblem(
            "The environment's folder cannot be written. Choose another folder, or free some space."
        ) from None
    log.add(f"UniUltra {created.version} is ready.")
    return created


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a .zip of UniUltra's sources into `folder`; returns the source tree in it.

    Raises:
        ProcessProblem: the file is not such an archive.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)  # keeps members within the folder, whatever their names
    except (zipfile.BadZipFile, OSError):
        raise ProcessProblem(
            "Expected a .zip of UniUltra's sources; it cannot be unpacked. Download it again."
        ) from None
    for place in (folder, *sorted(f for f in folder.iterdir() if f.is_dir())):
        if source_tree(place) == place:
            return place
    raise ProcessProblem("The archive holds no UniUltra sources. Download the project's own .zip.")


def _run(
    command: "tuple[str, ...]", environment: Mapping[str, str], log: ProcessLog, cancelled: threading.Event
) -> None:
    running = Process(command, environment, log)
    try:
        while (status := running.wait(0.2)) is None:
            if cancelled.is_set():
                raise InstallCancelled("Stopped; nothing was kept. Start again at any time.")
    finally:
        running.stop(3)
    if status != 0:
        name = Path(command[0]).name
        raise ProcessProblem(f"{name} failed (status {status}): {log.reason()} The log has more.")
