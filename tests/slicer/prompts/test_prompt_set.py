"""Prompts in the panel: edits, refusals, what travels, what is kept with the segment."""

from __future__ import annotations

import json

import numpy as np
import pytest
from UniUltraLib.errors import OutsideImage, PromptsError
from UniUltraLib.prompts import mask_packing
from UniUltraLib.prompts.kinds import PROMPT_KINDS
from UniUltraLib.prompts.planes import Plane, nearest_voxel
from UniUltraLib.prompts.prompt_set import PromptBook, PromptSet

SIZE = (30, 20, 10)
SCRIBBLE = PROMPT_KINDS["scribble"]
AXES = ["i", "j", "k"]


def pixels(seed: int, shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.2


def full(axis: str = "k") -> PromptSet:
    """One of everything, on plane 4."""
    plane = Plane(axis, 4)
    prompts = PromptSet(SIZE, plane)
    prompts = prompts.with_prompt("point", plane.to_ijk(3, 6), "p").with_prompt(
        "point", plane.to_ijk(8, 7), "n", positive=False
    )
    prompts = prompts.with_prompt("box", (9, 8, 2, 1)).with_prompt("lasso", [(1, 1), (8, 1.5), (8, 8)])
    prompts = prompts.with_prompt("scribble", pixels(1, plane.shape(SIZE)), "s")
    prompts = prompts.with_prompt("scribble", pixels(2, plane.shape(SIZE)), "t", positive=False)
    return prompts.with_previous(pixels(3, plane.shape(SIZE)))


@pytest.mark.parametrize(
    ("axis", "shape", "ijk"),
    [("k", (20, 30), (3, 6, 4)), ("j", (10, 30), (3, 4, 6)), ("i", (10, 20), (4, 3, 6))],
)
def test_planes_name_their_pixels(axis: str, shape: tuple[int, int], ijk: tuple[int, int, int]) -> None:
    plane = Plane(axis, 4)
    assert plane.shape(SIZE) == shape
    assert plane.to_ijk(3, 6) == ijk and plane.to_xy(ijk) == (3, 6)
    assert Plane.from_dict(plane.to_dict()) == plane
    extent = plane.extent(SIZE)
    assert extent[2 * plane.normal] == extent[2 * plane.normal + 1] == 4
    assert (extent[1] - extent[0] + 1) * (extent[3] - extent[2] + 1) * (extent[5] - extent[4] + 1) == np.prod(
        shape
    )


@pytest.mark.parametrize(
    "value", [None, {"axis": "k"}, {"axis": "z", "index": 1}, {"axis": "k", "index": -1}, 3]
)
def test_a_plane_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(PromptsError):
        Plane.from_dict(value)


def test_voxels_reach_half_a_voxel_beyond_their_centre() -> None:
    assert nearest_voxel((-0.5, 19.49, 9.2), SIZE) == (0, 19, 9)
    for outside in ((-0.51, 0, 0), (29.5, 0, 0), (0, 0, float("nan"))):
        with pytest.raises(OutsideImage, match="30 x 20 x 10"):
            nearest_voxel(outside, SIZE)


@pytest.mark.parametrize("axis", AXES)
def test_what_travels(axis: str) -> None:
    params = full(axis).to_params()
    assert json.loads(json.dumps(params)) == params
    plane = Plane(axis, 4)
    assert params["plane"] == {"axis": axis, "index": 4}
    assert params["foreground"] == [list(plane.to_ijk(3, 6))]
    assert params["background"] == [list(plane.to_ijk(8, 7))]
    corners = np.array(params["roi"]).reshape(3, 2)
    assert corners[plane.normal].tolist() == [4, 4]
    assert corners[list(plane.in_plane)].tolist() == [[2, 9], [1, 8]]
    shape = plane.shape(SIZE)
    for scribble, seed, positive in zip(params["scribbles"], (1, 2), (True, False), strict=True):
        assert scribble["positive"] is positive
        np.testing.assert_array_equal(
            mask_packing.unpack_runs(scribble["bbox"], scribble["runs"], shape), pixels(seed, shape)
        )
    assert params["lasso"] == [[1, 1], [8, 1.5], [8, 8]]
    mask = params["mask"]
    np.testing.assert_array_equal(
        mask_packing.unpack_mask(mask["bbox"], mask["mask"], shape), pixels(3, shape)
    )


def test_an_empty_set_sends_its_plane_only() -> None:
    empty = PromptSet(SIZE, Plane("k", 4))
    assert not empty
    assert empty.to_params() == {"plane": {"axis": "k", "index": 4}, "foreground": [], "background": []}


def test_every_edit_leaves_the_old_set_as_it_was() -> None:
    before = full()
    kept = before.to_dict()
    moved = before.with_prompt("point", (5, 5, 4), "p")
    assert [p.value for p in moved.of("point")] == [(5, 5, 4), (8, 7, 4)]
    assert [p.key for p in moved.without("point", "p").prompts if p.kind == "point"] == ["n"]
    assert moved.without("point", "gone") == moved
    assert moved.with_prompt("point", (5, 5, 4), "p", positive=False).to_params()["foreground"] == []
    cleared = before.with_previous(None)
    for prompt in before.of("box") + before.of("lasso") + before.of("scribble"):
        cleared = cleared.without(prompt.kind, prompt.key)
    assert cleared.to_params().keys() == {"plane", "foreground", "background"}
    assert before.to_dict() == kept


@pytest.mark.parametrize("corners", [(2, 1, 9, 8), (9, 8, 2, 1), (9, 1, 2, 8), (2.4, 8.4, 9.4, 0.6)])
def test_box_corners_come_in_any_order(corners: tuple[float, ...]) -> None:
    assert PromptSet(SIZE, Plane("k", 0)).with_prompt("box", corners).of("box")[0].value == (2, 1, 9, 8)


def test_what_is_off_the_image_is_refused_with_its_size() -> None:
    prompts = PromptSet(SIZE, Plane("k", 4))
    for wrong in (
        lambda: prompts.with_prompt("point", (30, 0, 4), "p"),
        lambda: prompts.with_prompt("box", (0, 0, 30, 5)),
        lambda: prompts.with_prompt("lasso", [(0, 0), (5, 25), (5, 5)]),
        lambda: PromptSet(SIZE, Plane("k", 10)),
    ):
        with pytest.raises(OutsideImage, match="30 x 20 x 10"):
            wrong()
    with pytest.raises(PromptsError, match="plane 4 across k"):
        prompts.with_prompt("point", (3, 3, 5), "p")
    with pytest.raises(PromptsError, match="3 corners"):
        prompts.with_prompt("lasso", [(0, 0), (5, 5)])
    for wrong in (prompts.with_previous, lambda array: prompts.with_prompt("scribble", array, "s")):
        with pytest.raises(PromptsError, match="20 x 30 pixels"):
            wrong(np.ones((30, 20), bool))


@pytest.mark.parametrize("axis", AXES)
def test_prompts_come_back_from_their_tag(axis: str) -> None:
    book, again = PromptBook(), PromptBook()
    one = full(axis)
    two = PromptSet((9, 9, 1), Plane("k", 0)).with_prompt("point", (1, 2, 0), "a|b")
    book.put("image|1", "lesion", one)
    book.put("other", "lesion", two)
    book.put("other", "wall", two)
    tag = book.to_tag("lesion")
    assert "|" not in tag, "a .seg.nrrd file splits tags there"
    again.from_tag("lesion", tag)
    assert again.get("image|1", one.plane, "lesion", SIZE) == one.with_previous(None)
    assert again.get("other", two.plane, "lesion", (9, 9, 1)) == two
    assert not again.get("other", two.plane, "wall", (9, 9, 1))
    np.testing.assert_array_equal(
        SCRIBBLE.pixels(again.get("image|1", one.plane, "lesion", SIZE).of("scribble")[1].value, one.shape),
        pixels(2, one.shape),
    )


def test_the_book_forgets_what_is_empty_or_gone() -> None:
    book, prompts = PromptBook(), full()
    book.put("image", "lesion", prompts)
    book.put("image", "wall", prompts)
    book.forget_segment("lesion")
    assert not book.get("image", prompts.plane, "lesion", SIZE)
    assert book.get("image", prompts.plane, "wall", SIZE) == prompts
    book.put("image", "wall", PromptSet(SIZE, prompts.plane))
    assert book.to_tag("wall") == "[]"
    book.put("image", "wall", prompts)
    with pytest.raises(PromptsError, match="belong"):
        book.get("image", prompts.plane, "wall", (31, 20, 10))


def spoilt(**changes: object) -> str:
    return json.dumps([{"image": "x", **full().to_dict(), **changes}])


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "{}",
        "[3]",
        "[{}]",
        spoilt(size=[30, 20]),
        spoilt(points=[["p", [99, 0, 4], True]]),
        spoilt(points=[["p", None, True]]),
        spoilt(scribbles=[["s", [0, 0, 5, 5], [10**9, 10**9], True]]),
        spoilt(scribbles=[["s", [0, 0, 10**9, 10**9], [1], True]]),
        spoilt(box=[1, 2]),
        spoilt(lasso=7),
    ],
)
def test_a_spoilt_tag_is_refused_and_nothing_is_lost(tag: str) -> None:
    book, prompts = PromptBook(), full()
    book.put("image", "lesion", prompts)
    with pytest.raises(PromptsError):
        book.from_tag("lesion", tag)
    assert book.get("image", prompts.plane, "lesion", SIZE) == prompts
