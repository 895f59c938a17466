"""Numbers on shapes whose numbers are known, with square and other pixels, at growing resolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, ndimage
from shapes import ellipse, ellipse_perimeter, rectangle, ventricle
from UniUltraLib.measure import contours
from UniUltraLib.measure.axes_ellipse import Ellipse, fit_ellipse, line_length
from UniUltraLib.measure.binary_shapes import largest_component
from UniUltraLib.measure.calibration import Calibration
from UniUltraLib.measure.left_ventricle import ejection, suggest_annulus
from UniUltraLib.measure.left_ventricle import ventricle as left_ventricle
from UniUltraLib.measure.mask_measures import MeasureError, measure

PIXELS = [(1.0, 1.0), (1.7, 1.0), (0.8, 1.9)]  # (dy,dx), times a resolution


def scale(dy: float, dx: float) -> Calibration:
    return Calibration((dy, dx), "test")


def errors(pixel: tuple[float, float], turn: float, resolution: float) -> dict[str, float]:
    """The relative errors of all numbers of an ellipse."""
    dy, dx = (resolution * side for side in pixel)
    found = measure(ellipse(50, 35, dy, dx, turn), scale(dy, dx), head=True)
    true = {
        "area": np.pi * 50 * 35,
        "perimeter": ellipse_perimeter(50, 35),
        "long axis": 100,
        "short axis": 70,
        "head circumference": ellipse_perimeter(50, 35),
        "ellipse long axis": 100,
        "ellipse short axis": 70,
    }
    assert [value.name for value in found.values] == list(true)
    assert {value.unit for value in found.values} == {"mm", "mm²"}
    return {name: abs(found.value(name) / truth - 1) for name, truth in true.items()}


@pytest.mark.parametrize("pixel", PIXELS)
def test_an_ellipse_and_the_error_shrinks_with_resolution(pixel: tuple[float, float]) -> None:
    turns = (0.0, 0.4, 1.1)
    worst = {}
    for resolution in (2.0, 0.5, 0.125):
        found = [errors(pixel, turn, resolution) for turn in turns]
        worst[resolution] = {name: max(error[name] for error in found) for name in found[0]}
    for name in worst[0.125]:
        coarse, medium, fine = (worst[resolution][name] for resolution in (2.0, 0.5, 0.125))
        assert coarse < 0.05 and medium < 0.015 and fine < 0.004 and fine < coarse, name


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("turn", [0.0, 0.5, 1.3])
def test_a_turned_rectangle(pixel: tuple[float, float], turn: float) -> None:
    dy, dx = 0.2 * pixel[0], 0.2 * pixel[1]
    found = measure(rectangle(40, 20, dy, dx, turn), scale(dy, dx))
    diagonal = 2 * np.hypot(40, 20)
    assert found.value("area") == pytest.approx(3200, rel=0.01)
    assert found.value("perimeter") == pytest.approx(240, rel=0.015)  # corners are rounded
    assert found.value("long axis") == pytest.approx(diagonal, rel=0.008)
    assert found.value("short axis") == pytest.approx(diagonal * 20 / 40, rel=0.015)


def test_axes_are_at_right_angles_and_end_on_the_outline() -> None:
    found = measure(ellipse(40, 25, 0.8, 0.5, 0.7), scale(0.8, 0.5))
    long, short = ((np.array(line) * (0.5, 0.8)) for line in (found.long_axis, found.short_axis))
    along, across = long[1] - long[0], short[1] - short[0]
    assert abs(along @ across) < 1e-6 * np.hypot(*along) * np.hypot(*across)
    for end in (*long, *short):
        assert np.hypot(*(found.part.outline - end).T).min() < 0.5


def test_a_chord_stays_inside_a_shape_with_a_bay() -> None:
    mask = np.zeros((60, 100), bool)
    mask[10:50, 10:90] = True
    mask[20:40, 10:80] = False  # a C: the long axis crosses the bay, no chord across it may
    found = measure(mask, scale(1, 1))
    start, end = np.array(found.short_axis)
    for share in np.linspace(0.02, 0.98, 50):
        x, y = start + share * (end - start)
        assert mask[round(y), round(x)]


def test_the_largest_of_several_components_is_used_and_said() -> None:
    mask = np.zeros((80, 80), bool)
    mask[5:15, 5:15] = True
    mask[30:70, 30:70] = True
    mask[45:50, 45:50] = False
    found = measure(mask, scale(1, 1))
    assert found.value("area") == 1600 - 25
    assert "largest of 2 components used (94.0 % of the mask's pixels)" in found.part.notes
    assert any("1 hole" in note for note in found.part.notes)


def test_a_mask_at_the_edge_may_be_cut_off() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10, 5:15] = True
    assert any("edge" in note for note in measure(mask, scale(1, 1)).part.notes)
    assert measure(np.pad(mask, 1), scale(1, 1)).part.notes == ()


def test_without_calibration_there_are_pixels() -> None:
    mask = ellipse(50, 35, 1, 1)
    found = measure(mask, Calibration(None, "none", "no word about it"), head=True)
    assert {value.unit for value in found.values} == {"px", "px²"}
    assert found.value("area") == mask.sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (7, 1)])
def test_the_smallest_masks(shape: tuple[int, int]) -> None:
    mask = np.zeros((12, 12), bool)
    mask[2 : 2 + shape[0], 3 : 3 + shape[1]] = True
    found = measure(mask, scale(0.5, 0.25))
    assert found.value("area") == mask.sum() * 0.125
    assert all(np.isfinite(value.value) and value.value > 0 for value in found.values)


def test_what_cannot_be_measured() -> None:
    with pytest.raises(MeasureError, match="empty"):
        measure(np.zeros((5, 5), bool), scale(1, 1))
    with pytest.raises(MeasureError, match="3 dimensions"):
        measure(np.ones((2, 5, 5), bool), scale(1, 1))


def test_outlines_hold_the_object_and_its_holes() -> None:
    rng = np.random.default_rng(5)
    for share in (0.3, 0.5, 0.7):
        mask = rng.random((31, 43)) < share
        curves = contours.outlines(mask)
        holes = ndimage.label(~np.pad(mask, 1))[1] - 1  # 4-connected, the outside left out
        assert sum(contours.signed_area(c) > 0 for c in curves) == largest_component(mask)[1]
        assert sum(contours.signed_area(c) < 0 for c in curves) == holes
    assert contours.outlines(np.zeros((4, 4), bool)) == []


@pytest.mark.parametrize("turn", [0.0, 0.3, 1.5, -1.2])
def test_the_ellipse_that_points_lie_on(turn: float) -> None:
    t = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.column_stack([60 * np.cos(t), 40 * np.sin(t)])
    turned = circle @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + (300, 200)
    found = fit_ellipse(turned)
    assert (found.a, found.b) == pytest.approx((60, 40))
    assert found.centre == pytest.approx((300, 200))
    assert abs(np.sin(found.angle - turn)) < 1e-6
    assert found.circumference == pytest.approx(ellipse_perimeter(60, 40), rel=1e-7)


def test_no_ellipse_through_points_on_a_line() -> None:
    line = np.column_stack([np.arange(20.0), np.arange(20.0)])
    assert fit_ellipse(line) is None
    assert fit_ellipse(line[:4]) is None
    assert Ellipse((0, 0), 3, 3, 0).circumference == pytest.approx(6 * np.pi)


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("turn", [0.0, 0.9, 2.5, 4.0])
def test_the_volume_of_a_ventricle(pixel: tuple[float, float], turn: float) -> None:
    """Against the formula on the area and the axis of the shape itself, with the annulus placed by hand."""
    dy, dx = 0.25 * pixel[0], 0.25 * pixel[1]
    mask = ventricle(45, 22, 18, dy, dx, turn)
    rows, columns = mask.shape
    half = 22 * np.sqrt(1 - (18 / 45) ** 2)
    ends = []
    for u, v in ((18, -half), (18, half)):
        x, y = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
        ends.append((x / dx + columns / 2 - 0.3, y / dy + rows / 2 + 0.2))
    found = left_ventricle(mask, scale(dy, dx), 0, (ends[0], ends[1]))
    u = np.linspace(-45, 18, 200_001)
    area = integrate.trapezoid(2 * 22 * np.sqrt(1 - (u / 45) ** 2), u)
    assert found.values[0].value == pytest.approx(area, rel=0.01)
    assert found.values[1].value == pytest.approx(63, rel=0.015)
    assert found.volume == pytest.approx(8 * area**2 / (3 * np.pi * 63) / 1000, rel=0.03)
    assert found.values[2].unit == "ml"
    assert found.annulus_by == "placed"
    suggested = left_ventricle(mask, scale(dy, dx), 0)
    assert suggested.annulus_by == "suggested"
    assert suggested.volume == pytest.approx(found.volume, rel=0.05)
    assert line_length(suggest_annulus(suggested.part)) == pytest.approx(2 * half, rel=0.06)


def test_a_sphere_has_the_volume_of_a_sphere() -> None:
    """8 A² / (3 pi L) is exact for a sphere with the annulus at its pole."""
    mask = ellipse(30, 30, 0.2, 0.2)
    x, y = mask.shape[1] / 2 - 0.3, mask.shape[0] / 2 + 0.2
    found = left_ventricle(mask, scale(0.2, 0.2), 0, ((x, y + 149.9), (x, y + 150.1)))
    assert found.volume == pytest.approx(4 / 3 * np.pi * 30**3 / 1000, rel=0.01)


def test_the_ejection_fraction() -> None:
    large = left_ventricle(ventricle(45, 22, 18, 0.4, 0.4), scale(0.4, 0.4), 3)
    small = left_ventricle(ventricle(38, 16, 15, 0.4, 0.4), scale(0.4, 0.4), 11)
    found = ejection(large, small)
    fraction = found.values[-1].value
    assert fraction == pytest.approx(100 * (1 - small.volume / large.volume)) and 40 < fraction < 70
    assert [value.name for value in found.values][-2:] == ["stroke volume", "ejection fraction"]
    assert any("suggested" in note for note in found.notes)
    with pytest.raises(MeasureError, match="Exchange"):
        ejection(small, large)
    with pytest.raises(MeasureError, match="one frame"):
        ejection(large, left_ventricle(ventricle(38, 16, 15, 0.4, 0.4), scale(0.4, 0.4), 3))
    with pytest.raises(MeasureError, match="calibrated"):
        ejection(large, left_ventricle(ventricle(38, 16, 15, 0.4, 0.4), scale(0.3, 0.3), 11))


def test_an_uncalibrated_fraction_needs_square_pixels() -> None:
    unknown = Calibration(None, "none", "no word about it")
    found = ejection(
        left_ventricle(ventricle(45, 22, 18, 0.4, 0.4), unknown, 0),
        left_ventricle(ventricle(38, 16, 15, 0.4, 0.4), unknown, 1),
    )
    assert found.values[0].unit == "px³"
    assert any("square" in note for note in found.notes)
