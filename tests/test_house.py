"""Rules of the house that no linter knows: unique class names, small folders, documents naming real files."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, PANEL = ROOT / "lib" / "uniultra", ROOT / "slicer_extension" / "UniUltra" / "UniUltraLib"
MOST_FILES, MOST_LINES = 25, 400


@pytest.mark.parametrize("root", [LIBRARY, PANEL], ids=["library", "panel"])
def test_a_class_name_stands_for_one_thing(root: Path) -> None:
    places = defaultdict(list)
    for file in root.rglob("*.py"):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(file.relative_to(root)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("root", [LIBRARY, PANEL], ids=["library", "panel"])
def test_folders_and_files_stay_small(root: Path) -> None:
    folders = [folder for folder in (root, *root.rglob("*")) if folder.is_dir()]
    assert [str(f) for f in folders if len(list(f.glob("*.py"))) > MOST_FILES] == []
    files = {file.name: len(file.read_text("utf-8").splitlines()) for file in root.rglob("*.py")}
    assert {name: lines for name, lines in files.items() if lines > MOST_LINES} == {}


def test_at_least_25_public_things_have_an_example_that_runs() -> None:
    """`make test` runs them by `pytest --doctest-modules lib/uniultra`."""
    nodes = [n for file in LIBRARY.rglob("*.py") for n in ast.walk(ast.parse(file.read_text("utf-8")))]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    assert sum(">>> " in (ast.get_docstring(n) or "") for n in nodes if isinstance(n, kinds)) >= 25


def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text("utf-8")


def behaviours() -> list[tuple[str, str, str, str]]:
    """The rows of the table of behaviours: (behaviour, file, symbol, guess)."""
    row = re.compile(r"^\| ([^|]+) \| `([\w/.]+\.py)::(\w+)` \| (?:`([^`|]+)`)? ?\|$", re.MULTILINE)
    return row.findall(architecture())


def defined(file: Path) -> set[str]:
    """Names that a module defines at its top level."""
    names = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_twenty_behaviours_are_where_the_table_says() -> None:
    rows = behaviours()
    assert len(rows) == 20
    for behaviour, file, symbol, _ in rows:
        assert symbol in defined(ROOT / file), behaviour


def test_a_reader_of_the_tree_alone_guessed_at_least_eighteen() -> None:
    assert sum(guess == file for _, file, _, guess in behaviours()) >= 18


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_document_names_exist(name: str) -> None:
    roots = (ROOT, LIBRARY, PANEL)
    text = (ROOT / name).read_text("utf-8")
    for path, _, symbol in re.findall(r"`([\w/]+/[\w.]+\.(?:py|ui|md|yaml|csv))(::(\w+)[\w.]*)?`", text):
        file = next((root / path for root in roots if (root / path).is_file()), None)
        assert file is not None, path
        assert not symbol or symbol in defined(file), f"{path}::{symbol}"
