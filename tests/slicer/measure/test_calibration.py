"""Which millimetres hold under a mask: regions of a DICOM header, what the server tells, a file's spacing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from region_dicom import TWO_SIDES, write_dicom
from UniUltraLib.measure.calibration import Calibration, ImageCalibration, from_server, from_spacing
from UniUltraLib.measure.calibration_call import image_calibration
from UniUltraLib.measure.calibration_dicom import from_dicom, is_dicom
from UniUltraLib.prompts.planes import Plane

FRAME = Plane("k", 0)


def box(x0: int, y0: int, x1: int, y1: int, shape: tuple[int, int] = (80, 100)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


INSIDE = box(5, 5, 20, 20)


def test_the_region_that_holds_the_mask_counts(tmp_path: Path) -> None:
    image = from_dicom(write_dicom(tmp_path / "a.dcm", TWO_SIDES))
    assert image.at(INSIDE, FRAME).spacing_mm == pytest.approx((0.2, 0.1))
    assert image.at(box(60, 5, 80, 20), FRAME).spacing_mm == pytest.approx((0.3, 0.5))
    assert "0.1 x 0.2 mm per pixel (x, y), DICOM" in image.at(INSIDE, FRAME).text


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (box(40, 5, 60, 20), "different scale"),
        (box(5, 50, 20, 70), "outside"),
        (box(5, 62, 20, 70), "outside"),
    ],
)
def test_a_mask_that_lies_in_no_single_region(mask: np.ndarray, problem: str, tmp_path: Path) -> None:
    found = from_dicom(write_dicom(tmp_path / "a.dcm", TWO_SIDES)).at(mask, FRAME)
    assert found.spacing_mm is None
    assert problem in found.problem
    assert found.text.startswith("uncalibrated: ")


def test_regions_of_one_scale_may_be_crossed(tmp_path: Path) -> None:
    same = [{**region, "delta": (0.02, 0.02)} for region in TWO_SIDES]
    found = from_dicom(write_dicom(tmp_path / "a.dcm", same)).at(box(40, 5, 60, 20), FRAME)
    assert found.spacing_mm == pytest.approx((0.2, 0.2))


def test_of_regions_that_overlap_the_smallest_counts(tmp_path: Path) -> None:
    flow = {"bounds": (10, 10, 30, 30), "delta": (0.05, 0.05), "type": 2}
    image = from_dicom(write_dicom(tmp_path / "a.dcm", [TWO_SIDES[0], flow]))
    assert image.at(box(12, 12, 20, 20), FRAME).spacing_mm == pytest.approx((0.5, 0.5))
    assert image.at(INSIDE, FRAME).spacing_mm == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "M-mode"),
        ({"format": 3}, "spectral"),
        ({"units": 0}, "lengths"),
        ({"units": 4}, "lengths"),
        ({"delta": (0.0, 0.01)}, "lengths"),
        ({"bounds": (0, 0, 120, 59)}, "resized after"),
    ],
)
def test_regions_that_measure_no_lengths(change: dict[str, Any], problem: str, tmp_path: Path) -> None:
    image = from_dicom(write_dicom(tmp_path / "a.dcm", [{**TWO_SIDES[0], **change}]))
    found = image.at(INSIDE, FRAME)
    assert found.spacing_mm is None
    assert problem in found.problem


def test_pixel_spacing_counts_only_without_regions(tmp_path: Path) -> None:
    alone = from_dicom(write_dicom(tmp_path / "a.dcm", [], PixelSpacing=[0.3, 0.4]))
    assert alone.at(INSIDE, FRAME).spacing_mm == (0.3, 0.4)
    beside = from_dicom(write_dicom(tmp_path / "b.dcm", TWO_SIDES, PixelSpacing=[9, 9]))
    assert beside.at(box(5, 70, 20, 75), FRAME).spacing_mm is None
    none = from_dicom(write_dicom(tmp_path / "c.dcm", []))
    assert none.at(INSIDE, FRAME).spacing_mm is None


def test_a_volume_needs_the_distance_between_its_slices(tmp_path: Path) -> None:
    deep = {"PixelSpacing": [0.3, 0.4], "SpacingBetweenSlices": 2.0}
    image = from_dicom(write_dicom(tmp_path / "a.dcm", [], **deep), volume=True)
    assert image.at(INSIDE, Plane("k", 3)).spacing_mm == (0.3, 0.4)
    assert image.at(INSIDE, Plane("j", 3)).spacing_mm == (2.0, 0.4)
    assert image.at(INSIDE, Plane("i", 3)).spacing_mm == (2.0, 0.3)
    flat = from_dicom(write_dicom(tmp_path / "b.dcm", [], PixelSpacing=[0.3, 0.4]), volume=True)
    assert flat.at(INSIDE, Plane("j", 3)).spacing_mm is None


def test_a_damaged_header_has_no_calibration(tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "a.dcm", TWO_SIDES).read_bytes()
    for name, content in {"cut": whole[:400], "empty": b"", "text": b"no DICOM" * 99}.items():
        file = tmp_path / name
        file.write_bytes(content)
        assert from_dicom(file).at(INSIDE, FRAME).spacing_mm is None
        assert is_dicom(file) is (name == "cut")
    found = from_dicom(tmp_path / "gone").at(INSIDE, FRAME)
    assert found.spacing_mm is None
    assert str(tmp_path) not in found.text
    assert not is_dicom(tmp_path / "gone")


def test_a_spacing_of_one_is_no_calibration() -> None:
    assert from_spacing((1.0, 1.0, 1.0), volume=True).at(INSIDE, FRAME).spacing_mm is None
    assert from_spacing((1.0, 1.0, 0.4), volume=False).at(INSIDE, FRAME).spacing_mm is None
    assert from_spacing((0.2, 0.3, 1.0), volume=False).at(INSIDE, FRAME).spacing_mm == (0.3, 0.2)
    assert from_spacing((0.2, 0.3, 1.0), volume=False).at(INSIDE, Plane("j", 0)).spacing_mm is None
    assert from_spacing((1.0, 1.0, 0.4), volume=True).at(INSIDE, Plane("i", 0)).spacing_mm == (0.4, 1.0)
    for bad in ((0.0, 0.3, 1.0), (float("nan"), 0.3, 1.0), (-0.2, 0.3, 1.0)):
        assert from_spacing(bad, volume=False).at(INSIDE, FRAME).spacing_mm is None


def test_what_the_server_tells() -> None:
    region = {"bbox": [0, 0, 49, 59], "spatial_format": 1, "data_type": 1, "spacing_mm": [0.2, 0.1]}
    image = from_server({"calibration": {"spacing_mm": None, "regions": [region]}})
    assert image.at(INSIDE, FRAME) == Calibration((0.2, 0.1), "server")
    plain = from_server({"calibration": {"spacing_mm": [0.3, 0.4], "regions": []}})
    assert plain.at(INSIDE, FRAME).spacing_mm == (0.3, 0.4)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"calibration": None},
        {"calibration": "0.2"},
        {"calibration": {"spacing_mm": [0, 1], "regions": None}},
        {"calibration": {"spacing_mm": ["0.2", True], "regions": ["x", {"bbox": [1, 2]}]}},
        {"calibration": {"regions": [{"bbox": [0, 0, 1, "2"], "spatial_format": 1, "data_type": 1}]}},
        {"calibration": {"spacing_mm": [1e400, 0.2]}},
        {"calibration": {"spacing_mm": 0.2}},
    ],
)
def test_a_server_that_tells_nothing_usable(answer: dict[str, Any]) -> None:
    assert from_server(answer).at(INSIDE, FRAME).spacing_mm is None


def test_the_client_asks_for_it(client: Any, server: Any) -> None:
    told = {"calibration": {"spacing_mm": [0.3, 0.4], "regions": []}}
    server.reply = lambda handler: handler.send(200, told)
    assert image_calibration(client, "one").spacing_mm == (0.3, 0.4)
    assert (server.asked[0].route, server.asked[0].query) == ("/datastore/image/info", {"image": "one"})
    server.reply = lambda handler: handler.send(200, ["not", "an", "object"])
    assert "update" in image_calibration(client, "one").problem


def test_real_headers_as_the_server_reads_them(shared_dir: Path) -> None:
    from uniultra.errors import ImageError
    from uniultra.images import read_image
    from uniultra.serve.wire.calibration import calibration

    compared = 0
    for file in sorted((shared_dir / "dicom").glob("*.dcm")):
        try:
            image = read_image(file)
        except ImageError:
            continue
        here = from_dicom(file)
        there = from_server(json.loads(json.dumps({"calibration": calibration(image)})))
        assert here.regions == there.regions
        if not here.regions:
            assert here.spacing_mm == there.spacing_mm
        compared += bool(here.regions)
    assert compared >= 8


def test_an_echo_resized_after_calibration_is_uncalibrated(shared_dir: Path) -> None:
    """320 x 240 pixels whose region ends at pixel 595: its scale is that of the larger original."""
    image = from_dicom(shared_dir / "dicom" / "examples_ybr_color.dcm")
    assert isinstance(image, ImageCalibration)
    assert "resized" in image.at(box(150, 60, 200, 140, (240, 320)), FRAME).problem
