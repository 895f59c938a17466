"""Plans an environment for the server: commands, sizes, sources, and the question to ask first.

Nothing is executed or downloaded here; `install` does so once the question is answered.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from .environments import UNFINISHED, source_tree
from .processes import WINDOWS, ProcessProblem, output_of

# MONAI Label 0.8.5 needs numpy 1.26, which has no wheels for newer versions of Python.
PYTHONS = ((3, 12), (3, 11))
PROCESSOR_INDEX = "https://download.pytorch.org/whl/cpu"
REGISTRY = "https://pypi.org/simple"
# Bytes on disk: measured on Linux with the versions of constraints.txt (2026-11). Bytes of the download: an
# estimate. The smaller numbers are without NVIDIA libraries.
DISK_GPU, DISK_PROCESSOR = 6_900_000_000, 3_300_000_000
DOWNLOAD_GPU, DOWNLOAD_PROCESSOR = 3_500_000_000, 1_200_000_000


@dataclass(frozen=True)
class Step:
    """One command, and the text to show while it runs."""

    text: str
    command: Tuple[str, ...]


@dataclass(frozen=True)
class InstallPlan:
    """An installation that is not started yet: its commands in order, and the question to ask first.

    Attributes:
        folder: of the environment, to be created.
        python: the future Python of the environment.
        steps: the commands.
        variables: environment variables for the commands, in addition to the machine's.
        question: what is downloaded from where, how large it is, what changes on this machine.
    """

    folder: Path
    python: Path
    steps: Tuple[Step, ...]
    variables: Mapping[str, str]
    question: str


def plan(folder: Path, source: Path, environment: Mapping[str, str], *, gpu: bool = False) -> InstallPlan:
    """Plan an environment in `folder` for the UniUltra in the source tree `source`, with `uv` if installed.

    Args:
        environment: variables, cleaned by `processes.clean_environment`.
        gpu: include the NVIDIA libraries, most of the download; on Linux only: elsewhere PyPI's PyTorch has
            none.

    Raises:
        ProcessProblem: no source tree, a folder in use, too little space, or neither `uv` nor a Python.
    """
    tree = source_tree(source)
    if tree is None:
        raise ProcessProblem(
            "UniUltra's source tree was not found. Download the project, unpack it, and choose its folder."
        )
    free = _free_room(folder, DISK_GPU if gpu else DISK_PROCESSOR)
    uv = shutil.which("uv", path=environment.get("PATH", ""))
    base = _base(uv, environment)
    python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
    processor_only = sys.platform.startswith("linux") and not gpu
    limits = tree / "constraints.txt"
    steps = (
        Step("Creating the environment", _create(uv, base, folder)),
        Step("Installing UniUltra and its packages", _install(uv, python, limits, tree)),
    )
    variables = _variables(environment, limits, processor_only)
    registries = [_registry(environment, uv), *([PROCESSOR_INDEX] if processor_only else [])]
    # Host names only: an address may contain a password.
    hosts = dict.fromkeys(urlsplit(r).hostname or "a folder on this machine" for r in registries)
    download, disk = (DOWNLOAD_GPU, DISK_GPU) if gpu else (DOWNLOAD_PROCESSOR, DISK_PROCESSOR)
    question = (
        "Create an environment for the UniUltra server?\n\n"
        f"Downloads: PyTorch ({'with' if gpu else 'without'} the libraries for NVIDIA cards), MONAI Label, "
        f"ITK and about 100 other packages{'' if base else ' and Python itself (about 30 MB, github.com)'}: "
        f"about {_gigabytes(download)} from {', '.join(hosts)}.\n"
        f"Takes about {_gigabytes(disk)} on the disk ({_gigabytes(free)} are free), in {folder}.\n"
        f"UniUltra itself and its weights come from {tree}, which must stay where it is.\n\n"
        "No image and nothing about you is sent. Nothing else on this machine changes; deleting the folder "
        "undoes it."
    )
    return InstallPlan(folder, python, steps, variables, question)


def _free_room(folder: Path, need: int) -> int:
    """The free bytes on the disk of a future environment.

    Raises:
        ProcessProblem: the folder is not empty, or there are fewer than `need`.
    """
    if folder.exists() and not (folder / UNFINISHED).exists() and any(folder.iterdir()):
        raise ProcessProblem(
            f"The folder {folder.name!r} for the environment exists and is not empty. Choose another."
        )
    free = shutil.disk_usage(next(f for f in (folder, *folder.parents) if f.exists())).free
    if free < need:
        raise ProcessProblem(
            f"Expected {_gigabytes(need)} of free space for the environment; there are {_gigabytes(free)}. "
            "Make room, or choose a folder on another disk."
        )
    return free


def _base(uv: Optional[str], environment: Mapping[str, str]) -> Optional[str]:
    """The Python to create the environment with; None when `uv` has to download one."""
    try:
        return find_python(environment)
    except ProcessProblem:
        if uv is None:
            raise
        return None


_WHICH = "import sys, venv, ensurepip; print(*sys.version_info[:2], sys.executable)"


def find_python(environment: Mapping[str, str]) -> str:
    """A Python on this machine that can create the environment.

    Raises:
        ProcessProblem: none has a suitable version.
    """
    versions = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    for command in _pythons():
        program = shutil.which(command[0], path=environment.get("PATH", ""))
        if program is None:
            continue
        try:
            answer = output_of([program, *command[1:], "-c", _WHICH], environment, 20)
        except ProcessProblem:
            continue
        match = re.fullmatch(r"(\d+) (\d+) (.+)", answer.stdout.strip())
        if answer.returncode == 0 and match and (int(match.group(1)), int(match.group(2))) in PYTHONS:
            return match.group(3)
    raise ProcessProblem(
        f"Expected Python {versions} or the program uv on this machine; found neither. Install one of them "
        "(on Debian and Ubuntu with python3-venv), then try again."
    )


def _pythons() -> Iterator[List[str]]:
    for major, minor in PYTHONS:
        if WINDOWS:
            yield ["py", f"-{major}.{minor}"]
        yield [f"python{major}.{minor}"]
    yield ["python3"]
    yield ["python"]


def _create(uv: Optional[str], base: Optional[str], folder: Path) -> Tuple[str, ...]:
    if uv is None:
        return str(base), "-m", "venv", str(folder)
    version = base or ".".join(map(str, PYTHONS[0]))
    return uv, "venv", "--allow-existing", "--python", version, str(folder)


def _install(uv: Optional[str], python: Path, limits: Path, tree: Path) -> Tuple[str, ...]:
    pip = (uv, "pip", "install", "--python", str(python)) if uv else (str(python), "-m", "pip", "install")
    pinned = ("-c", str(limits)) if limits.is_file() else ()
    built = ("--build-constraints", str(limits)) if pinned and uv else ()
    return (*pip, *pinned, *built, "-e", str(tree))


def _variables(environment: Mapping[str, str], limits: Path, processor_only: bool) -> Dict[str, str]:
    """Settings of pip and uv: how sam2, a source package, is built, and where PyTorch comes from."""
    variables = {"SAM2_BUILD_CUDA": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if limits.is_file():
        # The isolated build must use the same PyTorch. A URI, because pip splits paths at spaces.
        variables.update(PIP_CONSTRAINT=limits.as_uri(), PIP_BUILD_CONSTRAINT=limits.as_uri())
    if processor_only:
        for key in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"):
            variables[key] = f"{environment.get(key, '')} {PROCESSOR_INDEX}".strip()
        # Like pip: of a version that both indices have, `+cpu` is the newer one.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _registry(environment: Mapping[str, str], uv: Optional[str]) -> str:
    keys = ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if uv else ("PIP_INDEX_URL",)
    return next((environment[key] for key in keys if environment.get(key)), REGISTRY)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
