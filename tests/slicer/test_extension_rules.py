"""What Slicer demands of the extension's code: Python 3.9, only bundled packages, nothing done on import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXTENSION = Path(__file__).resolve().parents[2] / "slicer_extension"
FILES = sorted(EXTENSION.rglob("*.py"))
# What Slicer bundles, of what may be used here.
BUNDLED = {"numpy", "scipy", "requests", "urllib3", "pydicom", "vtk", "slicer", "qt", "ctk", "UniUltraLib"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXTENSION)))
def test_python_3_9_can_read_it(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"), feature_version=(3, 9))
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    code = [node for node in tree.body[1:] if not isinstance(node, ast.Expr)]
    assert future or not code, "annotations must not be evaluated on 3.9"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            names = {keyword.arg for keyword in node.keywords}
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert not (called == "zip" and "strict" in names), "zip(strict=) is Python 3.10"
            assert not (called == "dataclass" and names & {"slots", "kw_only"}), "Python 3.10"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXTENSION)))
def test_it_imports_only_what_slicer_bundles(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in BUNDLED or top in sys.stdlib_module_names, f"{top} does not come with Slicer"


CHECK = """
import builtins, socket, sys
sys.path.insert(0, sys.argv[1])
real = builtins.__import__
def guarded(name, *rest, **more):
    top = name.partition(".")[0]
    if top in sys.argv[2].split(","):
        raise ImportError("blocked: " + name)
    return real(name, *rest, **more)
builtins.__import__ = guarded
def no_socket(*a, **k): raise OSError("a socket was opened")
socket.socket.connect = socket.socket.bind = no_socket
for module in sys.argv[3].split(","):
    __import__("UniUltraLib." + module)
print("imported")
"""


NO_SERVER = "torch,monai,itk,sam2,uniultra"
LIBRARY = EXTENSION / "UniUltra" / "UniUltraLib"


@pytest.mark.parametrize("room", ["prompts", "wire", "control", "campaign", "measure", "local_server"])
def test_what_needs_no_slicer_works_without_it_and_opens_nothing(room: str, tmp_path: Path) -> None:
    imported(f"{NO_SERVER},slicer,vtk,qt,ctk", room, tmp_path)


@pytest.mark.parametrize("room", ["scene", "draw"])
def test_the_scene_works_without_qt_and_the_servers_packages(room: str, tmp_path: Path) -> None:
    pytest.importorskip("slicer", reason="slicer-core is not installed (it comes with the `test` extra)")
    imported(f"{NO_SERVER},qt,ctk", room, tmp_path)


def imported(blocked: str, room: str, folder: Path) -> None:
    modules = ",".join(
        f"{room}.{file.stem}" for file in sorted((LIBRARY / room).glob("*.py")) if file.stem != "__init__"
    )
    run = subprocess.run(
        [sys.executable, "-c", CHECK, str(EXTENSION / "UniUltra"), blocked, modules],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert run.stdout.strip().endswith("imported"), run.stderr
