from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from uniultra.errors import PromptError
from uniultra.images.types import AxisKind, Geometry, Plane, UltrasoundImage
from uniultra.predict import Prediction
from uniultra.prompts import Box, Point, PromptSet
from uniultra.serve.http.refusals import TooLargeError
from uniultra.serve.wire import answers, requests
from uniultra.serve.wire.packing import pack_mask

ROWS, COLUMNS = 60, 80


def image(slices: int = 5) -> UltrasoundImage:
    return UltrasoundImage(
        identity="test",
        content_hash="0" * 64,
        axis_kind=AxisKind.VOLUME if slices > 1 else AxisKind.STILL,
        shape=(slices, ROWS, COLUMNS),
        channels=1,
        geometry=Geometry((COLUMNS, ROWS, slices), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
        read_frame=lambda k: np.zeros((ROWS, COLUMNS), np.uint8),
    )


def read(params: dict[str, Any], slices: int = 5) -> tuple[Plane, list[PromptSet]]:
    picture = image(slices)
    parsed = requests.parse(json.loads(json.dumps(params)))
    plane = requests.plane_of(parsed, picture)
    shape = picture.plane_shape(plane.axis)
    sets = requests.prompts_of(parsed, plane, shape)
    for prompts in sets:
        prompts.check(shape)  # as `Predictor.predict` does
    return plane, sets


def test_clicks_of_the_stock_plugin() -> None:
    plane, (prompts,) = read(
        {
            "foreground": [[10, 20, 3], [11, 21, 3]],
            "background": [[1, 2, 3]],
            "label": "cyst",
            "slice": 1,
            "result_extension": ".nrrd",
            "result_dtype": "uint8",
            "client_id": "someone",
        }
    )
    assert plane == Plane("k", 3)  # the k of the first point wins over slice
    assert prompts.points == (Point(10, 20), Point(11, 21), Point(1, 2, positive=False))


def test_only_clicks_of_the_slice_count() -> None:
    _, (prompts,) = read({"foreground": [[10, 20, 3], [30, 40, 4]], "background": [[5, 5, 2]]})
    assert prompts.points == (Point(10, 20),)


@pytest.mark.parametrize(
    ("params", "index"),
    [
        ({"roi": [1, 9, 2, 8, 2, 2], "slice": 4}, 4),
        ({"roi": [1, 9, 2, 8, 3, 1]}, 2),
        ({"foreground": [[3, 3]], "slice": 4}, 4),
        ({"background": [[3, 3, 1]], "roi": [0, 5, 0, 5, 4, 4]}, 1),
        ({"objects": [{"roi": [1, 9, 2, 8]}, {"foreground": [[3, 3, 2]]}]}, 2),
    ],
)
def test_the_slice_comes_from_where_it_is_named(params: dict[str, Any], index: int) -> None:
    assert read(params)[0] == Plane("k", index)


def test_a_still_needs_no_slice_and_takes_flat_points() -> None:
    plane, (prompts,) = read({"foreground": [[3, 4]], "slice": -1}, slices=1)
    assert plane == Plane("k", 0)
    assert prompts.points == (Point(3, 4),)


def test_a_volume_wants_to_know_its_slice() -> None:
    with pytest.raises(PromptError, match="5 slices"):
        read({"foreground": [[3, 4]]})


def test_a_plane_across_another_axis_takes_ijk_points() -> None:
    plane, (prompts,) = read({"plane": {"axis": "j", "index": 20}, "foreground": [[10, 20, 3], [9, 21, 3]]})
    assert plane == Plane("j", 20)
    assert prompts.points == (Point(10, 3),)


@pytest.mark.parametrize("roi", [[10, 30, 50, 20, 3, 3], [30, 10, 20, 50, 3, 3], [10, 20, 30, 50]])
def test_both_orders_of_a_roi_give_one_box(roi: list[int]) -> None:
    _, (prompts,) = read({"roi": roi, "slice": 3})
    assert prompts.box == Box(10, 20, 30, 50)


def test_scribbles_of_one_sign_become_one_picture() -> None:
    stroke = {"bbox": [2, 1, 4, 2], "runs": [0, 3]}
    other = {"bbox": [10, 10, 12, 10], "runs": [0, 3]}
    _, (prompts,) = read({"scribbles": [stroke, other, {**stroke, "positive": False}], "slice": 0})
    assert [(int(s.pixels.sum()), s.positive) for s in prompts.scribbles] == [(6, True), (3, False)]


def test_lasso_and_previous_mask() -> None:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[5:9, 6:20] = True
    _, (prompts,) = read({"lasso": [[1, 1], [9, 1], [5, 7]], "mask": pack_mask(mask), "slice": 0})
    assert prompts.lasso and prompts.lasso.polygon == ((1, 1), (9, 1), (5, 7))
    assert prompts.mask and np.array_equal(prompts.mask.mask, mask)


def test_an_empty_previous_mask_is_no_prompt() -> None:
    _, (prompts,) = read({"foreground": [[1, 1, 0]], "mask": {"bbox": None, "mask": ""}})
    assert prompts.mask is None
    with pytest.raises(PromptError, match="got none"):
        read({"mask": {"bbox": None, "mask": ""}, "slice": 0})


def test_several_objects_are_several_sets() -> None:
    _, sets = read({"objects": [{"foreground": [[1, 2, 0]]}, {"roi": [1, 9, 2, 8]}]})
    assert len(sets) == 2
    assert sets[0].points and sets[1].box


def test_null_is_nothing() -> None:
    _, (prompts,) = read({"foreground": [[1, 2, 0]], "background": None, "roi": None, "objects": None})
    assert prompts.points == (Point(1, 2),)


HOSTILE = [
    *({"foreground": v} for v in ("text", 5, {}, [5], [[]], [[1]], [[1, 2, 3, 4]], [["1", "2", "3"]])),
    *({"foreground": [[v, 1, 0]]} for v in (True, None, [], {}, "1", 1e400, -1e400)),
    {"foreground": [[1, 2, 0], None]},
    *({"foreground": [[x, y, 0]]} for x, y in ((80, 2), (-1, 2), (1, 60))),
    {"roi": [1, 2, 3], "slice": 0},
    {"roi": [1, 2, 3, 4, 5], "slice": 0},
    {"roi": [1, True, 3, 4], "slice": 0},
    {"roi": [0, 900, 0, 10, 0, 0], "slice": 0},
    {"foreground": [[1, 2]], "slice": "3"},
    {"foreground": [[1, 2]], "slice": True},
    *({"foreground": [[1, 2, 0]], "plane": {"axis": "k", "index": n}} for n in (-1, 1.5)),
    {"foreground": [[1, 2, 0]], "plane": {"axis": "q", "index": 0}},
    {"foreground": [[1, 2, 0]], "plane": "k"},
    {"foreground": [[1, 2, 0]], "axis_kind": "film"},
    {"foreground": [[1, 2, 0]], "result": "zip"},
    {"foreground": [[1, 2, 0]], "label": "x" * 201},
    {"foreground": [[1, 2, 0]], "result_extension": 7},
    *(
        {"scribbles": [{"bbox": [0, 0, 5, 5], "runs": runs}], "slice": 0}
        for runs in ([1, -1], [1.5], [True], [0, 1 << 40], [36])
    ),
    {"scribbles": [{"bbox": [0, 0, 5], "runs": [0, 1]}], "slice": 0},
    {"scribbles": [{"bbox": [0, 0, 5, 5], "runs": [0, 9], "positive": "yes"}], "slice": 0},
    {"lasso": [[1, 1], [2, 2]], "slice": 0},
    {"lasso": [[1, 1], [2, 2], [3, 3, 3]], "slice": 0},
    {"lasso": [[1, 1], [2, 2], [300, 3]], "slice": 0},
    {"mask": {"bbox": [0, 0, 5, 5], "mask": "AAAA"}, "slice": 0},
    {"mask": {"bbox": [0, 0, 5, 5]}, "slice": 0},
    {"mask": "AAAA", "slice": 0},
    {"objects": [{}], "slice": 0},
    {"objects": [{"foreground": [[1, 1, 0]]}, {"foreground": [[1, 1, 3]]}]},
    {"objects": "all", "slice": 0},
    {"objects": [{"foreground": [[1, 1, 0]]}], "foreground": [[2, 2, 0]]},
    {},
    {"slice": 0},
]


@pytest.mark.parametrize("params", HOSTILE, ids=lambda p: json.dumps(p)[:60])
def test_what_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(PromptError):
        read(params)


def test_not_a_number_is_refused() -> None:
    for text in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(PromptError, match="finite"):
            requests.parse(json.loads(f'{{"foreground": [[{text}, 1, 0]]}}'))


@pytest.mark.parametrize(
    "params",
    [
        {"foreground": [[1, 1, 0]] * (requests.MAX_POINTS + 1)},
        {"objects": [{"foreground": [[1, 1, 0]]}] * (requests.MAX_OBJECTS + 1)},
        {"lasso": [[1, 1]] * (requests.MAX_CORNERS + 1)},
        {"scribbles": [{"bbox": [0, 0, 1, 1], "runs": [0, 1]}] * (requests.MAX_SCRIBBLES + 1)},
        {"scribbles": [{"bbox": [0, 0, 1, 1], "runs": [0] * (requests.MAX_RUNS + 1)}]},
        {"mask": {"bbox": [0, 0, 1, 1], "mask": "A" * ((16 << 20) + 1)}},
    ],
    ids=["points", "objects", "corners", "scribbles", "runs", "mask"],
)
def test_too_much_is_refused_by_its_count(params: dict[str, Any]) -> None:
    with pytest.raises(TooLargeError):
        requests.parse(params)


def test_a_refusal_does_not_repeat_what_came() -> None:
    with pytest.raises(PromptError) as refusal:
        requests.parse({"foreground": "Jane Doe"})
    assert "foreground" in str(refusal.value)
    assert "Jane" not in str(refusal.value)


def prediction(mask: np.ndarray) -> Prediction:
    return Prediction(mask, 0.87654321, "uniultra_mini", None, {"total": 0.0123456, "cached": 1.0})


def test_the_packed_answer() -> None:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[3:5, 6:8] = True
    answer = answers.packed_answer([prediction(mask)], Plane("k", 4), several=False)
    assert answer == {
        **pack_mask(mask),
        "score": 0.8765,
        "frame": 4,
        "plane": {"axis": "k", "index": 4},
        "model": "uniultra_mini",
        "adapter": None,
        "timings": {"total": 0.01235, "cached": 1.0},
    }
    json.dumps(answer, allow_nan=False)


def test_the_packed_answer_for_objects() -> None:
    empty, full = np.zeros((ROWS, COLUMNS), bool), np.ones((ROWS, COLUMNS), bool)
    answer = answers.packed_answer([prediction(empty), prediction(full)], Plane("i", 2), several=True)
    assert [o["bbox"] for o in answer["objects"]] == [None, [0, 0, COLUMNS - 1, ROWS - 1]]
    assert answer["frame"] is None and "mask" not in answer
