"""What is kept in the saved scene: prompts, masks, done frames; and what must not stay: observers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from slicer_harness import load_scene, save_scene
from UniUltraLib.prompts.prompt_set import PromptBook, PromptSet
from UniUltraLib.scene.coordinates import ijk_to_world
from UniUltraLib.scene.open_volume import nodes_of
from UniUltraLib.scene.scene import SlicerScene

# Turned about two axes, so that no number of it is short when it is written as text.
TILTED = np.eye(4)
TILTED[:3] = np.c_[
    np.linalg.qr([[3, 1, 0.2], [-1, 2, 0.3], [0.1, 0.5, 2]])[0] * [0.4, 0.5, 0.8], [10 / 3, -20 / 7, 5]
]


def mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((90, 120)) < 0.4


def prompts_of(shown: Any, seed: int) -> PromptBook:
    book = PromptBook()
    prompts = PromptSet(shown.size, shown.plane).with_prompt(
        "point", (9 + seed, 8, shown.plane.index), f"a|{seed};b"
    )
    scribble = np.random.default_rng(seed).random(shown.shape) < 0.1
    book.put(shown.key, "segment", prompts.with_prompt("scribble", scribble, "ä", positive=False))
    return book


@pytest.mark.parametrize("image_id", ["study__7 ü", None], ids=["of the campaign", "an own image"])
def test_a_saved_volume_comes_back_with_prompts_and_masks(
    scene: Any, side: SlicerScene, application: Any, tmp_path: Path, image_id: str | None
) -> None:
    node = examples.volume(TILTED)
    examples.move(scene, node)
    view = examples.slice_node(scene, shows=node)
    side.open(node, image_id)
    examples.askew(view, ijk_to_world(node, [(60, 45, 20)])[0])
    oblique = side.shown()
    names = [side.add_segment(name) for name in ("cyst", "wall")]
    side.write(names[0], oblique, np.ones(oblique.shape, bool))
    held = {name: side.read(name, oblique) for name in names}
    for n, name in enumerate(names):
        side.save_prompts(name, prompts_of(oblique, n).to_tag("segment"))
    save_scene(scene, tmp_path)
    side.close()
    load_scene(application, tmp_path)

    (again,) = [n for n in nodes_of(scene, "vtkMRMLVolumeNode") if n.GetName() == "image"]
    side.open(again)
    side.set_view(nodes_of(scene, "vtkMRMLSliceNode")[0])
    shown = side.shown()
    assert shown.key == oblique.key and shown.size == oblique.size, "the oblique view is known again"
    assert [s.name for s in side.segments()] == ["cyst", "wall"] and side.image_id == image_id
    for n, name in enumerate(names):
        book = PromptBook()
        book.from_tag("segment", side.load_prompts(name))
        expected = prompts_of(oblique, n).get(oblique.key, oblique.plane, "segment", oblique.size)
        assert book.get(shown.key, shown.plane, "segment", shown.size) == expected
        np.testing.assert_array_equal(side.read(name, shown), held[name])


def test_a_saved_cine_comes_back_with_prompts_masks_and_done_frames(
    scene: Any, side: SlicerScene, application: Any, tmp_path: Path
) -> None:
    browser = examples.cine(scene)
    side.open(browser, "echo")
    names = [side.add_segment("ventricle", (1, 0, 0)), side.add_segment("atrium", (0, 1, 0))]
    for frame in (0, 3):
        examples.browse(browser, frame)
        for n, name in enumerate(names):
            side.write(name, side.shown(), mask(10 * frame + n))
        side.set_done(frame)
    for n, name in enumerate(names):
        side.save_prompts(name, prompts_of(side.shown(), n).to_tag("segment"))
    before = side.shown()
    save_scene(scene, tmp_path)
    side.close()
    load_scene(application, tmp_path)

    (browser,) = nodes_of(scene, "vtkMRMLSequenceBrowserNode")
    side.open(browser)
    assert side.shown() == before and side.done_frames() == [0, 3]
    assert [(s.id, s.name) for s in side.segments()] == list(zip(names, ("ventricle", "atrium"), strict=True))
    for frame in (0, 3, 1):
        examples.browse(browser, frame)
        for n, name in enumerate(names):
            expected = mask(10 * frame + n) if frame != 1 else np.zeros((90, 120), bool)
            np.testing.assert_array_equal(side.read(name, side.shown()), expected)
    for n, name in enumerate(names):
        book = PromptBook()
        book.from_tag("segment", side.load_prompts(name))
        assert book.get("echo", before.plane, "segment", before.size).of("point")[0].key == f"a|{n};b"
    side.write(names[0], side.shown(), mask(99))
    examples.browse(browser, 2)
    examples.browse(browser, 1)
    np.testing.assert_array_equal(side.read(names[0], side.shown()), mask(99))


@pytest.mark.parametrize("kind", ["volume", "cine"])
def test_no_observer_stays(scene: Any, side: SlicerScene, kind: str) -> None:
    node = examples.volume() if kind == "volume" else examples.cine(scene)
    view = examples.slice_node(scene, shows=node if kind == "volume" else None)
    added: list[tuple[Any, int]] = []
    for _ in range(3):
        side.open(node)
        side.add_segment("a")
        side.set_view(view)
        for watch in side._events.observers:
            added += watch._kept
    assert sum(subject.GetCommand(tag) is not None for subject, tag in added) == side.observers > 5
    side.close()
    assert not any(subject.GetCommand(tag) for subject, tag in added)


@pytest.mark.parametrize("gone", ["volume", "browser", "frames", "scene"])
def test_an_image_that_goes_is_closed(scene: Any, side: SlicerScene, application: Any, gone: str) -> None:
    node = examples.volume() if gone == "volume" else examples.cine(scene)
    heard = examples.Heard(side)
    side.open(node)
    side.add_segment("a")
    heard.take()
    if gone == "scene":
        scene.Clear(0)
        application.fill()
    else:
        scene.RemoveNode(node.GetMasterSequenceNode() if gone == "frames" else node)
    assert heard.take() == [("closing",), ("closed",)]
    assert side.shown() is None and side.segments() == [] and side.observers == 0
    again = examples.still()
    side.open(again)
    assert side.shown().kind == "still"


def test_opening_another_image_closes_the_first(side: SlicerScene) -> None:
    first, second = examples.volume(), examples.still()
    side.open(first)
    segment = side.add_segment("a")
    heard = examples.Heard(side)
    side.open(second)
    assert heard.take() == [("closing",), ("closed",)] and side.segments() == []
    side.open(first)
    assert [s.id for s in side.segments()] == [segment]
    off = side.on("closed", lambda: pytest.fail("no longer listened to"))
    off()
    side.close()
    with pytest.raises(ValueError, match="painted"):
        side.on("anything", print)


def test_a_view_that_goes_is_let_go(scene: Any, side: SlicerScene) -> None:
    node = examples.volume()
    red = examples.slice_node(scene, "Red", shows=node)
    green = examples.slice_node(scene, "Green", "Coronal", shows=node)
    side.open(node)
    assert side.view is red
    scene.RemoveNode(red)
    assert side.view is green and side.shown().plane.axis == "j"
    scene.RemoveNode(green)
    assert side.view is None and side.shown() is None
