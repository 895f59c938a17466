"""What can be known of the panel without running it: names, files, keys, and what the Index demands."""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXTENSION = ROOT / "slicer_extension"
MODULE = EXTENSION / "UniUltra"
UI = MODULE / "Resources" / "UI" / "UniUltra.ui"
LIBRARY = MODULE / "UniUltraLib"
PANEL = sorted([MODULE / "UniUltra.py", LIBRARY / "draw" / "tools.py", *(LIBRARY / "panel").glob("*.py")])

# Slicer's own keys: user_interface.md, segmenteditor.md (with its Draw and Paint effects), markups.md, the
# sequence toolbar of its source. Keys of a plot view count only in one, and the panel opens none.
SLICE_VIEWS = "B F V R G T [ ] { } Left Right Up Down"
SEGMENT_EDITOR = "Q W Z Y I Esc Space 1 2 3 4 5 6 7 8 9 0 A X Return Enter + - ="
VIEWS_3D = "End Home PgUp PgDown Insert Ctrl+B"
APPLICATION = (
    "Ctrl+F Ctrl+O Ctrl+S Ctrl+W Ctrl+H Ctrl+0 Ctrl+1 Ctrl+2 Ctrl+3 Ctrl+4 Ctrl+5 Ctrl+` Ctrl+G Ctrl+V Del"
)
TOOLBARS = "Ctrl+Shift+A Ctrl+Shift+T Ctrl+Shift+Space Ctrl+Shift+Left Ctrl+Shift+Right Ctrl+Shift+Down"
SLICERS = set(" ".join((SLICE_VIEWS, SEGMENT_EDITOR, VIEWS_3D, APPLICATION, TOOLBARS)).split())


def widgets() -> dict[str, str]:
    """Name -> class of every widget of the .ui."""
    return {node.get("name", ""): node.get("class", "") for node in ET.parse(UI).iter("widget")}


def named_in(tree: ast.AST) -> set[str]:
    """Every X of `….ui.X`, and every string that names a widget by Qt's habit of an ending."""
    endings = re.compile(
        r"^[a-z][A-Za-z]+(Button|Check|Combo|Edit|Label|Bar|Frame|Section|Table|List|Path|Selector)$"
    )
    names = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and getattr(node.value, "attr", getattr(node.value, "id", "")) == "ui"
        ):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and endings.match(node.value):
            names.add(node.value)
    return names


@pytest.mark.parametrize("file", PANEL, ids=lambda file: file.name)
def test_every_widget_that_the_code_names_is_in_the_ui(file: Path) -> None:
    missing = named_in(ast.parse(file.read_text("utf-8"))) - set(widgets())
    assert not missing


def test_every_widget_that_a_person_can_use_is_named_in_the_code() -> None:
    used = set().union(*(named_in(ast.parse(file.read_text("utf-8"))) for file in PANEL))
    idle = ("QFrame", "QWidget", "qMRMLWidget", "ctkCollapsibleButton", "ctkCollapsibleGroupBox", "QLabel")
    assert {name for name, kind in widgets().items() if kind not in idle} <= used


def test_names_are_given_once_and_own_widgets_are_declared() -> None:
    tree = ET.parse(UI)
    names = [node.get("name") for node in tree.iter() if node.tag in ("widget", "layout", "spacer")]
    assert len(names) == len(set(names))
    declared = {node.findtext("class") for node in tree.iter("customwidget")}
    assert {kind for kind in widgets().values() if not re.match(r"Q[A-Z]", kind)} == declared


def test_every_widget_of_slicers_gets_the_scene() -> None:
    given = {node.findtext("receiver") for node in ET.parse(UI).iter("connection")}
    assert {name for name, kind in widgets().items() if kind.startswith("qMRML")} - {"UniUltra"} == given


def test_every_control_has_a_tool_tip() -> None:
    for node in ET.parse(UI).iter("widget"):
        if re.search(r"Button|ComboBox|LineEdit|CheckBox|Selector", node.get("class", "")):
            if node.get("class") == "ctkCollapsibleButton":
                continue
            tips = [p.findtext("string") for p in node.findall("property") if p.get("name") == "toolTip"]
            assert tips and tips[0], node.get("name")


def test_keys_collide_neither_with_slicers_nor_with_each_other() -> None:
    from UniUltraLib.panel.keys import KEYS

    sequences = list(KEYS.values())
    assert len(set(sequences)) == len(sequences)
    assert not set(sequences) & SLICERS
    assert set(KEYS) <= set(widgets())


def test_a_person_may_choose_other_keys_or_none() -> None:
    from UniUltraLib.panel.keys import chosen, labelled

    mine = chosen({"nextButton": "Ctrl+J", "acceptButton": ""})
    assert mine["nextButton"] == "Ctrl+J" and mine["acceptButton"] == "" and mine["boxButton"] == "E"
    assert labelled("Accept", "") == "Accept" and labelled("Box", "E") == "Box (E)"


def test_cmake_lists_every_file() -> None:
    listed = set(
        re.findall(r"^\s+((?:\w+/)*[\w.]+\.\w+)$", (MODULE / "CMakeLists.txt").read_text("utf-8"), re.M)
    )
    there = {
        str(file.relative_to(MODULE))
        for file in MODULE.rglob("*")
        if file.is_file() and not {"__pycache__", "Testing", ".mypy_cache"} & set(file.parts)
    } - {"CMakeLists.txt"}
    assert listed == there
    tests = (MODULE / "Testing" / "Python" / "CMakeLists.txt").read_text("utf-8")
    assert all(file.name in tests for file in (MODULE / "Testing" / "Python").glob("*.py"))


def test_the_root_meets_the_rules_of_the_extensions_index() -> None:
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    name = re.search(r"project\s*\(\s*(\w+)", text)
    assert name and name.group(1) == "UniUltra" and not name.group(1).startswith("Slicer")
    for key in ("ICONURL", "SCREENSHOTURLS"):
        (url,) = re.findall(rf'set\s*\(EXTENSION_{key}\s*"([^"]+)"\)', text)
        assert url.startswith("https://") and url.endswith((".png", ".jpg"))
        assert (ROOT / url.partition("/main/")[2]).is_file(), url
    assert (ROOT / "LICENSE").is_file()
    entry = json.loads((EXTENSION / f"{name.group(1)}.json").read_text("utf-8"))
    allowed = {
        "$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier",
    }  # fmt: skip
    assert set(entry) <= allowed and {"$schema", "category", "scm_url"} <= set(entry)
    assert entry["scm_url"].rpartition("/")[2].startswith("Slicer") and entry["tier"] in (1, 3, 5)
    assert f'EXTENSION_CATEGORY "{entry["category"]}"' in text


def test_icons_that_the_code_names_are_there() -> None:
    icons = MODULE / "Resources" / "Icons"
    assert {file.stem for file in icons.glob("*.png")} == {file.stem for file in icons.glob("*.svg")}
    used = set()
    for file in PANEL:
        used |= set(re.findall(r'"(\w+)\.png"', file.read_text("utf-8")))
    assert used <= {file.stem for file in icons.glob("*.png")}
