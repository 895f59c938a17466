"""Finding, checking and creating the environment of a local server; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import venv
import zipfile
from pathlib import Path

import pytest
from tiny_project import make_tree
from UniUltraLib.local_server import environments, install_plan
from UniUltraLib.local_server.environments import UNFINISHED, Environment, find, python_in, source_tree
from UniUltraLib.local_server.install import InstallCancelled, make, unpack
from UniUltraLib.local_server.install_plan import find_python, plan
from UniUltraLib.local_server.process_log import ProcessLog
from UniUltraLib.local_server.processes import ProcessProblem, clean_environment, output_of

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(sys.executable)


@pytest.fixture(scope="module")
def made(tree: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment made as a person's would be, by a real venv and pip."""
    folder = tmp_path_factory.mktemp("home") / "with space" / "environment"
    log = ProcessLog()
    environment = make(plan(folder, tree, variables), variables, log, threading.Event())
    assert not (folder / UNFINISHED).exists()
    assert log.tail(1) == ["UniUltra 0.4.0 is ready."]
    return environment


def program(file: Path, line: str = "", shell: str = "/bin/sh") -> Path:
    """An executable script of one line."""
    file.write_text(f"#!{shell}\n{line}\n")
    file.chmod(0o755)
    return file


def test_what_is_slicers_is_left_out() -> None:
    home = str(Path("/opt/Slicer-5.8"))
    own = dict.fromkeys(("HOME", "HTTPS_PROXY", "PIP_INDEX_URL", "UNIULTRA_WEIGHTS"), "kept")
    cleaned = clean_environment(
        {
            "SLICER_HOME": home,
            "PATH": os.pathsep.join([home + "/bin", "/usr/bin", home, "/opt/Slicer-5.8-other/bin"]),
            **dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH"), home),
            **dict.fromkeys(("DYLD_LIBRARY_PATH", "QT_PLUGIN_PATH", "SSL_CERT_FILE"), home),
            **own,
        }
    )
    assert cleaned.pop("PATH").split(os.pathsep) == ["/usr/bin", "/opt/Slicer-5.8-other/bin"]
    assert cleaned == {**own, "PYTHONIOENCODING": "utf-8:replace", "PYTHONUNBUFFERED": "1"}


def test_slicers_python_path_does_not_reach_the_other_python(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('Slicer was here')")
    spoilt = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ask = [str(HERE), "-c", "print('clean')"]
    assert output_of(ask, spoilt, 60).stdout != "clean\n"
    assert output_of(ask, clean_environment(spoilt), 60).stdout == "clean\n"


def test_an_environment_was_made_and_is_found(
    made: Environment, tree: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    folder = made.python.parents[1]
    for chosen in (folder, made.python):
        search = find(str(chosen), variables, tmp_path)
        assert search.environment is not None
        assert search.environment.version == "0.4.0"
        assert search.text == "UniUltra 0.4.0, found by the setting"
    by_variable = find("", {**variables, "PATH": "", "UNIULTRA_HOME": str(folder)}, tmp_path).environment
    assert by_variable is not None and by_variable.found_by == "the variable UNIULTRA_HOME"
    command = program(folder / "bin" / "uniultra", shell=str(made.python))
    on_path = find("", {**variables, "PATH": str(command.parent)}, tmp_path).environment
    assert on_path is not None and on_path.found_by == "the command uniultra"
    shutil.copytree(folder, tmp_path / "UniUltra" / "environment", symlinks=True)
    own = find("", {**variables, "PATH": ""}, tmp_path).environment
    assert own is not None and own.found_by == "the folder this module makes"


def test_a_folder_of_that_name_is_not_taken_for_the_package(
    made: Environment, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uniultra").mkdir()
    (tmp_path / "uniultra" / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert find(str(made.python), variables, tmp_path).environment is not None


def test_this_projects_own_environment_is_found(variables: dict[str, str], tmp_path: Path) -> None:
    search = find(str(HERE), variables, tmp_path)
    assert search.environment is not None, search.text
    assert source_tree(ROOT / "slicer_extension" / "UniUltra") == ROOT


def test_places_that_do_not_do_say_why(variables: dict[str, str], tmp_path: Path) -> None:
    missing = find(str(tmp_path / "nothing"), variables, tmp_path)
    assert missing.environment is None
    assert "no Python environment" in missing.text
    venv.create(tmp_path / "bare", with_pip=False)
    assert "no UniUltra" in find(str(tmp_path / "bare"), variables, tmp_path).text
    nowhere = find("", {**variables, "PATH": ""}, tmp_path / "home")
    assert "create one" in nowhere.text
    bad = tmp_path / "bad" / "bin" / "python"
    bad.parent.mkdir(parents=True)
    bad.write_text("not a program")
    assert "cannot be started" in find(str(tmp_path / "bad"), variables, tmp_path).text


def test_an_old_or_slow_uniultra_is_refused(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_tree(tmp_path, version="0.3.9")
    venv.create(tmp_path / "env", with_pip=False)
    python = python_in(tmp_path / "env")
    assert python is not None
    [packages] = (tmp_path / "env").glob("lib/python*/site-packages")
    (packages / "uniultra.pth").write_text(str(old / "lib"))
    assert "is 0.3.9; this module needs 0.4" in find(str(python), variables, tmp_path).text
    (old / "lib" / "uniultra" / "cli.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(environments, "VERSION_SECONDS", 0.5)
    assert "did not answer" in find(str(python), variables, tmp_path).text


def test_the_question_says_what_how_much_and_from_where(
    tree: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    own = {**variables, "PIP_INDEX_URL": "https://me:secret@registry.example/simple"}
    text = plan(tmp_path / "env", tree, own).question
    assert "about 1.2 GB from registry.example, download.pytorch.org" in text
    assert "about 3.3 GB on the disk" in text and "free" in text
    assert str(tmp_path / "env") in text and str(tree) in text
    assert "secret" not in text
    large = plan(tmp_path / "env", tree, variables, gpu=True)
    assert "about 3.5 GB" in large.question
    assert "PIP_EXTRA_INDEX_URL" not in large.variables
    assert "download.pytorch.org" not in large.question


def test_uv_is_used_where_it_is(tree: Path, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    uv = program(tmp_path / "bin" / "uv")
    todo = plan(tmp_path / "env", tree, {**variables, "PATH": str(uv.parent)})
    first, second = (step.command for step in todo.steps)
    assert first[:2] == (str(uv), "venv") and first[-1] == str(tmp_path / "env")
    assert first[first.index("--python") + 1] == "3.12"  # none is here: uv fetches it
    own = {**variables, "PATH": f"{uv.parent}{os.pathsep}{variables['PATH']}"}
    there = plan(tmp_path / "env", tree, own)
    assert Path(there.steps[0].command[4]).is_absolute()
    assert "Python itself" not in there.question
    assert second[:5] == (str(uv), "pip", "install", "--python", str(todo.python))
    assert "Python itself" in todo.question
    assert todo.variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_plans_that_cannot_be(
    tree: Path, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProcessProblem, match="source tree"):
        plan(tmp_path / "env", tmp_path, variables)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.doc").touch()
    with pytest.raises(ProcessProblem, match="not empty"):
        plan(taken, tree, variables)
    with pytest.raises(ProcessProblem, match="uv"):
        plan(tmp_path / "env", tree, {**variables, "PATH": str(tmp_path)})
    monkeypatch.setattr(install_plan, "DISK_GPU", 10**18)
    with pytest.raises(ProcessProblem, match="Make room"):
        plan(tmp_path / "env", tree, variables, gpu=True)
    assert (taken / "thesis.doc").exists()


def test_a_python_that_fits_is_found(variables: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "python3.12", "echo 3 9 /usr/bin/python3.9")
    program(tmp_path / "python3.11", "exit 1")
    program(tmp_path / "python3", "echo 3 11 /usr/bin/python3.11")
    assert find_python({**variables, "PATH": str(tmp_path)}) == "/usr/bin/python3.11"


def test_a_step_that_fails_leaves_nothing_and_says_why(variables: dict[str, str], tmp_path: Path) -> None:
    broken = make_tree(tmp_path)
    (broken / "build_tool" / "backend.py").write_text("raise RuntimeError('the disk is on fire')")
    log = ProcessLog()
    todo = plan(tmp_path / "env", broken, variables)
    with pytest.raises(ProcessProblem, match="failed"):
        make(todo, variables, log, threading.Event())
    assert any("the disk is on fire" in line for line in log.tail(100))
    assert not (tmp_path / "env").exists()


def test_it_can_be_cancelled(tree: Path, variables: dict[str, str], tmp_path: Path) -> None:
    stop = threading.Event()
    log = ProcessLog()
    todo = plan(tmp_path / "env", tree, variables)
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    with pytest.raises(InstallCancelled):
        make(todo, variables, log, stop)
    assert time.monotonic() - started < 20
    assert not (tmp_path / "env").exists()


def test_an_unfinished_environment_is_not_used_and_made_again(
    made: Environment, tree: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(made.python.parents[1], half, symlinks=True)
    (half / UNFINISHED).touch()
    assert python_in(half) is None
    assert plan(half, tree, variables).folder == half


def test_sources_from_an_archive(tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "uniultra.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in tree.rglob("*"):
            packed.write(file, Path("uniultra-0.4.0") / file.relative_to(tree))
        packed.writestr("../outside.txt", "a member that wants out")
    assert unpack(archive, tmp_path / "in" / "sources") == tmp_path / "in" / "sources" / "uniultra-0.4.0"
    assert not (tmp_path / "in" / "outside.txt").exists()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("other/readme", "")
    with pytest.raises(ProcessProblem, match="no UniUltra"):
        unpack(tmp_path / "other.zip", tmp_path / "other")
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(ProcessProblem, match="unpack"):
        unpack(tmp_path / "no.zip", tmp_path / "no")
