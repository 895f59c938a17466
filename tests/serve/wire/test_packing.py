"""Packed masks and scribbles, from both ends: the server's file and the Slicer module's."""

from __future__ import annotations

import base64
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from uniultra.errors import PromptError
from uniultra.serve.wire.packing import pack_mask, pack_runs, unpack_mask, unpack_runs


def ellipse(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return ((x - shape[1] / 2) / (shape[1] / 3)) ** 2 + ((y - shape[0] / 2) / (shape[0] / 4)) ** 2 < 1


def test_masks_and_runs_come_back_as_they_went() -> None:
    rng = np.random.default_rng(0)
    for mask in (
        ellipse((97, 131)),
        rng.random((33, 7)) < 0.1,
        np.ones((1, 1), bool),
        rng.random((3, 200)) < 0.5,
    ):
        packed, runs = pack_mask(mask), pack_runs(mask)
        assert np.array_equal(unpack_mask(packed["bbox"], packed["mask"], mask.shape), mask)
        assert np.array_equal(unpack_runs(runs["bbox"], runs["runs"], mask.shape), mask)
        assert 0 not in runs["runs"][1:]


def test_the_box_is_inclusive_and_tight() -> None:
    mask = np.zeros((10, 12), bool)
    mask[2:5, 3:9] = True
    assert pack_mask(mask)["bbox"] == [3, 2, 8, 4]


def test_an_empty_mask_has_no_box() -> None:
    assert pack_mask(np.zeros((4, 4), bool)) is None and pack_runs(np.zeros((4, 4), bool)) is None
    assert not unpack_mask(None, "", (4, 4)).any()


def test_a_fetal_head_takes_less_than_two_kilobytes() -> None:
    assert len(pack_mask(ellipse((540, 800)))["mask"]) < 2_000


@pytest.mark.parametrize(
    "bbox", [[-1, 0, 3, 3], [0, 0, 12, 3], [0, 0, 3, 10], [5, 0, 3, 3], [0, 5, 3, 3], [0, 0, 1 << 31, 3]]
)
def test_a_box_outside_the_picture_is_refused(bbox: list[int]) -> None:
    with pytest.raises(PromptError, match="12 x 10"):
        unpack_mask(bbox, "", (10, 12))
    with pytest.raises(PromptError, match="12 x 10"):
        unpack_runs(bbox, [1], (10, 12))


@pytest.mark.parametrize("bbox", [[0, 0, 9.0, 9], [0, 0, True, 9], [0, 0, 9], "0099", 7])
def test_a_box_is_four_whole_numbers(bbox: object) -> None:
    with pytest.raises(PromptError, match="four whole numbers"):
        unpack_mask(bbox, "", (10, 12))


@pytest.mark.parametrize("runs", [None, "12", [1, 2.0], [1, True], [-1, 2]])
def test_runs_are_whole_numbers(runs: object) -> None:
    with pytest.raises(PromptError, match="whole numbers"):
        unpack_runs([2, 1, 4, 2], runs, (4, 6))


def _text(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "mask",
    [
        *(None, 7, "", "!!!!", "AAAA", "é", base64.b64encode(b"no zlib").decode()),
        *(_text(b"\1" * 14), _text(b"\1" * 16), _text(b"")),
        base64.b64encode(zlib.compress(b"\1" * 15) + b"more").decode(),
        base64.b64encode(zlib.compress(b"\1" * 15)[:-3]).decode(),
    ],
)
def test_damaged_bits_are_refused(mask: object) -> None:
    with pytest.raises(PromptError, match="15 packed bytes"):
        unpack_mask([0, 0, 11, 9], mask, (10, 12))


def test_a_bomb_is_never_inflated() -> None:
    small_bomb = _text(b"\0" * 50_000)  # 1:700, and short enough to be looked at
    tracemalloc.start()
    for text in (small_bomb, _text(b"\0" * 50_000_000)):
        with pytest.raises(PromptError):
            unpack_mask([0, 0, 11, 9], text, (10, 12))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000  # making the bomb itself took 50 MB


def test_runs_skip_and_take_row_by_row_inside_their_box() -> None:
    mask = unpack_runs([2, 1, 4, 2], [1, 3, 1], (4, 6))
    expected = np.zeros((4, 6), bool)
    expected[1, 3:5] = expected[2, 2] = True
    assert np.array_equal(mask, expected)


def test_runs_longer_than_their_box_are_refused_before_anything_is_made() -> None:
    with pytest.raises(PromptError, match="6 pixels"):
        unpack_runs([2, 1, 4, 2], [1 << 31] * 1000, (4, 6))
    assert not unpack_runs([2, 1, 4, 2], [], (4, 6)).any()


def test_the_slicer_module_has_the_same_file() -> None:
    root = Path(__file__).resolve().parents[3]
    ours, theirs = (
        (root / path).read_text("utf-8").splitlines()
        for path in (
            "lib/uniultra/serve/wire/packing.py",
            "slicer_extension/UniUltra/UniUltraLib/prompts/mask_packing.py",
        )
    )
    assert [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b] == [
        (
            "from uniultra.errors import PromptError as PackingError",
            "from ..errors import PackedMaskError as PackingError",
        )
    ]
