"""What the documents say is true: links lead somewhere, tables are the committed numbers, commands exist."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from uniultra.cli import main

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("", "docs", "training", "apps/uniultra", "apps/uniultra/model")
DOCUMENTS = sorted(str(file.relative_to(ROOT)) for folder in FOLDERS for file in (ROOT / folder).glob("*.md"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(project_root, name):
    path = project_root / name
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_tables_are_the_committed_numbers(project_root, tmp_path):
    script = project_root / "training" / "tables.py"
    spec = importlib.util.spec_from_file_location("tables", script)
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    filled = dict.fromkeys(tables.FILLED, tables.everything())
    for name, found in tables.CARDS.items():
        result = project_root / "training" / "results" / f"{found}.json"
        card = f"apps/uniultra/model/{name}.md"
        if (project_root / card).is_file():
            filled[card] = tables.card(json.loads(result.read_text(encoding="utf-8")))
    for name, found in filled.items():
        copy = tmp_path / "copy.md"
        copy.write_bytes((project_root / name).read_bytes())
        tables.fill(copy, found)
        assert copy.read_bytes() == (project_root / name).read_bytes(), f"{name}: run training/tables.py"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_are_understood(project_root, name):
    text = (project_root / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(?:\.venv/bin/)?uniultra (.+)$", text, re.MULTILINE):
        words = shlex.split(line, comments=True)
        main.parser().parse_args(words)


def test_the_readme_shows_pictures_that_are_there(project_root):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (project_root / "README.md").read_text(encoding="utf-8"))
    assert pictures
    for picture in pictures:
        assert (project_root / picture).stat().st_size < 1_000_000
