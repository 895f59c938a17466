"""The ultrasound is found in screens as scanners make them; what they write beside it is blanked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from UniUltraLib.measure import binary_shapes
from UniUltraLib.scene import us_region

SHAPE = (300, 400)


def sector() -> np.ndarray:
    y, x = np.indices(SHAPE)
    radius, angle = np.hypot(x - 200, y + 20), np.arctan2(x - 200, y + 20)
    return (radius > 70) & (radius < 290) & (np.abs(angle) < 0.6)


def rectangle() -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[50:260, 60:330] = True
    return inside


def screen(inside: np.ndarray, seed: int = 0, bar: bool = False, text: str = "") -> np.ndarray:
    """(H,W) uint8: speckle with a shadow and a cyst, a flat bar, a name on it, a ruler, a grey wedge."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    mean = np.where(np.hypot(x - 180, y - 150) < 25, 4, 45) * np.where(np.abs(x - 240) < 12, 0.2, 1.0)
    picture = np.where(inside, np.clip(rng.rayleigh(mean) + 1, 0, 255), 0).astype(np.uint8)
    if bar:
        picture[:40] = 90
    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    if text:
        draw.text((8, 8), text, fill=255, font=ImageFont.load_default(20))
    for n in range(60, 260, 20):
        draw.line((392, n, 398, n), fill=200)
    wedge = np.array(page)
    wedge[60:200, 6:14] = np.linspace(255, 0, 140)[:, None]
    return wedge


@pytest.mark.parametrize("inside", [sector(), rectangle()], ids=["sector", "rectangle"])
@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("bar", [False, True], ids=["black", "bar"])
def test_the_region_is_found_without_the_name(inside: np.ndarray, frames: int, bar: bool) -> None:
    screens = np.stack([screen(inside, n, bar, "DOE^JANE 1970-01-02") for n in range(frames)])
    colour = np.stack([screens] * 3, -1)
    for pictures in (screens, colour):
        keep = us_region.ultrasound_region(pictures)
        assert keep is not None and keep.shape == SHAPE
        under_bar = inside & (np.indices(SHAPE)[0] >= (44 if bar else 0))
        assert (keep & under_bar).sum() > 0.97 * under_bar.sum(), "little of the ultrasound is lost"
        beside = ~binary_shapes.convex_hull(inside)
        beside = binary_shapes.erode(beside, 8)
        assert not (keep & beside).any(), "nor is anything else that is not within two blocks of it"
        blanked = us_region.blank(pictures, keep)
        assert not blanked[:, :32].any(), "the name is gone"
        assert (blanked[:, keep] == pictures[:, keep]).all() and blanked.dtype == pictures.dtype


@pytest.mark.parametrize("bar", [False, True], ids=["black", "bar"])
def test_writing_is_noticed(bar: bool) -> None:
    inside = sector()
    keep = us_region.ultrasound_region(screen(inside)[None])
    assert us_region.writing_outside(screen(inside, 0, bar, "DOE^JANE 1970")[None], keep)
    assert not us_region.writing_outside(screen(inside)[None], keep)
    assert not us_region.writing_outside(np.zeros((1, 5, 9), np.uint8), np.zeros((5, 9), bool))


@pytest.mark.parametrize("fill", [0, 90])
def test_a_picture_without_ultrasound_has_no_region(fill: int) -> None:
    page = Image.fromarray(np.full(SHAPE, fill, np.uint8))
    ImageDraw.Draw(page).text((8, 8), "DOE^JANE\n1970-01-02", fill=255, font=ImageFont.load_default(40))
    assert us_region.ultrasound_region(np.array(page)[None]) is None


def test_a_cine_needs_what_moves() -> None:
    moving = np.stack([screen(sector(), n) for n in range(4)])
    # A grainy logo, for example, which stays still.
    grainy = np.random.default_rng(9).integers(60, 200, (60, 80), dtype=np.uint8)
    moving[:, 236:296, 4:84] = grainy
    keep = us_region.ultrasound_region(moving)
    assert not keep[250:290, 4:40].any() and keep[150, 200]
    still = us_region.ultrasound_region(np.stack([moving[0]] * 3))
    assert still is not None, "a cine that was frozen is judged as a still"
