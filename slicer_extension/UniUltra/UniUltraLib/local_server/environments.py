"""Finds and checks a Python environment on this machine that can run the server.

Slicer's own cannot: the server needs numpy 1 and pydicom 2. An environment is identified by its Python.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Tuple

from .processes import WINDOWS, ProcessProblem, output_of

HOME_VARIABLE = "UNIULTRA_HOME"
OLDEST = (0, 4)  # the first whose `/info/` has what the panel needs
# Marks an environment whose installation is under way, or was interrupted.
UNFINISHED = "uniultra-unfinished"
VERSION_SECONDS = 120.0  # limit for `--version`: the first start of a large environment reads many files
# Without the working folder on the search path: a folder named uniultra there would be imported.
_START = (
    "import runpy, sys; sys.path[:] = [p for p in sys.path if p]; "
    "runpy.run_module('uniultra.cli', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Environment:
    """A Python with UniUltra: its path, the version, and how it was found."""

    python: Path
    version: str
    found_by: str

    def command(self, *arguments: str) -> List[str]:
        """The command line of `uniultra ARGUMENTS` in this environment."""
        return [str(self.python), "-c", _START, *arguments]


@dataclass(frozen=True)
class Search:
    """The environment, if one was found, and why each other place was rejected."""

    environment: Optional[Environment]
    refused: Tuple[Tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The result as a sentence."""
        if self.environment is not None:
            return f"UniUltra {self.environment.version}, found by {self.environment.found_by}"
        if not self.refused:
            return "No environment with UniUltra was found on this machine. Name one, or create one."
        return "No environment fits. " + " ".join(f"{place}: {why}" for place, why in self.refused)


def own_home(home: Path) -> Path:
    """The folder for what this module creates: the environment and the studies folder."""
    return home / "UniUltra"


def places(
    chosen: str, environment: Mapping[str, str], home: Path, near: Optional[Path] = None
) -> Iterator[Tuple[Path, str]]:
    """Where to look, in this order, with a description of each place; only `chosen` if it is set.

    `near` is a file in a source tree.
    """
    if chosen.strip():
        yield Path(chosen.strip()).expanduser(), "the setting"
        return
    if environment.get(HOME_VARIABLE):
        yield Path(environment[HOME_VARIABLE]).expanduser(), f"the variable {HOME_VARIABLE}"
    yield own_home(home) / "environment", "the folder this module makes"
    tree = source_tree(near) if near is not None else None
    if tree is not None:
        yield tree, "the source tree of this module"
    for name in ("uniultra", ".uniultra"):
        yield home / name, "a folder in the home folder"
    program = shutil.which("uniultra", path=environment.get("PATH", ""))
    if program:
        yield Path(program), "the command uniultra"


def find(chosen: str, environment: Mapping[str, str], home: Path, near: Optional[Path] = None) -> Search:
    """Find the first place whose Python has a compatible UniUltra; runs one short command for each.

    Args:
        chosen: a Python, the command `uniultra`, an environment's folder, or one that holds `.venv`; or "".
        environment: variables, cleaned by `processes.clean_environment`.
    """
    refused: List[Tuple[str, str]] = []
    tested = set()
    for place, words in places(chosen, environment, home, near):
        python = python_in(place)
        if python is None:
            if chosen.strip():
                refused.append((words, "there is no Python environment. Choose its folder, or its Python."))
            continue
        if python in tested:
            continue
        tested.add(python)
        try:
            return Search(check(python, environment, words), tuple(refused))
        except ProcessProblem as problem:
            refused.append((words, str(problem)))
    return Search(None, tuple(refused))


def python_in(place: Path) -> Optional[Path]:
    """The Python of an environment given by its folder, its Python or one of its commands."""
    name = "python.exe" if WINDOWS else "python"
    if place.is_file():
        if re.fullmatch(r"python[\d.]*(\.exe)?", place.name.lower()):
            return place
        beside = place.resolve().parent / name  # `pipx` links to it from elsewhere
        return beside if beside.is_file() else None
    for folder in (place, place / ".venv", place / "venv"):
        if (folder / UNFINISHED).exists():
            continue
        python = folder / ("Scripts" if WINDOWS else "bin") / name
        if python.is_file():
            return python
    return None


def check(python: Path, environment: Mapping[str, str], found_by: str) -> Environment:
    """Ask a Python for the version of its UniUltra.

    Raises:
        ProcessProblem: it has no UniUltra, or one too old for this module.
    """
    answer = output_of(Environment(python, "", found_by).command("--version"), environment, VERSION_SECONDS)
    version = re.fullmatch(r"(\d+)\.(\d+)[\w.+-]*", answer.stdout.strip())
    if answer.returncode != 0 or version is None:
        missing = "No module named 'uniultra'" in answer.stderr
        raise ProcessProblem(
            "this Python has no UniUltra. Choose another environment, or create one."
            if missing
            else "its UniUltra does not start. Install it there again, or create an environment."
        )
    if (int(version.group(1)), int(version.group(2))) < OLDEST:
        raise ProcessProblem(
            f"its UniUltra is {version.group(0)}; this module needs {OLDEST[0]}.{OLDEST[1]} or newer. "
            "Update it there."
        )
    return Environment(python, version.group(0), found_by)


def source_tree(near: Path) -> Optional[Path]:
    """The source tree of UniUltra that contains a file or folder; None outside one."""
    parts = ("setup.cfg", "lib/uniultra/__init__.py", "apps/uniultra/main.py")
    folders = (near, *near.parents)
    return next((folder for folder in folders if all((folder / part).is_file() for part in parts)), None)
