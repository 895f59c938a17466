"""What creating an environment for the server would do: from what, with what, how much, where.

Nothing is done or downloaded here; `environment_maker` does it after the question was answered.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from .environments import UNFINISHED, source_tree
from .processes import WINDOWS, ProcessProblem, output_of

# numpy 1.26, which MONAI Label 0.8.5 needs, is the last of its line and has no wheels for newer ones.
PYTHONS = ((3, 12), (3, 11))
PROCESSOR_INDEX = "https://download.pytorch.org/whl/cpu"
REGISTRY = "https://pypi.org/simple"
# Bytes on the disk: of an installation on Linux with the versions of constraints.txt (2026-11). Of the
# download: an estimate. Without a graphics card no NVIDIA library comes along.
DISK_GPU, DISK_PROCESSOR = 6_900_000_000, 3_300_000_000
DOWNLOAD_GPU, DOWNLOAD_PROCESSOR = 3_500_000_000, 1_200_000_000


@dataclass(frozen=True)
class Step:
    """One command, and what to say while it runs."""

    text: str
    command: Tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What will be done, in order, and the question to ask before.

    Attributes:
        folder: the environment's, which is made.
        source: UniUltra's source tree, which is used where it lies.
        python: the environment's Python, once it is made.
        steps: the commands.
        variables: what their environment holds besides.
        question: what is downloaded from where, how large it is, what changes on this machine.
    """

    folder: Path
    source: Path
    python: Path
    steps: Tuple[Step, ...]
    variables: Mapping[str, str]
    question: str


def plan(
    folder: Path,
    source: Path,
    environment: Mapping[str, str],
    *,
    gpu: bool = False,
    uv: bool = True,
    options: Sequence[str] = (),
    linux: Optional[bool] = None,
) -> Plan:
    """Plan an environment in `folder` for the UniUltra in the source tree `source`.

    Args:
        environment: cleaned, see `processes.clean_environment`.
        gpu: with the libraries for an NVIDIA card, most of the download; on Linux only, elsewhere PyPI's
            PyTorch has none.
        uv: use `uv` when it is there.
        options: further options of the installer.
        linux: whether to plan for Linux; this system by default.

    Raises:
        ProcessProblem: no source tree, the folder is taken, too little room, or neither `uv` nor a Python.
    """
    tree = source_tree(source)
    if tree is None:
        raise ProcessProblem(
            "UniUltra's source tree is not there. Download the project, unpack it, and choose its folder."
        )
    if folder.exists() and not (folder / UNFINISHED).exists() and any(folder.iterdir()):
        raise ProcessProblem(
            f"The folder {folder.name!r} for the environment is there and not empty. Choose another."
        )
    need, free = DISK_GPU if gpu else DISK_PROCESSOR, shutil.disk_usage(_existing(folder)).free
    if not options and free < need:
        raise ProcessProblem(
            f"Expected {_gigabytes(need)} of free room for the environment; there are {_gigabytes(free)}. "
            "Make room, or choose a folder on another disk."
        )
    tool = shutil.which("uv", path=environment.get("PATH", "")) if uv else None
    base = _base(tool, environment)
    python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")
    on_linux = sys.platform.startswith("linux") if linux is None else linux
    lean = on_linux and not gpu
    pip = [tool, "pip", "install", "--python", str(python)] if tool else [str(python), "-m", "pip", "install"]
    limits = tree / "constraints.txt"
    pinned = ["-c", str(limits)] if limits.is_file() else []
    pinned += ["--build-constraints", str(limits)] if pinned and tool else []
    steps = (
        _make_step(tool, base, folder),
        Step("Installing UniUltra and what it needs", (*pip, *options, *pinned, "-e", str(tree))),
    )
    question = _question(folder, tree, environment, gpu, lean, tool, base, free)
    return Plan(folder, tree, python, steps, _variables(environment, limits, lean), question)


def _base(tool: Optional[str], environment: Mapping[str, str]) -> Optional[str]:
    """The Python to make the environment from; None when `uv` has to fetch one."""
    try:
        return find_python(environment)
    except ProcessProblem:
        if tool is None:
            raise
        return None


def find_python(environment: Mapping[str, str]) -> str:
    """A Python on this machine that an environment can be made from.

    Raises:
        ProcessProblem: there is none of the versions that fit.
    """
    wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    for command in _pythons():
        program = shutil.which(command[0], path=environment.get("PATH", ""))
        if program is None:
            continue
        try:
            ask = [
                program,
                *command[1:],
                "-c",
                "import sys, venv, ensurepip; print(*sys.version_info[:2], sys.executable)",
            ]
            answer = output_of(ask, environment, 20)
        except ProcessProblem:
            continue
        found = re.fullmatch(r"(\d+) (\d+) (.+)", answer.stdout.strip())
        if answer.returncode == 0 and found and (int(found.group(1)), int(found.group(2))) in PYTHONS:
            return found.group(3)
    raise ProcessProblem(
        f"Expected Python {wanted} or the program uv on this machine; found neither. Install one of them (on "
        "Debian and Ubuntu with python3-venv), then try again."
    )


def _pythons() -> Iterator[List[str]]:
    for major, minor in PYTHONS:
        if WINDOWS:
            yield ["py", f"-{major}.{minor}"]
        yield [f"python{major}.{minor}"]
    yield ["python3"]
    yield ["python"]


def _make_step(tool: Optional[str], base: Optional[str], folder: Path) -> Step:
    if tool:
        version = base or f"{PYTHONS[0][0]}.{PYTHONS[0][1]}"
        return Step(
            "Making the environment", (tool, "venv", "--allow-existing", "--python", version, str(folder))
        )
    return Step("Making the environment", (str(base), "-m", "venv", str(folder)))


def _variables(environment: Mapping[str, str], limits: Path, lean: bool) -> Dict[str, str]:
    """For pip and uv alike: how sam2, a source package, is built, and where PyTorch comes from."""
    variables = {"SAM2_BUILD_CUDA": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if limits.is_file():
        # Its isolated build must see the same PyTorch. An address, because pip splits a path at its spaces.
        variables.update(PIP_CONSTRAINT=limits.as_uri(), PIP_BUILD_CONSTRAINT=limits.as_uri())
    if lean:
        for key in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"):
            variables[key] = f"{environment.get(key, '')} {PROCESSOR_INDEX}".strip()
        # As pip does: of a version that both have, the `+cpu` one is the newer.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _question(
    folder: Path,
    tree: Path,
    environment: Mapping[str, str],
    gpu: bool,
    lean: bool,
    tool: Optional[str],
    base: Optional[str],
    free: int,
) -> str:
    download, disk = (DOWNLOAD_GPU, DISK_GPU) if gpu else (DOWNLOAD_PROCESSOR, DISK_PROCESSOR)
    hosts = [_host(registry) for registry in _registries(environment, tool)]
    if lean:
        hosts.append(_host(PROCESSOR_INDEX))
    python = "" if base else " and Python itself (about 30 MB, github.com)"
    card = "with" if gpu else "without"
    return (
        "Create an environment for the UniUltra server?\n\n"
        f"Downloads: PyTorch ({card} the libraries for NVIDIA cards), MONAI Label, ITK and about 100 other "
        f"packages{python}: about {_gigabytes(download)} from {', '.join(dict.fromkeys(hosts))}.\n"
        f"Takes about {_gigabytes(disk)} on the disk ({_gigabytes(free)} are free), in {folder}.\n"
        f"UniUltra itself and its weights come from {tree}, which must stay where it is.\n\n"
        "No image and nothing about you is sent. Nothing else on this machine changes; deleting the folder "
        "undoes it."
    )


def _registries(environment: Mapping[str, str], tool: Optional[str]) -> List[str]:
    keys = ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if tool else ("PIP_INDEX_URL",)
    named = [environment[key] for key in keys if environment.get(key)]
    return named[:1] or [REGISTRY]


def _host(address: str) -> str:
    """The host alone: an address may hold a password."""
    return urlsplit(address).hostname or "a folder on this machine"


def _existing(folder: Path) -> Path:
    return next(f for f in (folder, *folder.parents) if f.exists())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
